//! `grantflow login`: a person, with a browser here, with a browser elsewhere, or with another device.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use grantflow_core::client::Client;
use grantflow_core::error::Expired;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest, Device};
use grantflow_core::http::UrlPolicy;
use grantflow_core::loopback::{Host, Notice, Pages, Place, ResponseMode};
use grantflow_core::machine::{Event, UserCode};
use grantflow_core::token::{Scopes, TokenSet};
use grantflow_core::{Error, Secret};
use grantflow_tokio::{ConsolePerson, DevicePerson, Driver, LoopbackPerson, Notifier, SystemBrowser};
use url::Url;

use crate::args::LoginArgs;
use crate::exit::{Artefact, Failure};
use crate::output::{self, Output};
use crate::saved::Saving;
use crate::trace::{Trace, say};
use crate::{connect, kept, run, secrets};

/// How a person comes back.
enum Way {
    /// To a listener here.
    Listener(Place),
    /// To this redirect URI, which the person then pastes.
    Pasted(String),
    /// Not at all: another device is used.
    Device,
}

/// Logs a person in, and keeps the tokens if they are to be kept.
pub(crate) fn run(args: &LoginArgs, named: Option<&str>, trace: Trace) -> Result<Artefact, Failure> {
    let scopes = Scopes::parse(&args.ask.scope)?;
    if args.ask.output == Some(Output::IdToken) && !scopes.contains("openid") {
        return Err(Failure::Usage("--output id-token needs --scope openid".to_owned()));
    }
    let way = way(args)?;
    // What is wrong here should be known before anything is sent.
    connect::extras(&args.ask)?;
    let saving = Saving::of(&args.save, &args.server, &args.ask.scope, named)?;
    let secret = secrets::client_secret(&args.server.secret)?;
    let driver = trace.driver();
    let (client, tokens) = run::block_on(log_in(args, way, secret, &driver))?;
    let output = match &saving {
        None => Some(args.ask.output.unwrap_or(Output::Token)),
        Some(_) => args.ask.output,
    };
    let artefact = output.map_or_else(|| Ok(Artefact::new(String::new())), |output| output::artefact(&tokens, output));
    if let Some(saving) = saving {
        saving.keep(driver, Some(&client), tokens)?;
    }
    artefact
}

async fn log_in(
    args: &LoginArgs,
    way: Way,
    secret: Option<Secret>,
    driver: &Driver,
) -> Result<(Client, TokenSet), Failure> {
    let policy = match &way {
        Way::Listener(place) if place.host() == Host::Localhost => UrlPolicy::default().with_localhost_redirects(),
        Way::Listener(_) | Way::Pasted(_) | Way::Device => UrlPolicy::default(),
    };
    let client = connect::client(driver, &args.server, secret, policy).await?;
    let tokens = match way {
        Way::Listener(place) => at_listener(args, driver, &client, &place).await,
        Way::Pasted(redirect_uri) => pasted(args, driver, &client, &redirect_uri).await,
        Way::Device => on_device(args, driver, &client).await,
    };
    Ok((client, tokens?))
}

async fn pasted(args: &LoginArgs, driver: &Driver, client: &Client, redirect_uri: &str) -> Result<TokenSet, Failure> {
    let notifier = Notifier::new(|notice| {
        say(notice);
        if let Notice::OpenByHand { .. } = notice {
            say("Then paste the whole address that the browser was sent back to:");
        }
    });
    let mut person = ConsolePerson::new(tokio::io::stdin(), notifier);
    let mut flow = AuthorizationCode::new(client, request(args, redirect_uri)?)?;
    Ok(driver.run(&mut flow, Event::Start, &mut person).await?)
}

async fn at_listener(args: &LoginArgs, driver: &Driver, client: &Client, place: &Place) -> Result<TokenSet, Failure> {
    let mode = if args.form_post { ResponseMode::FormPost } else { ResponseMode::Query };
    let pages = Pages::default().with_app("grantflow").with_service(client.server().issuer());
    let notifier = Notifier::new(|notice| {
        say(notice);
        if let Notice::OpenByHand { .. } = notice {
            say("(With the browser on another machine, use --no-browser or --device.)");
        }
    });
    // A browser lives long and starts programs of its own: no variable that holds a secret is for it.
    let browser = SystemBrowser::default().without_variable(kept::VARIABLE);
    let browser = args.server.secret.client_secret_env.iter().fold(browser, SystemBrowser::without_variable);
    let person = LoopbackPerson::bind(place, mode, pages).await?;
    let mut person = person.with_browser(browser).with_notifier(notifier);
    let mut flow = AuthorizationCode::new(client, request(args, person.redirect_uri())?.response_mode(mode))?;
    Ok(driver.run(&mut flow, Event::Start, &mut person).await?)
}

async fn on_device(args: &LoginArgs, driver: &Driver, client: &Client) -> Result<TokenSet, Failure> {
    let mut flow = Device::new(client, &args.ask.scope, connect::extras_with_resources(&args.ask)?)?;
    let mut person = DevicePerson::new(|code: &UserCode| show(client, code));
    let late = async {
        driver.clock().sleep(Duration::from_secs(args.timeout)).await;
        Err(Error::Expired(Expired::DeviceCode))
    };
    Ok(run::first(driver.run(&mut flow, Event::Start, &mut person), late).await?)
}

/// Names the client and warns, because a code can be handed on by somebody who wants to be let in (RFC 8628 §5.4).
fn show(client: &Client, code: &UserCode) {
    say(format_args!("Visit {} and enter the code:\n\n    {}\n", code.verification_uri, code.user_code.expose()));
    if let Some(complete) = &code.complete {
        say(format_args!("Or visit: {complete}"));
    }
    let (client, issuer) = (client.client_id(), client.server().issuer());
    say(format_args!(
        "Whoever enters it lets {client} in at {issuer}. If you did not start this login, do not enter it."
    ));
}

fn request(args: &LoginArgs, redirect_uri: &str) -> Result<AuthorizationRequest, Failure> {
    let mut request = AuthorizationRequest::new(redirect_uri)
        .scope(args.ask.scope.as_str())
        .acr_values(args.acr.iter().map(String::as_str))
        .extras(connect::extras(&args.ask)?)
        .lifetime(Duration::from_secs(args.timeout));
    if let Some(seconds) = args.max_age {
        request = request.max_age(seconds);
    }
    for resource in &args.ask.resource {
        request = request.resource(resource.as_str());
    }
    Ok(request)
}

fn way(args: &LoginArgs) -> Result<Way, Failure> {
    match &args.redirect_uri {
        _ if args.device => Ok(Way::Device),
        Some(uri) if args.no_browser => Ok(Way::Pasted(uri.clone())),
        None if args.no_browser => Ok(Way::Pasted(format!("http://127.0.0.1:{}/callback", unheard_port(args)?))),
        Some(uri) => Ok(Way::Listener(place(uri)?)),
        None => Ok(Way::Listener(Place::default().with_ports(args.port.iter().copied()))),
    }
}

/// A port on which nothing listens here: what is sent to it on the person's machine most likely goes nowhere as well.
fn unheard_port(args: &LoginArgs) -> Result<u16, Failure> {
    if let Some(port) = args.port.first() {
        return Ok(*port);
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|error| Failure::Local(format!("no free port: {error}")))
}

/// Where to listen for a redirect URI.
fn place(uri: &str) -> Result<Place, Failure> {
    let wrong = || {
        let text = "--redirect-uri must be http to 127.0.0.1, [::1] or localhost, with nothing after its path";
        Failure::Usage(text.to_owned())
    };
    let url = Url::parse(uri).map_err(|_| wrong())?;
    let host = match url.host_str() {
        Some("127.0.0.1") => Host::Ipv4,
        Some("[::1]") => Host::Ipv6,
        Some("localhost") => Host::Localhost,
        Some(_) | None => return Err(wrong()),
    };
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() != "http" || !is_bare || url.password().is_some() {
        return Err(wrong());
    }
    Ok(Place::default().with_host(host).with_ports(url.port()).with_path(url.path())?)
}
