mod meanwhile;

use std::collections::VecDeque;

use super::*;
use crate::Secret;
use crate::error::{
    Delivery, Endpoint, Error, LoginNeeded, Refusal, SendFailure, StoreError, StoreFault, TransportKind,
};
use crate::grant::Extras;
use crate::http::Body;
use crate::http::form::Form;
use crate::machine::{Context, Effect, Event, Machine, Step};
use crate::memory::Memory;
use crate::store::{StoreKey, Stored, Version};
use crate::testing::specimens::{confidential, public};
use crate::testing::{CountingRandom, MarkerCrypto};
use crate::time::Timestamp;
use crate::token::{Note, Person, TokenSet};

const NOW: u64 = 1_800_000_000;

/// A server's answer to the next request.
enum Answer {
    Tokens(&'static str),
    Refused(u16, &'static str),
    Page(u16),
    /// 503, and when to come again.
    Away(&'static str),
    Lost(Delivery, TransportKind),
}

/// One manager, one record, one server that follows a script.
struct World {
    manager: TokenManager,
    now: Timestamp,
    random: CountingRandom,
    memory: Memory,
    record: Option<Stored>,
    broken: Option<StoreFault>,
    saves_broken: Option<StoreFault>,
    answers: VecDeque<Answer>,
    delegated: VecDeque<Result<&'static str, Error>>,
    /// What happened, in order.
    log: Vec<String>,
}

fn world(source: Source) -> World {
    let settings = Settings::new(StoreKey::of("https://as.example", "client", "default").unwrap(), source).unwrap();
    with(settings)
}

fn with(settings: Settings) -> World {
    World {
        manager: TokenManager::new(settings),
        now: Timestamp::from_secs(NOW),
        random: CountingRandom::default(),
        memory: Memory::new(),
        record: None,
        broken: None,
        saves_broken: None,
        answers: VecDeque::new(),
        delegated: VecDeque::new(),
        log: Vec::new(),
    }
}

fn session() -> World {
    world(Source::Session(public()))
}

fn logged_in() -> World {
    let mut world = session();
    world.adopt("A0", Some("R0"), 3600);
    world.log.clear();
    world
}

fn tokens(now: Timestamp, access: &str, refresh: Option<&str>, lifetime: u64) -> TokenSet {
    let refresh = refresh.map(|token| format!(r#""refresh_token":"{token}","#)).unwrap_or_default();
    let (granted, expires) = (now.as_secs(), now.as_secs().saturating_add(lifetime));
    let record = format!(r#"{{{refresh}"access_token":"{access}","granted_at":{granted},"expires_at":{expires}}}"#);
    TokenSet::from_record(record.as_bytes(), now).unwrap()
}

impl World {
    fn adopt(&mut self, access: &str, refresh: Option<&str>, lifetime: u64) -> Lease {
        let tokens = tokens(self.now, access, refresh, lifetime);
        self.command(Event::Adopt(Box::new(tokens)))
    }

    fn command(&mut self, event: Event) -> Lease {
        self.command_while(event, |_, _| {})
    }

    /// Gives a command while something else happens before each effect.
    fn command_while(&mut self, mut event: Event, mut meanwhile: impl FnMut(&mut Self, &Effect)) -> Lease {
        loop {
            match self.step(event) {
                Step::Done(lease) => return lease,
                Step::Do(effect) => {
                    meanwhile(self, &effect);
                    event = self.perform(effect);
                }
            }
        }
    }

    fn step(&mut self, event: Event) -> Step<Lease> {
        let mut cx = Context {
            now: self.now,
            random: &mut self.random,
            crypto: &MarkerCrypto,
            memory: &mut self.memory,
            observer: None,
        };
        self.manager.handle(event, &mut cx).unwrap()
    }

    fn acquire(&mut self) -> String {
        let lease = self.command(Event::Acquire);
        told(&lease)
    }

    fn later(&mut self, secs: u64) -> &mut Self {
        self.now = self.now.plus(core::time::Duration::from_secs(secs));
        self
    }

    fn answers(&mut self, answer: Answer) -> &mut Self {
        self.answers.push_back(answer);
        self
    }

    fn saves(&self) -> usize {
        self.log.iter().filter(|what| *what == "save").count()
    }

    fn perform(&mut self, effect: Effect) -> Event {
        let unless_broken = |broken: Option<StoreFault>, event: Event| match broken {
            Some(fault) => Event::StoreFailed(StoreError::new(fault, "as scripted")),
            None => event,
        };
        match effect {
            Effect::Load(_) => {
                self.log.push("load".into());
                unless_broken(self.broken, Event::Loaded(self.record.as_ref().map(Stored::duplicate)))
            }
            Effect::Claim(_) => {
                self.log.push("claim".into());
                unless_broken(self.broken, Event::Loaded(self.record.as_ref().map(Stored::duplicate)))
            }
            Effect::Release(_) => {
                self.log.push("release".into());
                Event::Released
            }
            Effect::Save(write) => {
                self.log.push("save".into());
                if let Some(fault) = self.saves_broken.or(self.broken) {
                    return Event::StoreFailed(StoreError::new(fault, "as scripted"));
                }
                if !write.expected.allows(self.record.as_ref().map(|stored| stored.version)) {
                    return Event::Conflict;
                }
                self.record = Some(write.stored);
                Event::Stored
            }
            Effect::Delete(_) => {
                self.log.push("delete".into());
                if self.broken.is_none() {
                    self.record = None;
                }
                unless_broken(self.broken, Event::Stored)
            }
            Effect::Send(outgoing) => self.send(&outgoing.request),
            Effect::Delegate(delegation) => {
                let spent = delegation.spent.and_then(|old| old.refresh_token().map(|token| token.expose().clone()));
                self.log.push(format!("delegate {}", spent.unwrap_or_default()));
                match self.delegated.pop_front().expect("a refresher that was scripted") {
                    Ok(access) => Event::Delegated(Box::new(tokens(self.now, access, None, 3600))),
                    Err(error) => Event::DelegateFailed(error),
                }
            }
            Effect::Sleep { until } => {
                self.now = until;
                Event::Elapsed
            }
            other @ (Effect::Sign(_) | Effect::Redirect(_) | Effect::ShowUserCode(_) | Effect::Lease(_)) => {
                panic!("{other:?}")
            }
        }
    }

    fn send(&mut self, request: &http::Request<Body>) -> Event {
        let form = Form::parse(request.body().expose(), usize::MAX).unwrap();
        let spent = ["refresh_token", "token", "grant_type"].iter().find_map(|name| form.get(name));
        let spent = spent.map(|spent| format!(" {}", spent.expose())).unwrap_or_default();
        self.log.push(format!("{}{spent}", request.uri().path()));
        let response = |status: u16, media: &str, body: String| {
            let builder = http::Response::builder().status(status).header("content-type", media);
            Event::Response(builder.body(Body::new(body.into_bytes())).unwrap())
        };
        match self.answers.pop_front().expect("a request that was scripted") {
            Answer::Tokens(body) => response(200, "application/json", body.to_owned()),
            Answer::Refused(status, code) => response(status, "application/json", format!(r#"{{"error":"{code}"}}"#)),
            Answer::Page(status) => response(status, "text/html", "<html></html>".to_owned()),
            Answer::Away(until) => {
                let builder = http::Response::builder().status(503).header("retry-after", until);
                Event::Response(builder.body(Body::new(Vec::new())).unwrap())
            }
            Answer::Lost(delivery, kind) => Event::SendFailed(SendFailure { delivery, kind }),
        }
    }

    /// What the record says: `A1 R1`, `ended`, `nothing`.
    fn stored(&self) -> String {
        let Some(stored) = &self.record else { return "nothing".into() };
        let text = String::from_utf8(stored.bytes.expose().clone()).unwrap();
        if text.contains(r#""ended":true"#) {
            return "ended".into();
        }
        let member = |name: &str| {
            text.split_once(&format!(r#""{name}":""#)).map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
        };
        format!("{} {}", member("access_token").unwrap(), member("refresh_token").unwrap_or_default())
    }

    /// Another process writes.
    fn sibling(&mut self, access: &str, refresh: &str) {
        let mut other = session();
        other.now = self.now.plus(core::time::Duration::from_secs(1));
        other.record = self.record.take();
        other.adopt(access, Some(refresh), 3600);
        self.record = other.record;
    }
}

const R1: Answer =
    Answer::Tokens(r#"{"access_token":"A1","token_type":"Bearer","expires_in":3600,"refresh_token":"R1"}"#);
const R2: Answer =
    Answer::Tokens(r#"{"access_token":"A2","token_type":"Bearer","expires_in":3600,"refresh_token":"R2"}"#);
const KEEPS: Answer = Answer::Tokens(r#"{"access_token":"A1","token_type":"Bearer","expires_in":3600}"#);

fn told(lease: &Lease) -> String {
    match lease {
        Lease::Token { credential, trouble } => {
            let value = credential.headers().next().unwrap().1;
            let token = value.to_str().unwrap().trim_start_matches("Bearer ");
            let unsaved = if credential.unsaved().is_some() { " unsaved" } else { "" };
            format!("{token}{unsaved}{}", if trouble.is_some() { " troubled" } else { "" })
        }
        Lease::LoginNeeded(why) => format!("login needed: {why}"),
        Lease::Unavailable(trouble) => format!("unavailable: {}", trouble.error),
        Lease::SignedOut(outcome) => format!("signed out: {outcome:?}"),
        Lease::NotAdopted(error) => format!("not adopted: {error}"),
    }
}

#[test]
fn rf_06_x_06_what_was_renewed_is_saved_before_anybody_gets_it() {
    let mut world = logged_in();
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1");
    assert_eq!(world.log, ["claim", "/token R0", "save", "release"]);
    assert_eq!(world.stored(), "A1 R1");
}

#[test]
fn l_46_a_17_x_02_a_refresh_token_lives_on_when_no_new_one_comes_also_through_the_store() {
    let mut world = logged_in();
    assert_eq!(world.later(4000).answers(KEEPS).acquire(), "A1");
    assert_eq!(world.stored(), "A1 R0");
}

#[test]
fn a_fresh_token_costs_neither_a_request_nor_a_look_at_the_store() {
    let mut world = logged_in();
    assert_eq!(world.acquire(), "A0");
    assert_eq!(world.later(3400).acquire(), "A0");
    assert!(world.log.is_empty());
}

#[test]
fn rf_03_a_refusal_is_believed_only_after_the_store_was_read_again() {
    let mut world = logged_in();
    world.later(4000).answers(Answer::Refused(400, "invalid_grant"));
    // The other process is done just before this one looks, and could not be kept from it by a claim.
    let lease = world.command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Load(_)) {
            world.sibling("S1", "SR1");
        }
    });
    assert_eq!((told(&lease), world.stored()), ("S1".into(), "S1 SR1".into()));
}

#[test]
fn rf_04_a_true_refusal_marks_the_record_and_is_asked_for_once() {
    let mut world = logged_in();
    world.later(4000).answers(Answer::Refused(400, "invalid_grant"));
    assert!(world.acquire().starts_with("login needed: "));
    assert_eq!(world.stored(), "ended");
    assert_eq!(world.log, ["claim", "/token R0", "load", "save", "release"]);
    // Neither this process nor the next sends that token again.
    assert!(world.later(60).acquire().starts_with("login needed"));
    world.manager = TokenManager::new(world.manager.settings().clone());
    assert!(world.acquire().starts_with("login needed"));
    assert_eq!(world.log.iter().filter(|what| what.starts_with("/token")).count(), 1);
}

#[test]
fn an_access_token_is_served_to_its_end_although_the_session_has_ended() {
    let mut world = logged_in();
    world.later(3590).answers(Answer::Refused(400, "invalid_grant"));
    assert_eq!(world.acquire(), "A0 troubled");
    assert_eq!(world.later(5).acquire(), "A0 troubled");
    assert!(world.later(5).acquire().starts_with("login needed"));
}

/// Every way in which a renewal can fail, what it means, and that nothing but a true refusal ends the session.
#[test]
fn rf_05_h_21_each_failure_of_a_renewal_means_what_the_table_says() {
    use Meaning::{AskForLess, FixConfig, LogInAgain, TryLater};
    let unsent = |kind| Answer::Lost(Delivery::NotSent, kind);
    let rows: Vec<(Answer, Meaning)> = vec![
        (unsent(TransportKind::Connect), TryLater),
        (unsent(TransportKind::Dns), TryLater),
        (unsent(TransportKind::Tls), TryLater),
        (Answer::Lost(Delivery::Unknown, TransportKind::Timeout), TryLater),
        (Answer::Tokens(""), TryLater),
        (Answer::Tokens("{}"), TryLater),
        (Answer::Tokens(r#"{"access_token":"A1","tok"#), TryLater),
        (Answer::Page(200), TryLater),
        (Answer::Page(302), TryLater),
        (Answer::Page(403), TryLater),
        (Answer::Page(404), TryLater),
        (Answer::Page(407), TryLater),
        (Answer::Page(408), TryLater),
        (Answer::Page(425), TryLater),
        (Answer::Page(429), TryLater),
        (Answer::Page(500), TryLater),
        (Answer::Page(502), TryLater),
        (Answer::Page(503), TryLater),
        (Answer::Page(504), TryLater),
        (Answer::Page(599), TryLater),
        (Answer::Refused(503, "invalid_grant"), TryLater),
        (Answer::Refused(429, "invalid_grant"), TryLater),
        (Answer::Refused(400, "temporarily_unavailable"), TryLater),
        (Answer::Refused(400, "server_error"), TryLater),
        (Answer::Refused(400, "access_denied"), TryLater),
        (Answer::Refused(400, "expired_token"), TryLater),
        (Answer::Refused(400, "a_code_of_their_own"), TryLater),
        (Answer::Refused(401, "invalid_client"), FixConfig),
        (Answer::Refused(400, "unauthorized_client"), FixConfig),
        (Answer::Refused(400, "unsupported_grant_type"), FixConfig),
        (Answer::Refused(400, "invalid_request"), FixConfig),
        (Answer::Refused(400, "invalid_scope"), AskForLess),
        (Answer::Refused(400, "invalid_target"), AskForLess),
        (Answer::Refused(400, "invalid_grant"), LogInAgain),
        (Answer::Refused(200, "bad_refresh_token"), LogInAgain),
        (Answer::Refused(400, "refresh_token_not_found"), LogInAgain),
        (Answer::Refused(400, "login_required"), LogInAgain),
        (Answer::Refused(400, "interaction_required"), LogInAgain),
        (Answer::Refused(400, "consent_required"), LogInAgain),
    ];
    for (row, (answer, meaning)) in rows.into_iter().enumerate() {
        let mut world = logged_in();
        let lease = world.later(4000).answers(answer).command(Event::Acquire);
        match meaning {
            LogInAgain => assert!(matches!(lease, Lease::LoginNeeded(LoginNeeded::Ended(_))), "row {row}: {lease:?}"),
            TryLater | FixConfig | AskForLess | Meaning::Uncertain => {
                let Lease::Unavailable(trouble) = lease else { panic!("row {row}: {lease:?}") };
                assert_eq!(Meaning::of(&trouble.error), meaning, "row {row}: {}", trouble.error);
                assert_eq!(world.stored(), "A0 R0", "row {row}");
                // Everything was kept: the next attempt spends the same token.
                assert_eq!(world.later(2).answers(R1).acquire(), "A1", "row {row}");
            }
        }
        assert!(world.answers.is_empty(), "row {row}");
    }
}

#[test]
fn rf_05_a_token_that_still_works_is_served_while_the_server_is_away() {
    let mut world = logged_in();
    world.later(3590).answers(Answer::Page(503));
    assert_eq!(world.acquire(), "A0 troubled");
    assert_eq!(world.acquire(), "A0 troubled");
    assert_eq!(world.log.iter().filter(|what| what.starts_with("/token")).count(), 1);
}

#[test]
fn fl_05_a_refresh_of_unknown_delivery_is_repeated_once_after_a_look() {
    let lost = || Answer::Lost(Delivery::Unknown, TransportKind::Reset);
    let mut world = logged_in();
    assert_eq!(world.later(4000).answers(lost()).answers(R1).acquire(), "A1");
    assert_eq!(world.log, ["claim", "/token R0", "load", "/token R0", "save", "release"]);

    let mut world = logged_in();
    assert!(world.later(4000).answers(lost()).answers(lost()).acquire().starts_with("unavailable"));
    assert_eq!(world.stored(), "A0 R0");
}

#[test]
fn fl_02_a_failure_rests_as_long_as_the_server_asks_and_longer_each_time() {
    let mut world = logged_in();
    world.later(4000);
    let mut rests = Vec::new();
    for _ in 0..12 {
        let Lease::Unavailable(trouble) = world.answers(Answer::Page(503)).command(Event::Acquire) else { panic!() };
        rests.push(trouble.until.since(trouble.since).as_secs());
        world.now = trouble.until;
    }
    assert!(rests.windows(2).all(|pair| pair[0] <= pair[1] || pair[0] >= 300), "{rests:?}");
    assert!(rests[0] <= 2 && rests[11] >= 300 && rests[11] <= 375, "{rests:?}");
    for (asked, rest) in [("0", 1), ("7", 7), ("3600", 3600), ("86400", 3600)] {
        let lease = logged_in().later(4000).answers(Answer::Away(asked)).command(Event::Acquire);
        let Lease::Unavailable(trouble) = lease else { panic!() };
        assert_eq!(trouble.until.since(trouble.since).as_secs(), rest, "{asked}");
    }
}

#[test]
fn rf_08_a_lifetime_of_nothing_makes_no_storm() {
    let mut world = session();
    assert_eq!(told(&world.adopt("A0", Some("R0"), 0)), "A0");
    for _ in 0..100 {
        assert_eq!(world.acquire(), "A0");
    }
    assert_eq!(world.later(1).answers(R1).acquire(), "A1");
}

/// A token was refused. Meanwhile another process has written a record, perhaps.
#[test]
fn rf_02_rf_11_a_siblings_token_is_taken_if_it_is_another_one_and_not_due() {
    let id = TokenId::of(&Secret::from("A0"), &MarkerCrypto);
    for (sibling, secs, expected) in [
        (None, 0, "A1"),
        (Some("S1"), 0, "S1"),
        (Some("A0"), 0, "A1"),
        (Some("S1"), 3590, "A1"),
        (Some("A0"), 3590, "A1"),
    ] {
        let mut world = logged_in();
        if let Some(access) = sibling {
            world.sibling(access, "S");
        }
        world.later(secs).answers(R1);
        assert_eq!(told(&world.command(Event::Reject(id))), expected, "{sibling:?} {secs}");
        assert_eq!(world.answers.is_empty(), expected == "A1", "{sibling:?} {secs}");
    }
}

#[test]
fn rf_11_a_refused_token_is_renewed_once_and_a_late_refusal_changes_nothing() {
    let mut world = logged_in();
    let id = |token: &str| TokenId::of(&Secret::from(token), &MarkerCrypto);
    let lease = world.answers(R1).command(Event::Reject(id("A0")));
    assert_eq!(told(&lease), "A1");
    for _ in 0..100 {
        assert_eq!(told(&world.command(Event::Reject(id("A0")))), "A1");
    }
    // A resource server that refuses whatever it is given does not make a storm either.
    assert_eq!(told(&world.command(Event::Reject(id("A1")))), "A1");
    // Nor does one that comes when another renewal would be allowed.
    assert_eq!(told(&world.later(120).command(Event::Reject(id("A0")))), "A1");
    assert_eq!(world.saves(), 1);
}

#[test]
fn rf_11_a_late_refusal_is_not_answered_with_a_token_that_has_expired() {
    let mut world = logged_in();
    let id = TokenId::of(&Secret::from("older"), &MarkerCrypto);
    let lease = world.later(86_400).answers(R1).command(Event::Reject(id));
    assert_eq!(told(&lease), "A1", "whoever asks wants one that works");
}

#[test]
fn rf_10_a_late_refusal_does_not_bring_a_refused_token_back() {
    let mut world = logged_in();
    let id = |token: &str| TokenId::of(&Secret::from(token), &MarkerCrypto);
    assert!(told(&world.answers(Answer::Page(503)).command(Event::Reject(id("A0")))).starts_with("unavailable"));
    assert!(told(&world.command(Event::Reject(id("older")))).starts_with("unavailable"));
    assert!(world.acquire().starts_with("unavailable"));
}

#[test]
fn rf_10_a_refused_token_is_not_served_while_renewing_fails() {
    let mut world = logged_in();
    let id = TokenId::of(&Secret::from("A0"), &MarkerCrypto);
    assert!(told(&world.answers(Answer::Page(503)).command(Event::Reject(id))).starts_with("unavailable"));
    assert!(world.acquire().starts_with("unavailable"));
    assert_eq!(world.later(5).answers(R1).acquire(), "A1");
}

#[test]
fn fl_15_what_cannot_be_saved_is_served_with_that_fact_and_saved_later_and_never_asked_for_again() {
    let mut world = logged_in();
    world.saves_broken = Some(StoreFault::Full);
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1 unsaved");
    assert_eq!(world.stored(), "A0 R0");
    assert!(world.manager.keeps_claim(), "whoever read the record now would spend R0 again");
    assert_eq!(told(&world.command(Event::Reload)), "A1 unsaved", "what is stored is what it came from");
    assert_eq!(world.later(60).acquire(), "A1 unsaved");
    world.saves_broken = None;
    assert_eq!(world.later(600).acquire(), "A1");
    assert!(!world.manager.keeps_claim());
    assert_eq!(world.stored(), "A1 R1");
    assert_eq!(world.log.iter().filter(|what| what.starts_with("/token")).count(), 1);
}

#[test]
fn l_44_h_10_a_manager_that_withholds_gives_the_stores_error_and_saves_again_without_a_refresh() {
    let settings = session().manager.settings().clone().with_unsaved(Unsaved::Withheld);
    let mut world = with(settings);
    world.adopt("A0", Some("R0"), 3600);
    world.saves_broken = Some(StoreFault::Full);
    assert!(world.later(4000).answers(R1).acquire().starts_with("unavailable: token store: full"));
    world.saves_broken = None;
    assert_eq!(world.later(5).acquire(), "A1");
    assert_eq!(world.stored(), "A1 R1");
    // What is saved is served, whatever else goes wrong.
    assert_eq!(world.later(3590).answers(Answer::Page(503)).acquire(), "A1 troubled");
}

#[test]
fn fl_19_a_login_works_in_memory_although_the_store_never_does() {
    let mut world = session();
    world.broken = Some(StoreFault::Denied);
    assert_eq!(told(&world.adopt("A0", Some("R0"), 3600)), "A0 unsaved");
    // Nobody else can know this token, so no claim is needed to renew it.
    // What has expired is renewed before it is saved: nobody gets it once more.
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1 unsaved");

    let mut world = logged_in();
    world.later(4000).answers(R1).saves_broken = Some(StoreFault::Full);
    assert_eq!(world.acquire(), "A1 unsaved");
    world.broken = Some(StoreFault::Denied);
    assert_eq!(world.later(4000).answers(R2).acquire(), "A2 unsaved", "nor can anybody know this one");
}

#[test]
fn fl_27_a_shared_token_is_not_renewed_without_a_claim() {
    let mut world = logged_in();
    world.broken = Some(StoreFault::Unavailable);
    assert_eq!(world.later(3590).acquire(), "A0 troubled");
    assert!(world.later(60).acquire().starts_with("unavailable: token store"));
    assert!(!world.log.iter().any(|what| what.starts_with("/token")));
    world.broken = None;
    assert_eq!(world.later(60).answers(R1).acquire(), "A1");
}

#[test]
fn fl_48_a_damaged_record_is_left_alone_until_a_login_replaces_it() {
    let mut world = logged_in();
    let version = world.record.as_ref().unwrap().version;
    world.record = Some(Stored { version, bytes: Secret::new(b"{\"half".to_vec()) });
    assert_eq!(world.later(3590).acquire(), "A0 troubled");
    assert!(world.later(60).acquire().starts_with("unavailable: token store: damaged"));
    assert_eq!(world.record.as_ref().unwrap().bytes.expose(), b"{\"half");
    assert_eq!(told(&world.adopt("A2", Some("R2"), 3600)), "A2");
    assert_eq!(world.stored(), "A2 R2");
}

#[test]
fn rf_13_st_23_the_record_of_another_client_is_never_used() {
    let mut world = logged_in();
    let key = StoreKey::of("https://as.example", "somebody else", "default").unwrap();
    let settings = Settings::new(key, Source::Session(public())).unwrap();
    world.manager = TokenManager::new(settings);
    assert!(world.acquire().starts_with("unavailable: token store: record of another login"));
}

#[test]
fn rf_18_a_login_that_was_given_up_during_a_renewal_is_not_brought_back() {
    let mut world = logged_in();
    world.later(4000).answers(R1).answers(Answer::Page(200));
    let lease = world.command_while(Event::Acquire, |world, effect| {
        if matches!(effect, Effect::Save(_)) {
            world.record = None;
        }
    });
    assert_eq!(told(&lease), "login needed: nobody is logged in");
    assert_eq!(world.stored(), "nothing");
    assert!(world.log.contains(&"/revoke R1".to_owned()), "{:?}", world.log);
}

#[test]
fn ir_11_a_logout_revokes_the_newest_token_and_forgets_it() {
    let mut world = logged_in();
    world.sibling("S1", "SR1");
    let lease = world.answers(Answer::Page(200)).command(Event::SignOut);
    let Lease::SignedOut(outcome) = &lease else { panic!("{lease:?}") };
    assert_eq!(*outcome, SignedOut { revoked: Some(Ok(())), erased: Ok(()) });
    assert_eq!(world.log, ["claim", "/revoke SR1", "delete", "release"]);
    assert_eq!(world.acquire(), "login needed: nobody is logged in");
}

#[test]
fn ir_08_a_logout_that_was_not_confirmed_says_so_and_forgets_all_the_same() {
    let mut world = logged_in();
    world.answers(Answer::Refused(400, "unsupported_token_type"));
    let Lease::SignedOut(outcome) = world.command(Event::SignOut) else { panic!() };
    assert!(matches!(outcome.revoked, Some(Err(Error::Refused(_)))));
    assert_eq!(world.stored(), "nothing");
}

#[test]
fn st_22_a_store_that_cannot_forget_does_not_bring_a_login_back() {
    let mut world = logged_in();
    world.broken = Some(StoreFault::Unavailable);
    let Lease::SignedOut(outcome) = world.answers(Answer::Page(200)).command(Event::SignOut) else { panic!() };
    assert!(outcome.erased.is_err());
    world.broken = None;
    assert_eq!(world.acquire(), "login needed: nobody is logged in");
}

#[test]
fn rf_15_fl_26_a_store_that_has_lost_a_write_does_not_bring_an_older_token_back() {
    let mut world = logged_in();
    let old = world.record.as_ref().map(Stored::duplicate);
    world.later(4000).answers(R1).acquire();
    world.record = old;
    let r2 = Answer::Tokens(r#"{"access_token":"A2","token_type":"Bearer","expires_in":3600,"refresh_token":"R2"}"#);
    assert_eq!(world.later(4000).answers(r2).acquire(), "A2");
    assert!(world.log.contains(&"/token R1".to_owned()), "{:?}", world.log);
    assert_eq!(world.stored(), "A2 R2");
}

#[test]
fn rf_02_a_sibling_that_was_first_is_followed_without_a_request() {
    let mut world = logged_in();
    world.later(3590).sibling("S1", "SR1");
    assert_eq!(world.acquire(), "S1");
    assert_eq!(world.log, ["claim", "release"]);
}

#[test]
fn fl_21_a_record_that_was_deleted_meanwhile_ends_the_login_and_is_not_written_again() {
    let mut world = logged_in();
    world.record = None;
    assert_eq!(world.later(4000).acquire(), "login needed: nobody is logged in");
    assert_eq!(world.stored(), "nothing");
}

#[test]
fn a_12_memory_beats_the_store_until_it_is_reloaded() {
    let mut world = logged_in();
    world.sibling("S1", "SR1");
    assert_eq!(world.acquire(), "A0");
    assert_eq!(told(&world.command(Event::Reload)), "S1");
    assert_eq!(world.acquire(), "S1");
}

#[test]
fn e_17_l_43_client_credentials_ask_again_and_never_refresh() {
    let own = Source::ClientCredentials { client: confidential(), scope: "read".into(), extras: Extras::default() };
    let mut world = world(own);
    assert_eq!(world.answers(R1).acquire(), "A1");
    assert_eq!(world.log, ["load", "claim", "/token client_credentials", "save", "release"]);
    assert_eq!(world.stored(), "A1 ");
    world.log.clear();
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1");
    assert_eq!(world.log, ["claim", "/token client_credentials", "save", "release"]);
    // The store is of no use to a client that can always ask.
    world.broken = Some(StoreFault::Unavailable);
    assert_eq!(world.later(4000).answers(R1).acquire(), "A1 unsaved");
}

#[test]
fn h_14_h_15_a_delegated_refresh_needs_no_client_and_keeps_the_refresh_token() {
    let mut world = world(Source::Delegated);
    world.adopt("A0", Some("R0"), 3600);
    world.log.clear();
    world.delegated.push_back(Ok("A1"));
    assert_eq!(world.later(4000).acquire(), "A1");
    assert_eq!(world.log, ["claim", "delegate R0", "save", "release"]);
    assert_eq!(world.stored(), "A1 R0");
    let refusal = Refusal {
        endpoint: Endpoint::Token,
        code: "invalid_grant".into(),
        description: None,
        uri: None,
        answer: None,
        hint: None,
    };
    let ended = LoginNeeded::Ended(Some(Box::new(refusal)));
    world.delegated.push_back(Err(ended.clone().into()));
    let lease = world.later(4000).command(Event::Acquire);
    assert!(matches!(&lease, Lease::LoginNeeded(why) if *why == ended), "{lease:?}");
    // Where nobody was logged in, nothing has ended.
    let mut world = self::world(Source::Delegated);
    world.delegated.push_back(Err(LoginNeeded::Rejected.into()));
    let lease = world.command(Event::Acquire);
    assert_eq!(lease.granted(Wish::Credential).unwrap_err(), LoginNeeded::Rejected.into());
    assert_eq!(world.stored(), "nothing");
}

#[test]
fn l_45_a_session_that_cannot_be_renewed_lives_to_its_end_and_sends_nothing() {
    let mut world = session();
    world.adopt("A0", None, 3600);
    assert_eq!(world.later(3590).acquire(), "A0");
    assert_eq!(world.later(20).acquire(), "login needed: the access token has expired and cannot be renewed");
    assert!(!world.log.iter().any(|what| what.starts_with('/')));
    // Who wants another one does not get it; the one there is works on, unless it was refused.
    let id = TokenId::of(&Secret::from("A0"), &MarkerCrypto);
    for (command, expected) in [
        (Event::Renew, "A0 troubled"),
        (Event::Reject(id), "login needed: the access token was refused and cannot be renewed"),
    ] {
        let mut world = session();
        world.adopt("A0", None, 3600);
        assert_eq!(told(&world.later(10).command(command)), expected);
    }
}

#[test]
fn rf_07_a_refreshed_id_token_of_somebody_else_is_refused_and_the_old_tokens_kept() {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let mut adopted = tokens(Timestamp::from_secs(NOW), "A0", Some("R0"), 3600);
    adopted.person = Some(Person { issuer: "https://as.example".into(), subject: "alice".into() });
    let mut world = session();
    world.command(Event::Adopt(Box::new(adopted)));
    world.later(4000);
    let now = world.now.as_secs();
    let claims =
        format!(r#"{{"iss":"https://as.example","sub":"mallory","aud":"client","iat":{now},"exp":{}}}"#, now + 600);
    let jwt = format!("{}.{}.{}", encode(r#"{"alg":"RS256","kid":"1"}"#), encode(&claims), encode("x"));
    let body = format!(r#"{{"access_token":"A1","token_type":"Bearer","refresh_token":"R1","id_token":"{jwt}"}}"#);
    world.answers.push_back(Answer::Tokens(Box::leak(body.into_boxed_str())));
    for _ in 0..4 {
        world.answers.push_back(Answer::Page(503));
    }
    assert!(world.acquire().starts_with("unavailable: security check failed"));
    assert_eq!(world.stored(), "A0 R0");
}

/// The refresh token that came with it may be the only one that still works.
#[test]
fn a_refresh_is_not_lost_because_the_key_of_its_id_token_cannot_be_had() {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let mut world = logged_in();
    let now = world.later(4000).now.as_secs();
    let claims =
        format!(r#"{{"iss":"https://as.example","sub":"alice","aud":"client","iat":{now},"exp":{}}}"#, now + 600);
    let jwt = format!("{}.{}.{}", encode(r#"{"alg":"RS256","kid":"1"}"#), encode(&claims), encode("x"));
    let body = format!(r#"{{"access_token":"A1","token_type":"Bearer","refresh_token":"R1","id_token":"{jwt}"}}"#);
    world.answers.push_back(Answer::Tokens(Box::leak(body.into_boxed_str())));
    for _ in 0..4 {
        world.answers.push_back(Answer::Page(503));
    }
    let Lease::Token { credential, .. } = world.command(Event::Acquire) else { panic!() };
    let tokens = credential.tokens().unwrap();
    assert_eq!(tokens.notes(), [Note::IdTokenSetAside]);
    assert!(tokens.id_token().is_none() && tokens.identity().is_none());
    assert_eq!(world.stored(), "A1 R1");
}

#[test]
fn fl_30_fl_31_a_clock_that_jumps_a_day_causes_one_renewal_and_no_rest_without_end() {
    let day = core::time::Duration::from_secs(86_400);
    let mut world = logged_in();
    world.now = world.now.minus(day);
    assert_eq!(world.answers(R1).acquire(), "A1");
    for _ in 0..10 {
        assert_eq!(world.acquire(), "A1");
    }
    world.now = world.now.plus(day).plus(day);
    assert_eq!(world.answers(KEEPS).acquire(), "A1");
    assert!(world.later(4000).answers(Answer::Page(503)).acquire().starts_with("unavailable"));
    world.now = world.now.minus(day);
    assert_eq!(world.answers(KEEPS).acquire(), "A1", "the rest is over when the clock goes back");
}

#[test]
fn versions_grow_even_when_the_clock_does_not() {
    let mut random = CountingRandom::default();
    let mut memory = Memory::new();
    let mut last = None;
    for secs in [NOW, NOW, NOW - 86_400, 0, NOW + 1] {
        let now = Timestamp::from_secs(secs);
        let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
        let next = Version::after(last, &mut cx);
        assert!(Some(next) > last);
        last = Some(next);
    }
}

mod gate {
    use super::*;

    fn credential(world: &mut World) -> Lease {
        world.command(Event::Acquire)
    }

    #[test]
    fn rf_01_rf_10_one_leads_the_others_follow_and_all_get_what_came_of_it() {
        let mut gate = Gate::new();
        let now = Timestamp::from_secs(NOW);
        assert!(matches!(gate.ask(Wish::Credential, now), Verdict::Lead));
        for _ in 0..99 {
            assert!(matches!(gate.ask(Wish::Credential, now), Verdict::Follow));
        }
        let lease = credential(&mut logged_in());
        gate.settle(&lease, now);
        assert!(matches!(gate.ask(Wish::Credential, now), Verdict::Use(_)));
    }

    #[test]
    fn rf_09_nobody_waits_while_the_old_token_works() {
        let mut gate = Gate::new();
        let mut world = logged_in();
        gate.settle(&credential(&mut world), world.now);
        let due = world.later(3590).now;
        assert!(matches!(gate.ask(Wish::Credential, due), Verdict::UseAndLead(_)));
        assert!(matches!(gate.ask(Wish::Credential, due), Verdict::Use(_)));
        let over = world.later(10).now;
        assert!(matches!(gate.ask(Wish::Credential, over), Verdict::Follow));
    }

    #[test]
    fn rf_10_after_a_failure_all_rest_and_a_leader_that_is_gone_wedges_nobody() {
        let mut gate = Gate::new();
        let mut world = logged_in();
        world.later(4000).answers(Answer::Page(503));
        assert!(matches!(gate.ask(Wish::Credential, world.now), Verdict::Lead));
        gate.settle(&credential(&mut world), world.now);
        let Verdict::Rest(_, until) = gate.ask(Wish::Credential, world.now) else { panic!() };
        assert!(until > world.now);
        assert!(matches!(gate.ask(Wish::Credential, until), Verdict::Lead));
        gate.abandon();
        assert!(matches!(gate.ask(Wish::Credential, until), Verdict::Lead));
    }

    /// Leases by letter: a token, with trouble, at the session's end, not saved, another one, another one not saved; no
    /// token with the same trouble, or for want of a login.
    #[test]
    fn bad_news_is_told_once_and_again_when_a_token_comes_or_goes() {
        let now = Timestamp::from_secs(NOW);
        let mut world = logged_in();
        let Lease::Token { credential, .. } = credential(&mut world) else { panic!() };
        let of = |access, unsaved| {
            let tokens = std::sync::Arc::new(tokens(now, access, None, 3600));
            Credential::new(tokens, &Placement::default(), None, unsaved, &MarkerCrypto).unwrap()
        };
        let unsaved = || Some(StoreError::new(StoreFault::Unavailable, ""));
        let trouble =
            Trouble { error: Error::Cancelled, since: now, until: now.plus(core::time::Duration::from_secs(9)) };
        let lease = |letter| match letter {
            't' => Lease::Token { credential: credential.clone(), trouble: None },
            'x' => Lease::Token { credential: credential.clone(), trouble: Some(trouble.clone()) },
            'w' => Lease::Token { credential: of("A0", unsaved()), trouble: None },
            'n' => Lease::Token { credential: of("A1", None), trouble: None },
            'v' => Lease::Token { credential: of("A1", unsaved()), trouble: None },
            'u' => Lease::Unavailable(trouble.clone()),
            'l' => Lease::LoginNeeded(LoginNeeded::Rejected),
            _ => {
                let error = LoginNeeded::Rejected.into();
                Lease::Token {
                    credential: credential.clone(),
                    trouble: Some(Trouble { error, since: now, until: now }),
                }
            }
        };
        for (leases, told) in [
            ("t", "renewed"),
            ("tt", "renewed, -"),
            ("u", "trouble"),
            ("uu", "trouble, -"),
            ("uuu", "trouble, -, -"),
            ("ul", "trouble, login"),
            ("ll", "login, -"),
            ("lu", "login, trouble"),
            ("ux", "trouble, trouble"),
            ("xu", "trouble, trouble"),
            ("xuu", "trouble, trouble, -"),
            ("ut", "trouble, renewed"),
            ("tu", "renewed, trouble"),
            ("te", "renewed, login"),
            ("tn", "renewed, renewed"),
            ("w", "unsaved"),
            ("ww", "unsaved, -"),
            ("tw", "renewed, unsaved"),
            ("wt", "unsaved, saved"),
            ("wn", "unsaved, renewed"),
            ("wv", "unsaved, unsaved"),
        ] {
            let mut gate = Gate::new();
            let changes: Vec<&str> = leases
                .chars()
                .map(|letter| match gate.note(&lease(letter), now) {
                    Some(Change::Renewed) => "renewed",
                    Some(Change::Trouble(_)) => "trouble",
                    Some(Change::LoginNeeded(_)) => "login",
                    Some(Change::Unsaved(_)) => "unsaved",
                    Some(Change::Saved) => "saved",
                    None => "-",
                    Some(Change::SignedOut) => "signed out",
                })
                .collect();
            assert_eq!(changes.join(", "), told, "{leases}");
        }
    }
}

#[test]
fn a_server_that_refuses_every_token_gets_a_renewal_a_margin_and_equality_is_one_more() {
    for (secs, expected) in [(0, "A1"), (59, "A1"), (60, "A2"), (61, "A2")] {
        let mut world = logged_in();
        let id = |token: &str| TokenId::of(&Secret::from(token), &MarkerCrypto);
        assert_eq!(told(&world.answers(R1).command(Event::Reject(id("A0")))), "A1");
        let Lease::Token { credential, .. } = world.command(Event::Acquire) else { panic!() };
        assert_eq!(credential.tokens().map(|tokens| tokens.renewal_margin().as_secs()), Some(60));
        world.answers(R2).later(secs);
        assert_eq!(told(&world.command(Event::Reject(id("A1")))), expected, "{secs}");
    }
    // The clock went back: when the last one was, nobody knows.
    let mut world = logged_in();
    let id = |token: &str| TokenId::of(&Secret::from(token), &MarkerCrypto);
    world.answers(R1).command(Event::Reject(id("A0")));
    world.now = world.now.minus(core::time::Duration::from_secs(1));
    assert_eq!(told(&world.answers(R2).command(Event::Reject(id("A1")))), "A2");
}

#[test]
fn who_complained_of_a_token_does_not_get_it_again_while_there_is_trouble() {
    let mut world = logged_in();
    let Lease::Token { credential, .. } = world.command(Event::Acquire) else { panic!() };
    let other = TokenId::of(&Secret::from("A9"), &MarkerCrypto);
    let trouble = Trouble { error: Error::Cancelled, since: world.now, until: world.now };
    for (trouble, wish, given) in [
        (None, Wish::Credential, true),
        (None, Wish::Other(credential.id()), true),
        (Some(trouble.clone()), Wish::Credential, true),
        (Some(trouble.clone()), Wish::Other(other), true),
        (Some(trouble), Wish::Other(credential.id()), false),
    ] {
        let lease = Lease::Token { credential: credential.clone(), trouble };
        assert_eq!(lease.granted(wish).is_ok(), given, "{wish:?}");
    }
}

#[test]
fn a_clock_that_goes_back_by_a_minute_is_no_reason_to_renew_and_by_more_it_is() {
    let Lease::Token { credential, .. } = logged_in().command(Event::Acquire) else { panic!() };
    for (secs, due) in [(0, false), (60, false), (61, true)] {
        let now = Timestamp::from_secs(NOW).minus(core::time::Duration::from_secs(secs));
        assert_eq!(credential.is_due(now), due, "{secs}");
    }
}

/// What no answer of a server makes.
#[test]
fn failures_on_this_side_mean_what_the_table_says() {
    let wrong = crate::error::ConfigError::Invalid { setting: "x", why: "y" };
    for (error, meaning) in [
        (Error::Config(wrong), Meaning::FixConfig),
        (Error::Cancelled, Meaning::TryLater),
        (Error::Bug("x"), Meaning::TryLater),
        (Error::LoginNeeded(LoginNeeded::Rejected), Meaning::LogInAgain),
        (Error::LoginNeeded(LoginNeeded::NoSession), Meaning::TryLater),
        (Error::LoginNeeded(LoginNeeded::NotRenewable), Meaning::TryLater),
    ] {
        assert_eq!(Meaning::of(&error), meaning, "{error}");
    }
}

#[test]
fn a_client_that_cannot_ask_for_itself_is_refused_when_the_settings_are_made() {
    let own = Source::ClientCredentials { client: public(), scope: String::new(), extras: Extras::default() };
    let key = StoreKey::of("https://as.example", "client", "default").unwrap();
    assert!(matches!(Settings::new(key, own), Err(Error::Config(_))));
}

#[test]
fn a_wish_for_an_early_renewal_is_kept_to_the_second() {
    let settings = session().manager.settings().clone().with_skew(core::time::Duration::from_secs(600));
    let mut world = with(settings);
    world.adopt("A0", Some("R0"), 3600);
    world.log.clear();
    assert_eq!(world.later(2_999).answers(R1).acquire(), "A0");
    assert!(world.log.is_empty(), "{:?}", world.log);
    assert_eq!(world.later(1).acquire(), "A1");
}

#[test]
fn old_members_live_on_where_that_is_wished_and_nowhere_else() {
    let record = format!(
        r#"{{"access_token":"A0","refresh_token":"R0","granted_at":{NOW},"expires_at":{},"tenant":"north"}}"#,
        NOW + 3600
    );
    for merging in [false, true] {
        let settings = session().manager.settings().clone();
        let mut world = with(if merging { settings.merging_old_members() } else { settings });
        let tokens = TokenSet::from_record(record.as_bytes(), world.now).unwrap();
        world.command(Event::Adopt(Box::new(tokens)));
        assert_eq!(world.later(4000).answers(R1).acquire(), "A1");
        let kept = String::from_utf8(world.record.as_ref().unwrap().bytes.expose().clone()).unwrap();
        assert_eq!(kept.contains("north"), merging, "{kept}");
    }
}

#[test]
fn another_process_is_waited_for_as_long_as_wished() {
    let waits = |settings: Settings| {
        let mut world = with(settings);
        world.adopt("A0", Some("R0"), 3600);
        match world.later(4000).step(Event::Acquire) {
            Step::Do(Effect::Claim(claim)) => claim.wait.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    let settings = session().manager.settings().clone();
    assert_eq!(waits(settings.clone()), 45);
    assert_eq!(waits(settings.with_claim_wait(core::time::Duration::from_secs(7))), 7);
}
