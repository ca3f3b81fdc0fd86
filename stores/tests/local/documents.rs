//! What stands in the file.

use std::fs;

use grantflow_core::error::StoreFault;
use grantflow_core::store::{Expected, Listed, StoreKey, Version};
use grantflow_stores::{FileStore, Saved, Store};

use crate::support::{found, kept, key, log_in, place, record, renew, write};

#[test]
fn the_file_is_for_people_to_read() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 7, "r1");
    let text = fs::read_to_string(&place.path).unwrap();
    let right = r#"{
  "schema": 1,
  "records": {
    "https%3A%2F%2Fas.example client default": {
      "schema": 1,
      "issuer": "https://as.example",
      "version": "7",
      "ended": false,
      "tokens": {
        "refresh_token": "r1",
        "a": [],
        "b": [
          1,
          {}
        ],
        "c": "\"{, \\"
      }
    }
  }
}
"#;
    assert_eq!(text, right);
    assert_eq!(found(&store, "default"), kept(7, "r1"));
}

#[test]
fn bytes_that_are_no_record_come_back_as_they_were() {
    let place = place();
    let store = FileStore::at(&place.path);
    let odd: [&[u8]; 12] = [
        b"",
        b"{}",
        b"\0\xff",
        b"[]",
        b"null",
        br#"{"version":"4"}"#,
        br#"{"version":"3" }"#,
        br#"{"version":"03"}"#,
        br#"{"version":3}"#,
        br#"{"version":"3","base64":"AA=="}"#,
        br#"{"version":"3","base64":[1]}"#,
        br#"{"version":"3","version":"3"}"#,
    ];
    for bytes in odd {
        assert_eq!(store.save(write("default", Expected::Anything, 3, bytes)), Ok(Saved::Done));
        let stored = store.load(&key("default")).unwrap().unwrap();
        assert_eq!((stored.version, &stored.bytes.expose()[..]), (Version::from_u64(3), bytes));
        assert_eq!(fs::read_to_string(&place.path).unwrap().matches("base64").count(), 1, "{bytes:?}");
    }
}

#[test]
fn records_of_others_are_copied_byte_for_byte() {
    let place = place();
    fs::create_dir_all(place.parent()).unwrap();
    let odd = "{ \"new\" :1e999,\t\"version\": \"5\" , \"text\":\"\\ud83d\\ude00 \u{e9}\" }";
    let text = format!("{{\"records\":{{\"a%2B b c\":{odd},\"no-key\":{odd}}},\"schema\":1}}");
    fs::write(&place.path, text).unwrap();
    make_private(&place.path);
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 7, "r1");
    renew(&store, "default", 7, 8).unwrap();
    let text = fs::read_to_string(&place.path).unwrap();
    assert!(text.contains(&format!("\"a%2B b c\": {odd}")) && text.contains(&format!("\"no-key\": {odd}")), "{text}");
    assert_eq!(store.list().map_err(|error| error.fault), Err(StoreFault::Corrupt));
}

#[cfg(unix)]
fn make_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn make_private(_path: &std::path::Path) {}

#[test]
fn st_05_a_damaged_file_is_an_error_and_stays_as_it_is() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 7, "r1");
    let whole = fs::read(&place.path).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..whole.len() - 1).map(|end| whole[..end].to_vec()).collect();
    damaged.extend([
        b"\0\x01\xff\xfe".to_vec(),
        b"{}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        br#"{"schema":0,"records":{}}"#.to_vec(),
        br#"{"schema":-1,"records":{}}"#.to_vec(),
        br#"{"schema":"1","records":{}}"#.to_vec(),
        br#"{"schema":1,"schema":1,"records":{}}"#.to_vec(),
        br#"{"schema":1,"records":{},"records":{}}"#.to_vec(),
        br#"{"schema":1,"records":{"a b c":{"version":"1"},"a b c":{"version":"2"}}}"#.to_vec(),
        br#"{"schema":1,"records":[]}"#.to_vec(),
        br#"{"schema":1,"records":{},"more":1}"#.to_vec(),
        [&whole[..], b"x"].concat(),
        [b"\xef\xbb\xbf", &whole[..]].concat(),
    ]);
    for bytes in &damaged {
        fs::write(&place.path, bytes).unwrap();
        let said = String::from_utf8_lossy(bytes);
        assert_eq!(found(&store, "default"), Err(StoreFault::Corrupt), "{said}");
        assert_eq!(store.list().map_err(|error| error.fault), Err(StoreFault::Corrupt), "{said}");
        assert_eq!(renew(&store, "default", 7, 8).map_err(|error| error.fault), Err(StoreFault::Corrupt), "{said}");
        let absent = store.save(write("other", Expected::Absent, 8, &record(8, "r2")));
        assert_eq!(absent.map_err(|error| error.fault), Err(StoreFault::Corrupt), "{said}");
        assert_eq!(&fs::read(&place.path).unwrap(), bytes);
        assert_eq!(place.names(), ["tokens.json", "tokens.json.lock"]);
    }
}

#[test]
fn st_05_fl_48_a_login_puts_the_damaged_file_aside() {
    let place = place();
    let store = FileStore::at(&place.path);
    for round in 1..=3 {
        log_in(&store, "default", round, "r1");
        let damaged = format!("damaged {round}");
        fs::write(&place.path, &damaged).unwrap();
        log_in(&store, "default", 10 + round, "r2");
        assert_eq!(found(&store, "default"), kept(10 + round, "r2"));
        let aside = place.parent().join(format!("tokens.json.corrupt-{round}"));
        assert_eq!(fs::read_to_string(&aside).unwrap(), damaged);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&aside).unwrap().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn st_05_one_damaged_record_does_not_concern_the_others() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "one", 1, "r1");
    log_in(&store, "two", 2, "r2");
    let text = fs::read_to_string(&place.path).unwrap().replace(r#""version": "2""#, r#""version": 2"#);
    fs::write(&place.path, &text).unwrap();
    assert_eq!(found(&store, "one"), kept(1, "r1"));
    assert_eq!(found(&store, "two"), Err(StoreFault::Corrupt));
    assert_eq!(renew(&store, "two", 2, 3).map_err(|error| error.fault), Err(StoreFault::Corrupt));
    assert_eq!(renew(&store, "one", 1, 4), Ok(Saved::Done));
    assert!(fs::read_to_string(&place.path).unwrap().contains(r#""version": 2,"#));
    log_in(&store, "two", 5, "r3");
    assert_eq!((found(&store, "one"), found(&store, "two")), (kept(4, "secret-4"), kept(5, "r3")));
    assert!(fs::read_to_string(place.parent().join("tokens.json.corrupt-1")).unwrap().contains(r#""version": 2,"#));
}

#[test]
fn st_06_a_newer_file_is_refused_and_stays_as_it_is() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 7, "r1");
    for newer in ["{\"schema\":2,\"what\":[\"ever\"]}", "{\"schema\":18446744073709551615,\"records\":{}}"] {
        fs::write(&place.path, newer).unwrap();
        assert_eq!(found(&store, "default"), Err(StoreFault::Newer));
        for expected in [Expected::Anything, Expected::Absent, Expected::Version(Version::from_u64(7))] {
            let saved = store.save(write("default", expected, 8, &record(8, "r2")));
            assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::Newer), "{expected:?}");
        }
        assert_eq!(store.delete(&key("default")).map_err(|error| error.fault), Err(StoreFault::Newer));
        assert_eq!(fs::read_to_string(&place.path).unwrap(), newer);
        assert_eq!(place.names(), ["tokens.json", "tokens.json.lock"]);
    }
}

#[test]
fn st_04_a_shorter_record_leaves_nothing_of_the_longer_one() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, &"long".repeat(10_000));
    log_in(&store, "default", 2, "short");
    assert!(place.bytes().len() < 1000);
    assert_eq!(found(&store, "default"), kept(2, "short"));
}

#[test]
fn st_07_odd_names_are_kept_apart_and_lead_nowhere() {
    let place = place();
    let store = FileStore::at(&place.path);
    let names = [
        "../x",
        "..",
        "/etc/passwd",
        "a\0b",
        "CON",
        "con",
        "Con",
        "a",
        "A",
        "\u{e9}",
        "e\u{301}",
        "\"",
        "\\",
        "a b",
        "a+b",
        "a%20b",
    ];
    for (name, version) in names.iter().zip(1..) {
        let saved = store.save(write(
            name,
            Expected::Absent,
            version,
            &record(version, name.escape_default().to_string().as_str()),
        ));
        assert_eq!(saved.map_err(|error| error.detail), Ok(Saved::Done), "{name:?}");
    }
    for (name, version) in names.iter().zip(1..) {
        assert_eq!(store.load(&key(name)).unwrap().unwrap().version, Version::from_u64(version), "{name:?}");
        assert!(store.claim(&crate::support::claim(name, std::time::Duration::ZERO)).unwrap().is_some());
    }
    let others = place.names().into_iter().filter(|other| !other.starts_with("tokens.json.claim-"));
    assert_eq!(others.collect::<Vec<_>>(), ["tokens.json", "tokens.json.lock"]);
    let mut listed: Vec<_> = names
        .iter()
        .zip(1..)
        .map(|(name, version)| Listed { key: key(name), version: Version::from_u64(version) })
        .collect();
    listed.sort_by_key(|listed| listed.key.to_text());
    assert_eq!(store.list().unwrap(), listed);
}

#[test]
fn st_23_a_record_belongs_to_server_client_and_name_together() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    for (issuer, client, profile) in [
        ("https://as.example/", "client", "default"),
        ("https://other.example", "client", "default"),
        ("https://as.example", "Client", "default"),
        ("https://as.example", "client", "other"),
    ] {
        let other = StoreKey::of(issuer, client, profile).unwrap();
        assert!(store.load(&other).unwrap().is_none(), "{other:?}");
        store.delete(&other).unwrap();
    }
    assert_eq!(found(&store, "default"), kept(1, "r1"));
}

#[test]
fn records_beyond_the_limit_are_refused_and_the_old_one_stays() {
    let place = place();
    let store = FileStore::at(&place.path);
    log_in(&store, "default", 1, "r1");
    let large = vec![b'x'; grantflow_core::store::RECORD_LIMIT + 1];
    let saved = store.save(write("default", Expected::Anything, 2, &large));
    assert_eq!(saved.map_err(|error| error.fault), Err(StoreFault::TooLarge));
    assert_eq!(found(&store, "default"), kept(1, "r1"));
}

#[test]
fn a_43_any_suffix_is_replaced_by_json() {
    for (path, file) in
        [("token.txt", "token.json"), ("a.b.c", "a.b.json"), ("x/token", "x/token.json"), (".a", ".a.json")]
    {
        assert_eq!(FileStore::with_json_suffix(path).unwrap().path(), std::path::Path::new(file));
    }
    assert!(FileStore::with_json_suffix("").is_none());
    assert_eq!(FileStore::at("token.txt").path(), std::path::Path::new("token.txt"));
}
