//! Many callers, one renewal.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use grantflow_core::error::{Error, ProviderError, TransportKind};
use grantflow_core::manager::Change;

use super::rig::{Door, Kept, Rig, Turn, Want, Which, both, text, when};

/// All callers come while the renewal is under way; one request, one save, one answer.
fn crowd(rig: &Rig, callers: usize) {
    let kept = rig.logged_in();
    rig.time.pass(3600);
    let arrived = Arc::default();
    rig.authority.next([Turn::After(when(&arrived, callers))]);
    let answers = kept.many(callers, Want::Credential, &arrived);
    assert_eq!(answers.len(), callers);
    assert!(answers.iter().all(|answer| text(answer.as_ref().unwrap()) == "canary-a1"));
    assert_eq!(rig.happened(), "claim load refresh save", "{:?}", rig.which);
    assert_eq!(rig.authority.asked(), 1);
}

#[test]
fn rf_01_h_18_l_47_a_crowd_at_the_expiry_makes_one_request_and_one_save() {
    both(|rig| crowd(rig, 50));
    both(|rig| crowd(rig, 1000));
    println!("figure: lifecycle/callers_at_expiry = 1000");
    println!("figure: lifecycle/refreshes_at_expiry = 1");
}

#[test]
fn fl_44_ten_thousand_tasks_wait_for_one_renewal() {
    crowd(&Rig::new(Which::Tokio), 10_000);
    println!("figure: lifecycle/waiting_tasks = 10000");
}

#[test]
fn rf_09_nobody_waits_while_the_old_token_still_works() {
    both(|rig| {
        let kept = rig.logged_in();
        // Beyond the earliest and the latest moment at which a renewal is due, before the end.
        rig.time.pass(3590);
        let door = Door::default();
        rig.authority.next([door.turn()]);
        for _ in 0..100 {
            assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        }
        door.open();
        kept.settled();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.authority.asked(), 1);
    });
}

#[test]
fn rf_10_a_failed_renewal_is_everybodys_answer_and_the_next_round_begins_anew() {
    const CALLERS: usize = 100;
    type Failure = (&'static str, fn() -> Turn);
    let failures: [Failure; 4] = [
        ("503", || Turn::Answer(503, String::new())),
        ("invalid_client", || Turn::Answer(401, r#"{"error":"invalid_client"}"#.to_owned())),
        ("timeout", || Turn::Unsent(TransportKind::Timeout)),
        ("connect", || Turn::Unsent(TransportKind::Connect)),
    ];
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        for (round, (name, failure)) in failures.iter().enumerate() {
            let arrived = Arc::<AtomicUsize>::default();
            // All come before the claim is answered for, so the failure is theirs, not the rest's.
            rig.authority.next([failure()]);
            let answers = kept.many(CALLERS, Want::Credential, &arrived);
            let first = answers[0].as_ref().unwrap_err();
            assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err() == first), "{name}: {first}");
            assert_eq!(rig.authority.asked(), round + 1, "{name}: {:?}", rig.which);
            // Whoever comes while it rests asks nobody.
            assert_eq!(&kept.credential().unwrap_err(), first);
            assert_eq!(rig.authority.asked(), round + 1);
            rig.time.pass(400);
        }
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
    });
    println!("figure: lifecycle/requests_a_failed_round = 1");
}

#[test]
fn a_hundred_late_refusals_of_one_token_make_one_renewal() {
    both(|rig| {
        let kept = rig.logged_in();
        let refused = kept.credential().unwrap().id();
        let arrived = Arc::default();
        rig.authority.next([Turn::After(when(&arrived, 100))]);
        let answers = kept.many(100, Want::Other(refused), &arrived);
        assert!(answers.iter().all(|answer| text(answer.as_ref().unwrap()) == "canary-a1"));
        // The last of them come when all is over.
        for _ in 0..10 {
            assert_eq!(text(&kept.invalidate(refused).unwrap()), "canary-a1");
        }
        assert_eq!(rig.authority.asked(), 1);
        // A server that refuses the new one too is not believed at once.
        let second = kept.credential().unwrap().id();
        assert_eq!(text(&kept.invalidate(second).unwrap()), "canary-a1");
        assert_eq!(rig.authority.asked(), 1);
    });
    println!("figure: lifecycle/refreshes_after_100_late_401 = 1");
}

#[test]
fn rf_08_a_lifetime_of_nothing_makes_no_storm() {
    for lifetime in [0, 1, 2, 10] {
        both(|rig| {
            rig.authority.lifetime(Some(lifetime));
            let kept = rig.logged_in();
            rig.time.pass(3600);
            for _ in 0..200 {
                assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
                kept.settled();
            }
            assert_eq!(rig.authority.asked(), 1, "a life of {lifetime} s, {:?}", rig.which);
            // From then on it is one a second, however often it is asked for.
            for second in 0..5 {
                rig.time.pass(1);
                for _ in 0..50 {
                    kept.credential().unwrap();
                    kept.settled();
                }
                assert!(rig.authority.asked() <= second + 2);
            }
        });
    }
}

#[test]
fn fl_33_a_leader_that_panics_takes_nobody_along() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        let arrived = Arc::<AtomicUsize>::default();
        let gather = when(&arrived, 20);
        rig.authority.next([Turn::After(Box::new(move || {
            gather();
            panic!("the leader of a test panics");
        }))]);
        let answers = kept.many(20, Want::Credential, &arrived);
        let lost = answers.iter().filter(|answer| answer.is_err()).count();
        assert!(lost > 0);
        for answer in &answers {
            match answer {
                Ok(credential) => assert_eq!(text(credential), "canary-a1"),
                Err(error) => assert_eq!(error, &Error::Provider(ProviderError::Interrupted)),
            }
        }
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1", "{:?}", rig.which);
        assert_eq!(rig.authority.current(), "canary-r1");
    });
}

#[test]
fn fl_33_a_runtime_that_is_shut_down_loses_no_token() {
    let rig = Rig::new(Which::Tokio);
    let Kept::Tokio(_, handle) = rig.logged_in() else { unreachable!() };
    rig.time.pass(3600);
    let (door, reached) = (Door::default(), Door::default());
    let (inside, here) = (door.clone(), reached.clone());
    rig.authority.next([Turn::After(Box::new(move || {
        here.open();
        inside.pass();
    }))]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let leader = handle.clone();
    let leading = runtime.spawn(async move { leader.credential().await });
    reached.pass();
    // One who waits elsewhere hears of it.
    let mut following = Box::pin(handle.credential());
    let waits = rig.block_on(async { following.as_mut().poll(&mut Context::from_waker(Waker::noop())) });
    assert!(waits.is_pending());
    runtime.shutdown_background();
    assert_eq!(rig.block_on(following).unwrap_err(), Error::Provider(ProviderError::Interrupted));
    assert!(rig.block_on(leading).is_err());
    // The server had not acted yet: nothing is lost.
    door.open();
    while rig.authority.current() == "canary-r0" {
        std::thread::yield_now();
    }
    // It has acted now, and the answer went nowhere: a crash at the worst moment, and the server says so.
    let error = rig.block_on(handle.credential()).unwrap_err();
    assert!(matches!(error, Error::LoginNeeded(_)), "{error}");
}

#[test]
fn fl_35_fl_33_a_caller_that_gives_up_anywhere_cancels_nothing() {
    const POINTS: usize = 12;
    for polls in 0..POINTS {
        let rig = Rig::new(Which::Tokio);
        let kept = rig.logged_in();
        let Kept::Tokio(_, handle) = &kept else { unreachable!() };
        rig.time.pass(3600);
        let door = Door::default();
        rig.authority.next([door.turn()]);
        rig.block_on(async {
            let mut call = pin!(handle.credential());
            for poll in 0..polls {
                // From the middle on, the renewal goes on beside it.
                if poll == POINTS / 2 {
                    door.open();
                }
                if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    assert_eq!(text(&answer.unwrap()), "canary-a1");
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
        door.open();
        kept.settled();
        if polls > 0 {
            // Whoever began it is gone; the renewal is not.
            let record = rig.shelf.kept("me").unwrap();
            assert!(record.contains("canary-r1"), "dropped after {polls} polls: {record}");
        }
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.authority.asked(), 1, "dropped after {polls} polls");
    }
    println!("figure: lifecycle/caller_drop_points = {POINTS}");
}

#[test]
fn a_renewal_ahead_of_time_and_its_watchers() {
    both(|rig| {
        let kept = rig.logged_in();
        let mut changes = kept.changes();
        rig.time.pass(10);
        assert_eq!(text(&kept.renew().unwrap()), "canary-a1");
        assert_eq!(changes(), [Change::Renewed]);
        // A moment later is too soon.
        assert_eq!(text(&kept.renew().unwrap()), "canary-a1");
        rig.time.pass(10);
        rig.authority.next([Turn::Answer(503, String::new())]);
        assert!(kept.renew().is_err());
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert!(matches!(changes()[..], [Change::Trouble(_)]));
        rig.shelf.breaks(&["save"]);
        rig.time.pass(100);
        assert!(kept.renew().unwrap().unsaved().is_some());
        assert!(matches!(changes()[..], [Change::Unsaved(_)]));
        rig.shelf.breaks(&[]);
        rig.time.pass(60);
        let _ = kept.credential().unwrap();
        kept.settled();
        assert!(kept.credential().unwrap().unsaved().is_none());
        assert_eq!(changes(), [Change::Saved]);
        assert!(rig.shelf.kept("me").unwrap().contains("canary-r2"));
        let left = kept.sign_out().unwrap();
        assert_eq!((left.revoked, left.erased), (Some(Ok(())), Ok(())));
        assert_eq!(changes(), [Change::SignedOut]);
        assert!(matches!(kept.credential(), Err(Error::LoginNeeded(_))));
    });
}

#[test]
fn x_06_rf_06_commands_of_many_callers_run_one_after_the_other() {
    both(|rig| {
        let kept = rig.logged_in();
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let kept = kept.clone();
                let count = &count;
                scope.spawn(move || {
                    for _ in 0..5 {
                        rig.time.pass(2);
                        let _ = kept.renew();
                        let _ = kept.reload();
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 40);
        assert!(!rig.authority.has_ended(), "no refresh token was used twice");
        assert!(rig.shelf.kept("me").unwrap().contains(&rig.authority.current()));
    });
}
