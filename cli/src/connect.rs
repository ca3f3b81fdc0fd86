//! From arguments to a client of a server: discovery, and the client's settings.

use grantflow_core::Secret;
use grantflow_core::client::Client;
use grantflow_core::endpoint::Discovery;
use grantflow_core::grant::Extras;
use grantflow_core::http::UrlPolicy;
use grantflow_core::jose::SignatureAlgorithm;
use grantflow_core::machine::Event;
use grantflow_tokio::{Driver, Nobody};

use crate::args::{AskArgs, ServerArgs};
use crate::exit::Failure;
use crate::profile::Profile;
use crate::secrets;

/// Looks the server up and makes the client.
pub(crate) async fn client(
    driver: &Driver,
    args: &ServerArgs,
    secret: Option<Secret>,
    policy: UrlPolicy,
) -> Result<Client, Failure> {
    registered(driver, (&args.issuer, &args.client_id), &args.id_token_alg, secret, policy).await
}

/// The client of a saved login, with its secret from where it is.
pub(crate) async fn client_of(driver: &Driver, profile: &Profile) -> Result<Client, Failure> {
    let secret = secrets::client_secret(&profile.secret_args())?;
    let algorithms = profile.id_token_algorithms()?;
    registered(driver, (&profile.issuer, &profile.client_id), &algorithms, secret, UrlPolicy::default()).await
}

async fn registered(
    driver: &Driver,
    (issuer, client_id): (&str, &str),
    algorithms: &[SignatureAlgorithm],
    secret: Option<Secret>,
    policy: UrlPolicy,
) -> Result<Client, Failure> {
    let mut discovery = Discovery::with_policy(issuer, policy)?;
    let server = driver.run(&mut discovery, Event::Start, &mut Nobody).await?;
    let mut client = Client::builder(server, client_id);
    if !algorithms.is_empty() {
        client = client.id_token_algorithms(algorithms);
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
