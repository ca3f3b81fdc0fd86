//! What users of other libraries are used to.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_core::client::Client;
use grantflow_core::error::{ConfigError, Error, LoginNeeded};
use grantflow_core::http::UrlPolicy;
use grantflow_core::machine::{Context, Effect, Event, LeaseRequest, Machine, READY, StateId, Step, Table};
use grantflow_core::manager::{API_KEY_HEADER, Charset, Placement};
use grantflow_core::server::{Environments, ServerMetadata};
use grantflow_core::store::StoreKey;
use grantflow_core::testing::specimens::{confidential, public};
use grantflow_core::token::TokenSet;
use grantflow_core::{Secret, Timestamp};
use grantflow_tokio::Pending;
use http::HeaderMap;

use super::rig::{BEGIN, Kept, Rig, Turn, Want, Which, both, lasting, settings, text, tokens};

/// A user's own way to get tokens: numbers, of which those up to a bound are good.
#[derive(Clone, Default)]
struct Turnstile(Arc<Counts>);

#[derive(Default)]
struct Counts {
    authorized: AtomicUsize,
    refreshed: Mutex<Vec<u64>>,
    asked_about: Mutex<Vec<u64>>,
    expired_up_to: AtomicU64,
    failing: Mutex<bool>,
}

struct Entry(u64);

impl Turnstile {
    fn first(&self) -> Result<Entry, Error> {
        self.broken()?;
        self.0.authorized.fetch_add(1, Ordering::SeqCst);
        Ok(Entry(1))
    }

    fn is_over(&self, token: &Entry) -> bool {
        self.0.asked_about.lock().unwrap().push(token.0);
        token.0 <= self.0.expired_up_to.load(Ordering::SeqCst)
    }

    fn next(&self, token: &Entry) -> Result<Entry, Error> {
        self.broken()?;
        self.0.refreshed.lock().unwrap().push(token.0);
        Ok(Entry(token.0 + 1))
    }

    fn broken(&self) -> Result<(), Error> {
        if *self.0.failing.lock().unwrap() { Err(Error::Bug("broken")) } else { Ok(()) }
    }
}

impl grantflow_tokio::Authorize for Turnstile {
    type Token = Entry;

    async fn authorize(&self) -> Result<Entry, Error> {
        tokio::task::yield_now().await;
        self.first()
    }

    fn expired(&self, token: &Entry) -> bool {
        self.is_over(token)
    }

    async fn refresh(&self, token: &Entry) -> Result<Entry, Error> {
        tokio::task::yield_now().await;
        self.next(token)
    }

    fn access_token(&self, token: &Entry) -> Secret {
        Secret::from(format!("entry-{}", token.0))
    }

    fn client_id(&self) -> Option<&str> {
        Some("turnstile")
    }
}

impl grantflow_blocking::Authorize for Turnstile {
    type Token = Entry;

    fn authorize(&self) -> Result<Entry, Error> {
        self.first()
    }

    fn expired(&self, token: &Entry) -> bool {
        self.is_over(token)
    }

    fn refresh(&self, token: &Entry) -> Result<Entry, Error> {
        self.next(token)
    }

    fn access_token(&self, token: &Entry) -> Secret {
        Secret::from(format!("entry-{}", token.0))
    }

    fn client_id(&self) -> Option<&str> {
        Some("turnstile")
    }
}

/// An authorizer of either driver, for threads.
#[derive(Clone)]
enum Any {
    Tokio(Arc<tokio::runtime::Runtime>, Arc<dyn grantflow_tokio::Authorizer>),
    Blocking(Arc<dyn grantflow_blocking::Authorizer>),
}

impl Any {
    fn headers(&self) -> Result<HeaderMap, Error> {
        match self {
            Any::Tokio(runtime, authorizer) => runtime.block_on(authorizer.headers()),
            Any::Blocking(authorizer) => authorizer.headers(),
        }
    }

    fn access_token(&self) -> Result<Secret, Error> {
        match self {
            Any::Tokio(runtime, authorizer) => runtime.block_on(authorizer.access_token()),
            Any::Blocking(authorizer) => authorizer.access_token(),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Any::Tokio(_, authorizer) => authorizer.is_valid(),
            Any::Blocking(authorizer) => authorizer.is_valid(),
        }
    }

    fn client_id(&self) -> Option<String> {
        match self {
            Any::Tokio(_, authorizer) => authorizer.client_id().map(str::to_owned),
            Any::Blocking(authorizer) => authorizer.client_id().map(str::to_owned),
        }
    }

    /// The value of `Authorization`.
    fn header(&self) -> String {
        self.headers().unwrap()["authorization"].to_str().unwrap().to_owned()
    }
}

fn runtime() -> Arc<tokio::runtime::Runtime> {
    Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

/// The same authorizer for both drivers, each with counts of its own.
fn turnstiles(placement: fn() -> Placement) -> [(Any, Turnstile); 2] {
    let (one, two) = (Turnstile::default(), Turnstile::default());
    let tokio = grantflow_tokio::Custom::new(one.clone()).with_placement(placement());
    let blocking = grantflow_blocking::Custom::new(two.clone()).with_placement(placement());
    [(Any::Tokio(runtime(), Arc::new(tokio)), one), (Any::Blocking(Arc::new(blocking)), two)]
}

#[test]
fn e_05_e_06_e_11_the_three_functions_are_called_in_their_order() {
    for (authorizer, turnstile) in turnstiles(Placement::default) {
        let counts = &turnstile.0;
        assert_eq!(counts.authorized.load(Ordering::SeqCst), 0, "constructing asks nobody");
        assert!(!authorizer.is_valid());
        assert_eq!(authorizer.header(), "Bearer entry-1");
        assert!(counts.asked_about.lock().unwrap().is_empty());
        assert_eq!(authorizer.header(), "Bearer entry-1");
        assert_eq!(*counts.asked_about.lock().unwrap(), [1]);
        counts.expired_up_to.store(1, Ordering::SeqCst);
        assert!(!authorizer.is_valid());
        assert_eq!(authorizer.header(), "Bearer entry-2");
        assert_eq!(*counts.refreshed.lock().unwrap(), [1]);
        assert_eq!(authorizer.header(), "Bearer entry-2");
        assert_eq!(counts.asked_about.lock().unwrap().last(), Some(&2));
        assert_eq!(counts.authorized.load(Ordering::SeqCst), 1);
        assert!(authorizer.is_valid());
    }
}

#[test]
fn e_07_a_failure_keeps_the_old_token_and_the_next_request_tries_again() {
    for (authorizer, turnstile) in turnstiles(Placement::default) {
        let counts = &turnstile.0;
        *counts.failing.lock().unwrap() = true;
        assert_eq!(authorizer.headers().unwrap_err(), Error::Bug("broken"));
        *counts.failing.lock().unwrap() = false;
        assert_eq!(authorizer.header(), "Bearer entry-1");
        counts.expired_up_to.store(1, Ordering::SeqCst);
        *counts.failing.lock().unwrap() = true;
        assert_eq!(authorizer.headers().unwrap_err(), Error::Bug("broken"));
        *counts.failing.lock().unwrap() = false;
        assert_eq!(authorizer.header(), "Bearer entry-2");
        assert_eq!(*counts.refreshed.lock().unwrap(), [1], "the old one was there");
        assert_eq!(counts.authorized.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn e_08_h_05_the_word_before_the_token_can_be_chosen() {
    for (authorizer, _) in turnstiles(|| Placement::default().bare()) {
        assert_eq!(authorizer.header(), "entry-1");
    }
    for (authorizer, _) in turnstiles(|| Placement::default().with_prefix("Token").unwrap()) {
        assert_eq!(authorizer.header(), "Token entry-1");
    }
}

#[test]
fn e_09_e_10_the_access_token_is_got_first_and_the_client_id_is_known() {
    for (authorizer, turnstile) in turnstiles(Placement::default) {
        assert_eq!(authorizer.client_id().as_deref(), Some("turnstile"));
        assert!(authorizer.access_token().unwrap().matches("entry-1"));
        turnstile.0.expired_up_to.store(1, Ordering::SeqCst);
        assert!(authorizer.access_token().unwrap().matches("entry-2"), "never an expired one");
    }
}

#[test]
fn e_12_twenty_first_requests_at_once_authorize_once() {
    for (authorizer, turnstile) in turnstiles(Placement::default) {
        std::thread::scope(|scope| {
            for _ in 0..20 {
                let authorizer = authorizer.clone();
                scope.spawn(move || assert_eq!(authorizer.header(), "Bearer entry-1"));
            }
        });
        assert_eq!(turnstile.0.authorized.load(Ordering::SeqCst), 1);
    }
}

fn any(kept: &Kept) -> Any {
    match kept {
        Kept::Tokio(runtime, handle) => Any::Tokio(runtime.clone(), Arc::new(handle.clone())),
        Kept::Blocking(handle) => Any::Blocking(Arc::new(handle.clone())),
    }
}

/// Credentials that nobody renews, for the driver of this rig.
fn fixed(rig: &Rig, make: impl Fn() -> (grantflow_tokio::Fixed, grantflow_blocking::Fixed)) -> Any {
    let (tokio, blocking) = make();
    match rig.which {
        Which::Tokio => Any::Tokio(runtime(), Arc::new(tokio)),
        Which::Blocking => Any::Blocking(Arc::new(blocking)),
    }
}

#[test]
fn a_01_h_05_e_13_one_interface_for_every_kind_of_credential() {
    both(|rig| {
        let key = Secret::from("k3y");
        let password = Secret::from("");
        let token = Secret::from("b4re");
        let basic = fixed(rig, || {
            (
                grantflow_tokio::Fixed::basic("u", &password, Charset::Latin1).unwrap(),
                grantflow_blocking::Fixed::basic("u", &password, Charset::Latin1).unwrap(),
            )
        });
        let alone = fixed(rig, || {
            (
                grantflow_tokio::Fixed::api_key(API_KEY_HEADER, &key).unwrap(),
                grantflow_blocking::Fixed::api_key(API_KEY_HEADER, &key).unwrap(),
            )
        });
        let bare = fixed(rig, || {
            let placement = Placement::default().bare().with_api_key(API_KEY_HEADER, &key).unwrap();
            (
                grantflow_tokio::Fixed::bare(&token, &placement).unwrap(),
                grantflow_blocking::Fixed::bare(&token, &placement).unwrap(),
            )
        });
        let session = any(&rig.logged_in());
        let own = any(&rig.own());
        assert_eq!(rig.authority.asked(), 0);
        let headers = |any: &Any| {
            let headers = any.headers().unwrap();
            let all = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            assert!(headers.values().all(http::HeaderValue::is_sensitive));
            all.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(headers(&basic), "authorization: Basic dTo=");
        assert_eq!(headers(&alone), "x-api-key: k3y");
        assert_eq!(headers(&bare), "authorization: b4re, x-api-key: k3y");
        assert_eq!(headers(&session), "authorization: Bearer canary-a0");
        assert_eq!(headers(&own), "authorization: Bearer canary-a1");
        assert_eq!(basic.access_token().unwrap_err(), Error::Config(ConfigError::Missing("access token")));
        assert!(bare.access_token().unwrap().matches("b4re"));
        assert_eq!(session.client_id().as_deref(), Some("client"));
        assert!(basic.is_valid() && session.is_valid());
    });
}

#[test]
fn e_11_constructing_sends_and_reads_nothing() {
    both(|rig| {
        let (session, own) = (rig.session("me"), rig.own());
        assert!(session.current().is_none() && own.current().is_none());
        assert!(!session.is_valid() && !own.is_valid());
        let _ = session.clone();
        assert_eq!(rig.happened(), "");
    });
    let rig = Rig::new(Which::Tokio);
    let tokio = grantflow_tokio::Client::new(rig.tokio_driver(), confidential());
    let blocking = grantflow_blocking::Client::new(rig.blocking_driver(), confidential());
    tokio.tokens("me").open().unwrap();
    tokio.own_tokens("own", "read").open().unwrap();
    blocking.tokens("me").open().unwrap();
    blocking.own_tokens("own", "read").open().unwrap();
    assert!(tokio.tokens("").open().is_err());
    assert_eq!(rig.happened(), "");
}

#[test]
fn a_07_whether_a_token_is_valid_is_known_without_a_request() {
    both(|rig| {
        let kept = rig.handle(settings(&public(), "me").with_skew(Duration::from_secs(60)));
        kept.adopt(tokens()).unwrap();
        rig.happened();
        for (second, valid) in [(0, true), (3539, true), (3540, false), (3600, false), (9999, false)] {
            rig.time.set(BEGIN.plus(Duration::from_secs(second)));
            assert_eq!(kept.is_valid(), valid, "{second}");
        }
        assert_eq!(rig.happened(), "");
    });
}

#[test]
fn x_01_e_02_h_17_a_token_is_due_a_skew_before_its_end_and_equality_is_due() {
    for skew in [0, 20, 60] {
        both(|rig| {
            let end = BEGIN.as_secs() + 1000;
            for (now, fresh) in [(end - skew - 1, true), (end - skew, false), (end - skew + 1, false)] {
                rig.time.set(BEGIN);
                let kept = rig.handle(settings(&public(), "me").with_skew(Duration::from_secs(skew)));
                kept.adopt(lasting(1000)).unwrap();
                rig.time.set(Timestamp::from_secs(now));
                assert_eq!(kept.is_valid(), fresh, "{skew} {now}");
            }
        });
    }
}

#[test]
fn e_16_e_17_a_10_the_clients_own_tokens_are_asked_for_again_and_never_refreshed() {
    both(|rig| {
        let kept = rig.own();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a1");
        assert_eq!(rig.happened(), "load claim load token save");
        rig.time.pass(3600);
        assert_eq!(text(&kept.credential().unwrap()), "canary-a2");
        assert_eq!(text(&kept.invalidate(kept.current().unwrap().id()).unwrap()), "canary-a3");
        assert!(rig.authority.sent().iter().all(|form| form == "grant_type=client_credentials"));
        assert!(rig.authority.headers().iter().all(|header| header.starts_with("Basic ")));
    });
}

#[test]
fn e_15_an_environment_is_chosen_by_name_before_anything_is_sent() {
    let server = |issuer: &str| ServerMetadata::by_hand(issuer, UrlPolicy::default()).unwrap();
    let environments = Environments::default()
        .with("production", server("https://as.example"))
        .with("staging", server("https://staging.example"));
    assert_eq!(environments.names().collect::<Vec<_>>(), ["production", "staging"]);
    let client = Client::builder(environments.server("staging").unwrap().clone(), "id").build().unwrap();
    assert_eq!(client.server().issuer(), "https://staging.example");
    let unknown = environments.server("develop").unwrap_err();
    assert!(matches!(unknown, Error::Config(ConfigError::Invalid { setting: "environment", .. })));
}

/// Refreshes in a cloud, far from any client.
#[derive(Clone, Default)]
struct Cloud(Arc<Mutex<Vec<Option<String>>>>);

impl Cloud {
    fn answer(&self, spent: Option<Arc<TokenSet>>, now: Timestamp) -> Result<TokenSet, Error> {
        let spent = spent.and_then(|spent| spent.refresh_token().map(|token| token.expose().clone()));
        let mut seen = self.0.lock().unwrap();
        seen.push(spent);
        let (number, from) = (seen.len(), now.as_secs());
        let record = format!(
            r#"{{"access_token":"cloud-{number}","token_type":"Bearer","granted_at":{from},"expires_at":{}}}"#,
            from + 3600
        );
        Ok(TokenSet::from_record(record.as_bytes(), now)?)
    }
}

struct CloudAt(Cloud, super::rig::Time);

impl grantflow_tokio::Refresher for CloudAt {
    fn refresh(&self, spent: Option<Arc<TokenSet>>) -> Pending<'_, Result<TokenSet, Error>> {
        Box::pin(async move { self.0.answer(spent, self.1.now()) })
    }
}

impl grantflow_blocking::Refresher for CloudAt {
    fn refresh(&self, spent: Option<Arc<TokenSet>>) -> Result<TokenSet, Error> {
        self.0.answer(spent, self.1.now())
    }
}

/// A handle whose tokens this cloud renews: no client, no secret, no endpoint.
fn delegated(rig: &Rig, cloud: &Cloud) -> Kept {
    let key = StoreKey::of("https://cloud.example", "linked", "me").unwrap();
    let refresher = CloudAt(cloud.clone(), rig.time.clone());
    match rig.which {
        Which::Tokio => {
            rig.tokio(grantflow_tokio::Tokens::delegated(rig.tokio_driver(), key, refresher).open().unwrap())
        }
        Which::Blocking => {
            let tokens = grantflow_blocking::Tokens::delegated(rig.blocking_driver(), key, refresher);
            Kept::Blocking(tokens.open().unwrap())
        }
    }
}

#[test]
fn h_14_h_15_h_27_somebody_else_renews_and_no_client_is_needed() {
    both(|rig| {
        let cloud = Cloud::default();
        let kept = delegated(rig, &cloud);
        // From a token that came ready-made.
        kept.adopt(tokens()).unwrap();
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        for round in 1..=2 {
            rig.time.pass(3600);
            let arrived = Arc::default();
            let answers = kept.many(20, Want::Credential, &arrived);
            assert!(answers.iter().all(|answer| text(answer.as_ref().unwrap()) == format!("cloud-{round}")));
        }
        // The answers had no refresh token: the old one lived on.
        assert_eq!(*cloud.0.lock().unwrap(), [Some("canary-r0".to_owned()), Some("canary-r0".to_owned())]);
        assert_eq!(rig.authority.asked(), 0, "the server has seen nothing");
        // Without a token to begin with, the cloud gives the first one too.
        let cloud = Cloud::default();
        rig.shelf.breaks(&[]);
        let fresh = Rig::new(rig.which);
        assert_eq!(text(&delegated(&fresh, &cloud).credential().unwrap()), "cloud-1");
        assert_eq!(*cloud.0.lock().unwrap(), [None]);
    });
}

#[test]
fn l_43_what_is_done_before_a_request() {
    both(|rig| {
        let kept = rig.logged_in();
        rig.time.pass(3600);
        kept.credential().unwrap();
        assert_eq!(rig.happened(), "claim load refresh save");
        // Expired, and nothing to renew it with.
        let record = format!(
            r#"{{"access_token":"x","token_type":"Bearer","granted_at":{0},"expires_at":{0}}}"#,
            BEGIN.as_secs()
        );
        let kept = rig.session("other");
        let _ = kept.adopt(TokenSet::from_record(record.as_bytes(), BEGIN).unwrap());
        rig.time.pass(2);
        let before = rig.authority.asked();
        assert_eq!(kept.credential().unwrap_err(), Error::LoginNeeded(LoginNeeded::NotRenewable));
        assert_eq!(rig.authority.asked(), before);
        // An end that nobody knows is none.
        let unknown = TokenSet::from_record(br#"{"access_token":"x","token_type":"Bearer"}"#, BEGIN).unwrap();
        let kept = rig.session("third");
        kept.adopt(unknown).unwrap();
        rig.time.pass(1_000_000);
        rig.happened();
        assert_eq!(text(&kept.credential().unwrap()), "x");
        assert_eq!(rig.happened(), "");
    });
}

#[test]
fn a_17_x_02_l_46_a_refresh_token_that_is_not_replaced_is_kept_and_stored() {
    both(|rig| {
        rig.authority.keeps_refresh_tokens();
        let kept = rig.logged_in();
        for round in 1..=3 {
            rig.time.pass(3600);
            assert_eq!(text(&kept.credential().unwrap()), format!("canary-a{round}"));
            assert!(rig.shelf.kept("me").unwrap().contains("canary-r0"));
        }
        assert_eq!(text(&rig.session("me").credential().unwrap()), "canary-a3");
    });
}

#[test]
fn a_18_l_18_a_failed_refresh_changes_neither_memory_nor_store() {
    both(|rig| {
        let kept = rig.logged_in();
        let before = rig.shelf.kept("me");
        rig.authority.next([Turn::refused("invalid_request")]);
        rig.time.pass(10);
        assert!(kept.renew().is_err());
        assert_eq!(text(&kept.credential().unwrap()), "canary-a0");
        assert_eq!(rig.shelf.kept("me"), before);
    });
}

/// A machine that wants a credential, and then another one.
struct Asking(Vec<Effect>, Vec<String>);

static TABLE: Table = Table { machine: "asking", states: &[], rows: &[] };

impl Machine for Asking {
    type Output = Vec<String>;

    fn state(&self) -> StateId {
        READY
    }

    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn handle(&mut self, event: Event, _: &mut Context<'_>) -> Result<Step<Vec<String>>, Error> {
        match event {
            Event::Leased(credential) => self.1.push(text(&credential).to_owned()),
            Event::LeaseFailed(error) => self.1.push(error.to_string()),
            _ => {}
        }
        Ok(match self.0.pop() {
            Some(effect) => Step::Do(effect),
            None => Step::Done(std::mem::take(&mut self.1)),
        })
    }
}

#[test]
fn h_08_a_machine_that_asks_for_a_credential_is_given_one() {
    both(|rig| {
        let kept = rig.logged_in();
        let id = kept.current().unwrap().id();
        let asks = |refused| Effect::Lease(LeaseRequest { refused });
        let run = |mut machine: Asking| match &kept {
            Kept::Tokio(_, handle) => {
                let driver = rig.tokio_driver().with_authorizer(Arc::new(handle.clone()));
                rig.block_on(driver.run(&mut machine, Event::Start, &mut grantflow_tokio::Nobody)).unwrap()
            }
            Kept::Blocking(handle) => {
                let driver = rig.blocking_driver().with_authorizer(Arc::new(handle.clone()));
                driver.run(&mut machine, Event::Start, &mut grantflow_blocking::Nobody).unwrap()
            }
        };
        // The last is asked first.
        let seen = run(Asking(vec![asks(Some(id)), asks(Some(id)), asks(None)], Vec::new()));
        assert_eq!(seen, ["canary-a0", "canary-a1", "canary-a1"]);
        kept.sign_out().unwrap();
        assert_eq!(run(Asking(vec![asks(None)], Vec::new())), ["a login is needed: nobody is logged in"]);
    });
}
