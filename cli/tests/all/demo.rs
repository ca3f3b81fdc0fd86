//! The demo, which is the first thing that anybody runs.

use grantflow_core::TABLES;

use crate::support::run;

#[test]
fn the_demo_succeeds_and_its_table_lists_every_flow() {
    let ran = run("demo");
    let table = ran.printed();
    for flow in TABLES.iter().map(|table| table.machine).filter(|flow| *flow != "exchange") {
        let row = table.lines().find(|line| line.split_whitespace().next() == Some(flow));
        assert_eq!(row.and_then(|row| row.split_whitespace().nth(1)), Some("ok"), "{flow}: {table}");
    }
    assert!(table.contains("the access token is inactive now"), "{table}");
    assert!(table.contains("refresh token rotated"), "{table}");
    assert!(table.contains("the browser ended on a 200"), "{table}");
    assert!(table.contains("one token for two who asked, another one when that was refused"), "{table}");
}

#[test]
fn the_demo_shows_transitions_exchanges_and_checks_with_the_compared_values() {
    let shown = run("demo").err;
    for table in TABLES {
        assert!(shown.lines().any(|line| line.split_whitespace().next() == Some(table.machine)), "{}", table.machine);
    }
    assert!(shown.contains("authorization-code AwaitingCallback ── Callback / CodeReceived ──▸ Exchanging"), "{shown}");
    assert!(shown.lines().any(|line| line.contains("→ POST http://127.0.0.1:") && line.ends_with("/token 200")));
    assert!(shown.contains("✔ aud        expected demo-app, found demo-app"));
    assert!(!shown.contains('✘'));
}

#[test]
fn lg_01_the_demo_shows_nothing_secret() {
    let ran = run("demo");
    for text in [&ran.out, &ran.err] {
        for secret in ["demo-secret", "wonderland", "code=", "state=", "eyJ"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        // Codes, tokens, states, nonces and verifiers are longer than anything that may be shown.
        let is_secret_like = |word: &str| word.len() >= 32;
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert_eq!(words.into_iter().find(|word| is_secret_like(word)), None);
    }
}

#[test]
fn a_demo_with_a_fault_fails_shows_the_failed_check_and_says_what_did_not_run() {
    let ran = run("demo --fault id-token-wrong-aud");
    let shown = ran.failed(5);
    assert!(shown.contains("✘ aud        expected demo-app, found"), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("authorization-code") && line.contains("failed")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("userinfo") && line.contains("not run")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("client-credentials  ok")), "{shown}");
}

#[test]
fn a_demo_whose_server_is_an_impostor_fails_at_discovery() {
    let ran = run("demo --fault issuer-mismatch");
    let shown = ran.failed(5);
    assert!(shown.contains("Fetching ── Response / IssuerMismatched ──▸ Failed"), "{shown}");
}

#[test]
fn there_is_no_colour_where_there_is_no_terminal() {
    let ran = run("demo");
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'));
}
