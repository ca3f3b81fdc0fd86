use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::error::{BadCallback, Endpoint, Error, Expired, Refusal};
use grantflow_core::http::{Body, Reach};
use grantflow_core::loopback::{Launcher, Notice, Pages, Place, ResponseMode};
use grantflow_core::machine::{Context, Effect, Event, Machine, Outgoing, READY, Redirect, StateId, Step, Table};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use url::Url;

use super::listener::{address, browse, status};
use super::{NOW, request, rest, server, settled, ticking};
use crate::loopback::launch;
use crate::race::{Either, race};
use crate::{
    Browser, ConsolePerson, Driver, HyperClient, LoopbackPerson, ManualClock, Notifier, Pending, Person, Settings,
};

/// A login in small: redirect, callback, one request, done.
struct Login {
    redirect_uri: String,
    expires_at: Timestamp,
    token_endpoint: String,
}

static TABLE: Table = Table { machine: "login", states: &[], rows: &[] };

impl Login {
    fn redirect(&self, refused: Option<BadCallback>) -> Step<u16> {
        let url = "https://as.example/authorize?state=mine".parse().unwrap();
        let (redirect_uri, expires_at) = (self.redirect_uri.clone(), self.expires_at);
        Step::Do(Effect::Redirect(Redirect { url, redirect_uri, expires_at, refused }))
    }
}

impl Machine for Login {
    type Output = u16;

    fn state(&self) -> StateId {
        READY
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn handle(&mut self, event: Event, _: &mut Context<'_>) -> Result<Step<u16>, Error> {
        match event {
            Event::Start => Ok(self.redirect(None)),
            Event::Elapsed => Err(Error::Expired(Expired::Callback)),
            Event::Callback(callback) => match callback.state() {
                None => Ok(self.redirect(Some(BadCallback::StateMissing))),
                Some(state) if !state.matches("mine") => Ok(self.redirect(Some(BadCallback::StateMismatch))),
                Some(_) => {
                    if let Some(code) = callback.error() {
                        let (endpoint, code) = (Endpoint::Authorization, code.to_owned());
                        let description = Some("<img src=x>".into());
                        let refusal = Refusal { endpoint, code, description, uri: None, answer: None, hint: None };
                        return Err(Error::Refused(Box::new(refusal)));
                    }
                    let request =
                        http::Request::post(&self.token_endpoint).body(Body::new(b"code=c".to_vec())).unwrap();
                    let timeout = Duration::from_secs(30);
                    Ok(Step::Do(Effect::Send(Outgoing { request, max_body: 100, timeout, reach: Reach::Any })))
                }
            },
            Event::Response(response) => Ok(Step::Done(response.status().as_u16())),
            Event::Cancel => Err(Error::Cancelled),
            other => panic!("{other:?}"),
        }
    }
}

/// A browser that does as it is told and counts.
struct Told {
    opened: Arc<AtomicUsize>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Works,
    Fails,
    Hangs,
}

impl Browser for Told {
    fn open(&self, url: &Url) -> Pending<'static, bool> {
        assert_eq!(url.as_str(), "https://as.example/authorize?state=mine");
        self.opened.fetch_add(1, Ordering::SeqCst);
        match self.how {
            How::Works => Box::pin(async { true }),
            How::Fails => Box::pin(async { false }),
            How::Hangs => Box::pin(std::future::pending()),
        }
    }
}

struct Scene {
    clock: ManualClock,
    driver: Driver,
    login: Login,
    person: LoopbackPerson,
    uri: String,
    /// Lets the token endpoint answer.
    go: Arc<Notify>,
    tokens: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

async fn scene(how: How) -> Scene {
    let (go, tokens) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (go.clone(), tokens.clone());
    let token = server(move |_, mut stream| {
        let (gate, count) = (gate.clone(), count.clone());
        async move {
            request(&mut stream).await;
            count.fetch_add(1, Ordering::SeqCst);
            gate.notified().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            rest(&mut stream).await;
        }
    })
    .await;
    let pages = Pages::default().with_service("Example");
    let person = LoopbackPerson::bind(&Place::default(), ResponseMode::Query, pages).await.unwrap();
    let (opened, notices) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let told = notices.clone();
    let person = person
        .with_browser(Told { opened: opened.clone(), how })
        .with_notifier(Notifier::new(move |notice| told.lock().unwrap().push(notice.clone())));
    let uri = person.redirect_uri().to_owned();
    let clock = ManualClock::new(NOW);
    let http = HyperClient::new(Settings::default().with_clock(clock.clone()));
    let driver = Driver::with_client(http).with_clock(clock.clone());
    let expires_at = NOW.plus(Duration::from_secs(300));
    let login = Login { redirect_uri: uri.clone(), expires_at, token_endpoint: format!("http://{token}/token") };
    Scene { clock, driver, login, person, uri, go, tokens, opened, notices }
}

impl Scene {
    async fn run(&mut self) -> Result<u16, Error> {
        self.driver.run(&mut self.login, Event::Start, &mut self.person).await
    }
}

fn opening() -> Notice {
    Notice::Opening { service: "Example".into() }
}

#[tokio::test]
async fn a_26_a_27_a_28_success_is_said_only_when_the_flow_is_done() {
    let mut scene = scene(How::Works).await;
    assert_eq!(scene.opened.load(Ordering::SeqCst), 0, "the listener is there before the browser");
    let (uri, go, tokens) = (format!("{}?code=c&state=mine", scene.uri), scene.go.clone(), scene.tokens.clone());
    let browser = tokio::spawn(async move {
        let page = tokio::spawn(async move { browse(&uri).await });
        while tokens.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        settled().await;
        assert!(!page.is_finished(), "the tokens are not in hand yet");
        go.notify_one();
        page.await.unwrap()
    });
    assert_eq!(scene.run().await, Ok(200));
    let page = browser.await.unwrap();
    assert_eq!(status(&page), 200);
    assert!(
        page.contains("You are logged in to Example") && page.contains("Code received! You may now close"),
        "{page}"
    );
    assert_eq!(*scene.notices.lock().unwrap(), [opening(), Notice::Waiting { seconds: 300 }, Notice::Received]);
    assert_eq!(scene.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn lb_06_a_foreign_callback_is_refused_and_the_login_goes_on() {
    let mut scene = scene(How::Works).await;
    scene.go.notify_one();
    let uri = scene.uri.clone();
    let browser = tokio::spawn(async move {
        for query in ["", "?code=evil", "?code=evil&state=other", "?error=access_denied&state=other"] {
            let page = browse(&format!("{uri}{query}")).await;
            assert_eq!(status(&page), 400, "{query}");
            assert!(page.contains("This is not the login that is waited for"), "{page}");
            assert!(!page.contains("evil") && !page.contains("other&"), "{page}");
        }
        browse(&format!("{uri}?code=c&state=mine")).await
    });
    assert_eq!(scene.run().await, Ok(200));
    assert_eq!(status(&browser.await.unwrap()), 200);
    assert_eq!(scene.opened.load(Ordering::SeqCst), 1, "the browser is opened once");
    assert_eq!(scene.notices.lock().unwrap().len(), 3, "and nobody is told twice");
}

#[tokio::test]
async fn lb_07_a_refusal_reaches_the_caller_and_the_browser() {
    let mut scene = scene(How::Works).await;
    let uri = format!("{}?error=access_denied&state=mine", scene.uri);
    let browser = tokio::spawn(async move { browse(&uri).await });
    let error = scene.run().await.unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.is("access_denied")), "{error}");
    let page = browser.await.unwrap();
    assert_eq!(status(&page), 400);
    assert!(page.contains("access_denied") && page.contains("&lt;img src=x&gt;") && !page.contains("<img"), "{page}");
    assert!(!scene.notices.lock().unwrap().contains(&Notice::Received));
}

#[tokio::test]
async fn fl_36_lb_11_of_two_callbacks_one_is_exchanged_and_the_other_gets_a_friendly_page() {
    let mut scene = scene(How::Works).await;
    let (uri, go, tokens) = (format!("{}?code=c&state=mine", scene.uri), scene.go.clone(), scene.tokens.clone());
    let browser = tokio::spawn(async move {
        let first = tokio::spawn({
            let uri = uri.clone();
            async move { browse(&uri).await }
        });
        while tokens.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let second = browse(&uri).await;
        go.notify_one();
        (first.await.unwrap(), second)
    });
    assert_eq!(scene.run().await, Ok(200));
    let (first, second) = browser.await.unwrap();
    assert_eq!((status(&first), status(&second)), (200, 410));
    assert!(second.contains("answered already"), "{second}");
    assert_eq!(scene.tokens.load(Ordering::SeqCst), 1);
    drop(scene.person);
    assert!(TcpStream::connect(address(&scene.uri)).await.is_err());
}

#[tokio::test]
async fn fl_37_fl_38_nobody_comes_and_the_port_is_closed() {
    let mut scene = scene(How::Works).await;
    let clock = scene.clock.clone();
    let (outcome, seconds) = ticking(&clock, scene.run()).await;
    assert_eq!((outcome, seconds), (Err(Error::Expired(Expired::Callback)), 300));
    let uri = scene.uri.clone();
    drop(scene);
    assert!(TcpStream::connect(address(&uri)).await.is_err());
}

#[tokio::test]
async fn fl_39_a_browser_that_does_not_open_is_not_waited_for() {
    for (how, after) in [(How::Fails, 0), (How::Hangs, 3), (How::Works, u64::MAX)] {
        let mut scene = scene(how).await;
        scene.go.notify_one();
        let (clock, notices) = (scene.clock.clone(), scene.notices.clone());
        let by_hand = Notice::OpenByHand { url: "https://as.example/authorize?state=mine".into() };
        {
            let mut running = std::pin::pin!(scene.run());
            for seconds in 0..10 {
                assert!(matches!(race(running.as_mut(), settled()).await, Either::Right(())));
                assert_eq!(notices.lock().unwrap().contains(&by_hand), seconds >= after, "after {seconds} s");
                clock.advance(Duration::from_secs(1));
            }
        }
        // And the login goes on all the same.
        let uri = format!("{}?code=c&state=mine", scene.uri);
        let browser = tokio::spawn(async move { browse(&uri).await });
        assert_eq!(scene.run().await, Ok(200));
        assert_eq!(status(&browser.await.unwrap()), 200);
    }
}

#[tokio::test]
async fn fl_40_without_a_browser_the_address_is_told() {
    let mut scene = scene(How::Works).await;
    scene.go.notify_one();
    scene.person = scene.person.without_browser();
    let uri = format!("{}?code=c&state=mine", scene.uri);
    let browser = tokio::spawn(async move { browse(&uri).await });
    assert_eq!(scene.run().await, Ok(200));
    browser.await.unwrap();
    assert_eq!(scene.opened.load(Ordering::SeqCst), 0);
    let notices = scene.notices.lock().unwrap();
    assert!(!notices.contains(&opening()) && notices.iter().any(|notice| matches!(notice, Notice::OpenByHand { .. })));
}

#[tokio::test]
async fn fl_35_a_dropped_login_closes_its_port_and_the_browsers_connection() {
    let mut scene = scene(How::Works).await;
    let uri = format!("{}?code=c&state=mine", scene.uri);
    let browser = tokio::spawn(async move { browse(&uri).await });
    // The token endpoint does not answer.
    assert!(matches!(race(scene.run(), settled()).await, Either::Right(())));
    assert_eq!(scene.tokens.load(Ordering::SeqCst), 1);
    let uri = scene.uri.clone();
    drop(scene);
    assert_eq!(browser.await.unwrap(), "", "no success is claimed");
    assert!(TcpStream::connect(address(&uri)).await.is_err());
}

#[tokio::test]
async fn a_redirect_uri_that_nobody_listens_on_is_refused_at_once() {
    let mut scene = scene(How::Works).await;
    scene.login.redirect_uri = "http://127.0.0.1:1/callback".into();
    assert!(matches!(scene.run().await.unwrap_err(), Error::Config(_)));
    assert_eq!(scene.opened.load(Ordering::SeqCst), 0);
}

/// What a console login comes to, and what was told, when these bytes are typed.
async fn console(typed: &[u8]) -> (Result<u16, Error>, Vec<Notice>) {
    let mut scene = scene(How::Works).await;
    scene.go.notify_one();
    scene.login.redirect_uri = "http://127.0.0.1:4711/callback".into();
    let told = scene.notices.clone();
    let notifier = Notifier::new(move |notice| told.lock().unwrap().push(notice.clone()));
    let mut person = ConsolePerson::new(std::io::Cursor::new(typed.to_vec()), notifier);
    let outcome = scene.driver.run(&mut scene.login, Event::Start, &mut person).await;
    let notices = scene.notices.lock().unwrap().clone();
    (outcome, notices)
}

#[tokio::test]
async fn lb_15_fl_40_a_pasted_url_is_held_to_the_same_checks() {
    let url = String::from("https://as.example/authorize?state=mine");
    let before = [Notice::OpenByHand { url }, Notice::Waiting { seconds: 300 }];
    let good = "http://127.0.0.1:4711/callback?code=c&state=mine";
    let (outcome, notices) = console(format!("\n  {good}\r\n").as_bytes()).await;
    assert_eq!(outcome, Ok(200));
    assert_eq!(notices, [&before[..], &[Notice::Received]].concat());
    let long = "x".repeat(40_000);
    let junk = [
        ("mycode", BadCallback::NotRedirectUri),
        ("code#state", BadCallback::NotRedirectUri),
        ("http://127.0.0.1:4712/callback?code=c&state=mine", BadCallback::NotRedirectUri),
        (&long, BadCallback::TooLarge),
        ("http://127.0.0.1:4711/callback?code=%ff&state=mine", BadCallback::Malformed),
        ("http://127.0.0.1:4711/callback?code=c&state=other", BadCallback::StateMismatch),
        ("http://127.0.0.1:4711/callback?code=c", BadCallback::StateMissing),
    ];
    let typed: String = junk.iter().map(|(line, _)| format!("{line}\n")).chain([good.to_owned()]).collect();
    let (outcome, notices) = console(typed.as_bytes()).await;
    assert_eq!(outcome, Ok(200), "also without a last line ending");
    let refused: Vec<_> = junk.iter().map(|(_, why)| Notice::Refused { why: *why }).collect();
    assert_eq!(notices, [&before[..], &refused, &[Notice::Received]].concat());
    // It begins like a good one, and ends where a piece that is read ends.
    let long = format!("{good}&more={}", "x".repeat(5 * 4096 - good.len() - 6));
    let (outcome, notices) = console(format!("{long}\n{good}").as_bytes()).await;
    assert_eq!(
        (outcome, &notices[2..]),
        (Ok(200), &[Notice::Refused { why: BadCallback::TooLarge }, Notice::Received][..])
    );
    let (outcome, notices) = console(b"\xff\xfe\n").await;
    assert_eq!(outcome, Err(Error::Cancelled), "the end of the input gives the login up");
    assert_eq!(notices[2..], [Notice::Refused { why: BadCallback::Malformed }]);
}

#[tokio::test]
async fn a_console_login_ends_when_its_time_is_up() {
    let mut scene = scene(How::Works).await;
    let (_open, reader) = tokio::io::duplex(64);
    let mut person = ConsolePerson::new(reader, Notifier::default());
    let clock = scene.clock.clone();
    let running = scene.driver.run(&mut scene.login, Event::Start, &mut person);
    assert_eq!(ticking(&clock, running).await, (Err(Error::Expired(Expired::Callback)), 300));
}

#[test]
fn fl_39_launchers_that_are_missing_or_fail_are_told_apart_from_those_that_work() {
    let run = |program, arguments: &[&str]| {
        let arguments = arguments.iter().map(|argument| String::from(*argument)).collect();
        launch(&Launcher { program, arguments }, &[])
    };
    assert!(!run("/nonexistent/browser", &["https://as.example/"]));
    if cfg!(unix) {
        assert!(!run("false", &[]));
        assert!(run("true", &["https://as.example/"]));
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_holds_a_secret_is_withheld_from_the_browser() {
    // Cargo sets this one for tests.
    let arguments = ["-c", "test -n \"$CARGO_PKG_NAME\""].map(String::from).to_vec();
    let launcher = Launcher { program: "sh", arguments };
    assert!(launch(&launcher, &[]) && !launch(&launcher, &["CARGO_PKG_NAME".into()]));
}

#[tokio::test]
async fn a_person_by_default_refuses_and_attends_to_nobody() {
    struct Idle;
    impl Person for Idle {}
    let clock: Arc<dyn crate::Clock> = Arc::new(ManualClock::new(NOW));
    assert!(matches!(race(Idle.attend(&clock), settled()).await, Either::Right(())));
    Idle.finish(Ok(()), &clock).await;
}
