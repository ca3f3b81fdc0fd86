use proptest::prelude::*;

use super::*;

/// `scheme[token68]name=value;name=value` of each challenge.
fn shown(value: &str) -> Result<Vec<String>, ChallengeFlaw> {
    let shown = |challenge: &Challenge| {
        let parameters: Vec<_> = challenge.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let token = challenge.token68().map(|token| format!("[{token}]")).unwrap_or_default();
        format!("{}{token} {}", challenge.scheme(), parameters.join(";")).trim_end().to_owned()
    };
    parse(value.as_bytes()).map(|challenges| challenges.iter().map(shown).collect())
}

#[test]
fn answers_57_challenges_are_read_by_the_grammar() {
    for (value, wanted) in [
        ("", &[][..]),
        (" , ,", &[]),
        ("Bearer", &["Bearer"]),
        ("Bearer ", &["Bearer"]),
        (r#"Bearer realm="a", error="invalid_token""#, &["Bearer realm=a;error=invalid_token"]),
        (r#"Bearer realm="a \"quoted\\\" b", scope="x y""#, &[r#"Bearer realm=a "quoted\" b;scope=x y"#]),
        (r#"Bearer scope = "a""#, &["Bearer scope=a"]),
        ("Bearer\trealm\t=\tx", &["Bearer realm=x"]),
        (r#"Bearer xerror="no", error="yes""#, &["Bearer xerror=no;error=yes"]),
        (r#"Bearer realm="error=\"fake\"", x="Basic y=z, DPoP""#, &[r#"Bearer realm=error="fake";x=Basic y=z, DPoP"#]),
        (
            r#"Basic realm="a", Bearer error=invalid_token,scope="x""#,
            &["Basic realm=a", "Bearer error=invalid_token;scope=x"],
        ),
        (r#"Negotiate, Bearer realm="a""#, &["Negotiate", "Bearer realm=a"]),
        ("Negotiate abc==, Basic realm=x", &["Negotiate[abc==]", "Basic realm=x"]),
        ("Negotiate a/b+c-._~=", &["Negotiate[a/b+c-._~=]"]),
        ("Basic abc=", &["Basic[abc=]"]),
        ("Basic abc= , Bearer", &["Basic[abc=]", "Bearer"]),
        ("Basic abc", &["Basic[abc]"]),
        ("Basic abc= def", &["Basic abc=def"]),
        ("Bearer ,realm=x,,error=y,", &["Bearer realm=x;error=y"]),
        (
            r#"Bearer realm="", DPoP algs="ES256 PS256", error="use_dpop_nonce""#,
            &["Bearer realm=", "DPoP algs=ES256 PS256;error=use_dpop_nonce"],
        ),
        (r#"Bearer realm="Größe""#, &["Bearer realm=Größe"]),
        (
            r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
            &[r#"Newauth realm=apps;type=1;title=Login to "apps""#, "Basic realm=simple"],
        ),
    ] {
        assert_eq!(
            shown(value).as_deref(),
            Ok(&wanted.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..]),
            "{value}"
        );
    }
}

#[test]
fn answers_57_di_19_what_breaks_the_grammar_is_malformed() {
    for value in [
        "realm=x",
        r#"Bearer realm="x"#,
        r#"Bearer realm="x\"#,
        r#"Bearer realm="x" error=y"#,
        "Bearer realm=x y",
        "Bearer =x",
        "Bearer ==",
        "Bearer realm==x y",
        "Basic abc=, realm=x",
        "\"Bearer\"",
        "Bearer realm=\"a\u{1}b\"",
        "Bearer realm=é",
        "Bearer, realm=",
        "Bearer/x",
        "=",
        "Bearer (x)",
        "Bearer realm=\"a\\\u{0}\"",
        "Bearer a=b c",
        "Bearer realm=\"x\"y",
    ] {
        assert_eq!(shown(value), Err(ChallengeFlaw::Malformed), "{value}");
    }
    for value in ["Bearer error=a, error=b", r#"Bearer error="a", ERROR="a""#] {
        assert_eq!(shown(value), Err(ChallengeFlaw::DuplicateParameter), "{value}");
    }
    assert!(shown("Bearer error=a, DPoP error=a").is_ok());
}

#[test]
fn dp_03_schemes_and_names_know_no_case() {
    let challenges = parse(br#"dPoP ERROR="use_dpop_nonce", Scope="a b", error_description=x"#).unwrap();
    assert!(challenges[0].is("DPoP") && !challenges[0].is("Bearer"));
    assert_eq!(challenges[0].error(), Some("use_dpop_nonce"));
    assert_eq!(challenges[0].scope(), Some("a b"));
    assert_eq!(challenges[0].error_description(), Some("x"));
    assert_eq!(challenges[0].get("realm"), None);
}

#[test]
fn di_19_challenges_and_parameters_are_bounded() {
    let challenges = |count: usize| vec!["Bearer realm=x"; count].join(", ");
    assert_eq!(shown(&challenges(100)).unwrap().len(), 100);
    assert_eq!(shown(&challenges(101)), Err(ChallengeFlaw::TooMany));
    assert_eq!(shown(&challenges(10_000)), Err(ChallengeFlaw::TooMany));
    let parameters =
        |count: usize| format!("Bearer {}", (0..count).map(|n| format!("p{n}=x")).collect::<Vec<_>>().join(","));
    assert!(shown(&parameters(100)).is_ok());
    assert_eq!(shown(&parameters(101)), Err(ChallengeFlaw::TooMany));
    assert_eq!(shown(&parameters(10_000)), Err(ChallengeFlaw::TooMany));
    assert_eq!(shown(&"\"".repeat(1_000_001)), Err(ChallengeFlaw::Malformed));
    assert_eq!(shown(&format!("Bearer x=\"{}", "\\\\".repeat(1_000_000))), Err(ChallengeFlaw::Malformed));
    assert_eq!(shown(&", \t".repeat(1_000_000)), Ok(vec![]));
}

#[test]
fn all_values_of_an_answer_are_read_and_a_malformed_one_says_nothing() {
    let mut headers = HeaderMap::new();
    for value in [&b"Basic realm=a"[..], b"Bearer \"", b"DPoP error=use_dpop_nonce, Bearer", b"Custom x=\"\xFF\""] {
        headers.append(WWW_AUTHENTICATE, value.try_into().unwrap());
    }
    let schemes: Vec<_> = challenges(&headers).iter().map(|challenge| challenge.scheme().to_owned()).collect();
    assert_eq!(schemes, ["Basic", "DPoP", "Bearer", "Custom"]);
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #[test]
    fn what_is_written_by_the_grammar_is_read_back(
        written in prop::collection::vec(("[A-Za-z][A-Za-z0-9!#-]{0,5}", prop::collection::btree_map("[a-z_]{1,6}", "[ -~é]{0,12}", 0..5)), 0..6),
    ) {
        let text: Vec<String> = written.iter().map(|(scheme, parameters)| {
            let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
            format!("{scheme} {}", parameters.join(" , "))
        }).collect();
        let read = parse(text.join(",").as_bytes()).unwrap();
        let read: Vec<_> = read.into_iter().map(|challenge| (challenge.scheme, challenge.parameters.into_iter().collect())).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[a=\", \\\\\t]{0,24}") {
        let _ = parse(&bytes);
        let _ = parse(text.as_bytes());
    }
}
