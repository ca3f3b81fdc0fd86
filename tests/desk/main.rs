//! The desk of the blocking driver's token handle under every order of things: the file is the driver's own, its mutex and
//! condition variable are loom's. A caller who were never woken would be a deadlock, which loom reports.

#[path = "../../io-blocking/src/desk.rs"]
mod desk;

mod sync {
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
}

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use desk::{Asked, Desk, Outcome};
use grantflow_core::crypto::AwsLc;
use grantflow_core::error::{Error, LoginNeeded, ProviderError};
use grantflow_core::manager::{Credential, Lease, Placement, Wish};
use grantflow_core::{Secret, Timestamp};
use loom::thread;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn credential(token: &str) -> Credential {
    Credential::bare(&Secret::from(token), &Placement::default(), &AwsLc).unwrap()
}

fn lease(token: &str) -> Outcome {
    Ok(Lease::Token { credential: credential(token), trouble: None })
}

/// What a caller does: ask, work with `work` if it is to lead, wait if it is to follow.
fn call(desk: &Arc<Desk>, work: impl FnOnce() -> Option<Outcome> + 'static) -> Result<Credential, Error> {
    match desk.ask(Wish::Credential, NOW) {
        Asked::Use(credential) => Ok(credential),
        Asked::Rest(error) => Err(error),
        Asked::Follow(flight) => flight.wait()?.granted(Wish::Credential),
        Asked::Lead(landing, meanwhile) => {
            assert!(meanwhile.is_none(), "nothing is held in these models while there is work");
            let flight = landing.flight();
            // A thread of its own, as the driver has it.
            thread::spawn(move || match work() {
                Some(outcome) => landing.land(outcome, NOW, |_| {}),
                None => drop(landing),
            });
            flight.wait()?.granted(Wish::Credential)
        }
    }
}

/// Runs a model and counts its orders.
fn every_order(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("figure: lifecycle/desk_orders_{name} = {}", orders.load(Ordering::Relaxed));
}

#[test]
fn fl_33_rf_01_callers_have_one_leader_and_one_answer() {
    every_order("two_callers", || {
        let (desk, works) = (Arc::<Desk>::default(), Arc::new(AtomicUsize::new(0)));
        let one = {
            let (desk, works) = (desk.clone(), works.clone());
            move || {
                let answer = call(&desk, move || {
                    works.fetch_add(1, Ordering::Relaxed);
                    Some(lease("a1"))
                });
                assert_eq!(answer.unwrap().access_token().unwrap().expose(), "a1");
            }
        };
        let other = thread::spawn(one.clone());
        one();
        other.join().unwrap();
        assert_eq!(works.load(Ordering::Relaxed), 1);
        assert!(desk.fresh(NOW).is_some());
    });
}

#[test]
fn fl_33_rf_10_a_leader_who_is_lost_is_replaced_and_nobody_waits_for_ever() {
    every_order("lost_leader", || {
        let (desk, works) = (Arc::<Desk>::default(), Arc::new(AtomicUsize::new(0)));
        let one = {
            let (desk, works) = (desk.clone(), works.clone());
            move || {
                // The first worker goes without a word, as one that panics does.
                let answer = call(&desk, move || match works.fetch_add(1, Ordering::Relaxed) {
                    0 => None,
                    _ => Some(lease("a1")),
                });
                match answer {
                    Ok(credential) => assert_eq!(credential.access_token().unwrap().expose(), "a1"),
                    Err(error) => assert_eq!(error, Error::Provider(ProviderError::Interrupted)),
                }
            }
        };
        let other = thread::spawn(one.clone());
        one();
        other.join().unwrap();
        // The next one who asks is served or leads: nothing is wedged.
        assert!(call(&desk, || Some(lease("a2"))).is_ok());
    });
}

#[test]
fn fl_33_rf_18_a_command_beside_a_leader_leaves_nobody_behind() {
    every_order("command_and_leader", || {
        let desk = Arc::<Desk>::default();
        let asking = {
            let desk = desk.clone();
            thread::spawn(move || {
                let answer = call(&desk, || Some(lease("a1")));
                assert!(matches!(answer, Ok(_) | Err(Error::LoginNeeded(LoginNeeded::NoSession))));
            })
        };
        let command = desk.command();
        let flight = command.flight();
        command.land(Ok(Lease::LoginNeeded(LoginNeeded::NoSession)), NOW, |_| {});
        assert!(matches!(flight.wait(), Ok(Lease::LoginNeeded(_))));
        asking.join().unwrap();
        assert!(desk.flight().is_none_or(|flight| flight.wait().is_ok()));
        let _ = (desk.published(), call(&desk, || Some(lease("a2"))));
    });
}
