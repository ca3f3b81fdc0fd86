use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn key() -> StoreKey {
    StoreKey::of("https://as.example", "client", "me").unwrap()
}

/// A good record as text, in which `instead` stands for `part`.
fn changed(part: &str, instead: &str) -> Stored {
    let tokens = Secret::new(br#"{"access_token":"a"}"#.to_vec());
    let record = Record { version: Version::from_u64(7), life: Life::Live, tokens };
    let stored = record.write(&key()).unwrap();
    let text = String::from_utf8(stored.bytes.expose().clone()).unwrap();
    assert!(text.contains(part), "{text} has no {part}");
    Stored { version: stored.version, bytes: Secret::new(text.replacen(part, instead, 1).into_bytes()) }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let read = Record::read(&changed("", ""), &key()).unwrap();
    assert_eq!((read.version, read.life), (Version::from_u64(7), Life::Live));
    assert_eq!(read.token_set(NOW).unwrap().access_token().expose(), "a");
    let ended = Record::read(&changed(r#""ended":false"#, r#""ended":true"#), &key()).unwrap();
    assert_eq!(ended.life, Life::Ended);
}

#[test]
fn each_damage_of_a_record_has_its_fault() {
    let damages = [
        ("{", "", StoreFault::Corrupt),
        (r#""schema":1"#, r#""schema":0"#, StoreFault::Corrupt),
        (r#""schema":1"#, r#""schema":"1""#, StoreFault::Corrupt),
        (r#""schema":1"#, r#""schema":2"#, StoreFault::Newer),
        (r#""schema":1,"#, "", StoreFault::Corrupt),
        ("https://as.example", "https://as.example/", StoreFault::Foreign),
        (r#""client""#, r#""Client""#, StoreFault::Foreign),
        (r#""me""#, r#""you""#, StoreFault::Foreign),
        (r#""profile":"me""#, r#""profile":1"#, StoreFault::Foreign),
        (r#""version":""#, r#""version":"1"#, StoreFault::Corrupt),
        (r#""ended":false"#, r#""ended":0"#, StoreFault::Corrupt),
        (r#""ended":false,"#, "", StoreFault::Corrupt),
        (r#""tokens":{"access_token":"a"}"#, r#""tokens":[]"#, StoreFault::Corrupt),
    ];
    for (part, instead, fault) in damages {
        let error = Record::read(&changed(part, instead), &key()).unwrap_err();
        assert_eq!(error.fault, fault, "{part} -> {instead}: {error}");
    }
    let tokens = [
        (r#"{"access_token":"a"}"#, r#"{"access_token":[]}"#, StoreFault::Corrupt),
        (r#"{"access_token":"a"}"#, "{}", StoreFault::Corrupt),
        (r#"{"access_token":"a"}"#, r#"{"access_token":"a","grantflow":{"version":99}}"#, StoreFault::Newer),
    ];
    for (part, instead, fault) in tokens {
        let read = Record::read(&changed(part, instead), &key()).unwrap();
        assert_eq!(read.token_set(NOW).expect_err(instead).fault, fault);
    }
}

#[test]
fn a_record_beyond_the_limit_is_neither_written_nor_read() {
    let long = |length| {
        let tokens = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(length)).into_bytes();
        Record { version: Version::from_u64(7), life: Life::Live, tokens: Secret::new(tokens) }
    };
    let error = long(RECORD_LIMIT).write(&key()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError { fault: StoreFault::TooLarge, .. })), "{error}");
    let written = long(1000).write(&key()).unwrap();
    let mut bytes = written.bytes.expose().clone();
    bytes.resize(RECORD_LIMIT, b' ');
    let at_the_limit = Stored { version: written.version, bytes: Secret::new(bytes.clone()) };
    assert!(Record::read(&at_the_limit, &key()).is_ok());
    bytes.push(b' ');
    let beyond = Stored { version: written.version, bytes: Secret::new(bytes) };
    assert_eq!(Record::read(&beyond, &key()).unwrap_err().fault, StoreFault::Corrupt);
}
