//! `grantflow curl`: a request to a resource server, with the token of a saved login.
//!
//! The token goes to the places that the login or the command line names, and nowhere else. A token that is refused is
//! renewed once, and the request sent once more. Nothing is followed: a redirect is an answer like any other.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;

use grantflow_core::Error;
use grantflow_core::error::ConfigError;
use grantflow_core::http::Body;
use grantflow_core::machine::Event;
use grantflow_core::manager::{Credential, Source, TokenId};
use grantflow_core::resource::{Audience, AuthorizedRequest, RequestSettings};
use grantflow_core::store::StoreKey;
use grantflow_stores::Store;
use grantflow_tokio::{Authorizer, Clock, Driver, Nobody, Pending, SystemClock, TokenHandle, Tokens};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use tokio::sync::OnceCell;

use crate::args::CurlArgs;
use crate::exit::{Artefact, Failure};
use crate::kept::{Kept, Login};
use crate::profile::Profile;
use crate::run::{self, Uncut};
use crate::trace::Trace;
use crate::{connect, output, saved};

/// The most bytes of an answer, which is held as a whole.
const LIMIT: usize = 256 * 1024 * 1024;

/// Sends the request and prints the answer.
pub(crate) fn run(args: &CurlArgs, kept: &Kept, trace: Trace) -> Result<Artefact, Failure> {
    let login = kept.login(&args.name)?;
    let named = if args.audience.is_empty() { &login.profile.audience } else { &args.audience };
    let audience = audience(named)?.ok_or_else(|| {
        let text = "nothing says where the token may go: give --audience URL here or to `grantflow login --save`";
        Failure::Usage(text.to_owned())
    })?;
    let request = request(args)?;
    let mut flow = AuthorizedRequest::new(request, &audience, RequestSettings::new().max_body(LIMIT))?;
    let is_due = saved::is_due(kept, &login)?;
    let driver = trace.driver();
    let response = run::block_on_uncut(|uncut| async move {
        let authorizer = Lender::new(kept, login, driver.clone(), is_due, uncut)?;
        let driver = driver.with_authorizer(Arc::new(authorizer));
        Ok(driver.run(&mut flow, Event::Start, &mut Nobody).await?)
    })?;
    deliver(args, &response)?;
    Ok(Artefact::new(String::new()))
}

/// The places that are named, if any are.
pub(crate) fn audience(named: &[String]) -> Result<Option<Audience>, Failure> {
    let Some((first, more)) = named.split_first() else { return Ok(None) };
    let audience = more.iter().try_fold(Audience::only(first)?, |audience, base| audience.and(base))?;
    // Such a base admits no other place, and somebody has typed it.
    let is_loopback = named.iter().any(|base| base.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")));
    Ok(Some(if is_loopback { audience.dangerous_allow_loopback_http() } else { audience }))
}

fn request(args: &CurlArgs) -> Result<Request<Body>, Failure> {
    let wrong = |text: &str| Failure::Usage(text.to_owned());
    let body = match (&args.json, args.data.as_slice()) {
        (Some(json), _) => Some(payload(json)?),
        (None, []) => None,
        (None, parts) => {
            let parts = parts.iter().map(|part| payload(part)).collect::<Result<Vec<_>, _>>()?;
            Some(parts.join(&b'&'))
        }
    };
    let usual = if body.is_some() { "POST" } else { "GET" };
    let method = Method::from_bytes(args.request.as_deref().unwrap_or(usual).as_bytes());
    let url = args.url.as_deref().unwrap_or_default();
    let mut request = Request::builder().method(method.map_err(|_| wrong("-X: HTTP has no such method"))?).uri(url);
    if let Some(headers) = request.headers_mut() {
        for header in &args.header {
            let (name, value) = header.split_once(':').ok_or_else(|| wrong("-H: it is not of the form NAME: VALUE"))?;
            let name =
                HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong("-H: no header has this name"))?;
            let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong("-H: no header can hold this value"))?;
            headers.append(name, value);
        }
        let media_type = if args.json.is_some() { "application/json" } else { "application/x-www-form-urlencoded" };
        if body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(media_type));
        }
        let accept = if args.json.is_some() { media_type } else { "*/*" };
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(accept));
    }
    request.body(Body::new(body.unwrap_or_default())).map_err(|_| wrong("this is no URL"))
}

/// What `-d` and `--json` name: text, `@FILE`, or `@-` for standard input.
fn payload(text: &str) -> Result<Vec<u8>, Failure> {
    let read = match text.strip_prefix('@') {
        None => return Ok(text.as_bytes().to_vec()),
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        Some(path) => fs::read(path),
    };
    read.map_err(|error| Failure::Local(format!("what is to be sent: {error}")))
}

fn deliver(args: &CurlArgs, response: &Response<Body>) -> Result<(), Failure> {
    let status = response.status();
    if args.fail && status.as_u16() >= 400 {
        return Err(Failure::Status(status.as_u16()));
    }
    let mut bytes = Vec::new();
    if args.include {
        bytes.extend_from_slice(format!("{:?} {status}\r\n", response.version()).as_bytes());
        for (name, value) in response.headers() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(response.body().expose());
    match args.output.as_deref() {
        Some(path) if path.as_os_str() != "-" => {
            fs::write(path, &bytes).map_err(|error| Failure::Local(format!("the file of -o: {error}")))
        }
        Some(_) | None => output::print_exactly(&bytes),
    }
}

/// Gives the token of a saved login. The server is looked up when a token must be renewed, and not before.
#[derive(Debug)]
struct Lender {
    stored: TokenHandle,
    renewing: OnceCell<TokenHandle>,
    is_due: bool,
    store: Arc<dyn Store>,
    key: StoreKey,
    profile: Profile,
    driver: Driver,
    uncut: Uncut,
}

impl Lender {
    fn new(kept: &Kept, login: Login, driver: Driver, is_due: bool, uncut: Uncut) -> Result<Self, Failure> {
        let Login { profile, key, .. } = login;
        let stored = Tokens::new(driver.clone(), Ok(key.clone()), Source::Delegated).with_store(kept.store()).open()?;
        let renewing = OnceCell::new();
        Ok(Self { stored, renewing, is_due, store: kept.store(), key, profile, driver, uncut })
    }

    async fn renewing(&self) -> Result<TokenHandle, Error> {
        let handle = self.renewing.get_or_try_init(|| async {
            let client = connect::client_of(&self.driver, &self.profile).await.map_err(|failure| match failure {
                Failure::Flow(error) => error,
                // The message names what is missing; only its class is lost here.
                _ => ConfigError::Missing("client secret of the saved login").into(),
            })?;
            let tokens = Tokens::new(self.driver.clone(), Ok(self.key.clone()), Source::Session(client));
            tokens.with_store(Arc::clone(&self.store)).open()
        });
        handle.await.cloned()
    }

    async fn lend(&self) -> Result<Credential, Error> {
        let stored = self.stored.clone();
        if !self.is_due {
            return stored.credential().await;
        }
        match self.renewing().await {
            Ok(handle) => self.uncut(async move { handle.credential().await }).await,
            // Without the server the old one serves as long as it can.
            Err(error @ Error::Transport(_)) => match stored.credential().await {
                Ok(credential) if credential.is_usable(SystemClock.now()) => Ok(credential),
                Ok(_) | Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn exchange(&self, refused: TokenId) -> Result<Credential, Error> {
        let handle = self.renewing().await?;
        self.uncut(async move { handle.invalidate(refused).await }).await
    }

    async fn uncut(
        &self,
        work: impl Future<Output = Result<Credential, Error>> + Send + 'static,
    ) -> Result<Credential, Error> {
        self.uncut.run(work).await.unwrap_or(Err(Error::Bug("a renewal that is gone")))
    }
}

impl Authorizer for Lender {
    fn credential(&self) -> Pending<'_, Result<Credential, Error>> {
        Box::pin(self.lend())
    }

    fn invalidate(&self, refused: TokenId) -> Pending<'_, Result<Credential, Error>> {
        Box::pin(self.exchange(refused))
    }

    fn current(&self) -> Option<Credential> {
        self.renewing.get().unwrap_or(&self.stored).current()
    }

    fn is_valid(&self) -> bool {
        self.renewing.get().unwrap_or(&self.stored).is_valid()
    }
}
