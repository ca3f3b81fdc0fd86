use super::*;
use crate::token::TokenType;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SHAPES: [Shape; 4] = [Shape::Aiorequestful, Shape::Authlib, Shape::HomeAssistant, Shape::Pycognito];

fn read(shape: Shape, file: &str) -> TokenSet {
    TokenSet::import(shape, file.as_bytes(), NOW).unwrap()
}

fn times(tokens: &TokenSet) -> (u64, Option<u64>) {
    (tokens.received_at().as_millis(), tokens.expires_at().map(Timestamp::as_millis))
}

/// A token like Cognito's, with these claims and a signature that is none.
fn jwt(claims: &str) -> String {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", encode(r#"{"alg":"RS256"}"#), encode(claims))
}

#[test]
fn x_11_each_shape_is_read_with_its_times() {
    let flat = r#"{"access_token":"t","token_type":"Bearer","refresh_token":"r","expires_in":3600,"scope":"a b","team":{"id":7},"#;
    for (shape, rest, expected) in [
        (Shape::Aiorequestful, r#""granted_at":1799999000.25,"expires_at":1800002600.25}"#, 1_800_002_600_250),
        (Shape::Authlib, r#""expires_at":1800002600}"#, 1_800_002_600_000),
        (Shape::Authlib, r#""expires_at":"1800002600.5"}"#, 1_800_002_600_500),
        (Shape::HomeAssistant, r#""expires_at":1800002600.5}"#, 1_800_002_600_500),
    ] {
        let tokens = read(shape, &format!("{flat}{rest}"));
        assert_eq!(times(&tokens), (expected - 3_600_000, Some(expected)), "{shape:?} {rest}");
        assert_eq!(tokens.refresh_token().unwrap().expose(), "r");
        assert_eq!((tokens.scope().as_str(), tokens.token_type()), ("a b", &TokenType::Bearer));
        assert!(tokens.notes().is_empty() && tokens.answer().expose().contains(r#""team":{"id":7}"#));
    }
}

#[test]
fn x_11_a_home_assistant_token_is_found_in_its_entry() {
    let token = r#"{"access_token":"t","expires_at":1800000900.5,"hub":"x"}"#;
    let in_data = format!(r#"{{"auth_implementation":"cloud","token":{token},"title":"not a token"}}"#);
    let in_entry = format!(r#"{{"entry_id":"1","data":{in_data}}}"#);
    for file in [token.to_owned(), in_data, in_entry] {
        let tokens = read(Shape::HomeAssistant, &file);
        assert_eq!(times(&tokens), (1_800_000_000_000, Some(1_800_000_900_500)), "{file}");
        assert!(tokens.answer().contains("hub") && !tokens.answer().contains("title"));
        let implementation = tokens.answer().get("auth_implementation").and_then(Value::into_string);
        assert_eq!(implementation.is_some(), file.contains("auth_implementation"));
    }
    // What stands outside is the token, whatever else there is.
    let both = read(Shape::HomeAssistant, &format!(r#"{{"access_token":"outer","token":{token}}}"#));
    assert_eq!(both.access_token().expose(), "outer");
    for (file, error) in [
        (r#"{"data":{"token":{}}}"#, RecordError::TokenMissing),
        (r#"{"data":{"token":[]}}"#, RecordError::Unreadable(RecordFlaw::Member("token"))),
        (r#"{"data":{}}"#, RecordError::TokenMissing),
        (r#"{"token":"t"}"#, RecordError::Unreadable(RecordFlaw::Member("token"))),
    ] {
        assert_eq!(TokenSet::import(Shape::HomeAssistant, file.as_bytes(), NOW).unwrap_err(), error, "{file}");
    }
}

#[test]
fn x_11_a_cognito_token_tells_its_own_end_and_nothing_else_is_believed() {
    let file = |token: &str| {
        format!(
            r#"{{"access_token":"{token}","id_token":"a.b.c","refresh_token":"r","token_type":"Bearer","client_secret":"s"}}"#
        )
    };
    let good = jwt(r#"{"iat":1799999000,"exp":1800002600,"sub":"alice","iss":"https://as.example","scope":"admin"}"#);
    let tokens = read(Shape::Pycognito, &file(&good));
    assert_eq!(times(&tokens), (1_799_999_000_000, Some(1_800_002_600_000)));
    assert_eq!((tokens.subject(), tokens.issuer(), tokens.scope().as_str()), (None, None, ""));
    assert!(tokens.identity().is_none() && !tokens.answer().contains("client_secret"));
    let exp_only = read(Shape::Pycognito, &file(&jwt(r#"{"exp":1800002600.5,"iat":1900000000}"#)));
    assert_eq!(times(&exp_only), (1_800_000_000_000, Some(1_800_002_600_500)));
    for token in
        ["opaque", "a.b", "..", "a.!.c", &jwt("[]"), &jwt("{}"), &jwt(r#"{"exp":-1}"#), &jwt(r#"{"exp":1e300}"#)]
    {
        assert_eq!(times(&read(Shape::Pycognito, &file(token))), (1_800_000_000_000, None), "{token}");
    }
    // A lifetime that counts from nowhere is no matter then.
    let noted = read(Shape::Pycognito, &format!(r#"{{"access_token":"{good}","expires_in":9}}"#));
    assert_eq!((times(&noted).1, noted.notes()), (Some(1_800_002_600_000), &[Note::TokenTypeAssumed][..]));
    // Other shapes say themselves when a token ends, or nobody does.
    assert_eq!(read(Shape::Authlib, &file(&good)).expires_at(), None);
    let known = file(&good).replace(r#","id_token""#, r#","expires_at":1800000001,"id_token""#);
    assert_eq!(times(&read(Shape::Pycognito, &known)).1, Some(1_800_000_001_000));
}

#[test]
fn a_43_the_names_of_token_and_times_can_be_chosen() {
    let file = r#"{"key":"t","access_token":"another","came":1799999000,"ends":1800002600.5,"life":9,"expires_at":1,"granted_at":2}"#;
    let import =
        Import::of(Shape::Aiorequestful).token_key("key").granted_at("came").expires_at("ends").expires_in("life");
    let tokens = import.read(file.as_bytes(), NOW).unwrap();
    assert_eq!(tokens.access_token().expose(), "t");
    assert_eq!(times(&tokens), (1_799_999_000_000, Some(1_800_002_600_500)));
    let names: Vec<_> = tokens.answer().members().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["access_token", "token_type", "granted_at", "expires_at"]);
    assert!(!tokens.answer().expose().contains("another"));
    let missing = Import::of(Shape::Authlib).token_key("key").read(br#"{"access_token":"t"}"#, NOW);
    assert_eq!(missing.unwrap_err(), RecordError::TokenMissing);
}

#[test]
fn a_44_every_shape_tells_nothing_no_token_and_damage_apart() {
    for shape in SHAPES {
        for (file, error) in [
            ("{}", RecordError::Empty),
            (r#"{"token_type":"Bearer"}"#, RecordError::TokenMissing),
            (r#"{"access_token":""}"#, RecordError::TokenMissing),
            (r#"{"access_token":{}}"#, RecordError::Unreadable(RecordFlaw::Member("access_token"))),
        ] {
            assert_eq!(TokenSet::import(shape, file.as_bytes(), NOW).unwrap_err(), error, "{shape:?} {file}");
        }
        assert!(matches!(TokenSet::import(shape, b"[]", NOW), Err(RecordError::Unreadable(RecordFlaw::Json { .. }))));
        assert!(matches!(TokenSet::import(shape, b"", NOW), Err(RecordError::Unreadable(RecordFlaw::Json { .. }))));
    }
}

#[test]
fn a_46_no_type_is_bearer_and_null_counts_as_none() {
    for shape in SHAPES {
        for file in [r#"{"access_token":"t"}"#, r#"{"access_token":"t","token_type":null}"#] {
            let tokens = read(shape, file);
            assert_eq!(tokens.token_type(), &TokenType::Bearer);
            assert_eq!(tokens.notes(), [Note::TokenTypeAssumed]);
        }
    }
}

#[test]
fn a_49_a_53_a_reference_file_is_flat_indented_and_read_again() {
    let file = r#"{"access_token":"t\\","token_type":"bearer","refresh_token":"r","scope":"a","expires_in":"60","team":{"id":[1, 2]},
        "granted_at":1799999000.75,"expires_at":1799999060.75}"#;
    let tokens = read(Shape::Aiorequestful, file);
    let written = String::from_utf8(tokens.to_reference_file().expose().clone()).unwrap();
    let lines = [
        "{",
        r#"  "access_token": "t\\","#,
        r#"  "token_type": "Bearer","#,
        r#"  "refresh_token": "r","#,
        r#"  "scope": "a","#,
        r#"  "granted_at": 1799999000,"#,
        r#"  "expires_at": 1799999060,"#,
        r#"  "expires_in": "60","#,
        r#"  "team": {"id":[1, 2]}"#,
        "}",
    ];
    assert_eq!(written.lines().collect::<Vec<_>>(), lines);
    assert_eq!(times(&read(Shape::Aiorequestful, &written)), (1_799_999_000_000, Some(1_799_999_060_000)));
    for value in ["null", "-1", r#""soon""#, "60"] {
        let stumbling = read(Shape::Aiorequestful, &format!(r#"{{"access_token":"t","expires_in":{value}}}"#));
        let written = stumbling.to_reference_file();
        assert!(!String::from_utf8_lossy(written.expose()).contains("expires_in"), "{value}");
    }
}
