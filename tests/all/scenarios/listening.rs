//! Logins through the real loopback listeners of both drivers, with a browser that follows redirects, and with
//! strangers who come before it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use grantflow_core::callback::ResponseMode;
use grantflow_core::client::Client;
use grantflow_core::endpoint::Discovery;
use grantflow_core::error::Error;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest};
use grantflow_core::loopback::{Notice, Pages, Place};
use grantflow_core::machine::Event;
use grantflow_core::token::TokenSet;
use grantflow_devserver::{Consent, Fault};
use url::Url;

use super::HONEST;
use super::play::{finding, line, short, world};
use crate::runners::{Blocking, Ears, Runner, Tokio, Traveller, Visit, World, posted, unescaped, visit};

/// A hang is a failure: this is long after everything is done.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What a browser saw of a page, and which requests the server had had by then.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    text: String,
    requests: String,
}

/// What came of a login through a listener.
#[derive(Debug, PartialEq, Eq)]
struct Login {
    outcome: String,
    seen: Vec<Seen>,
    told: Vec<String>,
    log: Vec<String>,
}

fn pages() -> Pages {
    Pages::default().with_app("Example").with_service("the test server")
}

/// What a browser does that is sent to `authorize`: strangers have come to the redirect URI before.
fn browse(world: &World, mode: ResponseMode, authorize: &Url, mut redirect_uri: Url) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut see = |visit: Visit| {
        world.ears.hear(&visit.text);
        world.ears.hear_debug(&visit.location);
        let requests = world.server.log().iter().map(short).collect::<Vec<_>>().join(" ");
        seen.push(Seen { status: visit.status, text: world.masked(&words(&visit.text)), requests });
    };
    let strange = ["code=stolen&state=guessed", "code=stolen", "error=access_denied&state=guessed", "something=else"];
    for callback in strange {
        see(match mode {
            ResponseMode::FormPost => visit("POST", &redirect_uri, Some(callback)),
            ResponseMode::Query | ResponseMode::Fragment => {
                redirect_uri.set_query(Some(callback));
                visit("GET", &redirect_uri, None)
            }
        });
    }
    redirect_uri.set_query(None);
    see(visit("DELETE", &redirect_uri, None));
    see(visit("GET", &redirect_uri.join("/favicon.ico").unwrap(), None));
    for (name, value) in authorize.query_pairs().filter(|(name, _)| matches!(name.as_ref(), "state" | "nonce")) {
        world.ears.keep(if name == "state" { "state" } else { "nonce" }, &value);
    }
    let page = visit("GET", authorize, None);
    let location = page.location.as_deref().map(|location| location.parse::<Url>().unwrap());
    if let Some((_, code)) = location.iter().flat_map(Url::query_pairs).find(|(name, _)| name == "code") {
        world.ears.keep("code", &code);
    }
    see(match location {
        Some(location) => visit("GET", &location, None),
        None => visit("POST", &redirect_uri, Some(&posted(&page.text))),
    });
    seen
}

/// The text of a page, without its head.
fn words(page: &str) -> String {
    let body = page.split_once("<main").map_or(page, |(_, body)| body.split_once('>').unwrap().1);
    let body = body.split("</main>").next().unwrap();
    let plain: String = body
        .split('<')
        .map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text))
        .map(|text| format!("{text} "))
        .collect();
    unescaped(&plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn request(redirect_uri: &str, mode: ResponseMode) -> AuthorizationRequest {
    AuthorizationRequest::new(redirect_uri).scope("openid profile").response_mode(mode)
}

fn client<R: Runner>(runner: &mut R, world: &World) -> Client {
    let mut discovery = Discovery::new(&world.server.issuer()).unwrap();
    let metadata = runner.run(&mut discovery, Event::Start, &mut Traveller::new(world)).unwrap();
    Client::builder(metadata, "demo-app").build().unwrap()
}

fn notices(ears: &Ears) -> (impl Fn(&Notice) + Send + Sync + 'static, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel();
    let ears = ears.clone();
    let notify = move |notice: &Notice| {
        ears.hear(notice);
        ears.hear_debug(notice);
        let _ = tell.send(notice.to_string());
    };
    (notify, told)
}

struct Tab {
    world: World,
    mode: ResponseMode,
    redirect_uri: Url,
    tell: mpsc::Sender<Vec<Seen>>,
}

impl Tab {
    /// Browses on a thread of its own.
    fn open(&self, url: &Url) {
        let (world, mode, tell) = (self.world.clone(), self.mode, self.tell.clone());
        let (url, redirect_uri) = (url.clone(), self.redirect_uri.clone());
        thread::spawn(move || tell.send(browse(&world, mode, &url, redirect_uri)));
    }
}

impl grantflow_tokio::Browser for Tab {
    fn open(&self, url: &Url) -> grantflow_tokio::Pending<'static, bool> {
        Tab::open(self, url);
        Box::pin(async { true })
    }
}

fn with_tokio(world: &World, mode: ResponseMode) -> Login {
    let mut runner = Tokio::new(world);
    let client = client(&mut runner, world);
    let (tell, seen) = mpsc::channel();
    let (notify, told) = notices(&world.ears);
    let Tokio { driver, runtime, .. } = &runner;
    let (outcome, redirect_uri) = runtime.block_on(async {
        let person = grantflow_tokio::LoopbackPerson::bind(&Place::default(), mode, pages()).await.unwrap();
        let redirect_uri: Url = person.redirect_uri().parse().unwrap();
        let tab = Tab { world: world.clone(), mode, redirect_uri: redirect_uri.clone(), tell };
        let mut person = person.with_browser(tab).with_notifier(grantflow_tokio::Notifier::new(notify));
        let mut flow = AuthorizationCode::new(&client, request(redirect_uri.as_str(), mode)).unwrap();
        let running = driver.run(&mut flow, Event::Start, &mut person);
        let outcome = tokio::time::timeout(TOO_LONG, running).await.expect("it hangs");
        world.ears.hear_debug(&(&person, &driver));
        (outcome, redirect_uri)
    });
    login(world, &redirect_uri, outcome, &seen, &told)
}

fn with_threads(world: &World, mode: ResponseMode) -> Login {
    let mut runner = Blocking::new(world);
    let client = client(&mut runner, world);
    let (tell, seen) = mpsc::channel();
    let (notify, told) = notices(&world.ears);
    let person = grantflow_blocking::LoopbackPerson::bind(&Place::default(), mode, pages()).unwrap();
    let redirect_uri: Url = person.redirect_uri().parse().unwrap();
    let tab = Tab { world: world.clone(), mode, redirect_uri: redirect_uri.clone(), tell };
    let open = move |url: &Url| {
        tab.open(url);
        grantflow_blocking::Opening::Opened
    };
    let mut person = person.with_browser(open).with_notifier(grantflow_blocking::Notifier::new(notify));
    let mut flow = AuthorizationCode::new(&client, request(redirect_uri.as_str(), mode)).unwrap();
    let cancel = grantflow_blocking::Cancel::new();
    let end = cancel.clone();
    thread::spawn(move || {
        thread::sleep(TOO_LONG);
        end.cancel();
    });
    let driver = runner.driver.clone().with_cancel(&cancel);
    let outcome = driver.run(&mut flow, Event::Start, &mut person);
    world.ears.hear_debug(&(&person, &driver));
    drop(person);
    login(world, &redirect_uri, outcome, &seen, &told)
}

fn login(
    world: &World,
    redirect_uri: &Url,
    outcome: Result<TokenSet, Error>,
    seen: &mpsc::Receiver<Vec<Seen>>,
    told: &mpsc::Receiver<String>,
) -> Login {
    world.ears.hear_debug(&outcome);
    let seen = seen.recv_timeout(TOO_LONG).unwrap();
    assert!(std::net::TcpStream::connect(redirect_uri.socket_addrs(|| None).unwrap()[0]).is_err(), "still listening");
    let (said, given_away) = world.ears.given_away();
    assert!(said > 0 && given_away.is_empty(), "{given_away:#?}");
    let listener = &redirect_uri[url::Position::BeforeHost..url::Position::AfterPort];
    let lines = world.server.log();
    Login {
        outcome: outcome.map_or_else(
            |error| finding(&error),
            |tokens| tokens.identity().map(|identity| identity.subject().to_owned()).unwrap_or_default(),
        ),
        seen,
        told: told.try_iter().collect(),
        log: lines.iter().map(|entry| line(world, entry).replace(listener, "LISTENER")).collect(),
    }
}

/// Logs in through both listeners: the same must come of it. What the browser saw in the end is given back.
fn same_in_both(mode: ResponseMode, arrange: impl Fn(&World)) -> Login {
    let run = |with: fn(&World, ResponseMode) -> Login| {
        let world = world(&HONEST);
        arrange(&world);
        with(&world, mode)
    };
    let (tokio, threads) = (run(with_tokio), run(with_threads));
    assert_eq!(tokio, threads);
    tokio
}

/// Strangers get errors, in the words of a page for those who come by mistake.
fn strangers_were_turned_away(login: &Login) {
    let (last, strangers) = login.seen.split_last().unwrap();
    let statuses: Vec<u16> = strangers.iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [400, 400, 400, 400, 405, 404], "{strangers:#?}");
    for stranger in strangers {
        assert!(!stranger.text.contains("logged in"), "{stranger:?}");
        assert_eq!(stranger.requests, "openid-configuration", "nothing was sent on a stranger's word");
    }
    assert!(strangers[0].text.contains("This is not the login that is waited for"), "{strangers:#?}");
    assert!(last.requests.starts_with("openid-configuration authorize"), "{last:?}");
}

#[test]
fn the_page_of_success_comes_when_the_tokens_are_verified_and_strangers_end_nothing() {
    for mode in [ResponseMode::Query, ResponseMode::FormPost] {
        let login = same_in_both(mode, |_| {});
        strangers_were_turned_away(&login);
        assert_eq!(login.outcome, "alice");
        let last = login.seen.last().unwrap();
        assert_eq!(last.status, 200);
        assert!(last.text.starts_with("Example is logged in to the test server"), "{last:?}");
        assert_eq!(last.requests, "openid-configuration authorize token jwks", "before that nobody says success");
        assert_eq!(login.told.last().unwrap(), "Code received!");
    }
}

#[test]
fn a_login_that_fails_after_the_callback_shows_why_and_never_success() {
    let rows = [
        (Fault::IdTokenBadSignature, "Security Signature", "the signature is wrong", " token jwks"),
        (Fault::TokenMissing, "Protocol Token MemberMissing(\"access_token\")", "`access_token` is missing", " token"),
        (Fault::Token500, "Transport Token Unavailable Unknown 500", "token endpoint: not available", " token:500"),
        (Fault::CallbackIssWrong, "Security IssuerMismatch", "the issuer is `http://SERVER1`", ""),
        (Fault::CallbackDuplicateCode, "Callback DuplicateParameter", "a parameter stands there twice", ""),
    ];
    for (fault, outcome, words, requests) in rows {
        let login = same_in_both(ResponseMode::Query, |world| world.server.set_fault(Some(fault)));
        strangers_were_turned_away(&login);
        assert_eq!(login.outcome, outcome);
        let last = login.seen.last().unwrap();
        assert_eq!(last.status, 400, "{last:?}");
        assert!(last.text.starts_with("The login of Example has failed"), "{last:?}");
        assert!(last.text.contains(words) && !last.text.contains("received"), "{last:?}");
        assert_eq!(last.requests, format!("openid-configuration authorize{requests}"));
    }
}

#[test]
fn a_person_who_says_no_is_shown_that() {
    for mode in [ResponseMode::Query, ResponseMode::FormPost] {
        let login = same_in_both(mode, |world| world.server.set_consent(Consent::Deny));
        strangers_were_turned_away(&login);
        assert_eq!(login.outcome, "Refused Authorization access_denied");
        let last = login.seen.last().unwrap();
        assert_eq!(last.status, 400);
        assert!(last.text.contains("access_denied: consent is always denied"), "{last:?}");
        assert_eq!(last.requests, "openid-configuration authorize");
    }
}
