//! Postgres, real and feigned.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::Secret;
use grantflow_core::error::StoreFault;
use grantflow_core::store::{Expected, RECORD_LIMIT, StoreKey};
use grantflow_stores::postgres::{CLAIMS, CONNECTIONS};
use grantflow_stores::{PostgresStore, Saved, Store, conformance};

use crate::holder::{Holder, claim, is, key, write};
use crate::proxy::Proxy;
use crate::servers::{PASSWORD, Postgres, patient_postgres};

const LONG: Duration = Duration::from_secs(30);

/// A server from the environment, or one of our own.
fn url() -> Option<(String, Option<Postgres>)> {
    if let Ok(url) = std::env::var("GRANTFLOW_TEST_POSTGRES") {
        return Some((url, None));
    }
    let postgres = Postgres::start()?;
    Some((postgres.url(), Some(postgres)))
}

fn version(store: &dyn Store, key: &StoreKey) -> Option<u64> {
    store.load(key).unwrap().map(|stored| stored.version.as_u64())
}

#[test]
fn st_22_postgres_conforms() {
    let Some((url, _postgres)) = url() else { return };
    // Three openings, as of three processes; one for each use would be a connection for each use.
    let openings = [(); 3].map(|()| patient_postgres(&url));
    let turn = AtomicUsize::new(0);
    let can = conformance::check(|| Box::new(openings[turn.fetch_add(1, Ordering::Relaxed) % 3].clone()));
    assert_eq!(can, conformance::Can { claim: true, list: true });
}

#[test]
fn postgres_does_what_the_model_says() {
    let Some((url, _postgres)) = url() else { return };
    let openings = [(); 2].map(|()| patient_postgres(&url));
    let turn = AtomicUsize::new(0);
    let make = || -> Box<dyn Store> { Box::new(openings[turn.fetch_add(1, Ordering::Relaxed) % 2].clone()) };
    println!(
        "figure: stores/postgres: model transitions = {}",
        conformance::model(make, conformance::transitions(20_000))
    );
}

#[test]
fn st_19_nothing_in_a_key_or_a_record_becomes_sql() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    assert_eq!(store.save(write(&key("stays"), Expected::Absent, 1)).unwrap(), Saved::Done);
    let odd = ["'; drop table grantflow_tokens; --", "$1", "$$x$$", "\\'", "\"", "%s", "\0", "\u{2019}", "E'\\x00'"];
    for (text, number) in odd.into_iter().zip(10..) {
        let key = StoreKey::of(&format!("https://as.example/{text}"), text, text).unwrap();
        let mut save = write(&key, Expected::Absent, number);
        save.stored.bytes = Secret::new(text.as_bytes().to_vec());
        assert_eq!(store.save(save).unwrap(), Saved::Done);
        let mut save = write(&key, is(number), number + 100);
        save.stored.bytes = Secret::new(text.as_bytes().to_vec());
        assert_eq!(store.save(save).unwrap(), Saved::Done);
        assert_eq!(store.load(&key).unwrap().unwrap().bytes.expose(), text.as_bytes());
    }
    assert_eq!(postgres.ask("select count(*) from grantflow_tokens"), [(odd.len() + 1).to_string()]);
    // An index takes less than 3 KiB, compressed.
    let mut number = 1_u32;
    let long: String = (0..5000)
        .map(|_| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from(number >> 28).unwrap())
        })
        .collect();
    let long = StoreKey::of("https://as.example", &long, "default").unwrap();
    assert_eq!(store.save(write(&long, Expected::Absent, 1)).unwrap_err().fault, StoreFault::TooLarge);
    for name in ["", "a.b.c", "a b", "A", "a\"", "a;drop", "1a", ".", "a.", "tab\u{e9}", &"x".repeat(64)] {
        assert!(store.clone().with_table(name).is_err(), "{name:?}");
    }
    // A word of SQL is a name like any other.
    let select = store.with_table("public.select").unwrap();
    assert_eq!(select.save(write(&key("x"), Expected::Absent, 1)).unwrap(), Saved::Done);
    assert_eq!(select.list().unwrap().len(), 1);
}

#[test]
fn st_19_a_record_beyond_the_limit_is_refused_before_anything_is_asked() {
    // There is nobody to ask.
    let store = PostgresStore::connect("postgres://user@127.0.0.1:1/none").unwrap();
    let mut large = write(&key("default"), Expected::Absent, 1);
    large.stored.bytes = Secret::new(vec![b'x'; RECORD_LIMIT + 1]);
    assert_eq!(store.save(large).unwrap_err().fault, StoreFault::TooLarge);
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("default");
    let mut largest = write(&key, Expected::Absent, 1);
    largest.stored.bytes = Secret::new(vec![b'x'; RECORD_LIMIT]);
    assert_eq!(store.save(largest).unwrap(), Saved::Done);
    assert_eq!(store.load(&key).unwrap().unwrap().bytes.expose().len(), RECORD_LIMIT);
    postgres.ask("update grantflow_tokens set record = record || '\\x00'");
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
    postgres.ask("update grantflow_tokens set record = '', version = -1");
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
    postgres.ask("alter table grantflow_tokens rename column record to other");
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
}

#[test]
fn st_20_fl_28_serialization_failures_and_deadlocks_are_repeated_three_times_and_no_more() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    // What a sequence has given is not taken back with the statement, so it counts the attempts.
    postgres.ask("create sequence attempts; create sequence needed");
    let mut next = 2;
    for code in ["40001", "40P01", "57P01"] {
        postgres.ask(&format!(
            "create or replace function refuse() returns trigger language plpgsql as 'begin \
             if nextval(''attempts'') < (select last_value from needed) then \
             raise exception ''no'' using errcode = ''{code}''; end if; return new; end'; \
             create or replace trigger refuses before insert or update on grantflow_tokens \
             for each row execute function refuse()"
        ));
        for (needed, works) in [(2, true), (3, true), (100, false)] {
            postgres.ask(&format!("select setval('needed', {needed}), setval('attempts', 1, false)"));
            match store.save(write(&key, is(next - 1), next)) {
                Ok(saved) => assert!(works && saved == Saved::Done, "{code}: {saved:?}"),
                Err(error) => assert!(!works && error.fault == StoreFault::Unavailable, "{code}: {error:?}"),
            }
            assert_eq!(postgres.ask("select last_value from attempts"), [needed.min(3).to_string()], "{code}");
            assert_eq!(version(&store, &key), Some(if works { next } else { next - 1 }));
            next += u64::from(works);
        }
    }
}

#[test]
fn st_20_fl_28_of_serializable_writers_one_wins() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.ask("alter role grantflow set default_transaction_isolation = 'serializable'");
    let key = key("default");
    let stores = [(); 6].map(|()| postgres.store());
    stores[0].save(write(&key, Expected::Absent, 1)).unwrap();
    let mut at = 1;
    let mut refused = 0_u32;
    for _ in 0..20 {
        let outcomes: Vec<_> = thread::scope(|scope| {
            let calls: Vec<_> = stores
                .iter()
                .zip(at + 1..)
                .map(|(store, new)| {
                    scope.spawn({
                        let key = &key;
                        move || (new, store.save(write(key, is(at), new)))
                    })
                })
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        refused += u32::try_from(outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count()).unwrap();
        let done: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| *outcome == Ok(Saved::Done)).map(|(new, _)| *new).collect();
        let [winner] = done[..] else { panic!("{} writers replaced the same version: {outcomes:?}", done.len()) };
        assert_eq!(version(&stores[0], &key), Some(winner));
        at = winner;
    }
    println!("figure: stores/saves of 6 serializable writers, 20 rounds = {refused} refused after three attempts");
}

#[test]
fn st_20_a_save_whose_answer_is_lost_is_done_once() {
    let Some(postgres) = Postgres::start() else { return };
    let proxy = Proxy::to(postgres.port());
    let store = patient_postgres(&postgres.url_at(proxy.port));
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    postgres.ask(
        "create table counted (id serial); \
         create function note()  returns trigger language plpgsql as 'begin insert into counted default values; return new; end'; \
         create trigger counts after insert or update on grantflow_tokens for each row execute function note()",
    );
    let mut last = 1;
    for (next, expected) in [(2, is(1)), (3, is(2)), (4, Expected::Anything)] {
        proxy.cut_next_answer();
        assert_eq!(store.save(write(&key, expected, next)).unwrap(), Saved::Done, "{expected:?}");
        assert!(proxy.has_cut());
        assert_eq!(version(&store, &key), Some(next));
        last = next;
    }
    store.delete(&key).unwrap();
    proxy.cut_next_answer();
    assert_eq!(store.save(write(&key, Expected::Absent, 5)).unwrap(), Saved::Done);
    assert!(proxy.has_cut());
    // A conflict stays one, and a lost answer makes no other record one's own.
    proxy.cut_next_answer();
    assert_eq!(store.save(write(&key, is(last), 6)).unwrap(), Saved::Conflict);
    assert_eq!(version(&store, &key), Some(5));
    let rows = postgres.ask("select count(*) from counted");
    // Only what replaces anything may be written again, with the same bytes.
    assert!(rows == ["4"] || rows == ["5"], "{rows:?}");
}

#[test]
fn a_claim_whose_answer_is_lost_is_asked_for_again_and_one_that_is_turned_away_is_given_up() {
    let Some(postgres) = Postgres::start() else { return };
    let proxy = Proxy::to(postgres.port());
    let store = patient_postgres(&postgres.url_at(proxy.port));
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    proxy.cut_next_answer();
    assert!(store.claim(&claim(&key, LONG, LONG)).unwrap().is_some());
    assert!(proxy.has_cut());
    postgres.ask("create role crowded login password 'hunter2' connection limit 0");
    let crowded = PostgresStore::connect(&postgres.url_as("crowded", "hunter2", "postgres")).unwrap();
    assert_eq!(crowded.claim(&claim(&key, LONG, LONG)).unwrap_err().fault, StoreFault::Unavailable);
}

#[test]
fn st_20_sessions_that_an_administrator_ends_cost_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("default");
    store.save(write(&key, Expected::Absent, 1)).unwrap();
    let (over, ended) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut done, mut away) = (0_u64, 0_u64);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let sql = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' \
                           and pid <> pg_backend_pid()";
                ended.fetch_add(postgres.ask(sql).len().try_into().unwrap(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(3));
            }
        });
        let mut at = 1;
        for next in 2..=300 {
            match store.save(write(&key, is(at), next)) {
                Ok(Saved::Done) => (at, done) = (next, done + 1),
                Ok(Saved::Conflict) => panic!("nobody else writes: {at} -> {next}"),
                Err(error) => {
                    assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
                    away += 1;
                    // It may have been carried out.
                    while let Ok(None) | Err(_) = store.load(&key) {}
                    at = loop {
                        if let Ok(Some(stored)) = store.load(&key) {
                            break stored.version.as_u64();
                        }
                    };
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("figure: stores/saves while {} sessions were ended = {done} done, {away} unavailable", ended.into_inner());
    assert!(done > 200, "{done}");
}

#[test]
fn st_20_a_replica_a_missing_right_and_a_wrong_password_are_told_without_secrets() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("default");
    store.save(write(&key, Expected::Absent, 1)).unwrap();
    postgres.ask("alter role grantflow set default_transaction_read_only = on");
    let reading = postgres.store();
    let error = reading.save(write(&key, is(1), 2)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
    assert_eq!(version(&reading, &key), Some(1));
    postgres.ask("begin read write; alter role grantflow reset default_transaction_read_only; commit");
    assert_eq!(reading.save(write(&key, is(1), 2)).unwrap(), Saved::Done, "it does not recover alone");
    postgres.ask("create role plain login password 'hunter2'");
    postgres.ask("create role crowded login password 'hunter2' connection limit 0");
    postgres.ask("create database other");
    let others = [
        (postgres.url_as("plain", "hunter2", "postgres"), StoreFault::Denied),
        (postgres.url_as("plain", "wrong-hunter2", "postgres"), StoreFault::Denied),
        (postgres.url_as("nobody", "hunter2", "postgres"), StoreFault::Denied),
        (postgres.url_as("plain", "hunter2", "hunter2"), StoreFault::Denied),
        (postgres.url_as("plain", "hunter2", "other"), StoreFault::Denied),
        (postgres.url_as("crowded", "hunter2", "postgres"), StoreFault::Unavailable),
    ];
    for (url, fault) in others {
        let store = PostgresStore::connect(&url).unwrap();
        let error = store.save(write(&key, is(2), 3)).unwrap_err();
        assert_eq!(error.fault, fault, "{error:?}");
        let shown = format!("{error:?} {store:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(PASSWORD), "{shown}");
    }
    let error = postgres.store().with_table("nowhere.tokens").unwrap().save(write(&key, is(2), 3)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Denied, "there is no such schema: {error:?}");
    let held = store.claim(&claim(&key, LONG, LONG)).unwrap();
    let shown = format!("{store:?} {held:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("se%3A"), "{shown}");
    for url in ["postgres://u:hunter2@h:x/d", "postgres://u:hunter2@h/d?sslmode=hunter2", "hunter2"] {
        let error = PostgresStore::connect(url).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn fl_24_the_claim_of_a_holder_that_is_paused_ends_with_its_lease() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("held");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    let mut holder = Holder::start(&postgres.url(), Duration::from_millis(700));
    holder.signal("STOP");
    let busy = store.claim(&claim(&key, Duration::from_millis(50), LONG)).map(drop).unwrap_err();
    assert_eq!(busy.fault, StoreFault::Busy, "a claim is broken that has time left");
    let held = store.claim(&claim(&key, LONG, LONG)).unwrap();
    assert!(held.is_some());
    assert_eq!(store.save(write(&key, is(1), 2)).unwrap(), Saved::Done);
    holder.signal("CONT");
    holder.writes();
    holder.hears("wrote Ok(Conflict)");
    holder.hears("released");
    assert_eq!(version(&store, &key), Some(2), "an older token stands over a newer one");
    let busy = postgres.store().claim(&claim(&key, Duration::ZERO, LONG)).map(drop).unwrap_err();
    assert_eq!(busy.fault, StoreFault::Busy, "the late holder has released somebody else's claim");
    drop(held);
    holder.ends();
}

#[test]
fn claims_of_many_keys_are_held_side_by_side_and_free_at_once_and_their_connections_are_kept() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let take = |profile: &str| store.claim(&claim(&key(profile), Duration::ZERO, LONG)).unwrap().unwrap();
    let held = take("default");
    // All versions of all programs must lock the same number.
    let locked = "select classid::int8 << 32 | objid::int8 from pg_locks where locktype = 'advisory'";
    assert_eq!(postgres.ask(locked), ["4630955623789303586"]);
    drop(held);
    let many: Vec<_> = (0..CONNECTIONS + 2).map(|number| take(&format!("profile-{number}"))).collect();
    drop(many);
    let sessions = "select pid from pg_stat_activity where backend_type = 'client backend' \
                    and pid <> pg_backend_pid() order by pid";
    let began = Instant::now();
    while postgres.ask(sessions).len() > CONNECTIONS {
        assert!(began.elapsed() < LONG, "more are kept than calls can use");
    }
    let kept = postgres.ask(sessions);
    assert_eq!(kept.len(), CONNECTIONS);
    for _ in 0..20 {
        drop(take("default"));
    }
    assert_eq!(postgres.ask(sessions), kept);
}

#[test]
fn fl_25_the_claim_of_a_holder_that_is_killed_is_free_at_once() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("held");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    let holder = Holder::start(&postgres.url(), Duration::from_secs(600));
    holder.killed();
    let began = Instant::now();
    assert!(store.claim(&claim(&key, LONG, LONG)).unwrap().is_some());
    println!(
        "figure: stores/postgres claim of a killed holder with a lease of 600 s = free after {} ms",
        began.elapsed().as_millis()
    );
}

#[test]
fn fl_27_a_server_that_does_not_answer_is_waited_for_with_bounds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let store = PostgresStore::connect(&format!("postgres://user:hunter2@127.0.0.1:{port}/app")).unwrap();
    let store = store.with_timeouts(Duration::from_millis(300), Duration::from_millis(400));
    let began = Instant::now();
    let key = key("default");
    let errors = [
        store.load(&key).map(drop).unwrap_err(),
        store.save(write(&key, Expected::Absent, 1)).unwrap_err(),
        store.claim(&claim(&key, LONG, LONG)).map(drop).unwrap_err(),
    ];
    println!("figure: stores/three calls to a silent postgres = {} ms", began.elapsed().as_millis());
    assert!(began.elapsed() < LONG, "without bound");
    for error in errors {
        assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
    }
    drop(listener);
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Unavailable);
}

#[test]
fn fl_27_a_table_that_is_locked_is_waited_for_with_bounds_and_found_again() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store().with_timeouts(Duration::from_secs(5), Duration::from_millis(300));
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    thread::scope(|scope| {
        scope.spawn(|| postgres.ask("begin; lock table grantflow_tokens; select pg_sleep(2); commit"));
        let began = Instant::now();
        while store.load(&key).is_ok() {
            assert!(began.elapsed() < LONG);
        }
        let error = store.save(write(&key, is(1), 2)).unwrap_err();
        assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
        assert!(error.to_string().contains("no answer in time"), "{error}");
    });
    assert_eq!(store.save(write(&key, is(1), 3)).unwrap(), Saved::Done, "what was given up is written later");
}

#[test]
fn fl_27_a_storm_of_callers_opens_few_connections() {
    let Some(postgres) = Postgres::start() else { return };
    let store = postgres.store();
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    let callers = 64;
    let (busy, most) = (AtomicU64::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                assert_eq!(version(&store, &key), Some(1));
                match store.claim(&claim(&key, Duration::from_millis(300), LONG)) {
                    Ok(held) => {
                        thread::sleep(Duration::from_millis(5));
                        drop(held);
                    }
                    Err(error) => {
                        assert_eq!(error.fault, StoreFault::Busy, "{error:?}");
                        busy.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5 {
                let open =
                    postgres.ask("select count(*) - 1 from pg_stat_activity where backend_type = 'client backend'");
                most.fetch_max(open[0].parse().unwrap(), Ordering::Relaxed);
            }
        });
    });
    let most = most.into_inner();
    println!("figure: stores/{callers} callers of postgres at once = {most} connections, {} busy", busy.into_inner());
    assert!(most <= CONNECTIONS + CLAIMS, "{most} connections");
}

#[test]
fn calls_from_asynchronous_code_block_and_do_not_panic() {
    let Some((url, _postgres)) = url() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = PostgresStore::connect(&url).unwrap();
        let key = key("asynchronous");
        assert!(store.load(&key).unwrap().is_none());
        let held = store.claim(&claim(&key, LONG, LONG)).unwrap();
        let (inner, name) = (store.clone(), key.clone());
        let saved = tokio::task::spawn_blocking(move || {
            assert!(inner.claim(&claim(&name, Duration::ZERO, LONG)).is_err());
            inner.save(write(&name, Expected::Absent, 1)).unwrap()
        });
        assert_eq!(saved.await.unwrap(), Saved::Done);
        drop(held);
        store.delete(&key).unwrap();
        drop(store);
    });
}

#[test]
fn st_23_another_issuer_or_client_finds_nothing_in_postgres() {
    let Some((url, _postgres)) = url() else { return };
    crate::load::another_login_finds_nothing(&PostgresStore::connect(&url).unwrap().with_table("st_23").unwrap());
}
