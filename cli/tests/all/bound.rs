//! Tokens that are bound to a key (RFC 9449), which this command does not have.

use std::fs;

use grantflow_devserver::Answer;
use serde_json::Value;

use crate::home::Home;
use crate::support::{assert_absent, honest};

#[test]
fn a_login_that_brings_a_bound_token_fails_by_that_name_and_saves_nothing() {
    let (server, home) = (honest(), Home::new());
    let bound = r#"{"access_token":"canary-a1","token_type":"DPoP","expires_in":3600}"#;
    server.answer_next("/token", Answer::new(200, &[("content-type", "application/json")], bound));
    let login = home.log_in(&server, "work", "");
    let text = login.failed(8);
    assert!(text.contains("bound to a key (DPoP)"), "{text}");
    assert_absent(text, ["canary"]);
    home.run("token work").failed(11);
}

#[test]
fn a_bound_token_is_not_imported() {
    let home = Home::new();
    let file = home.0.join("theirs.json");
    let tokens = r#"{"access_token":"canary-a1","refresh_token":"canary-r1","token_type":"dpop","expires_at":1000}"#;
    fs::write(&file, tokens).unwrap();
    let line = format!("import work {} --shape authlib --issuer https://as.example --client-id x", file.display());
    let imported = home.run(&line);
    let text = imported.failed(10);
    assert!(text.contains("bound to a key (DPoP)"), "{text}");
    assert_absent(text, ["canary"]);
    assert!(!home.0.join("grantflow").exists());
}

/// Another program may keep its tokens where a login of this command was.
#[test]
fn a_bound_token_that_is_kept_is_neither_sent_nor_printed_nor_renewed_and_can_be_let_go() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", &format!("--audience {}", server.url("/api")));
    for seconds_left in [3_600, 20, -10] {
        home.age(seconds_left);
        let mut tokens = home.tokens();
        for record in tokens["records"].as_object_mut().unwrap().values_mut() {
            record["tokens"]["token_type"] = "DPoP".into();
        }
        home.write("tokens.json", &tokens.to_string());
        server.clear_log();
        let lines = ["token work", "token work --output header", "token work --min-life 7200"].map(str::to_owned);
        for line in lines.into_iter().chain([format!("curl work {}", server.url("/api/me"))]) {
            let refused = home.run(&line);
            assert!(refused.failed(10).contains("bound to a key (DPoP)"), "{line}: {refused:?}");
        }
        assert_eq!(server.log(), []);
        assert_eq!(home.tokens(), tokens);
    }
    let inspected: Value = serde_json::from_str(home.run("inspect work").printed()).unwrap();
    assert_eq!(inspected["token_type"], "DPoP");
    assert!(home.run("export work").printed().contains("refresh_token"));
    assert_eq!(home.run("logout work").code, Some(0));
    assert!(server.log().iter().any(|entry| entry.path == "/revoke"));
}
