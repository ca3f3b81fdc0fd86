//! Redis, real and feigned.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Expected, RECORD_LIMIT, StoreKey};
use grantflow_stores::redis::CONNECTIONS;
use grantflow_stores::{RedisStore, Saved, Store, conformance};

use crate::holder::{Holder, claim, is, key, write};
use crate::proxy::Proxy;
use crate::servers::{PASSWORD, PASSWORD_IN_URL as PASSWORD_URL, Redis};

const LONG: Duration = Duration::from_secs(30);

/// A server from the environment, or one of our own.
fn url() -> Option<(String, Option<Redis>)> {
    if let Ok(url) = std::env::var("GRANTFLOW_TEST_REDIS") {
        return Some((url, None));
    }
    let redis = Redis::start(&[])?;
    Some((redis.url(), Some(redis)))
}

fn version(store: &dyn Store, key: &StoreKey) -> Option<u64> {
    store.load(key).unwrap().map(|stored| stored.version.as_u64())
}

#[test]
fn st_22_redis_conforms() {
    let Some((url, _redis)) = url() else { return };
    // Each opening has connections of its own.
    let can = conformance::check(|| Box::new(RedisStore::connect(&url).unwrap()));
    assert_eq!(can, conformance::Can { claim: true, list: true });
}

#[test]
fn redis_does_what_the_model_says() {
    let Some((url, _redis)) = url() else { return };
    let [one, two] = [(); 2].map(|()| RedisStore::connect(&url).unwrap());
    let turn = AtomicUsize::new(0);
    let make = || -> Box<dyn Store> {
        Box::new(if turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { one.clone() } else { two.clone() })
    };
    println!(
        "figure: stores/redis: model transitions = {}",
        conformance::model(make, conformance::transitions(20_000))
    );
}

#[test]
fn st_16_nothing_in_a_key_or_a_record_becomes_a_command() {
    let Some(redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let odd = "\r\n*1\r\n$8\r\nFLUSHALL\r\n";
    let key = StoreKey::of("https://as.example\r\nFLUSHALL\r\n", "client \0", odd).unwrap();
    assert_eq!(store.save(write(&self::key("stays"), Expected::Absent, 1)).unwrap(), Saved::Done);
    let mut save = write(&key, Expected::Absent, 1);
    save.stored.bytes = grantflow_core::Secret::new(format!("{odd}\0\u{ff}").into_bytes());
    assert_eq!(store.save(save).unwrap(), Saved::Done);
    assert_eq!(store.load(&key).unwrap().unwrap().bytes.expose(), format!("{odd}\0\u{ff}").as_bytes());
    assert_eq!(redis.ask(&["DBSIZE"]), redis::Value::Int(2));
    let name = format!("grantflow:token:{}", key.to_text());
    assert_eq!(redis.ask(&["EXISTS", &name]), redis::Value::Int(1));
    assert!(name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{name:?}");
    // A prefix is taken as it is, in patterns too.
    let wild = redis.store().with_prefix("*[a]\\");
    assert!(wild.list().unwrap().is_empty());
    assert_eq!(wild.save(write(&self::key("x"), Expected::Absent, 1)).unwrap(), Saved::Done);
    assert_eq!(wild.list().unwrap().len(), 1);
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn st_17_fl_24_a_holder_that_was_paused_for_too_long_is_refused() {
    let Some(redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let key = key("held");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    let mut holder = Holder::start(&redis.url(), Duration::from_millis(700));
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
    let busy = redis.store().claim(&claim(&key, Duration::ZERO, LONG)).map(drop).unwrap_err();
    assert_eq!(busy.fault, StoreFault::Busy, "the late holder has released somebody else's claim");
    drop(held);
    assert!(store.claim(&claim(&key, Duration::ZERO, LONG)).unwrap().is_some());
    holder.ends();
}

#[test]
fn fl_25_a_claim_ends_with_its_lease_when_its_holder_is_killed() {
    let Some(redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let key = key("held");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    let holder = Holder::start(&redis.url(), Duration::from_millis(500));
    holder.killed();
    let began = Instant::now();
    assert!(store.claim(&claim(&key, LONG, LONG)).unwrap().is_some());
    println!(
        "figure: stores/redis claim of a killed holder with a lease of 500 ms = free after {} ms",
        began.elapsed().as_millis()
    );
}

#[test]
fn fl_26_a_write_that_a_failover_has_lost_is_noticed() {
    let (Some(mut primary), Some(replica)) = (Redis::start(&[]), Redis::start(&[])) else { return };
    let key = key("default");
    let before = primary.store();
    assert_eq!(before.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    replica.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    let after = replica.store();
    let began = Instant::now();
    while version(&after, &key) != Some(1) {
        assert!(began.elapsed() < LONG, "no replication");
        thread::sleep(Duration::from_millis(20));
    }
    let error = after.save(write(&key, is(1), 2)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Unavailable, "a replica takes writes: {error:?}");
    replica.signal("STOP");
    assert_eq!(before.save(write(&key, is(1), 2)).unwrap(), Saved::Done);
    primary.kill();
    replica.signal("CONT");
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    // The kernel may have handed the write over after all; the rule holds either way.
    let found = version(&after, &key).unwrap();
    let saved = after.save(write(&key, is(2), 3)).unwrap();
    assert_eq!(saved, if found == 2 { Saved::Done } else { Saved::Conflict });
    // A writer that is older still never wins.
    assert_eq!(after.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Conflict);
    assert_eq!(after.save(write(&key, is(0), 1)).unwrap(), Saved::Conflict);
}

/// A server that says the same to everything, and how often it was called.
fn feigned(answer: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                let mut bytes = [0; 65536];
                while let Ok(1..) = stream.read(&mut bytes) {
                    if answer == b"close" {
                        return;
                    }
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, calls)
}

#[test]
fn st_18_what_redis_refuses_is_told_without_secrets_and_not_repeated_for_ever() {
    use StoreFault::{Corrupt, Denied, Full, Unavailable};
    let rows: [(&[u8], StoreFault, usize); 22] = [
        (b"-NOAUTH Authentication required.\r\n", Denied, 1),
        (b"-WRONGPASS invalid username-password pair\r\n", Denied, 1),
        (b"-NOPERM this user has no permissions\r\n", Denied, 1),
        (b"-READONLY You can't write against a read only replica.\r\n", Unavailable, 1),
        (b"-LOADING Redis is loading the dataset in memory\r\n", Unavailable, 1),
        (b"-MASTERDOWN Link with MASTER is down\r\n", Unavailable, 1),
        (b"-CLUSTERDOWN The cluster is down\r\n", Unavailable, 1),
        (b"-MOVED 3999 127.0.0.1:6381\r\n", Unavailable, 1),
        (b"-CROSSSLOT Keys in request don't hash to the same slot\r\n", Unavailable, 1),
        (b"-TRYAGAIN later\r\n", Unavailable, 1),
        (b"-BUSY Redis is busy running a script\r\n", Unavailable, 1),
        (b"-NOREPLICAS Not enough good replicas to write.\r\n", Unavailable, 1),
        (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", Full, 1),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", Full, 1),
        (b"-ERR Error running script (call to f_1): @user_script: 1: -OOM command not allowed\r\n", Full, 1),
        (b"-WRONGTYPE Operation against a key\r\n", Corrupt, 1),
        (b"-ERR unknown command 'EVAL', with args beginning with: 'secret-in-an-argument'\r\n", Unavailable, 1),
        (b"-secret-in-an-argument\r\n", Unavailable, 1),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Unavailable, 2),
        (b"*1\r\n:7\r\n", Unavailable, 1),
        (b"$3000000000\r\nsecret-in-an-argument", Unavailable, 2),
        (b"close", Unavailable, 2),
    ];
    for (answer, fault, most) in rows {
        let (url, calls) = feigned(answer);
        let store =
            RedisStore::connect(&url).unwrap().with_timeouts(Duration::from_secs(2), Duration::from_millis(300));
        let key = key("default");
        let shown = String::from_utf8_lossy(answer);
        let errors: [StoreError; 3] = [
            store.load(&key).map(drop).unwrap_err(),
            store.save(write(&key, Expected::Absent, 1)).unwrap_err(),
            store.claim(&claim(&key, LONG, LONG)).map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.fault, fault, "{shown}: {error:?}");
            assert!(!error.detail.contains("secret"), "{shown}: {error:?}");
            let of_shards = shown.starts_with("-MOVED") || shown.starts_with("-CROSSSLOT");
            assert_eq!(error.detail.contains("cluster of shards"), of_shards, "{shown}: {error:?}");
        }
        let called = calls.load(Ordering::SeqCst);
        assert!(called <= 3 * most, "{shown}: {called} connections");
    }
}

#[test]
fn st_18_a_real_server_that_refuses_or_forgets_is_survived() {
    let Some(redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let key = key("default");
    let port = redis.port();
    for url in [format!("redis://127.0.0.1:{port}"), format!("redis://:wrong-{PASSWORD_URL}@127.0.0.1:{port}")] {
        let denied = RedisStore::connect(&url).unwrap();
        let error = denied.load(&key).unwrap_err();
        assert_eq!(error.fault, StoreFault::Denied, "{error:?}");
        assert!(!format!("{error:?} {denied:?}").contains(PASSWORD), "{error:?} {denied:?}");
    }
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    redis.ask(&["ACL", "SETUSER", "lister", "on", ">hunter2", "~*", "+@all", "-hget"]);
    let lister = RedisStore::connect(&format!("redis://lister:hunter2@127.0.0.1:{port}")).unwrap();
    assert_eq!(lister.list().unwrap_err().fault, StoreFault::Denied, "half a list is none");
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.save(write(&key, is(1), 2)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Full, "{error:?}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(version(&store, &key), Some(1), "a refused write has changed something");
    // What is evicted or flushed is absent, which is not what the writer expects.
    redis.ask(&["FLUSHALL"]);
    assert_eq!(version(&store, &key), None);
    assert_eq!(store.save(write(&key, is(1), 2)).unwrap(), Saved::Conflict);
    assert_eq!(store.save(write(&key, Expected::Absent, 2)).unwrap(), Saved::Done);
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = store.save(write(&key, is(2), 3)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(store.save(write(&key, is(2), 3)).unwrap(), Saved::Done);
    let texts = format!("{store:?} {error:?} {:?}", store.claim(&claim(&key, LONG, LONG)).unwrap());
    assert!(!texts.contains(PASSWORD) && !texts.contains(PASSWORD_URL), "{texts}");
}

#[test]
fn st_18_no_url_is_repeated_in_an_error() {
    for url in
        ["", "redis://:hunter2@", "http://:hunter2@h", "redis://:hunter2@h:99999", "redis://:hunter2@h/x", "hunter2"]
    {
        let error = RedisStore::connect(url).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn st_22_what_is_no_record_is_kept_aside_by_a_login_and_goes_with_a_logout() {
    let Some(redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let key = key("default");
    let name = |what: &str| format!("grantflow:{what}:{}", key.to_text());
    for (expected, fault) in [(Expected::Anything, None), (Expected::Absent, Some(Saved::Conflict))] {
        redis.ask(&["SET", &name("token"), "not ours"]);
        assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
        assert!(store.list().unwrap().is_empty());
        let saved = store.save(write(&key, expected, 5)).unwrap();
        assert_eq!(saved, fault.unwrap_or(Saved::Done));
        if saved == Saved::Done {
            assert_eq!(redis.ask(&["GET", &name("aside")]), redis::Value::BulkString(b"not ours".to_vec()));
            assert_eq!(version(&store, &key), Some(5));
        }
        store.delete(&key).unwrap();
        assert_eq!(redis.ask(&["DBSIZE"]), redis::Value::Int(0), "something is left");
    }
    redis.ask(&["HSET", &name("token"), "version", "x", "record", "{}"]);
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
    redis.ask(&["HDEL", &name("token"), "record"]);
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
}

#[test]
fn a_record_beyond_the_limit_is_refused_before_it_is_sent_and_not_read() {
    let Some(redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let key = key("default");
    let mut large = write(&key, Expected::Absent, 1);
    large.stored.bytes = grantflow_core::Secret::new(vec![b'x'; RECORD_LIMIT + 1]);
    assert_eq!(store.save(large).unwrap_err().fault, StoreFault::TooLarge);
    assert_eq!(version(&store, &key), None);
    let name = format!("grantflow:token:{}", key.to_text());
    redis.ask(&["HSET", &name, "version", "1", "record", &"x".repeat(RECORD_LIMIT + 1)]);
    assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Corrupt);
}

#[test]
fn a_lifetime_is_begun_anew_by_each_write_and_ended_by_a_store_without() {
    let Some(redis) = Redis::start(&[]) else { return };
    let key = key("default");
    let name = format!("grantflow:token:{}", key.to_text());
    let timed = redis.store().with_lifetime(Duration::from_secs(1000));
    assert_eq!(timed.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    let redis::Value::Int(left) = redis.ask(&["TTL", &name]) else { panic!() };
    assert!((900..=1000).contains(&left), "{left}");
    assert_eq!(redis.store().save(write(&key, is(1), 2)).unwrap(), Saved::Done);
    assert_eq!(redis.ask(&["TTL", &name]), redis::Value::Int(-1));
}

#[test]
fn fl_27_a_server_that_does_not_answer_is_waited_for_with_bounds_and_found_again() {
    let Some(redis) = Redis::start(&[]) else { return };
    let (connecting, answering) = (Duration::from_millis(300), Duration::from_millis(400));
    let store = redis.store().with_timeouts(connecting, answering);
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    redis.signal("STOP");
    // More callers than connections, all at once.
    let callers = CONNECTIONS * 4;
    let slowest = thread::scope(|scope| {
        let calls: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    let began = Instant::now();
                    let error = store.load(&key).unwrap_err();
                    assert_eq!(error.fault, StoreFault::Unavailable, "{error:?}");
                    began.elapsed()
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).max().unwrap()
    });
    println!("figure: stores/slowest of {callers} calls to a silent redis = {} ms (bound 1100)", slowest.as_millis());
    assert!(slowest < LONG, "without bound: {slowest:?}");
    redis.signal("CONT");
    assert_eq!(version(&store, &key), Some(1), "it does not recover alone");
    let clients = redis.ask(&["INFO", "clients"]);
    let redis::Value::BulkString(clients) = clients else { panic!("{clients:?}") };
    let clients = String::from_utf8(clients).unwrap();
    let open = clients.lines().find_map(|line| line.strip_prefix("connected_clients:")).unwrap().trim().to_owned();
    println!("figure: stores/connections to redis after a storm of {callers} callers = {open}");
}

#[test]
fn fl_27_nobody_at_the_address_is_told_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = RedisStore::connect(&format!("redis://:hunter2@127.0.0.1:{port}")).unwrap();
    let error = store.load(&key("default")).unwrap_err();
    assert_eq!(error.fault, StoreFault::Unavailable);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn fl_27_a_server_that_restarts_is_found_by_the_next_call() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let store = redis.store();
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    for next in 2..5 {
        redis.kill();
        assert_eq!(store.load(&key).unwrap_err().fault, StoreFault::Unavailable);
        redis.start_again();
        assert_eq!(store.save(write(&key, is(next - 1), next)).unwrap(), Saved::Done);
    }
    // One that restarts between two calls is not even noticed.
    redis.kill();
    redis.start_again();
    assert_eq!(version(&store, &key), Some(4));
}

#[test]
fn st_23_another_issuer_or_client_finds_nothing() {
    let Some((url, _redis)) = url() else { return };
    let store = RedisStore::connect(&url).unwrap().with_prefix("st-23:");
    crate::load::another_login_finds_nothing(&store);
}

#[test]
fn fl_26_a_save_whose_answer_is_lost_is_done_once() {
    let Some(redis) = Redis::start(&[]) else { return };
    let proxy = Proxy::to(redis.port());
    let store = RedisStore::connect(&format!("redis://:{PASSWORD_URL}@127.0.0.1:{}", proxy.port)).unwrap();
    let key = key("default");
    assert_eq!(store.save(write(&key, Expected::Absent, 1)).unwrap(), Saved::Done);
    for (next, expected) in [(2, is(1)), (3, is(2)), (4, Expected::Anything)] {
        proxy.cut_next_answer();
        assert_eq!(store.save(write(&key, expected, next)).unwrap(), Saved::Done, "{expected:?}");
        assert!(proxy.has_cut());
        assert_eq!(version(&store, &key), Some(next));
    }
    proxy.cut_next_answer();
    assert_eq!(store.save(write(&key, is(3), 6)).unwrap(), Saved::Conflict);
    proxy.cut_next_answer();
    let held = store.claim(&claim(&key, Duration::ZERO, LONG)).unwrap();
    assert!(held.is_some() && proxy.has_cut(), "a claim is in its own way");
    let busy = store.claim(&claim(&key, Duration::ZERO, LONG)).map(drop).unwrap_err();
    assert_eq!(busy.fault, StoreFault::Busy);
}
