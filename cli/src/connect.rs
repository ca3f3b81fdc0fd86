//! From arguments to a client of a server: discovery, and the client's settings.

use grantflow_core::Secret;
use grantflow_core::client::Client;
use grantflow_core::endpoint::Discovery;
use grantflow_core::grant::Extras;
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::Event;
use grantflow_tokio::{Driver, Nobody};

use crate::args::{AskArgs, ServerArgs};
use crate::exit::Failure;

/// Looks the server up and makes the client.
pub(crate) async fn client(
    driver: &Driver,
    args: &ServerArgs,
    secret: Option<Secret>,
    policy: UrlPolicy,
) -> Result<Client, Failure> {
    let mut discovery = Discovery::with_policy(&args.issuer, policy)?;
    let server = driver.run(&mut discovery, Event::Start, &mut Nobody).await?;
    let mut client = Client::builder(server, &args.client_id);
    if !args.id_token_alg.is_empty() {
        client = client.id_token_algorithms(&args.id_token_alg);
    }
    if let Some(secret) = secret {
        client = client.secret(secret);
    }
    Ok(client.build()?)
}

/// The parameters that `--param` adds.
pub(crate) fn extras(ask: &AskArgs) -> Result<Extras, Failure> {
    Ok(Extras::new(ask.param.iter().cloned())?)
}

/// The same, and a `resource` for each `--resource`, for flows that do not know of resources.
pub(crate) fn extras_with_resources(ask: &AskArgs) -> Result<Extras, Failure> {
    let mut extras = extras(ask)?;
    for resource in &ask.resource {
        extras.push("resource", resource.as_str())?;
    }
    Ok(extras)
}
