//! The SQLite database.

use std::fs;

use grantflow_core::error::StoreFault;
use grantflow_core::store::{Expected, Version};
use grantflow_stores::{Saved, SqliteStore, Store};
use rusqlite::Connection;

use crate::support::{found, kept, key, log_in, place, record, renew, write};

#[test]
fn st_05_a_damaged_database_is_an_error_and_stays_until_a_login() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    let whole = fs::read(&place.path).unwrap();
    for damaged in
        [&whole[..0], &whole[..10], &whole[..100], &whole[..whole.len() / 2], b"not a database at all, not at all"]
    {
        fs::write(&place.path, damaged).unwrap();
        assert_eq!(found(&store, "default"), Err(StoreFault::Corrupt), "{} bytes", damaged.len());
        assert_eq!(renew(&store, "default", 1, 2).map_err(|error| error.fault), Err(StoreFault::Corrupt));
        let absent = store.save(write("other", Expected::Absent, 2, b"{}"));
        assert_eq!(absent.map_err(|error| error.fault), Err(StoreFault::Corrupt));
        assert_eq!(fs::read(&place.path).unwrap(), damaged);
        log_in(&store, "default", 3, "r3");
        assert_eq!(found(&store, "default"), kept(3, "r3"));
        assert_eq!(fs::read(place.parent().join("tokens.json.corrupt-1")).unwrap(), damaged);
        store.delete(&key("default")).unwrap();
        assert_eq!(place.names(), ["tokens.json"]);
    }
    fs::write(&place.path, "not a database at all, topsecret").unwrap();
    store.delete(&key("default")).unwrap();
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn st_06_a_newer_database_is_refused_and_stays_as_it_is() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    Connection::open(&place.path).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let before = fs::read(&place.path).unwrap();
    assert_eq!(found(&store, "default"), Err(StoreFault::Newer));
    let saved = store.save(write("default", Expected::Anything, 2, b"{}"));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Newer));
    assert_eq!(store.delete(&key("default")).map_err(|error| error.fault), Err(StoreFault::Newer));
    assert_eq!(fs::read(&place.path).unwrap(), before);
}

#[test]
fn st_05_the_database_of_another_program_is_left_alone() {
    let place = place();
    fs::create_dir_all(place.parent()).unwrap();
    for tables in [
        "CREATE TABLE other (a)",
        "CREATE TABLE other (a); PRAGMA user_version = 1",
        "CREATE TABLE records (a); PRAGMA user_version = 1",
    ] {
        let _ = fs::remove_file(&place.path);
        Connection::open(&place.path).unwrap().execute_batch(tables).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&place.path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(found(&SqliteStore::at(&place.path), "default"), Err(StoreFault::Corrupt), "{tables}");
        assert_eq!(
            renew(&SqliteStore::at(&place.path), "default", 1, 2).map_err(|error| error.fault),
            Err(StoreFault::Corrupt)
        );
    }
}

#[test]
fn a_database_that_may_only_be_read_is_read_and_not_written() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    // A format that this SQLite may read but not write (https://sqlite.org/fileformat.html, "File format version numbers").
    let mut bytes = fs::read(&place.path).unwrap();
    bytes[18] = 3;
    fs::write(&place.path, bytes).unwrap();
    assert_eq!(renew(&store, "default", 1, 2).map_err(|error| error.fault), Err(StoreFault::Denied));
    assert_eq!(found(&store, "default"), kept(1, "r1"));
}

/// What row ST-19 asks of Postgres.
#[test]
fn odd_bytes_are_values_and_never_statements() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    for (profile, version) in ["'; DROP TABLE records; --", "?1", "$$", "\"", "\0", ":key"].into_iter().zip(1..) {
        let bytes = [profile.as_bytes(), b"\0\xff'\""].concat();
        assert_eq!(store.save(write(profile, Expected::Absent, version, &bytes)), Ok(Saved::Done));
        assert_eq!(store.load(&key(profile)).unwrap().unwrap().bytes.expose(), &bytes);
    }
    assert_eq!(store.list().unwrap().len(), 6);
    let large = vec![0; grantflow_core::store::RECORD_LIMIT + 1];
    let saved = store.save(write("large", Expected::Anything, 1, &large));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::TooLarge));
    let saved = store.save(write("large", Expected::Anything, 1 << 63, b"{}"));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::TooLarge));
}

#[test]
fn st_22_what_is_deleted_is_overwritten() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    log_in(&store, "default", 1, &"topsecret".repeat(2000));
    log_in(&store, "other", 2, "r2");
    log_in(&store, "default", 3, "topsecret");
    store.delete(&key("default")).unwrap();
    assert!(!String::from_utf8_lossy(&place.bytes()).contains("topsecret"));
    assert_eq!(found(&store, "other"), kept(2, "r2"));
    assert_eq!(place.names(), ["tokens.json"]);
}

#[test]
fn st_13_writers_of_one_and_of_several_names_get_along() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    let done: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|writer| {
                let store = store.clone();
                scope.spawn(move || {
                    log_in(&store, &format!("profile-{writer}"), 1, "r1");
                    let absent = store.save(write("shared", Expected::Absent, writer + 1, &record(writer + 1, "r")));
                    u64::from(absent.unwrap() == Saved::Done)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(done, 1, "several first saves of one name");
    assert_eq!(store.list().unwrap().len(), 5);
}

#[test]
fn a_version_that_never_was_is_an_error() {
    let place = place();
    let store = SqliteStore::at(&place.path);
    log_in(&store, "default", 5, "r1");
    Connection::open(&place.path).unwrap().execute_batch("UPDATE records SET version = -5").unwrap();
    assert_eq!(found(&store, "default"), Err(StoreFault::Corrupt));
    let saved = store.save(write("default", Expected::Version(Version::from_u64(5)), 6, b"{}"));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Corrupt));
}

#[cfg(unix)]
#[test]
fn st_02_st_03_links_and_files_of_others_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let store = SqliteStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    let elsewhere = place.folder.path().join("elsewhere");
    fs::rename(&place.path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &place.path).unwrap();
    assert_eq!(found(&store, "default"), Err(StoreFault::Denied));
    fs::remove_file(&place.path).unwrap();
    fs::hard_link(&elsewhere, &place.path).unwrap();
    assert_eq!(found(&store, "default"), Err(StoreFault::Denied));
    fs::remove_file(&elsewhere).unwrap();
    assert_eq!(found(&store, "default"), kept(1, "r1"));
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(found(&store, "default"), Err(StoreFault::Denied));
    assert_eq!(found(&store.dangerous_allow_shared_file(), "default"), kept(1, "r1"));
}
