//! `grantflow discover`: the metadata of a server.

use grantflow_core::endpoint::Discovery;
use grantflow_core::machine::Event;
use grantflow_tokio::Nobody;
use serde_json::Value;

use crate::args::DiscoverArgs;
use crate::exit::{Artefact, Failure};
use crate::output;
use crate::trace::{Detail, Trace};

/// Fetches the metadata and shows the attempts.
pub(crate) async fn run(args: &DiscoverArgs, trace: Trace) -> Result<Artefact, Failure> {
    let driver = trace.at_least(Detail::Exchanges).driver();
    let metadata = driver.run(&mut Discovery::new(&args.issuer)?, Event::Start, &mut Nobody).await?;
    let document: Value = metadata.extra().unwrap_or(Ok(Value::Null))?;
    Ok(output::pretty_json(&document))
}
