//! `grantflow token`: tokens without a person.

use std::path::Path;

use grantflow_core::grant::refresh::RefreshRequest;
use grantflow_core::grant::{ClientCredentials, ExtensionGrant, ExtensionRequest, Refresh};
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::Event;
use grantflow_tokio::Nobody;

use crate::args::{ClientCredentialsArgs, GrantArgs, RefreshArgs};
use crate::exit::{Artefact, Failure};
use crate::output::Output;
use crate::trace::Trace;
use crate::{connect, output, run, secrets};

/// A token for the client itself.
pub(crate) fn client_credentials(args: &ClientCredentialsArgs, trace: Trace) -> Result<Artefact, Failure> {
    let extras = connect::extras_with_resources(&args.ask)?;
    let secret = secrets::client_secret(&args.server.secret)?;
    run::block_on(async {
        let driver = trace.driver();
        let client = connect::client(&driver, &args.server, secret, UrlPolicy::default()).await?;
        let mut flow = ClientCredentials::new(&client, &args.ask.scope, &extras)?;
        let tokens = driver.run(&mut flow, Event::Start, &mut Nobody).await?;
        output::artefact(&tokens, args.ask.output.unwrap_or(Output::Token))
    })
}

/// A token by a grant that has no command of its own.
pub(crate) fn grant(args: &GrantArgs, trace: Trace) -> Result<Artefact, Failure> {
    let extras = connect::extras_with_resources(&args.ask)?;
    let secret = secrets::client_secret(&args.server.secret)?;
    let mut request = ExtensionRequest::new(&args.grant_type).extras(extras).scope(&args.ask.scope)?;
    for pair in &args.secret_param_env {
        let (name, variable) = whereabouts(pair)?;
        request = request.secret_parameter(name, secrets::parameter_from_env(variable)?)?;
    }
    for pair in &args.secret_param_file {
        let (name, path) = whereabouts(pair)?;
        request = request.secret_parameter(name, secrets::parameter_from_file(Path::new(path))?)?;
    }
    run::block_on(async {
        let driver = trace.driver();
        let client = connect::client(&driver, &args.server, secret, UrlPolicy::default()).await?;
        let mut flow = ExtensionGrant::new(&client, request)?;
        let tokens = driver.run(&mut flow, Event::Start, &mut Nobody).await?;
        output::artefact(&tokens, args.ask.output.unwrap_or(Output::Token))
    })
}

/// The name of a secret parameter, and where its value is. Somebody may have typed the secret itself, so it is not repeated.
fn whereabouts(pair: &str) -> Result<(&str, &str), Failure> {
    let parts = pair.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty());
    parts.ok_or_else(|| Failure::Usage("a secret parameter is not of the form NAME=PLACE".to_owned()))
}

/// The successor of a token.
pub(crate) fn refresh(args: &RefreshArgs, trace: Trace) -> Result<Artefact, Failure> {
    let extras = connect::extras(&args.ask)?;
    let secret = secrets::client_secret(&args.server.secret)?;
    let mut request = RefreshRequest::new(secrets::refresh_token(&args.refresh_token)?).extras(extras);
    if !args.ask.scope.is_empty() {
        request = request.narrow_scope(&args.ask.scope)?;
    }
    for resource in &args.ask.resource {
        request = request.resource(resource.as_str());
    }
    run::block_on(async {
        let driver = trace.driver();
        let client = connect::client(&driver, &args.server, secret, UrlPolicy::default()).await?;
        let mut flow = Refresh::new(&client, request)?;
        let tokens = driver.run(&mut flow, Event::Start, &mut Nobody).await?;
        output::artefact(&tokens, args.ask.output.unwrap_or(Output::Token))
    })
}
