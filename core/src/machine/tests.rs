//! What the trait itself guarantees, shown on a machine that breaks the rules.

use super::*;
use crate::testing::{CountingRandom, MarkerCrypto};

const WAITING: StateId = StateId("Waiting");

const TABLE: Table = Table {
    machine: "toy",
    states: &[StateRow::initial(), StateRow::live(WAITING, EffectKind::Sleep), StateRow::failed()],
    rows: &[
        Arrow::new(READY, EventKind::Start, Finding("Begun"), WAITING),
        Arrow::new(WAITING, EventKind::Elapsed, Finding("Due"), FAILED),
    ],
};

/// Takes an arrow of its own making.
struct Toy {
    state: StateId,
    finding: Finding,
}

impl Transitions for Toy {
    type Output = ();

    fn state(&self) -> StateId {
        self.state
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn apply(&mut self, _event: Event, cx: &mut Context<'_>) -> Turn<()> {
        self.state = WAITING;
        Turn::Moved(self.finding, Step::Do(Effect::Sleep { until: cx.now }))
    }

    fn fail(&mut self) {
        self.state = FAILED;
    }
}

fn handle(toy: &mut Toy, event: Event) -> Result<Step<()>, Error> {
    let (mut random, mut memory) = (CountingRandom::default(), Memory::default());
    let now = Timestamp::from_secs(1);
    let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
    toy.handle(event, &mut cx)
}

#[test]
fn a_move_that_stands_in_no_table_ends_the_machine_as_a_bug() {
    let mut toy = Toy { state: READY, finding: Finding("Invented") };
    assert!(matches!(handle(&mut toy, Event::Start), Err(Error::Bug(_))));
    assert_eq!(toy.state, FAILED);
    let mut toy = Toy { state: READY, finding: Finding("Begun") };
    assert!(matches!(handle(&mut toy, Event::Start), Ok(Step::Do(_))));
}

#[test]
fn an_illegal_event_never_reaches_the_machine() {
    let mut toy = Toy { state: WAITING, finding: Finding("Due") };
    let refused = Misuse::IllegalEvent { machine: "toy", state: "Waiting", event: EventKind::Start };
    assert_eq!(handle(&mut toy, Event::Start).unwrap_err(), Error::Misuse(refused));
    assert_eq!(toy.state, WAITING);
}

#[test]
fn cancel_is_legal_until_the_machine_has_ended_and_never_after() {
    let mut toy = Toy { state: WAITING, finding: Finding("Due") };
    assert_eq!(handle(&mut toy, Event::Cancel).unwrap_err(), Error::Cancelled);
    assert_eq!(toy.state, FAILED);
    assert!(matches!(handle(&mut toy, Event::Cancel), Err(Error::Misuse(_))));
}

#[test]
fn a_picture_shows_every_state_and_arrow() {
    for picture in [TABLE.mermaid(), TABLE.dot()] {
        for piece in ["Ready", "Waiting", "Failed", "Start / Begun", "Elapsed / Due", "Sleep"] {
            assert!(picture.contains(piece), "{piece} is missing in {picture}");
        }
    }
}

#[test]
fn every_effect_can_be_refused_with_one_of_its_answers() {
    let url = || url::Url::parse("https://as.example/").unwrap();
    let key = || crate::store::StoreKey::of("https://as.example", "client", "me").unwrap();
    let version = crate::store::Version::from_u64(1);
    let (wait, lease) = (core::time::Duration::ZERO, core::time::Duration::ZERO);
    let effects = [
        Effect::Send(Outgoing {
            request: http::Request::new(crate::http::Body::empty()),
            max_body: 1,
            timeout: wait,
            reach: crate::http::Reach::Any,
        }),
        Effect::Redirect(Redirect {
            url: url(),
            redirect_uri: String::new(),
            expires_at: Timestamp::from_secs(1),
            refused: None,
        }),
        Effect::ShowUserCode(UserCode {
            user_code: crate::Secret::from("canary"),
            verification_uri: String::new(),
            openable: None,
            complete: None,
            expires_at: Timestamp::from_secs(1),
        }),
        Effect::Sleep { until: Timestamp::from_secs(1) },
        Effect::Sign(SignRequest {
            key_id: String::new(),
            algorithm: crate::jose::SignatureAlgorithm::Es256,
            message: crate::Secret::new(b"canary".to_vec()),
        }),
        Effect::Load(key()),
        Effect::Claim(crate::store::Claim { key: key(), wait, lease }),
        Effect::Save(crate::store::StoreWrite {
            key: key(),
            expected: crate::store::Expected::Anything,
            stored: crate::store::Stored { version, bytes: crate::Secret::new(b"canary".to_vec()) },
        }),
        Effect::Delete(key()),
        Effect::Release(key()),
        Effect::Delegate(Delegation { spent: None }),
        Effect::Lease(LeaseRequest { refused: None }),
    ];
    assert_eq!(effects.each_ref().map(Effect::kind), EffectKind::ALL);
    for effect in effects {
        let refused = effect.refused().kind();
        assert!(refused == EventKind::Cancel || effect.answers().contains(&refused), "{effect:?}: {refused}");
        assert!(!format!("{effect:?}").contains("canary"), "{effect:?}");
    }
}
