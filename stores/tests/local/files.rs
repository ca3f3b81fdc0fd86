//! Files, folders, modes and links on Unix.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::error::StoreFault;
use grantflow_core::store::Expected;
use grantflow_stores::{FileStore, Saved, Store};

use crate::support::{claim, found, kept, key, log_in, place, record, renew, write};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn fault_of(store: &FileStore) -> [Option<StoreFault>; 4] {
    [
        found(store, "default").err(),
        store.save(write("default", Expected::Anything, 9, &record(9, "r9"))).err().map(|error| error.fault),
        store.delete(&key("default")).err().map(|error| error.fault),
        store.list().err().map(|error| error.fault),
    ]
}

const DENIED: [Option<StoreFault>; 4] = [Some(StoreFault::Denied); 4];

#[test]
fn st_02_a_file_that_others_may_read_is_refused() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    for wide in [0o644, 0o640, 0o660, 0o604, 0o601] {
        set_mode(&place.path, wide);
        assert_eq!(fault_of(&store), DENIED, "{wide:o}");
        assert_eq!(mode(&place.path), wide);
    }
    let shared = FileStore::at(&place.path).dangerous_allow_shared_file();
    set_mode(&place.path, 0o640);
    assert_eq!(found(&shared, "default"), kept(1, "r1"));
    assert_eq!(renew(&shared, "default", 1, 2), Ok(Saved::Done));
    assert_eq!(mode(&place.path), 0o640, "who could read it can no longer");
}

#[test]
fn st_02_a_folder_that_others_may_write_to_is_refused() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    for wide in [0o770, 0o707, 0o1777] {
        set_mode(place.parent(), wide);
        assert_eq!(fault_of(&store), DENIED, "{wide:o}");
        let claimed = store.claim(&claim("default", Duration::ZERO));
        assert_eq!(claimed.map(drop).map_err(|error| error.fault), Err(StoreFault::Denied));
        let shared = store.clone().dangerous_allow_shared_file();
        assert_eq!(found(&shared, "default"), kept(1, "r1"));
    }
    set_mode(place.parent(), 0o755);
    assert_eq!(found(&store, "default"), kept(1, "r1"));
}

#[test]
fn st_02_a_file_or_folder_of_somebody_else_is_refused() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    let own = fs::metadata(&place.path).unwrap().uid();
    let other = Some(own + 1);
    if std::os::unix::fs::chown(&place.path, other, None).is_err() {
        println!("skipped: only root can give files away");
        return;
    }
    assert_eq!(fault_of(&store), DENIED);
    std::os::unix::fs::chown(&place.path, Some(own), None).unwrap();
    assert_eq!(found(&store, "default"), kept(1, "r1"));
    std::os::unix::fs::chown(place.parent(), other, None).unwrap();
    assert_eq!(fault_of(&store), DENIED);
}

#[test]
fn st_03_links_are_not_followed() {
    for name in ["tokens.json", "tokens.json.lock"] {
        let place = place();
        let store = FileStore::at(&place.path);
        log_in(&store, "default", 1, "r1");
        let path = place.parent().join(name);
        let elsewhere = place.folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        let before = fs::read(&elsewhere).unwrap();
        type Make = fn(&Path, &Path) -> std::io::Result<()>;
        let links: [(&str, Make); 2] =
            [("symbolic", |from, to| symlink(from, to)), ("hard", |from, to| fs::hard_link(from, to))];
        for (kind, link) in links {
            link(&elsewhere, &path).unwrap();
            for store in [store.clone(), store.clone().dangerous_allow_shared_file()] {
                let faults = fault_of(&store);
                // Whoever only reads needs no lock.
                let right = if name == "tokens.json" { DENIED } else { [None, DENIED[0], DENIED[0], None] };
                assert_eq!(faults, right, "{kind} link at {name}");
            }
            assert_eq!(fs::read(&elsewhere).unwrap(), before);
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn st_03_what_is_no_file_is_refused_at_once() {
    let place = place();
    let store = FileStore::at(&place.path);
    fs::create_dir_all(&place.path).unwrap();
    assert_eq!(fault_of(&store)[0], Some(StoreFault::Denied));
    fs::remove_dir(&place.path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&place.path).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: no mkfifo");
        return;
    }
    set_mode(&place.path, 0o600);
    assert_eq!(fault_of(&store)[0], Some(StoreFault::Denied));
}

#[test]
fn a_name_too_long_for_those_of_the_files_beside_it_is_told() {
    let place = place();
    let parent = place.parent();
    fs::create_dir_all(parent).unwrap();
    // Names have 255 bytes. With the first there is no room for a new file, with the second none for a damaged one.
    for length in [240, 248] {
        let path = parent.join("x".repeat(length));
        let store = FileStore::at(&path);
        for damaged in [false, true] {
            if damaged {
                fs::write(&path, "damaged").unwrap();
                set_mode(&path, 0o600);
            }
            let saved = store.save(write("default", Expected::Anything, 1, &record(1, "r1")));
            assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Unavailable), "{length} {damaged}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "damaged");
    }
}

#[test]
fn st_13_writers_of_different_names_both_survive() {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 25;
    let place = place();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = FileStore::at(&place.path);
            scope.spawn(move || {
                let profile = format!("profile-{writer}");
                log_in(&store, &profile, 1, "first");
                for version in 1..ROUNDS {
                    assert_eq!(renew(&store, &profile, version, version + 1), Ok(Saved::Done));
                }
            });
        }
    });
    let store = FileStore::at(&place.path);
    for writer in 0..WRITERS {
        assert_eq!(found(&store, &format!("profile-{writer}")), kept(ROUNDS, &format!("secret-{ROUNDS}")));
    }
    assert_eq!(store.list().unwrap().len(), 6);
}

#[test]
fn st_12_a_reader_meets_the_old_or_the_new_file() {
    let rounds = std::env::var("GRANTFLOW_STORE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "secret-1");
    let mut read = 0;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for version in 1..rounds {
                assert_eq!(renew(&FileStore::at(&place.path), "default", version, version + 1), Ok(Saved::Done));
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let (version, text) = found(&store, "default").unwrap().expect("absent");
            assert!(version >= last, "{version} after {last}");
            assert_eq!(text.as_bytes(), record(version, &format!("secret-{version}")));
            last = version;
            read += 1;
        }
    });
    println!("figure: stores/reads beside {rounds} renames = {read}, torn = 0");
}

#[test]
fn st_21_leftovers_of_a_crash_are_cleared_and_nothing_else() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    let others = [
        ".tokens.json.0123456789abcdeg.tmp",
        ".tokens.json.0123456789abcde.tmp",
        ".tokens.json.tmp",
        ".other.json.0123456789abcdef.tmp",
        "tokens.json.corrupt-",
        "tokens.json.corrupt-1x",
        "tokens.json.bak",
    ];
    for name in others {
        fs::write(place.parent().join(name), "not ours").unwrap();
    }
    let ours = [".tokens.json.0123456789abcdef.tmp", ".tokens.json.ffffffffffffffff.tmp"];
    for name in ours {
        fs::write(place.parent().join(name), "left over").unwrap();
    }
    renew(&store, "default", 1, 2).unwrap();
    let left = place.names();
    assert!(ours.iter().all(|name| !left.iter().any(|left| left == name)), "{left:?}");
    assert!(others.iter().all(|name| left.iter().any(|left| left == name)), "{left:?}");
    assert_eq!(found(&store, "default"), kept(2, "secret-2"));
}

#[test]
fn st_22_a_logout_leaves_nothing_on_the_disk() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "topsecret");
    fs::write(&place.path, "damaged topsecret").unwrap();
    log_in(&store, "default", 2, "topsecret");
    log_in(&store, "other", 3, "r3");
    fs::write(place.parent().join(".tokens.json.0123456789abcdef.tmp"), "topsecret").unwrap();
    drop(store.claim(&claim("default", Duration::ZERO)).unwrap());
    store.delete(&key("default")).unwrap();
    assert!(!String::from_utf8(place.bytes()).unwrap().contains("topsecret"));
    assert_eq!(place.names(), ["tokens.json", "tokens.json.lock"]);
    assert_eq!((found(&store, "default"), found(&store, "other")), (Ok(None), kept(3, "r3")));
    store.delete(&key("other")).unwrap();
    assert_eq!(place.names(), [""; 0]);
    store.delete(&key("other")).unwrap();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn st_22_a_logout_removes_a_damaged_file_too() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "topsecret");
    fs::write(&place.path, "{ topsecret").unwrap();
    store.delete(&key("default")).unwrap();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn st_22_a_logout_where_nobody_was_logged_in_makes_no_files() {
    let place = place();
    let store = FileStore::at(&place.path);
    store.delete(&key("default")).unwrap();
    assert_eq!(found(&store, "default"), Ok(None));
    assert_eq!(store.list(), Ok(Vec::new()));
    assert!(!place.folder.path().join("state").exists());
    log_in(&store, "other", 1, "r1");
    let before = fs::metadata(&place.path).unwrap().ino();
    store.delete(&key("default")).unwrap();
    assert_eq!(fs::metadata(&place.path).unwrap().ino(), before, "the file was written anew");
}

#[test]
fn fl_21_what_others_have_done_to_the_file_is_noticed() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    assert_eq!(found(&store, "default"), kept(1, "r1"));
    fs::remove_file(&place.path).unwrap();
    assert_eq!(found(&store, "default"), Ok(None));
    assert_eq!(renew(&store, "default", 1, 2), Ok(Saved::Conflict), "a token that was deleted is back");
    assert!(!place.path.exists());
    log_in(&store, "default", 3, "r3");
    let other = place.path.with_extension("other");
    fs::copy(&place.path, &other).unwrap();
    let text = fs::read_to_string(&other).unwrap().replace(r#""version": "3""#, r#""version": "4""#);
    fs::write(&other, text).unwrap();
    fs::rename(&other, &place.path).unwrap();
    assert_eq!(renew(&store, "default", 3, 5), Ok(Saved::Conflict));
    assert_eq!(renew(&store, "default", 4, 5), Ok(Saved::Done));
}

#[test]
fn a_claim_is_for_one_at_a_time_and_for_its_key() {
    let place = place();
    let store = FileStore::at(&place.path);
    let held = store.claim(&claim("default", Duration::ZERO)).unwrap().unwrap();
    let began = Instant::now();
    let wait = Duration::from_millis(60);
    let busy = FileStore::at(&place.path).claim(&claim("default", wait)).map(drop).unwrap_err();
    assert_eq!(busy.fault, StoreFault::Busy);
    assert!(began.elapsed() >= wait);
    assert!(store.claim(&claim("other", Duration::ZERO)).is_ok());
    // Neither writing nor deleting is what is claimed, and deleting frees nothing.
    log_in(&store, "default", 1, "r1");
    store.delete(&key("default")).unwrap();
    assert!(store.claim(&claim("default", Duration::ZERO)).is_err());
    drop(held);
    assert!(store.claim(&claim("default", Duration::ZERO)).is_ok());
}

#[test]
fn nothing_secret_is_shown() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "topsecret");
    let mut said = format!("{store:?} {:?}", store.load(&key("default")));
    fs::write(&place.path, "{\"schema\":1,\"records\":{\"topsecret\":topsecret}}").unwrap();
    let error = store.load(&key("default")).unwrap_err();
    said += &format!("{error} {error:?}");
    set_mode(&place.path, 0o644);
    let error = store.load(&key("default")).unwrap_err();
    said += &format!("{error} {error:?}");
    assert!(!said.contains("topsecret"), "{said}");
}
