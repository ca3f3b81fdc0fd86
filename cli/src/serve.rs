//! `grantflow serve`: the development server.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use grantflow_core::error::safe_text;
use grantflow_devserver::{Config, Consent, DevServer, Fault};

use crate::args::ServeArgs;
use crate::exit::{Artefact, Failure};
use crate::trace::say;
use crate::{output, run};

/// Serves until interrupted. The issuer goes to standard output as soon as connections are accepted.
pub(crate) fn run(args: &ServeArgs) -> Result<Artefact, Failure> {
    if args.list_faults {
        return Ok(Artefact::new(listed_faults()));
    }
    let config = config(args)?.on_request(Arc::new(|entry| say(safe_text(&entry.to_string()))));
    let server = DevServer::start(config).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Failure::Settings(error.to_string()),
        _ => Failure::Local(format!("the server cannot start: {error}")),
    })?;
    // Whoever reads the issuer may interrupt at once, so signals are looked after first.
    run::block_on(async {
        output::print(&Artefact::new(server.issuer()))?;
        std::future::pending().await
    })
}

fn config(args: &ServeArgs) -> Result<Config, Failure> {
    let mut config = match &args.config {
        Some(path) => read(path)?,
        None => Config::default(),
    };
    if let Some(port) = args.port {
        config.port = port;
    }
    if let Some(user) = &args.auto_consent {
        config.consent = Consent::Allow(user.clone());
    }
    config.faults.extend(&args.fault);
    Ok(config)
}

fn read(path: &Path) -> Result<Config, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::Local(format!("the configuration: {error}")))?;
    Config::from_toml(&text).map_err(|error| Failure::Settings(format!("the configuration: {error}")))
}

fn listed_faults() -> String {
    let width = Fault::ALL.iter().map(|fault| fault.name().len()).max().unwrap_or_default();
    let mut out = String::new();
    for fault in Fault::ALL {
        let _ = writeln!(out, "{:<width$}  {}", fault.name(), fault.description());
    }
    out
}
