//! What is left behind, counted in a process of its own: other tests open sockets and threads too.

#![cfg(target_os = "linux")]

use std::fs::{File, read_dir};
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use grantflow_core::error::{Error, Expired};
use grantflow_core::loopback::{Pages, ResponseMode};
use grantflow_core::machine::Event;
use url::Url;

use super::{Login, anywhere, ask, clock, get, patience, read_all, start, status};
use crate::{Cancel, Driver, LoopbackPerson, Opening, RedirectListener};

const CHILD: &str = "GRANTFLOW_TEST_CHILD";

/// Runs the test `name` again in a process of its own, by way of `wrapper`. Gives false in that process.
fn in_child(name: &str, wrapper: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return false;
    }
    let mut child = Command::new("sh");
    let exe = std::env::current_exe().unwrap();
    child.args(["-c", &format!("{wrapper} exec \"$0\" \"$@\"")]).arg(exe);
    child.args([&format!("tests::resources::{name}"), "--exact", "--nocapture"]).env(CHILD, "1");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the test was run");
    true
}

fn count(what: &str) -> usize {
    read_dir(format!("/proc/self/{what}")).unwrap().count()
}

/// Waits until other threads are really gone: joining says that they are done, not that the kernel has forgotten them.
fn settled(what: &str, expected: usize) -> usize {
    for _ in 0..1000 {
        if count(what) == expected {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    count(what)
}

fn listener() -> RedirectListener {
    RedirectListener::bind(&anywhere(), ResponseMode::Query, Pages::default()).unwrap()
}

#[test]
fn lb_13_nothing_is_left_after_success_error_timeout_cancel_and_drop() {
    if in_child("lb_13_nothing_is_left_after_success_error_timeout_cancel_and_drop", "") {
        return;
    }
    let driver = Driver::new().with_clock(clock());
    let round = |round: usize| {
        let listener = listener();
        let at = listener.address();
        let mut person = LoopbackPerson::new(listener).with_browser(|_: &Url| Opening::Opened);
        let idle = TcpStream::connect(at).unwrap();
        let mut login = Login::new(person.redirect_uri());
        let target = match round % 4 {
            0 => "/callback?code=c&state=good",
            1 => "/callback?error=access_denied&state=good",
            2 => {
                let mut listener = self::listener();
                let late = listener.wait(start(), &clock(), &Cancel::new());
                assert_eq!(late.unwrap_err(), Error::Expired(Expired::Callback));
                return;
            }
            _ => {
                let cancel = Cancel::new();
                cancel.cancel();
                let driver = driver.clone().with_cancel(&cancel);
                assert_eq!(driver.run(&mut login, Event::Start, &mut person).unwrap_err(), Error::Cancelled);
                return;
            }
        };
        let mut browser = TcpStream::connect(at).unwrap();
        browser.write_all(get(at, target).as_bytes()).unwrap();
        let page = thread::spawn(move || read_all(&mut browser));
        assert_eq!(driver.run(&mut login, Event::Start, &mut person).is_ok(), round.is_multiple_of(4));
        assert!(!page.join().unwrap().is_empty());
        drop(idle);
    };
    round(0);
    let (files, threads) = (count("fd"), count("task"));
    for number in 0..1000 {
        round(number);
    }
    assert_eq!((settled("fd", files), settled("task", threads)), (files, threads));
}

#[test]
fn fl_43_the_listener_recovers_when_no_file_descriptor_is_left() {
    if in_child("fl_43_the_listener_recovers_when_no_file_descriptor_is_left", "ulimit -n 64;") {
        return;
    }
    let mut listener = listener();
    let at = listener.address();
    let mut browser = TcpStream::connect(at).unwrap();
    browser.write_all(get(at, "/callback?code=c&state=good").as_bytes()).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    let relief = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        drop(hoard);
    });
    let wait = listener.wait(start().plus(Duration::from_secs(300)), &clock(), &Cancel::new());
    let (callback, responder) = wait.unwrap();
    assert_eq!(callback.code().unwrap().expose(), "c");
    let page = thread::spawn(move || read_all(&mut browser));
    responder.success();
    assert_eq!(status(&page.join().unwrap()), 200);
    relief.join().unwrap();
    let again = thread::spawn(move || ask(at, &get(at, "/callback?code=d&state=good")));
    listener.wait(start().plus(Duration::from_secs(300)), &clock(), &Cancel::new()).unwrap().1.success();
    assert_eq!(status(&again.join().unwrap()), 200);
}

#[test]
fn fl_43_who_says_nothing_makes_room_when_no_file_descriptor_is_left() {
    if in_child("fl_43_who_says_nothing_makes_room_when_no_file_descriptor_is_left", "ulimit -n 64;") {
        return;
    }
    let mut listener = listener();
    let at = listener.address();
    let others = thread::spawn(move || {
        let silent = TcpStream::connect(at).unwrap();
        // Whoever came after it has been served: it has been taken in. Then only it is left.
        assert_eq!(status(&ask(at, &get(at, "/"))), 404);
        thread::sleep(Duration::from_millis(50));
        let mut hoard = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        // One for the browser's end of the connection, none for the other.
        drop(hoard.pop());
        let answer = ask(at, &get(at, "/callback?code=c&state=good"));
        drop((silent, hoard));
        answer
    });
    // The clock stands still: nobody's time is over.
    let wait = listener.wait(start().plus(Duration::from_secs(300)), &clock(), &patience());
    wait.unwrap().1.success();
    assert_eq!(status(&others.join().unwrap()), 200);
}
