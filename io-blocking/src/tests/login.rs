use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::error::{ConfigError, Error, Expired, TransportKind};
use grantflow_core::loopback::{Launcher, Pages, ResponseMode};
use grantflow_core::machine::Event;
use url::Url;

use super::{Login, anywhere, ask, clock, get, is_closed, patience, recorder, server, status, unavailable};
use crate::{Cancel, Driver, LoopbackPerson, Opening, RedirectListener, SystemBrowser};

/// A person whose browser does `visits` when it is opened, and what comes of them.
fn person(
    visits: impl FnOnce(SocketAddr) -> Vec<String> + Send + 'static,
) -> (LoopbackPerson, mpsc::Receiver<Vec<String>>) {
    let listener = RedirectListener::bind(&anywhere(), ResponseMode::Query, Pages::default()).unwrap();
    let address = listener.address();
    let (tell, told) = mpsc::channel();
    let mut visits = Some(visits);
    let browser = move |_: &Url| {
        let (visits, tell) = (visits.take().expect("the browser is opened once"), tell.clone());
        thread::spawn(move || drop(tell.send(visits(address))));
        Opening::Opened
    };
    (LoopbackPerson::new(listener).with_browser(browser), told)
}

fn run(person: &mut LoopbackPerson, token_url: Option<String>) -> Result<String, Error> {
    let mut login = Login::new(person.redirect_uri());
    login.token_url = token_url;
    Driver::new().with_clock(clock()).with_cancel(&patience()).run(&mut login, Event::Start, person)
}

fn address(person: &LoopbackPerson) -> SocketAddr {
    Url::parse(person.redirect_uri()).unwrap().socket_addrs(|| None).unwrap()[0]
}

const ISSUED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const BROKEN: &str = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";

#[test]
fn the_page_of_success_comes_after_the_tokens() {
    let (mut person, told) = person(|at| vec![ask(at, &get(at, "/callback?code=c&state=good"))]);
    assert_eq!(run(&mut person, Some(format!("http://{}/", server(ISSUED)))).unwrap(), "c");
    assert_eq!(status(&told.recv().unwrap()[0]), 200);
}

#[test]
fn a_27_a_code_that_cannot_be_redeemed_is_no_success() {
    let (mut person, told) = person(|at| vec![ask(at, &get(at, "/callback?code=c&state=good"))]);
    let error = run(&mut person, Some(format!("http://{}/", server(BROKEN)))).unwrap_err();
    assert_eq!(error, unavailable(TransportKind::Unavailable));
    let answer = &told.recv().unwrap()[0];
    assert_eq!(status(answer), 400);
    assert!(answer.contains("token endpoint: not available"), "{answer}");
    assert!(!answer.contains("Code received!"));
}

#[test]
fn lb_06_lb_07_strangers_are_refused_and_a_refusal_of_the_server_is_shown() {
    let (mut person, told) = person(|at| {
        let visit = |target: &str| ask(at, &get(at, target));
        vec![
            visit("/callback?code=evil&state=evil"),
            visit("/callback?code=evil"),
            visit("/callback?error=access_denied&error_description=You+said+%3Cno%3E&state=good"),
        ]
    });
    let error = run(&mut person, None).unwrap_err();
    assert!(matches!(&error, Error::Refused(refusal) if refusal.is("access_denied")));
    let answers = told.recv().unwrap();
    assert_eq!(answers.iter().map(|answer| status(answer)).collect::<Vec<_>>(), [400, 400, 400]);
    assert!(answers[1].contains("This is not the login that is waited for"));
    assert!(answers[2].contains("You said &lt;no&gt;"));
}

#[test]
fn lb_11_fl_36_a_second_callback_is_told_that_the_login_is_over() {
    let (mut person, told) = person(|at| {
        let mut first = TcpStream::connect(at).unwrap();
        let mut second = TcpStream::connect(at).unwrap();
        first.write_all(get(at, "/callback?code=c&state=good").as_bytes()).unwrap();
        second.write_all(get(at, "/callback?code=c&state=good").as_bytes()).unwrap();
        vec![super::read_all(&mut second), super::read_all(&mut first)]
    });
    let at = address(&person);
    assert_eq!(run(&mut person, Some(format!("http://{}/", server(ISSUED)))).unwrap(), "c");
    let mut statuses: Vec<u16> = told.recv().unwrap().iter().map(|answer| status(answer)).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    assert!(is_closed(at));
}

/// A browser that says more when it has its page. If nobody listened any more, that would break its connection.
fn talkative(at: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(get(at, target).as_bytes()).unwrap();
    let answer = super::read_all(&mut stream);
    let heard = (0..5).all(|_| {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"more").is_ok()
    });
    if heard { answer } else { String::from("HTTP/1.1 0 Cut off") }
}

#[test]
fn lb_16_who_goes_on_sending_after_the_page_is_heard_out() {
    let (mut person, told) =
        person(|at| ["/", "/callback?code=c&state=good"].map(|target| talkative(at, target)).to_vec());
    assert_eq!(run(&mut person, None).unwrap(), "c");
    assert_eq!(told.recv().unwrap().iter().map(|answer| status(answer)).collect::<Vec<_>>(), [404, 200]);
}

#[test]
fn lb_11_the_port_is_closed_even_if_the_browser_keeps_its_connection() {
    let (mut person, _told) = person(|at| {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(get(at, "/callback?code=c&state=good").as_bytes()).unwrap();
        // It never closes.
        std::mem::forget(stream);
        Vec::new()
    });
    let at = address(&person);
    assert_eq!(run(&mut person, None).unwrap(), "c");
    assert!(is_closed(at));
}

#[test]
fn fl_36_a_callback_before_the_listener_waits_is_not_lost() {
    let listener = RedirectListener::bind(&anywhere(), ResponseMode::Query, Pages::default()).unwrap();
    let at = listener.address();
    let early = thread::spawn(move || ask(at, &get(at, "/callback?code=c&state=good")));
    let mut connected = false;
    let mut person = LoopbackPerson::new(listener).with_browser(move |_: &Url| {
        // The browser is slower than the server that sent somebody here already.
        assert!(!std::mem::replace(&mut connected, true));
        Opening::Opened
    });
    assert_eq!(run(&mut person, None).unwrap(), "c");
    assert_eq!(status(&early.join().unwrap()), 200);
}

#[test]
fn fl_37_nobody_comes_back_in_time() {
    let clock = clock();
    let moved = clock.clone();
    let (mut person, _told) = person(move |at| {
        ask(at, &get(at, "/"));
        moved.advance(Duration::from_secs(300));
        Vec::new()
    });
    let at = address(&person);
    let mut login = Login::new(person.redirect_uri());
    let error = Driver::new()
        .with_clock(clock)
        .with_cancel(&patience())
        .run(&mut login, Event::Start, &mut person)
        .unwrap_err();
    assert_eq!(error, Error::Expired(Expired::Callback));
    assert!(is_closed(at));
}

#[test]
fn cancelling_ends_the_login_and_closes_the_port() {
    let cancel = Cancel::new();
    let hand = cancel.clone();
    let (mut person, _told) = person(move |at| {
        ask(at, &get(at, "/"));
        hand.cancel();
        Vec::new()
    });
    let at = address(&person);
    let driver = Driver::new().with_clock(clock()).with_cancel(&cancel);
    let error = driver.run(&mut Login::new(person.redirect_uri()), Event::Start, &mut person).unwrap_err();
    assert_eq!(error, Error::Cancelled);
    assert!(is_closed(at));
}

#[test]
fn a_redirect_uri_that_nobody_listens_on_is_not_waited_for() {
    let (mut person, _told) = person(|_| Vec::new());
    let error =
        Driver::new().run(&mut Login::new("http://127.0.0.1:1/callback"), Event::Start, &mut person).unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::Invalid { setting: "redirect URI", .. })));
}

#[test]
fn a_28_a_26_the_person_is_told_three_things_in_order() {
    let (person, _told) = person(|at| vec![ask(at, &get(at, "/callback?code=c&state=good"))]);
    let (notifier, told) = recorder();
    let mut person = person.with_notifier(notifier);
    run(&mut person, None).unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            "Opening the server in your browser. Log in to the server, authorise, and return here after",
            "Waiting for code, timeout in 300 seconds...",
            "Code received!",
        ]
    );
}

/// What the person is told when the browser is opened with these programs, before the callback comes.
fn told_with(launchers: fn(&Url) -> Vec<Launcher>, until: fn(&[String]) -> bool, pass: Duration) -> Vec<String> {
    let (notifier, told) = recorder();
    let listener = RedirectListener::bind(&anywhere(), ResponseMode::Query, Pages::default()).unwrap();
    let at = listener.address();
    let mut person =
        LoopbackPerson::new(listener).with_browser(SystemBrowser::with_launchers(launchers)).with_notifier(notifier);
    let clock = clock();
    let (moved, seen) = (clock.clone(), told.clone());
    let human = thread::spawn(move || {
        // The listener answers: the launcher was started.
        ask(at, &get(at, "/"));
        moved.advance(pass);
        while !until(&seen.lock().unwrap()) {
            thread::sleep(Duration::from_millis(1));
        }
        ask(at, &get(at, "/callback?code=c&state=good"))
    });
    let mut login = Login::new(person.redirect_uri());
    assert_eq!(
        Driver::new().with_clock(clock).with_cancel(&patience()).run(&mut login, Event::Start, &mut person).unwrap(),
        "c"
    );
    assert_eq!(status(&human.join().unwrap()), 200);
    told.lock().unwrap().clone()
}

fn program(program: &'static str, arguments: &[&str]) -> Launcher {
    Launcher { program, arguments: arguments.iter().copied().map(String::from).collect() }
}

fn has_url(told: &[String]) -> bool {
    told.iter().any(|line| line.ends_with("\nhttps://server.example/authorize?client_id=me&state=good"))
}

#[test]
fn fl_39_without_a_browser_the_address_is_told_and_the_login_goes_on() {
    assert!(has_url(&told_with(|_| vec![], has_url, Duration::ZERO)));
    assert!(has_url(&told_with(|_| vec![program("grantflow-no-such-program", &[])], has_url, Duration::ZERO)));
}

#[cfg(unix)]
#[test]
fn fl_39_a_launcher_that_fails_gives_way_to_the_next_and_then_to_the_address() {
    let both = |_: &Url| vec![program("false", &[]), program("sh", &["-c", "exit 3"])];
    assert!(has_url(&told_with(both, has_url, Duration::ZERO)));
    let second = |_: &Url| vec![program("false", &[]), program("true", &[])];
    assert!(!has_url(&told_with(second, |told| told.len() >= 2, Duration::ZERO)));
}

#[cfg(unix)]
#[test]
fn a_variable_that_holds_a_secret_is_withheld_from_the_browser() {
    // Cargo sets this one for tests.
    let seeing = |_: &Url| vec![program("sh", &["-c", "test -n \"$CARGO_PKG_NAME\""])];
    let opened = |mut browser: SystemBrowser| {
        let mut opening = crate::Browser::open(&mut browser, &Url::parse("https://as.example/").unwrap());
        while opening == Opening::Trying {
            thread::sleep(Duration::from_millis(1));
            opening = crate::Browser::opening(&mut browser);
        }
        opening
    };
    assert_eq!(opened(SystemBrowser::with_launchers(seeing)), Opening::Opened);
    let browser = SystemBrowser::with_launchers(seeing).without_variable("CARGO_PKG_NAME");
    assert_eq!(opened(browser), Opening::Failed);
}

#[cfg(unix)]
#[test]
fn fl_39_a_launcher_that_hangs_blocks_nothing() {
    let (hanging, began) = (|_: &Url| vec![program("sleep", &["20"])], Instant::now());
    assert!(has_url(&told_with(hanging, has_url, Duration::from_secs(3))));
    assert!(began.elapsed() < Duration::from_secs(20), "it was waited for");
}

#[test]
fn fl_39_nothing_but_https_and_loopback_is_opened() {
    for url in ["file:///etc/passwd", "javascript:alert(1)", "http://server.example/", "ms-msdt:/id"] {
        let mut browser = SystemBrowser::new();
        assert_eq!(crate::Browser::open(&mut browser, &Url::parse(url).unwrap()), Opening::Failed, "{url}");
    }
}
