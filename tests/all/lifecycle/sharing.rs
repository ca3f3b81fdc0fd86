//! Several programs, several drivers, one store.

use std::sync::{Arc, Barrier};

use grantflow_blocking::stores::Store;
use grantflow_core::error::{Error, LoginNeeded};
use grantflow_core::token::TokenSet;

use super::rig::{BEGIN, BOTH, Door, Kept, Rig, Turn, Which, both, key, text, tokens};

/// Tokens of another login than the first.
fn later() -> TokenSet {
    let record = format!(
        r#"{{"access_token":"canary-a9","token_type":"Bearer","refresh_token":"canary-r9","granted_at":{},"expires_at":{}}}"#,
        BEGIN.as_secs() + 3600,
        BEGIN.as_secs() + 7200
    );
    TokenSet::from_record(record.as_bytes(), BEGIN).unwrap()
}

#[test]
fn rf_02_fl_46_h_29_many_programs_of_both_drivers_spend_each_token_once() {
    const ROUNDS: usize = 50;
    const PROGRAMS: usize = 8;
    let rig = Rig::new(Which::Tokio);
    rig.logged_in();
    let programs: Vec<Kept> = (0..PROGRAMS).map(|number| rig.through(BOTH[number % 2]).session("me")).collect();
    for round in 1..=ROUNDS {
        rig.time.pass(3600);
        let start = Barrier::new(PROGRAMS);
        std::thread::scope(|scope| {
            for program in &programs {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(text(&program.credential().unwrap()), format!("canary-a{round}"));
                });
            }
        });
        assert_eq!(rig.authority.asked(), round, "one refresh a rotation");
    }
    assert!(!rig.authority.has_ended());
    println!("figure: lifecycle/rotations_shared_by_{PROGRAMS}_programs = {ROUNDS}");
}

#[test]
fn rf_03_a_refusal_because_another_program_rotated_ends_nothing() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        let sibling = rig.session("me");
        rig.authority.next([Turn::RefusedAfter(Box::new(move || {
            std::thread::spawn(move || sibling.adopt(later()).map(|_| ())).join().unwrap().unwrap();
        }))]);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a9");
        assert_eq!(rig.authority.asked(), 1);
        assert!(rig.shelf.kept("me").unwrap().contains("canary-r9"));
    });
}

#[test]
fn rf_15_an_old_refresh_token_is_never_sent_while_a_newer_one_is_stored() {
    both(|rig| {
        let stale = rig.logged_in();
        let crashed = rig.session("me");
        rig.time.pass(3600);
        assert_eq!(text(&crashed.credential().unwrap()), "canary-a1");
        drop(crashed);
        // One that begins anew reads the newest; one that still holds the old reads it too before it sends anything.
        assert_eq!(text(&rig.session("me").credential().unwrap()), "canary-a1");
        assert_eq!(text(&stale.credential().unwrap()), "canary-a1");
        rig.time.pass(3600);
        assert_eq!(text(&stale.credential().unwrap()), "canary-a2");
        let mut sent = rig.authority.sent();
        sent.dedup();
        assert_eq!(sent.len(), 2, "each once");
    });
}

#[test]
fn rf_18_a_logout_during_a_refresh_revokes_what_came_of_it() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        let (door, reached) = (Door::default(), Door::default());
        let (inside, here) = (door.clone(), reached.clone());
        rig.authority.next([Turn::After(Box::new(move || {
            here.open();
            inside.pass();
        }))]);
        let (left, given) = std::thread::scope(|scope| {
            let asking = scope.spawn(|| kept.credential());
            reached.pass();
            let leaving = scope.spawn(|| kept.sign_out());
            door.open();
            (leaving.join().unwrap().unwrap(), asking.join().unwrap())
        });
        assert_eq!((left.revoked, left.erased), (Some(Ok(())), Ok(())));
        assert_eq!(text(&given.unwrap()), "canary-a1", "whoever asked before the logout has an answer");
        assert!(rig.authority.sent()[1].contains("token=canary-r1"), "{:?}", rig.authority.sent());
        assert!(rig.shelf.kept("me").is_none());
        assert_eq!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
        assert!(kept.current().is_none());
    });
}

#[test]
fn rf_18_a_logout_of_another_program_during_a_refresh_is_not_undone() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        let shelf = rig.shelf.clone();
        rig.authority.next([Turn::After(Box::new(move || shelf.delete(&key("me")).unwrap()))]);
        assert_eq!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::NoSession));
        assert!(rig.authority.sent()[1].contains("token=canary-r1"), "what came is given back");
        assert!(rig.shelf.kept("me").is_none());
    });
}

#[test]
fn fl_45_h_29_the_blocking_handle_in_a_runtime_of_one_thread_does_not_deadlock() {
    let rig = Rig::new(Which::Blocking);
    rig.logged_in();
    let blocking = grantflow_blocking::TokenHandle::new(
        rig.blocking_driver(),
        super::rig::settings(&grantflow_core::testing::specimens::public(), "me"),
    );
    let waiting = grantflow_tokio::TokenHandle::new(
        rig.tokio_driver(),
        super::rig::settings(&grantflow_core::testing::specimens::public(), "me"),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shared = Arc::new(blocking);
    runtime.block_on(async {
        for round in 1..=5 {
            rig.time.pass(3600);
            let expected = format!("canary-a{}", 2 * round - 1);
            // As it is meant: on a thread that may be blocked, beside the tasks.
            let handle = shared.clone();
            let elsewhere = tokio::task::spawn_blocking(move || handle.credential());
            let (here, there) = (waiting.credential().await, elsewhere.await.unwrap());
            assert_eq!((text(&here.unwrap()), text(&there.unwrap())), (&*expected, &*expected));
            // As it is not meant, and still no deadlock: the work has a thread of its own.
            rig.time.pass(3600);
            assert_eq!(text(&shared.credential().unwrap()), format!("canary-a{}", 2 * round));
        }
    });
    assert!(!rig.authority.has_ended());
}

#[test]
fn a_12_memory_beats_the_store_until_it_is_reloaded() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.session("me").adopt(later()).unwrap();
        rig.happened();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        assert_eq!(rig.happened(), "");
        assert_eq!(text(&kept.reload().unwrap()), "canary-a9");
        assert_eq!(text(&kept.credential().unwrap()), "canary-a9");
        let _ = tokens();
    });
}
