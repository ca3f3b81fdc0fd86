//! What happens while a command is at work: others write to the store or empty it, it breaks, the task that drove the
//! command is gone.

use super::*;
use crate::store::{Life, Record};

/// A record of the tokens A0 and R0, as somebody may have left it.
fn record(world: &World, version: u64, life: Life) -> Stored {
    let tokens = tokens(world.now, "A0", Some("R0"), 0).to_record();
    Record { version: Version::from_u64(version), life, tokens }.write(world.manager.settings().key()).unwrap()
}

fn version(world: &World) -> u64 {
    world.record.as_ref().unwrap().version.as_u64()
}

fn lost() -> Answer {
    Answer::Lost(Delivery::Unknown, TransportKind::Reset)
}

fn refused() -> Answer {
    Answer::Refused(400, "invalid_grant")
}

impl World {
    fn requests(&self) -> usize {
        self.log.iter().filter(|what| what.starts_with("/token")).count()
    }

    /// Gives a command whose task is gone with the first effect that fits: before that is performed, or before anybody
    /// hears of it.
    fn abandoned(&mut self, mut event: Event, performed: bool, mut fits: impl FnMut(&mut Self, &Effect) -> bool) {
        loop {
            let Step::Do(effect) = self.step(event) else { panic!("it came to its end") };
            let is_last = fits(self, &effect);
            if is_last && !performed {
                break;
            }
            event = self.perform(effect);
            if is_last {
                break;
            }
        }
        self.manager.recover();
    }
}

/// What the store does when it is read again.
#[derive(Clone, Copy, Debug)]
enum Again {
    Forgot,
    Ended,
    /// It has lost writes, and holds the end of an earlier session.
    EndedBefore,
    Broke,
}

#[test]
fn a_renewal_in_doubt_comes_to_what_the_store_says_then() {
    for (row, (answer, again, expected, requests, stored)) in [
        (lost(), Again::Forgot, "login needed: nobody is logged in", 1, "nothing"),
        (lost(), Again::Ended, "login needed: the server has ended the session", 1, "ended"),
        (lost(), Again::EndedBefore, "A1", 2, "A1 R1"),
        (lost(), Again::Broke, "unavailable: token store", 1, "A0 R0"),
        (refused(), Again::Forgot, "login needed: nobody is logged in", 1, "nothing"),
        (refused(), Again::Ended, "login needed: the server has ended the session", 1, "ended"),
        (refused(), Again::Broke, "unavailable: token store", 1, "A0 R0"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = logged_in();
        let mut reread = false;
        let lease = world.later(4000).answers(answer).answers(R1).command_while(Event::Acquire, |world, effect| {
            if !matches!(effect, Effect::Load(_)) || core::mem::replace(&mut reread, true) {
                return;
            }
            match again {
                Again::Forgot => world.record = None,
                Again::Ended => world.record = Some(record(world, version(world) + 1, Life::Ended)),
                Again::EndedBefore => world.record = Some(record(world, 1, Life::Ended)),
                Again::Broke => world.broken = Some(StoreFault::Unavailable),
            }
        });
        assert!(told(&lease).starts_with(expected), "row {row}: {}", told(&lease));
        assert_eq!((world.requests(), world.stored()), (requests, stored.to_owned()), "row {row}");
    }
}

/// What nobody else can know is in no doubt because the store says nothing of it.
#[test]
fn a_login_that_no_store_has_seen_is_renewed_with_or_without_one() {
    for (row, (answers, repaired, expected, requests, stored)) in [
        (vec![lost(), R1], false, "A1 unsaved", 2, "nothing"),
        (vec![lost(), lost(), R1], false, "unavailable: ", 2, "nothing"),
        (vec![refused(), R1], false, "login needed: token endpoint refused: invalid_grant", 1, "nothing"),
        (vec![lost(), R1], true, "A1", 2, "A1 R1"),
        (vec![refused(), R1], true, "login needed: token endpoint refused: invalid_grant", 1, "ended"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = session();
        world.broken = Some(StoreFault::Denied);
        world.adopt("A0", Some("R0"), 3600);
        if repaired {
            world.broken = None;
        }
        world.answers.extend(answers);
        let told = world.later(4000).acquire();
        assert!(told.starts_with(expected), "row {row}: {told}");
        assert_eq!((world.requests(), world.stored()), (requests, stored.to_owned()), "row {row}");
    }
}

#[test]
fn whoever_claims_the_record_of_a_session_that_has_just_ended_asks_for_nothing() {
    let mut world = logged_in();
    let lease = world.later(4000).answers(R1).command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Claim(_)) {
            world.record = Some(record(world, version(world) + 1, Life::Ended));
        }
    });
    assert_eq!(told(&lease), "login needed: the server has ended the session");
    assert_eq!((world.requests(), world.stored()), (0, "ended".to_owned()));
}

#[test]
fn the_refusal_of_a_spent_token_does_not_end_what_another_process_has_renewed_just_now() {
    let mut world = logged_in();
    let lease = world.later(4000).answers(refused()).command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Save(_)) {
            world.sibling("S1", "SR1");
        }
    });
    assert!(told(&lease).starts_with("login needed"));
    assert_eq!((world.stored(), world.acquire()), ("S1 SR1".into(), "S1".into()));
}

#[test]
fn a_store_that_changes_with_every_attempt_to_save_is_tried_three_times() {
    let mut world = logged_in();
    let mut next = 0;
    let lease = world.later(4000).answers(R1).command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Save(_)) {
            next += 1;
            world.record = Some(record(world, next, Life::Live));
        }
    });
    assert_eq!((told(&lease).as_str(), world.saves()), ("A1 unsaved", 3));
    assert_eq!(world.later(600).acquire(), "A1");
    assert_eq!(world.stored(), "A1 R1");
}

/// Nobody signs out of what needs no login.
#[test]
fn a_client_that_asks_for_itself_writes_a_record_again_that_is_gone() {
    let own = Source::ClientCredentials { client: confidential(), scope: "read".into(), extras: Extras::default() };
    let mut world = world(own);
    world.answers(R1).acquire();
    let mut emptied = false;
    let lease = world.later(4000).answers(R2).command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Save(_)) && !core::mem::replace(&mut emptied, true) {
            world.record = None;
        }
    });
    assert_eq!((told(&lease), world.stored()), ("A2".into(), "A2 ".into()));
}

#[test]
fn the_end_of_an_earlier_session_does_not_end_the_one_after_it() {
    // The store has lost the login.
    let mut world = logged_in();
    world.record = Some(record(&world, 1, Life::Ended));
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1");
    assert_eq!(world.stored(), "A1 R1");

    // Another process took the old token for refused while this one had new ones, and then those could not be saved.
    let mut world = logged_in();
    let mut saves = 0;
    let lease = world.later(4000).answers(R1).command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Save(_)) {
            saves += 1;
            match saves {
                1 => world.record = Some(record(world, version(world) + 1, Life::Ended)),
                _ => world.saves_broken = Some(StoreFault::Full),
            }
        }
    });
    assert_eq!((told(&lease), world.stored()), ("A1 unsaved".into(), "ended".into()));
    world.saves_broken = None;
    assert_eq!(world.later(4000).answers(R2).acquire(), "A2");
    assert_eq!(world.stored(), "A2 R2");
}

#[test]
fn while_a_session_that_has_ended_is_served_on_a_late_refusal_is_no_reason_to_look() {
    let id = |token: &str| TokenId::of(&Secret::from(token), &MarkerCrypto);
    for (secs, refused_one, expected, looks) in
        [(5, "older", "A0 troubled", 0), (5, "A0", "login needed", 1), (20, "older", "login needed", 1)]
    {
        let mut world = logged_in();
        assert_eq!(world.later(3590).answers(refused()).acquire(), "A0 troubled");
        world.log.clear();
        let lease = world.later(secs).command(Event::Reject(id(refused_one)));
        assert!(told(&lease).starts_with(expected), "{secs} {refused_one}: {}", told(&lease));
        assert_eq!(world.log.len(), looks, "{secs} {refused_one}: {:?}", world.log);
    }
}

/// Where the task is gone, and whether that was done; what the next command gets, after how many requests in all.
#[test]
fn whoever_comes_after_a_task_that_is_gone_goes_on_with_what_it_had() {
    type Fits = fn(&mut World, &Effect) -> bool;
    let claim: Fits = |_, effect| matches!(effect, Effect::Claim(_));
    let send: Fits = |_, effect| matches!(effect, Effect::Send(_));
    let save: Fits = |_, effect| matches!(effect, Effect::Save(_));
    let release: Fits = |_, effect| matches!(effect, Effect::Release(_));
    // While it looked why the store did not take the new tokens.
    let load: Fits = |world, effect| {
        if matches!(effect, Effect::Save(_)) {
            world.record = Some(record(world, 1, Life::Live));
        }
        matches!(effect, Effect::Load(_))
    };
    for (row, (fits, performed, expected, requests)) in [
        (claim, false, "A1", 1),
        (claim, true, "A1", 1),
        (send, false, "A1", 1),
        (send, true, "A2", 2),
        (save, false, "A1", 1),
        (save, true, "A1", 1),
        (load, false, "A1", 1),
        (release, false, "A1", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = logged_in();
        world.later(4000).answers(R1).answers(R2).abandoned(Event::Acquire, performed, fits);
        assert_eq!((world.acquire().as_str(), world.requests()), (expected, requests), "row {row}");
        assert!(world.stored().starts_with(expected), "row {row}");
    }
}

#[test]
fn a_logout_revokes_the_token_that_could_not_be_saved_also_when_it_has_to_begin_again() {
    let mut world = logged_in();
    world.saves_broken = Some(StoreFault::Full);
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1 unsaved");
    world.abandoned(Event::SignOut, false, |_, effect| matches!(effect, Effect::Send(_)));
    world.answers(Answer::Page(200)).command(Event::SignOut);
    assert!(world.log.contains(&"/revoke R1".to_owned()), "{:?}", world.log);
    assert_eq!(world.stored(), "nothing");
}

#[test]
fn what_is_given_back_because_somebody_has_signed_out_is_not_served_when_that_is_cut_short() {
    let mut world = logged_in();
    world.later(4000).answers(R1).abandoned(Event::Acquire, false, |world, effect| match effect {
        Effect::Save(_) => {
            world.record = None;
            false
        }
        Effect::Send(outgoing) => outgoing.request.uri().path() == "/revoke",
        _ => false,
    });
    assert_eq!(world.acquire(), "login needed: nobody is logged in");
}

/// A new login could not be saved. What the store holds of the one before is older, also where it is seen only now.
#[test]
fn a_login_that_could_not_be_saved_does_not_give_way_to_the_one_before() {
    let id = TokenId::of(&Secret::from("A5"), &MarkerCrypto);
    for (row, (ended, secs, command, expected, stored)) in [
        (false, 0, Event::Reload, "A5 unsaved", "A0 R0"),
        (true, 0, Event::Reload, "A5 unsaved", "ended"),
        (false, 10, Event::Renew, "A1", "A1 R1"),
        (true, 10, Event::Renew, "A1", "A1 R1"),
        (true, 10, Event::Reject(id), "A1", "A1 R1"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = logged_in();
        if ended {
            world.later(4000).answers(refused()).acquire();
        }
        world.broken = Some(StoreFault::Unavailable);
        assert_eq!(told(&world.later(60).adopt("A5", Some("R5"), 3600)), "A5 unsaved");
        world.broken = None;
        assert_eq!(told(&world.later(secs).answers(R1).command(command)), expected, "row {row}");
        assert_eq!(world.stored(), stored, "row {row}");
    }
    let mut world = logged_in();
    world.broken = Some(StoreFault::Unavailable);
    world.adopt("A5", Some("R5"), 3600);
    let lease = world.later(4000).answers(lost()).answers(R1).command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Load(_)) {
            world.broken = None;
        }
    });
    assert_eq!((told(&lease), world.stored()), ("A1".into(), "A1 R1".into()));
    assert!(world.log.contains(&"/token R5".to_owned()), "{:?}", world.log);
}
