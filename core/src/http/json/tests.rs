use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value as Json;

use super::*;

fn flaw(text: &str) -> JsonFlaw {
    Object::parse(text.as_bytes()).unwrap_err().flaw
}

fn number(text: &str) -> (Option<u64>, i64) {
    let object = Object::parse(format!(r#"{{"n":{text}}}"#).as_bytes()).unwrap();
    match object.get("n") {
        Some(Value::Number(number)) => (number.floor_u64(), number.floor_i64()),
        other => panic!("{other:?}"),
    }
}

fn string(object: &Object, name: &str) -> String {
    object.get(name).and_then(Value::into_string).unwrap().into_owned()
}

#[test]
fn members_are_found_by_name_and_in_order() {
    let object =
        Object::parse(br#" { "a" : "x" , "b":[1, "two", {"c":null}, []] ,"d":{"e":{"f":true}},"g":-1.5e3 } "#).unwrap();
    assert_eq!(string(&object, "a"), "x");
    let Some(Value::Array(array)) = object.get("b") else { panic!() };
    let kinds: Vec<String> = array.iter().map(|value| format!("{value:?}")).collect();
    assert_eq!(kinds, ["Number(..)", "String(..)", "Object(..)", "Array(..)"]);
    let Some(Value::Object(d)) = object.get("d") else { panic!() };
    let Some(Value::Object(e)) = d.get("e") else { panic!() };
    assert!(matches!(e.get("f"), Some(Value::Bool(true))));
    assert!(e.get("g").is_none());
    assert!(object.get("e").is_none());
    assert_eq!(object.members().map(|(name, _)| name.into_owned()).collect::<Vec<_>>(), ["a", "b", "d", "g"]);
    assert_eq!(object.len(), 4);
}

#[test]
fn escapes_are_resolved_in_names_and_values() {
    let object = Object::parse(br#"{"\u0061\/b":"\"\\\/\b\f\n\r\t\u20AC\uD83D\uDE00\udbff\udfff."}"#).unwrap();
    assert_eq!(string(&object, "a/b"), "\"\\/\u{8}\u{c}\n\r\t€😀\u{10FFFF}.");
}

#[test]
fn debug_shows_no_contents() {
    let object = Object::parse(br#"{"s3cr3t-name":"s3cr3t","n":31337,"a":["s3cr3t"],"o":{"s3cr3t":1}}"#).unwrap();
    let shown = format!("{object:?} {:?}", object.members().map(|(_, value)| value).collect::<Vec<_>>());
    assert!(!shown.contains("s3cr3t") && !shown.contains("31337"), "{shown}");
}

#[test]
fn numbers_are_floored_and_clamped() {
    for (text, unsigned, signed) in [
        ("0", Some(0), 0),
        ("-0", Some(0), 0),
        ("-0.0e5", Some(0), 0),
        ("3600", Some(3600), 3600),
        ("3600.0", Some(3600), 3600),
        ("3599.5", Some(3599), 3599),
        ("3.6e3", Some(3600), 3600),
        ("36e+2", Some(3600), 3600),
        ("36000E-1", Some(3600), 3600),
        ("1e-1", Some(0), 0),
        ("-1", None, -1),
        ("-1.5", None, -2),
        ("-0.5", None, -1),
        ("-1e-99999999999999999999", None, -1),
        ("9223372036854775807", Some(9_223_372_036_854_775_807), i64::MAX),
        ("18446744073709551615", Some(u64::MAX), i64::MAX),
        ("18446744073709551617", Some(u64::MAX), i64::MAX),
        ("-9223372036854775808", None, i64::MIN),
        ("-18446744073709551617", None, i64::MIN),
        ("1e20", Some(u64::MAX), i64::MAX),
        ("1.5e400", Some(u64::MAX), i64::MAX),
        ("1e99999999999999999999", Some(u64::MAX), i64::MAX),
        ("1e-99999999999999999999", Some(0), 0),
        ("0e99999999999999999999", Some(0), 0),
        ("0.0000000000000000000036e24", Some(3600), 3600),
    ] {
        assert_eq!(number(text), (unsigned, signed), "{text}");
    }
}

#[test]
fn whole_numbers_are_told_from_fractions() {
    for (text, whole) in
        [("3600.0", true), ("3599.5", false), ("1.5e1", true), ("15e-1", false), ("0e-9", true), ("-7", true)]
    {
        let object = Object::parse(format!(r#"{{"n":{text}}}"#).as_bytes()).unwrap();
        assert!(matches!(object.get("n"), Some(Value::Number(number)) if number.is_integral() == whole), "{text}");
    }
}

#[test]
fn pairs_of_strings_become_an_object() {
    let pairs = [("a", "plain"), ("b\"", "\\ \" \n \u{1} \u{10} \u{1f} é 😀"), ("", "")];
    let object = Object::of_strings(&pairs).unwrap();
    for (name, value) in pairs {
        assert_eq!(string(&object, name), value);
    }
    assert_eq!(Object::of_strings(&[]).unwrap().len(), 0);
    assert_eq!(Object::of_strings(&[("a", "1"), ("a", "2")]).unwrap_err().flaw, JsonFlaw::DuplicateMember);
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "broken json",
        "{'a':1}",
        "{a:1}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{,}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":-}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":tru}"#,
        r#"{"a":nulL}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[}"#,
        r#"{"a":[1}}"#,
        r#"{"a":{]"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12G4"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"\ud800x"}"#,
        "{\u{a0}}",
        "/**/{}",
        "{\"a\":1 /**/}",
        r#"{"\ud800":1}"#,
        "\0{}",
    ] {
        assert_eq!(flaw(text), JsonFlaw::Syntax, "{text}");
    }
}

#[test]
fn what_is_special_in_a_string_is_seen_wherever_it_stands() {
    for len in [0, 1, 7, 8, 9, 15, 16, 17, 31, 47, 48, 49, 80, 130] {
        for at in 0..=len {
            let (before, after) = ("x".repeat(at), " ".repeat(len - at));
            let others = "1".repeat(40);
            for bad in ["\0", "\u{1}", "\n", "\u{1f}", "\n\n"] {
                let text = format!("{{\"a\":\"{before}{bad}{after}\",\"b\":{others}}}");
                let error = Object::parse(text.as_bytes()).unwrap_err();
                assert_eq!(error, JsonError { at: 6 + at, flaw: JsonFlaw::Syntax }, "{text}");
            }
            for (written, meant) in
                [("\\\"", "\""), ("\\\\", "\\"), ("\\\"\\\"", "\"\""), ("\u{7f}", "\u{7f}"), (" ", " "), ("é!", "é!")]
            {
                let object = Object::parse(format!("{{\"a\":\"{before}{written}{after}\"}}").as_bytes()).unwrap();
                assert_eq!(string(&object, "a"), format!("{before}{meant}{after}"));
            }
        }
    }
}

#[test]
fn answers_31_trailing_bytes_are_refused() {
    assert_eq!(Object::parse(br#"{"a":1} xx"#).unwrap_err(), JsonError { at: 8, flaw: JsonFlaw::Trailing });
    assert_eq!(flaw("{}{}"), JsonFlaw::Trailing);
    assert_eq!(flaw("{}\0"), JsonFlaw::Trailing);
}

#[test]
fn answers_33_tr_16_other_top_levels_and_encodings_are_refused() {
    for text in ["[]", r#"["a","bearer",1,null]"#, "null", "true", "false", r#""a""#, "1", "-1"] {
        assert_eq!(flaw(text), JsonFlaw::NotObject, "{text}");
    }
    let wide: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(Object::parse(&wide).unwrap_err().flaw, JsonFlaw::Syntax);
    let marked: Vec<u8> = "\u{FEFF}{\"a\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(Object::parse(&marked).unwrap_err().flaw, JsonFlaw::Encoding);
    assert_eq!(Object::parse(b"{\"a\":\"\xFF\"}").unwrap_err(), JsonError { at: 6, flaw: JsonFlaw::Encoding });
    assert_eq!(Object::parse(b"{\"a\":\"\xED\xA0\x80\"}").unwrap_err().flaw, JsonFlaw::Encoding);
}

#[test]
fn answers_32_a_byte_order_mark_is_stripped_once() {
    for text in ["\u{FEFF}{\"a\":\"b\"}", "{\"a\":\"b\"}"] {
        assert_eq!(string(&Object::parse(text.as_bytes()).unwrap(), "a"), "b");
        assert_eq!(string(&Object::parse_owned(text.into()).unwrap(), "a"), "b");
    }
    assert_eq!(flaw("\u{FEFF}\u{FEFF}{}"), JsonFlaw::Syntax);
    assert_eq!(Object::parse(b"\xEF\xBB\xBF{x").unwrap_err(), JsonError { at: 4, flaw: JsonFlaw::Syntax });
}

#[test]
fn answers_20_tr_09_a_member_twice_is_refused_at_every_level() {
    for text in [
        r#"{"access_token":"a","access_token":"b"}"#,
        r#"{"a":1,"b":2,"c":{"d":{"x":1,"y":2,"x":3}}}"#,
        r#"{"a":[{"x":1,"x":1}]}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"\u0061":1,"\u{0}061":2}"#.replace("\\u{0}061", "\\u0061").as_str(),
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(flaw(text), JsonFlaw::DuplicateMember, "{text}");
    }
    Object::parse(br#"{"a":{"a":{"a":1},"b":1},"b":[{"a":1},{"a":1}]}"#).unwrap();
}

#[test]
fn a_member_twice_among_many_is_refused() {
    for many in [15, 16, 17, 100, 9_999] {
        let names: Vec<String> = (0..many).map(|n| format!("\"name-{n}\":{n}")).collect();
        let good = format!("{{{}}}", names.join(","));
        assert_eq!(Object::parse(good.as_bytes()).unwrap().len(), many);
        let last = many - 1;
        for twice in [format!("\"name-{last}\":0"), "\"nam\\u0065-0\":0".to_owned()] {
            assert_eq!(flaw(&format!("{{{},{twice}}}", names.join(","))), JsonFlaw::DuplicateMember, "{many} {twice}");
        }
    }
}

#[test]
fn different_names_with_the_same_digest_are_no_duplicates() {
    let others: Vec<String> = (0..20).map(|n| format!(",\"n{n}\":0")).collect();
    let others = others.concat();
    let [one, two] = ["aaaaaaaabbbbbbbb", "`aaaaaaabbbBbbbb"];
    assert_eq!(Object::parse(format!(r#"{{"{one}":1,"{two}":2{others}}}"#).as_bytes()).unwrap().len(), 22);
    assert_eq!(flaw(&format!(r#"{{"{one}":1,"{two}":2,"{one}":3{others}}}"#)), JsonFlaw::DuplicateMember);
}

#[test]
fn tr_10_ds_02_nesting_is_bounded_without_recursion() {
    let arrays = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}{{}}{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    Object::parse(arrays(31).as_bytes()).unwrap();
    Object::parse(objects(31).as_bytes()).unwrap();
    for depth in [32, 33, 3_200, 100_000] {
        assert_eq!(flaw(&arrays(depth)), JsonFlaw::TooDeep, "{depth}");
        assert_eq!(flaw(&objects(depth)), JsonFlaw::TooDeep, "{depth}");
    }
}

#[test]
fn ds_02_members_are_counted_over_all_levels() {
    let text = |members: usize| {
        let inner: Vec<String> = (0..members - 1).map(|n| format!("{{\"{n}\":0}}")).collect();
        format!("{{\"a\":[{}]}}", inner.join(","))
    };
    Object::parse(text(10_000).as_bytes()).unwrap();
    assert_eq!(flaw(&text(10_001)), JsonFlaw::TooManyMembers);
    assert_eq!(flaw(&text(1_000_000)), JsonFlaw::TooManyMembers);
}

const EVERYTHING: &str =
    r#"{"a":"é\u00e9\uD83D\uDE00😀\n","b":[true,false,null,-1.5e+10,0,[],{}],"":{"c":{"d":[{"e":1E-2}]}}}"#;

#[test]
fn tr_15_a_text_cut_anywhere_is_truncated() {
    Object::parse(EVERYTHING.as_bytes()).unwrap();
    for cut in 0..EVERYTHING.len() {
        let error = Object::parse(&EVERYTHING.as_bytes()[..cut]).unwrap_err();
        assert_eq!(error.flaw, JsonFlaw::Truncated, "{cut}");
        assert!(error.at <= cut);
    }
}

#[test]
fn extra_reads_the_whole_and_quotes_nothing() {
    #[derive(Deserialize)]
    struct Extra {
        tenant: String,
        level: u8,
    }
    let extra: Extra = Object::parse(br#"{"x":[],"tenant":"t","level":3}"#).unwrap().extra().unwrap();
    assert_eq!((extra.tenant.as_str(), extra.level), ("t", 3));
    let error = Object::parse(br#"{"tenant":"t","level":"s3cr3t"}"#).unwrap().extra::<Extra>().err().unwrap();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

/// What serde_json makes of the same values.
fn converted(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => Json::Bool(bool),
        Value::Number(number) => serde_json::from_str(number.as_str()).unwrap(),
        Value::String(string) => Json::String(string.into_owned()),
        Value::Array(array) => Json::Array(array.iter().map(converted).collect()),
        Value::Object(nested) => {
            Json::Object(nested.members().map(|(name, value)| (name.into_owned(), converted(value))).collect())
        }
    }
}

/// Every difference from serde_json has one of the reasons that the module names.
fn compare(bytes: &[u8]) {
    let theirs = serde_json::from_slice::<Json>(bytes);
    match (Object::parse(bytes), theirs) {
        (Ok(ours), Ok(theirs)) => {
            let ours: serde_json::Map<_, _> =
                ours.members().map(|(name, value)| (name.into_owned(), converted(value))).collect();
            assert_eq!(Json::Object(ours), theirs);
        }
        (Ok(_), Err(error)) => {
            let reason = error.to_string();
            assert!(reason.starts_with("number out of range") || bytes.starts_with(b"\xEF\xBB\xBF"), "{reason}");
        }
        (Err(error), Ok(theirs)) => match error.flaw {
            JsonFlaw::NotObject => assert!(!theirs.is_object()),
            JsonFlaw::DuplicateMember | JsonFlaw::TooDeep | JsonFlaw::TooManyMembers => {}
            JsonFlaw::Syntax | JsonFlaw::Truncated | JsonFlaw::Trailing | JsonFlaw::Encoding => {
                panic!("refused as {error}: {}", String::from_utf8_lossy(bytes))
            }
        },
        (Err(_), Err(_)) => {}
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1e15..1e15).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::btree_map("[a-c\"\\\\é]{0,3}", inner, 0..24)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-d\\u{0}-\\u{20}\"\\\\é😀]{0,4}", json(), 0..24)
        .prop_map(|map| Json::Object(map.into_iter().collect()))
}

/// Fragments that make nearly-JSON often.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: [&str; 34] = [
        "{",
        "}",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"a\"",
        "\"b\":",
        "\"c\":",
        "\"a\":1",
        ",\"d\":\"\"",
        "\\",
        "\\u",
        "\\ud83d",
        "\\ude00",
        "00e9",
        "true",
        "false",
        "null",
        "-",
        "0",
        "12",
        ".5",
        "e+3",
        "E9999",
        " ",
        "\n",
        "é",
        "\u{1}",
        "nul",
        "\u{FEFF}",
    ];
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_object_of_serde_json_is_read_alike(object in object(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
        prop_assert!(Object::parse(text.as_bytes()).is_ok(), "{}", text);
        compare(text.as_bytes());
    }

    #[test]
    fn damaged_objects_are_judged_alike(
        object in object(),
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut bytes = serde_json::to_vec(&object).unwrap();
        let at = at.index(bytes.len());
        bytes.splice(at..=at, with);
        compare(&bytes);
    }

    #[test]
    fn soup_is_judged_alike(soup in soup()) {
        compare(soup.as_bytes());
        compare(format!("{{\"a\":{soup}}}").as_bytes());
        compare(format!("{{\"a\":\"{soup}\"}}").as_bytes());
    }

    #[test]
    fn any_bytes_are_judged_alike(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        compare(&bytes);
    }

    #[test]
    fn whole_numbers_are_what_rust_says(n in any::<u64>(), m in any::<i64>()) {
        prop_assert_eq!(number(&n.to_string()).0, Some(n));
        prop_assert_eq!(number(&m.to_string()).1, m);
        prop_assert_eq!(number(&m.to_string()).0, u64::try_from(m).ok());
    }

    #[test]
    fn fractions_are_what_rust_says(x in -1e9..1e9_f64, exponent in -5..5_i32) {
        let text = format!("{x}e{exponent}");
        let exact: f64 = text.parse().unwrap();
        prop_assert_eq!(number(&text).1.to_string(), (exact.floor() + 0.0).to_string(), "{}", text);
    }
}
