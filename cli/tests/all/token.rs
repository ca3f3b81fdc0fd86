//! Tokens without a person, discovery, and what goes where.

use std::process::Stdio;

use grantflow_devserver::{AccessTokenFormat, Answer, DevServer, Fault};
use serde_json::Value;

use crate::support::{
    Ran, Running, SECRET, assert_absent, command, file_with_mode, honest, ran, run, secret_file, server,
};

/// Client credentials with the secret in an environment variable.
fn client_credentials(server: &DevServer, more: &str) -> Ran {
    let line = format!(
        "token client-credentials --issuer {} --client-id demo-service --client-secret-env S --scope read {more}",
        server.issuer()
    );
    ran(command(line.split_whitespace()).env("S", SECRET))
}

/// Tokens of a person, by way of the device flow.
fn refresh_token(server: &DevServer) -> String {
    let line = format!("login --device --output json --issuer {} --client-id demo-app --scope openid", server.issuer());
    let mut running = Running::start(&mut command(line.split_whitespace()));
    let code = running.line(|line| line.trim().len() == 9 && line.contains('-'));
    assert!(server.approve_device(&code, "alice"));
    json(&running.ended())["refresh_token"].as_str().unwrap().to_owned()
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.printed().lines().count(), 1);
    serde_json::from_str(ran.printed()).unwrap()
}

#[test]
fn cl_02_standard_output_carries_exactly_what_was_asked_for() {
    let server = honest();
    let plain = client_credentials(&server, "");
    let token = plain.printed();
    assert!(token.len() >= 32 && !token.contains(char::is_whitespace), "{token}");
    assert_eq!(plain.err, "");

    let header = client_credentials(&server, "--output header");
    let rest = header.printed().strip_prefix("Authorization: Bearer ").unwrap();
    assert!(rest.len() >= 32 && !rest.contains(char::is_whitespace));

    let answer = json(&client_credentials(&server, "--output json"));
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["scope"], "read");
    assert!(answer["expires_at"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(answer.get("refresh_token"), None);

    // There is none in this grant, and nothing else is printed instead.
    client_credentials(&server, "--output id-token").failed(8);
}

#[test]
fn cl_01_the_secret_is_read_from_a_variable_a_file_or_standard_input() {
    let server = honest();
    let base = format!("token client-credentials --issuer {} --client-id demo-service", server.issuer());
    let words = || base.split_whitespace();
    let file = secret_file(&format!("{SECRET}\n"));
    let from_file = ran(command(words()).arg("--client-secret-file").arg(&file));
    from_file.printed();

    let mut running = Running::start(command(words()).arg("--client-secret-stdin"));
    running.type_line(SECRET);
    drop(running.child.stdin.take());
    running.ended().printed();

    let wrong = ran(command(words()).args(["--client-secret-env", "S"]).env("S", "canary-wrong"));
    assert!(wrong.failed(4).contains("invalid_client"));
    assert_absent(&wrong.err, ["canary-wrong"]);
    for more in [&["--client-secret-env", "ABSENT"][..], &["--client-secret-file", "/nowhere/secret"]] {
        let code = if more[1] == "ABSENT" { 10 } else { 9 };
        ran(command(words()).args(more)).failed(code);
    }
    let empty = ran(command(words()).arg("--client-secret-stdin").stdin(Stdio::null()));
    assert!(empty.failed(10).contains("empty"));
}

#[test]
fn cl_13_a_secret_file_that_everybody_may_read_is_refused() {
    let server = honest();
    for (mode, code) in [(0o604, 10), (0o602, 10), (0o644, 10), (0o640, 0), (0o600, 0)] {
        let path = file_with_mode(SECRET, mode);
        let line = format!("token client-credentials --issuer {} --client-id demo-service", server.issuer());
        let outcome = ran(command(line.split_whitespace()).arg("--client-secret-file").arg(&path));
        assert_eq!(outcome.code, Some(code), "{mode:o}: {outcome:?}");
        assert_absent(&outcome.err, [SECRET]);
        if code != 0 {
            assert!(outcome.failed(code).contains("chmod 600"));
        }
    }
    assert_eq!(server.log().iter().filter(|entry| entry.path == "/token").count(), 2);
}

#[test]
fn cl_13_unknown_keys_in_the_servers_configuration_are_an_error_that_quotes_nothing() {
    let path = secret_file("port = 0\nclient_sekret = \"canary-config\"\n");
    let ran = ran(command(["serve", "--config"]).arg(&path));
    let message = ran.failed(10);
    assert!(message.contains("line 2"), "{message}");
    assert_absent(message, ["canary-config"]);
}

#[test]
fn l_22_a_grant_without_a_command_of_its_own_is_sent_with_its_parameters() {
    let server = honest();
    let subject = client_credentials(&server, "").printed().trim().to_owned();
    let line = format!(
        "token grant urn:ietf:params:oauth:grant-type:token-exchange --issuer {} --client-id demo-service \
         --client-secret-env S --param subject_token_type=urn:ietf:params:oauth:token-type:access_token --output json",
        server.issuer()
    );
    let words = || line.split_whitespace();
    let by_variable = ["--secret-param-env", "subject_token=T"];
    let one = ran(command(words()).args(by_variable).env("S", SECRET).env("T", &subject));
    assert_eq!(json(&one)["scope"], "read");
    let file = format!("subject_token={}", secret_file(&format!("{subject}\n")).display());
    let two = ran(command(words()).args(["--secret-param-file", &file, "--trace"]).env("S", SECRET));
    assert_ne!(json(&two)["access_token"], json(&one)["access_token"]);
    assert_absent(&two.err, [subject.as_str()]);
    let hostile = r#"{"error":"invalid_request","error_description":"no: SUBJECT"}"#.replace("SUBJECT", &subject);
    server.answer_next("/token", Answer::new(400, &[("content-type", "application/json")], hostile));
    let refused = ran(command(words()).args(by_variable).env("S", SECRET).env("T", &subject));
    assert_absent(refused.failed(4), [subject.as_str()]);

    for grant in ["refresh_token", "password", "authorization_code"] {
        let line = format!("token grant {grant} --issuer {} --client-id demo-app", server.issuer());
        run(&line).failed(10);
    }
    let reserved =
        ran(command(words()).args(["--secret-param-env", "code=T"]).env("S", SECRET).env("T", "canary-code"));
    assert_absent(reserved.failed(10), ["canary-code"]);
}

#[test]
fn a_refresh_rotates_and_an_old_refresh_token_is_refused() {
    let server = honest();
    let old = refresh_token(&server);
    let line = format!("token refresh --issuer {} --client-id demo-app --output json", server.issuer());
    let refresh =
        |token: &str| ran(command(line.split_whitespace()).args(["--refresh-token-env", "R"]).env("R", token));
    let first = refresh(&old);
    let new = json(&first)["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let path = secret_file(&new);
    ran(command(line.split_whitespace()).arg("--refresh-token-file").arg(&path)).printed();

    let again = refresh(&old);
    assert!(again.failed(4).contains("invalid_grant"));
    assert_absent(&again.err, [old.as_str(), new.as_str()]);
}

#[test]
fn discovery_prints_the_metadata_and_shows_the_attempts() {
    let server = honest();
    let ran = run(&format!("discover {}", server.issuer()));
    let metadata: Value = serde_json::from_str(ran.printed()).unwrap();
    assert_eq!(metadata["issuer"], server.issuer());
    assert!(metadata["token_endpoint"].is_string());
    assert!(ran.err.contains("/.well-known/openid-configuration 200"), "{}", ran.err);
}

#[test]
fn cl_07_each_kind_of_failure_has_its_exit_code_and_prints_nothing() {
    let faulty = |fault| server(|config| config.faults = vec![fault]);
    let discover = |fault| {
        let server = faulty(fault);
        run(&format!("discover {}", server.issuer()))
    };
    assert!(discover(Fault::IssuerMismatch).failed(5).contains("the issuer is"));
    discover(Fault::MetadataHtml).failed(3);
    discover(Fault::MetadataRedirect).failed(3);
    client_credentials(&faulty(Fault::Token500), "").failed(3);
    client_credentials(&faulty(Fault::TokenMissing), "").failed(8);
    client_credentials(&faulty(Fault::TokenControlCharacter), "").failed(8);
    client_credentials(&faulty(Fault::Token200Error), "").failed(4);
    run("discover http://issuer.example").failed(10);
    run("discover").failed(2);
    run("token client-credentials --client-id x").failed(2);
}

#[test]
fn cl_04_a_servers_text_is_escaped_before_it_reaches_the_terminal() {
    let server = honest();
    let hostile = r#"{"error":"inv\u001b[31malid","error_description":"a\u001b]0;title\u0007b\r\nc\u009b2J\u202ed"}"#;
    server.answer_next("/token", Answer::new(400, &[("content-type", "application/json")], hostile));
    let outcome = client_credentials(&server, "--trace");
    let shown = outcome.failed(4);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()) && !shown.contains('\u{202e}'), "{shown:?}");
    assert!(shown.contains(r"\u{1b}"), "{shown}");
}

#[test]
fn cl_11_json_of_a_hostile_answer_is_valid_and_means_what_was_sent() {
    let server = honest();
    let hostile = r#"{"access_token":"abc","token_type":"Bearer","x\u001b\"":"\u001b[2J\\ \u202e \u009b \n ü"}"#;
    server.answer_next("/token", Answer::new(200, &[("content-type", "application/json")], hostile));
    let outcome = client_credentials(&server, "--output json");
    assert!(outcome.printed().chars().all(|c| (' '..='~').contains(&c)));
    assert_eq!(json(&outcome)["x\u{1b}\""], "\u{1b}[2J\\ \u{202e} \u{9b} \n ü");
}

#[test]
fn lg_01_a_traced_run_shows_no_secret() {
    let server = server(|config| config.access_token_format = AccessTokenFormat::Jwt);
    let outcome = client_credentials(&server, "--output json --trace");
    let answer = json(&outcome);
    assert!(outcome.err.contains("client-credentials Ready ── Start / Begun ──▸ Exchanging"), "{}", outcome.err);
    assert!(outcome.err.contains("POST ") && outcome.err.contains("/token 200"), "{}", outcome.err);
    assert_absent(&outcome.err, [SECRET, answer["access_token"].as_str().unwrap(), "Basic ", "Bearer "]);

    let refresh = refresh_token(&server);
    let line = format!("token refresh --issuer {} --client-id demo-app --output json --trace", server.issuer());
    let outcome = ran(command(line.split_whitespace()).args(["--refresh-token-env", "R"]).env("R", refresh.as_str()));
    let answer = json(&outcome);
    let tokens = ["access_token", "refresh_token", "id_token"].map(|name| answer[name].as_str().unwrap());
    assert!(outcome.err.contains("✔ signature"), "{}", outcome.err);
    assert_absent(&outcome.err, tokens.into_iter().chain([refresh.as_str()]));
}

#[test]
fn cl_10_no_environment_variable_changes_where_requests_go() {
    let (server, decoy) = (honest(), honest());
    let line = format!("token client-credentials --issuer {} --client-id demo-service", server.issuer());
    let mut command = command(line.split_whitespace());
    command.args(["--client-secret-env", "S"]).env("S", SECRET);
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let own = ["GRANTFLOW_ISSUER", "GRANTFLOW_TOKEN_ENDPOINT", "OIDC_ISSUER", "OAUTH_TOKEN_URL", "ISSUER"];
    for name in names.into_iter().chain(own) {
        command.env(name, decoy.issuer());
    }
    ran(&mut command).printed();
    assert_eq!(decoy.log(), []);
    assert!(server.log().iter().any(|entry| entry.path == "/token"));
}

#[test]
fn resources_and_parameters_are_sent_and_the_engines_own_are_not_replaced() {
    let server = honest();
    client_credentials(&server, "--resource https://a.example --resource https://b.example --param audience=c")
        .printed();
    let log = server.log();
    let form = &log.iter().find(|entry| entry.path == "/token").unwrap().form;
    let sent = |name: &str| form.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.as_str()).collect::<Vec<_>>();
    assert_eq!(sent("resource"), ["https://a.example", "https://b.example"]);
    assert_eq!(sent("audience"), ["c"]);
    client_credentials(&server, "--param client_secret=x").failed(10);
    client_credentials(&server, "--param nonsense").failed(2);
}
