use super::*;
use crate::memory::Memory;
use crate::testing::MarkerCrypto;

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
    let written = long(1000).write(&key()).unwrap();
    let longest = RECORD_LIMIT - written.bytes.expose().len() + 1000;
    assert_eq!(long(longest).write(&key()).unwrap().bytes.expose().len(), RECORD_LIMIT);
    let error = long(longest + 1).write(&key()).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError { fault: StoreFault::TooLarge, .. })), "{error}");
    let mut bytes = written.bytes.expose().clone();
    bytes.resize(RECORD_LIMIT, b' ');
    let at_the_limit = Stored { version: written.version, bytes: Secret::new(bytes.clone()) };
    assert!(Record::read(&at_the_limit, &key()).is_ok());
    bytes.push(b' ');
    let beyond = Stored { version: written.version, bytes: Secret::new(bytes) };
    assert_eq!(Record::read(&beyond, &key()).unwrap_err().fault, StoreFault::Corrupt);
}

#[test]
fn a_later_version_is_the_greater_one_whatever_the_random_bits_are() {
    struct Same(u8);
    impl crate::random::Random for Same {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), crate::random::RandomUnavailable> {
            out.fill(self.0);
            Ok(())
        }
    }
    let version = |millis, bits| {
        let now = Timestamp::from_millis(millis);
        let (mut random, mut memory) = (Same(bits), Memory::new());
        let mut cx = Context { now, random: &mut random, crypto: &MarkerCrypto, memory: &mut memory, observer: None };
        Version::after(None, &mut cx)
    };
    for millis in [0, 1, NOW.as_millis(), (1 << 42) - 2] {
        let (least, greatest) = (version(millis, 0), version(millis, 0xff));
        assert!(least < greatest && greatest < version(millis + 1, 0), "{millis}");
    }
    assert!(i64::try_from(version(u64::MAX, 0xff).as_u64()).is_ok(), "also at the end of time");
}

#[test]
fn a_key_is_read_from_the_text_it_was_written_as_and_from_no_other() {
    for profile in ["me", "../x", "a b", "ä&=+%", "default"] {
        let key = StoreKey::of("https://as.example/t?a=1", "my client", profile).unwrap();
        assert_eq!((key.issuer(), key.client_id(), key.profile()), ("https://as.example/t?a=1", "my client", profile));
        assert_eq!(StoreKey::from_text(&key.to_text()), Some(key));
    }
    let good = key().to_text();
    for bad in ["", "a b", "a b ", "a b c=d", "a b c&d", "a b %63", &format!("{good} x"), &format!(" {good}")] {
        assert_eq!(StoreKey::from_text(bad), None, "{bad:?}");
    }
}

#[test]
fn the_name_of_a_login_has_one_to_255_bytes() {
    for (length, fits) in [(0, false), (1, true), (PROFILE_LIMIT, true), (PROFILE_LIMIT + 1, false)] {
        assert_eq!(StoreKey::of("i", "c", &"n".repeat(length)).is_ok(), fits, "{length}");
    }
}
