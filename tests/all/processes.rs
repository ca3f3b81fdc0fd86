//! Several processes share one rotating login, in a file, in Redis or in Postgres, against a server that ends the family when a
//! spent token comes again.
//!
//! The test starts itself as child processes, half of them with the tokio handle and half with the blocking one. Each round, the
//! parent lets the token of the round before expire for all of them and has them ask at the same moment. Time is a number that
//! the parent says. `GRANTFLOW_ROUNDS` asks for more rounds; `tests/processes` runs a thousand with each store.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_core::client::Client;
use grantflow_core::endpoint::Discovery;
use grantflow_core::grant::{AuthorizationCode, AuthorizationRequest};
use grantflow_core::machine::Event;
use grantflow_core::manager::{Settings, Source};
use grantflow_core::server::ServerMetadata;
use grantflow_core::store::StoreKey;
use grantflow_devserver::Config;
use grantflow_stores::{FileStore, Store};

use crate::runners::{BEGIN, ByHand, Runner, Traveller, World};

/// Says to a child what store it shares and which server it asks.
const CHILD: &str = "GRANTFLOW_TEST_CHILD";
/// How long the parent waits for an answer before it gives a child up.
const PATIENCE: Duration = Duration::from_secs(60);

fn open(place: &str) -> Arc<dyn Store> {
    match place.split_once(':') {
        #[cfg(feature = "network-stores")]
        Some(("redis" | "rediss", _)) => Arc::new(grantflow_stores::RedisStore::connect(place).unwrap()),
        #[cfg(feature = "network-stores")]
        Some(("postgres" | "postgresql", _)) => Arc::new(grantflow_stores::PostgresStore::connect(place).unwrap()),
        _ => Arc::new(FileStore::at(Path::new(place))),
    }
}

fn settings(metadata: Arc<ServerMetadata>, profile: &str) -> Settings {
    let client = Client::builder(metadata, "demo-app").build().unwrap();
    Settings::new(StoreKey::new(&client, profile).unwrap(), Source::Session(client)).unwrap()
}

/// Hears and says one line at a time.
struct Talk<A: FnMut(Timestamp) -> String>(A);

impl<A: FnMut(Timestamp) -> String> Talk<A> {
    fn hold(mut self) {
        for line in std::io::stdin().lines() {
            let millis = line.unwrap().parse().expect("a moment");
            let said = (self.0)(Timestamp::from_millis(millis));
            println!("answer {said}");
        }
    }
}

/// Not a test of its own: what a child process does. Without its variable there is nothing to do.
#[test]
fn child_process_of_the_sharing_tests() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let [driver, issuer, profile, place] = role.splitn(4, ' ').collect::<Vec<_>>().try_into().expect("a role");
    let store = open(place);
    match driver {
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let clock = grantflow_tokio::ManualClock::jumping(BEGIN);
            let driver = grantflow_tokio::Driver::new().with_clock(clock.clone());
            let mut discovery = Discovery::new(issuer).unwrap();
            let found = runtime.block_on(driver.run(&mut discovery, Event::Start, &mut grantflow_tokio::Nobody));
            let settings = settings(Arc::new(found.unwrap()), profile);
            let handle = grantflow_tokio::TokenHandle::new(driver.with_store(store), settings);
            Talk(|now: Timestamp| {
                use grantflow_tokio::Clock;
                clock.advance(now.since(clock.now()));
                // A renewal that was begun ahead of time is waited for, so that every child ends its round.
                runtime.block_on(async {
                    let told = told(handle.credential().await);
                    handle.settled().await;
                    told
                })
            })
            .hold();
        }
        _ => {
            let clock = grantflow_blocking::ManualClock::jumping(BEGIN);
            let driver = grantflow_blocking::Driver::new().with_clock(clock.clone());
            let mut discovery = Discovery::new(issuer).unwrap();
            let found = driver.run(&mut discovery, Event::Start, &mut grantflow_blocking::Nobody).unwrap();
            let settings = settings(Arc::new(found), profile);
            let handle = grantflow_blocking::TokenHandle::new(driver.with_store(store), settings);
            Talk(|now: Timestamp| {
                use grantflow_blocking::Clock;
                clock.advance(now.since(clock.now()));
                let told = told(handle.credential());
                handle.settled();
                told
            })
            .hold();
        }
    }
}

/// The fingerprint of what was got, which tells tokens apart and shows none.
fn told(got: Result<grantflow_core::manager::Credential, grantflow_core::Error>) -> String {
    match got {
        Ok(credential) => {
            let headers: Vec<_> = credential.headers().map(|(_, value)| value.as_bytes().to_vec()).collect();
            let sum = headers
                .concat()
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            let unsaved = if credential.unsaved().is_some() { " unsaved" } else { "" };
            format!("{sum:016x}{unsaved}")
        }
        Err(error) => format!("failed: {error}"),
    }
}

/// A child, with a line to it and one from it.
struct Sharing {
    child: Child,
    to: ChildStdin,
    from: Receiver<String>,
}

impl Sharing {
    fn start(driver: &str, issuer: &str, profile: &str, place: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["processes::child_process_of_the_sharing_tests", "--exact", "--nocapture", "--quiet"])
            .env(CHILD, format!("{driver} {issuer} {profile} {place}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, lines) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        let (tell, from) = channel();
        thread::spawn(move || {
            let answers = lines.map_while(Result::ok);
            // The test harness of the child may write in front of the first one.
            for answer in answers.filter_map(|line| line.split_once("answer ").map(|(_, answer)| answer.to_owned())) {
                if tell.send(answer).is_err() {
                    break;
                }
            }
        });
        Self { child, to, from }
    }

    fn ask(&mut self, now: Timestamp) {
        writeln!(self.to, "{}", now.as_millis()).unwrap();
    }

    fn answer(&self) -> String {
        self.from.recv_timeout(PATIENCE).expect("a child that answers")
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets `count` processes share one login for some rounds. Gives the number of refreshes that the server has seen.
fn share(count: usize, rounds: usize, place: &str) -> usize {
    let mut config = Config::default().allowing("alice");
    config.access_token_lifetime = 3600;
    // The children's time is not the server's; its refresh tokens must outlive all of theirs.
    config.refresh_token_lifetime = u32::MAX;
    let world = World::new(config, None, None);
    let profile = format!("shared-by-{count}");
    let issuer = world.server.issuer();
    let (mut runner, mut person) = (ByHand::new(&world), Traveller::new(&world));
    let metadata = Arc::new(runner.run(&mut Discovery::new(&issuer).unwrap(), Event::Start, &mut person).unwrap());
    let settings = settings(metadata, &profile);
    let client = settings.client().unwrap().clone();
    let request = AuthorizationRequest::new("http://127.0.0.1:9/callback").scope("offline_access read");
    let mut login = AuthorizationCode::new(&client, request).unwrap();
    let tokens = runner.run(&mut login, Event::Start, &mut person).unwrap();
    let driver = grantflow_blocking::Driver::new().with_clock(grantflow_blocking::ManualClock::jumping(BEGIN));
    let store = open(place);
    store.delete(settings.key()).unwrap();
    grantflow_blocking::TokenHandle::new(driver.with_store(store), settings).adopt(tokens).unwrap();

    let drivers = ["tokio", "blocking"].into_iter().cycle().take(count);
    let mut children: Vec<_> = drivers.map(|driver| Sharing::start(driver, &issuer, &profile, place)).collect();
    let mut now = BEGIN;
    let mut refreshes = 0;
    for round in 0..rounds {
        // Past the end for the odd rounds; in the even ones the old token still works and the renewal is ahead of time.
        now = now.plus(Duration::from_secs(if round % 2 == 0 { 3_601 } else { 7_200 }));
        world.server.clear_log();
        children.iter_mut().for_each(|child| child.ask(now));
        let answers: Vec<_> = children.iter().map(Sharing::answer).collect();
        let log = world.server.log();
        let seen = log.iter().filter(|entry| entry.path == "/token").count();
        assert!(log.iter().all(|entry| entry.path != "/token" || entry.status == 200), "round {round}: {log:?}");
        assert!(
            answers.iter().all(|answer| *answer == answers[0] && !answer.contains(' ')),
            "round {round}: {answers:?}"
        );
        assert_eq!(seen, 1, "round {round}: more or less than one refresh a rotation: {log:?}");
        refreshes += seen;
    }
    refreshes
}

fn rounds(usual: usize) -> usize {
    std::env::var("GRANTFLOW_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

fn in_a_file(count: usize, usual: usize) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("own").join("tokens.json");
    let rounds = rounds(usual);
    let refreshes = share(count, rounds, place.to_str().unwrap());
    println!(
        "figure: sharing/{count} processes on one file = {rounds} rounds, {refreshes} refreshes, 0 reuses, 0 lost logins"
    );
}

#[test]
fn rf_02_fl_22_fl_46_two_processes_on_one_file_refresh_once_a_rotation() {
    in_a_file(2, 60);
}

#[test]
fn rf_02_fl_23_fl_46_eight_processes_on_one_file_refresh_once_a_rotation() {
    in_a_file(8, 20);
}

#[cfg(feature = "network-stores")]
mod network {
    use super::{rounds, share};

    fn at(variable: &str, count: usize) {
        let Ok(place) = std::env::var(variable) else {
            println!("skipped: {count} processes on {variable}: it is not set");
            return;
        };
        let rounds = rounds(40);
        let refreshes = share(count, rounds, &place);
        println!(
            "figure: sharing/{count} processes, {variable} = {rounds} rounds, {refreshes} refreshes, 0 reuses, 0 lost logins"
        );
    }

    #[test]
    fn rf_02_fl_22_two_processes_on_redis_refresh_once_a_rotation() {
        at("GRANTFLOW_TEST_REDIS", 2);
    }

    #[test]
    fn rf_02_fl_23_eight_processes_on_redis_refresh_once_a_rotation() {
        at("GRANTFLOW_TEST_REDIS", 8);
    }

    #[test]
    fn rf_02_fl_22_two_processes_on_postgres_refresh_once_a_rotation() {
        at("GRANTFLOW_TEST_POSTGRES", 2);
    }

    #[test]
    fn rf_02_fl_23_eight_processes_on_postgres_refresh_once_a_rotation() {
        at("GRANTFLOW_TEST_POSTGRES", 8);
    }
}
