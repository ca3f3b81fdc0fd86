use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex};

use grantflow_core::error::{BadCallback, Error, Expired};
use grantflow_core::loopback::Notice;
use grantflow_core::machine::Event;

use super::{Login, clock, recorder, start};
use crate::{Cancel, ConsolePerson, Driver, ManualClock, Notifier};

const URI: &str = "http://127.0.0.1:4711/callback";

/// What a login comes to when `input` is pasted, and what was refused.
fn paste(input: &str) -> (Result<String, Error>, Vec<BadCallback>) {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let keep = refused.clone();
    let notifier = Notifier::new(move |notice: &Notice| {
        if let Notice::Refused { why } = notice {
            keep.lock().unwrap().push(*why);
        }
    });
    let mut person = ConsolePerson::new(input.as_bytes(), notifier);
    let outcome = Driver::new().with_clock(clock()).run(&mut Login::new(URI), Event::Start, &mut person);
    let refused = refused.lock().unwrap().clone();
    (outcome, refused)
}

#[test]
fn lb_15_fl_40_a_pasted_redirect_url_is_as_good_as_a_callback() {
    let (outcome, refused) = paste(&format!("\n  {URI}?code=a%2Bb&state=good \r\n"));
    assert_eq!((outcome.unwrap().as_str(), refused.len()), ("a+b", 0));
}

#[test]
fn lb_15_what_is_pasted_is_checked_like_what_comes_through_the_network() {
    let good = format!("{URI}?code=real&state=good\n");
    for (junk, why) in [
        (String::from("a-bare-code"), BadCallback::NotRedirectUri),
        (String::from("code#good"), BadCallback::NotRedirectUri),
        (String::from("https://evil.example/callback?code=c&state=good"), BadCallback::NotRedirectUri),
        (String::from("http://127.0.0.1:4711/other?code=c&state=good"), BadCallback::NotRedirectUri),
        (format!("{URI}?code=%zz&state=good"), BadCallback::Malformed),
        (format!("{URI}?code=c&state=evil"), BadCallback::StateMismatch),
        (format!("{URI}?code={}&state=good", "c".repeat(40_000)), BadCallback::TooLarge),
    ] {
        let (outcome, refused) = paste(&format!("{junk}\n{good}"));
        assert_eq!((outcome.unwrap().as_str(), refused), ("real", vec![why]), "{junk:.60}");
    }
}

#[test]
fn fl_40_a_closed_input_gives_up() {
    assert_eq!(paste("").0.unwrap_err(), Error::Cancelled);
    assert_eq!(paste("junk").0.unwrap_err(), Error::Cancelled);
}

#[test]
fn fl_40_the_address_is_shown() {
    let (notifier, told) = recorder();
    let input = format!("{URI}?code=c&state=good\n");
    let mut person = ConsolePerson::new(input.as_bytes(), notifier);
    Driver::new().with_clock(clock()).run(&mut Login::new(URI), Event::Start, &mut person).unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(told[0], "Open this address in a browser:\nhttps://server.example/authorize?client_id=me&state=good");
    assert_eq!(told.last().unwrap(), "Code received!");
}

#[test]
fn fl_40_a_login_that_fails_has_received_no_code() {
    let (notifier, told) = recorder();
    let mut person = ConsolePerson::new(&b"junk\n"[..], notifier);
    Driver::new().with_clock(clock()).run(&mut Login::new(URI), Event::Start, &mut person).unwrap_err();
    assert_ne!(told.lock().unwrap().last().unwrap(), "Code received!");
}

/// Does something before it gives what it has.
struct After<F>(F, &'static [u8]);

impl<F: FnMut()> Read for After<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        (self.0)();
        self.1.read(out)
    }
}

const LATE: &[u8] = b"http://127.0.0.1:4711/callback?code=c&state=good\n";

#[test]
fn fl_38_what_is_pasted_too_late_is_not_used() {
    let clock = ManualClock::new(start());
    let moved = clock.clone();
    let input = BufReader::new(After(move || moved.advance(std::time::Duration::from_secs(300)), LATE));
    let mut person = ConsolePerson::new(input, recorder().0);
    let error = Driver::new().with_clock(clock).run(&mut Login::new(URI), Event::Start, &mut person).unwrap_err();
    assert_eq!(error, Error::Expired(Expired::Callback));
}

#[test]
fn what_is_pasted_after_cancelling_is_not_used() {
    let cancel = Cancel::new();
    let hand = cancel.clone();
    let mut person = ConsolePerson::new(BufReader::new(After(move || hand.cancel(), LATE)), recorder().0);
    let driver = Driver::new().with_clock(clock()).with_cancel(&cancel);
    let error = driver.run(&mut Login::new(URI), Event::Start, &mut person).unwrap_err();
    assert_eq!(error, Error::Cancelled);
}
