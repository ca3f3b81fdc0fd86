use proptest::prelude::*;

use super::*;

const LIMIT: usize = 16 * 1024;

fn read(text: &str) -> Result<Vec<(String, String)>, FormFlaw> {
    Form::parse(text.as_bytes(), LIMIT)
        .map(|form| form.iter().map(|(name, value)| (name.to_owned(), value.expose().clone())).collect())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn written(pairs: &[(&str, &str)]) -> String {
    let mut form = Form::new();
    for (name, value) in pairs {
        form.push(*name, *value);
    }
    String::from_utf8(form.encode().expose().to_vec()).unwrap()
}

#[test]
fn rfc_6749_appendix_b_example_is_written() {
    assert_eq!(encode_component(" %&+£€").expose(), "+%25%26%2B%C2%A3%E2%82%AC");
}

/// A text that grows while it is written leaves copies behind.
#[test]
fn what_is_encoded_has_its_final_size_from_the_beginning() {
    for text in ["", "aZ09*-._", "a b c", " %&+£€", "\u{0}\u{1f}~"] {
        let encoded = encode_component(text);
        assert_eq!(encoded.expose().capacity(), encoded.expose().len(), "{text}");
    }
}

#[test]
fn answers_50_client_id_and_secret_are_written_component_by_component() {
    assert_eq!(encode_component("aaa/;&").expose(), "aaa%2F%3B%26");
    assert_eq!(encode_component("bbb/;&").expose(), "bbb%2F%3B%26");
}

#[test]
fn parameters_keep_their_order_and_may_repeat() {
    assert_eq!(
        written(&[("resource", "b"), ("scope", ""), ("resource", "a=b&c")]),
        "resource=b&scope=&resource=a%3Db%26c"
    );
    let form = Form::parse(b"a=1&b&a=2&=x&a=3", LIMIT).unwrap();
    assert_eq!(form.all("a").map(|value| value.expose().as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(form.get("b").unwrap().expose(), "");
    assert_eq!(form.get("").unwrap().expose(), "x");
    assert!(form.get("c").is_none());
    assert_eq!(read("&&a=b=c&&"), Ok(pairs(&[("a", "b=c")])));
}

#[test]
fn taking_removes_the_first_of_a_name() {
    let mut form = Form::parse(b"a=1&a=2", LIMIT).unwrap();
    assert_eq!(form.take("a").unwrap().expose(), "1");
    assert_eq!(form.take("a").unwrap().expose(), "2");
    assert!(form.take("a").is_none() && form.is_empty());
}

#[test]
fn ar_22_legal_values_are_resolved_exactly_once() {
    assert_eq!(read("code=%2B%2F%3D%25+x%252B"), Ok(pairs(&[("code", "+/=% x%2B")])));
    assert_eq!(read("%63ode=%c3%A9"), Ok(pairs(&[("code", "é")])));
    assert_eq!(read("error_description=one%0Atwo%09%7F"), Ok(pairs(&[("error_description", "one\ntwo\t\u{7f}")])));
}

#[test]
fn ar_22_what_is_not_properly_encoded_is_refused() {
    for text in [
        "a=%",
        "a=%4",
        "a=%zz",
        "a=%+1",
        "a=%-1",
        "a=% 1",
        "%=a",
        "a=%00",
        "a=%FF",
        "a=%C3",
        "a=%ED%A0%80",
        "a=%C0%AF",
        "a=\0",
        "a=b c",
        "a=b\r\n",
        "a\t=b",
        "a=\u{7f}",
        "a=%\u{ff11}1",
    ] {
        assert_eq!(read(text), Err(FormFlaw::Malformed), "{text:?}");
    }
    assert_eq!(Form::parse(b"a=\xFF", LIMIT).unwrap_err(), FormFlaw::Malformed);
}

#[test]
fn ds_04_parameters_and_size_are_bounded() {
    let many = |count: usize| vec!["a=b"; count].join("&");
    assert_eq!(read(&many(100)).unwrap().len(), 100);
    assert_eq!(read(&many(101)), Err(FormFlaw::TooManyParameters));
    assert_eq!(Form::parse(many(10_000).as_bytes(), usize::MAX).unwrap_err(), FormFlaw::TooManyParameters);
    let long = |len: usize| format!("a={}", "b".repeat(len - 2));
    assert!(read(&long(LIMIT)).is_ok());
    assert_eq!(read(&long(LIMIT + 1)), Err(FormFlaw::TooLarge));
    assert_eq!(read(&long(LIMIT * 100)), Err(FormFlaw::TooLarge));
}

#[test]
fn debug_shows_no_values() {
    let mut form = Form::new();
    form.push("password", "s3cr3t");
    assert_eq!(format!("{form:?}"), "Form(1 parameters)");
}

proptest! {
    #[test]
    fn the_writer_is_the_url_standards(pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..8)) {
        let mut form = Form::new();
        for (name, value) in &pairs {
            form.push(name.as_str(), value.as_str());
        }
        let standard = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let body = form.encode();
        prop_assert_eq!(body.expose(), standard.as_bytes());
    }

    #[test]
    fn what_is_accepted_is_what_the_url_standard_reads(text in "[a-c=&+%0-9A-F\u{e9}]{0,24}") {
        let standard: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        if let Ok(ours) = read(&text) {
            prop_assert_eq!(ours, standard);
        }
    }

    #[test]
    fn what_is_written_is_read_back(pairs in prop::collection::vec(("[^\0]{1,4}", "[^\0]{0,9}"), 0..8)) {
        let mut form = Form::new();
        for (name, value) in &pairs {
            form.push(name.as_str(), value.as_str());
        }
        let text = String::from_utf8(form.encode().expose().to_vec()).unwrap();
        prop_assert_eq!(read(&text), Ok(pairs));
    }

    #[test]
    fn no_bytes_make_it_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Form::parse(&bytes, LIMIT);
    }
}
