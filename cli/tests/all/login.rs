//! A person logs in: with a browser here, elsewhere, or on another device.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grantflow_devserver::{Config, Consent, DevServer, Fault};

use crate::support::{Ran, Running, assert_absent, command, folder, get, honest, parameter, run, sent_back_to, server};

fn line(server: &DevServer, more: &str) -> String {
    format!("login --issuer {} --client-id demo-app --scope openid {more}", server.issuer())
}

fn start(server: &DevServer, more: &str) -> Running {
    Running::start(&mut command(line(server, more).split_whitespace()))
}

/// A login in which the person pastes what the server sends the browser back to.
fn pasted(server: &DevServer, more: &str) -> (Ran, String) {
    let mut running = start(server, &format!("--no-browser {more}"));
    let back = sent_back_to(&running.address());
    running.type_line(&back);
    (running.ended(), back)
}

#[test]
fn a_pasted_address_ends_the_login_without_showing_any_of_its_secrets() {
    let server = honest();
    let (ran, back) = pasted(&server, "--output json --trace");
    let answer: serde_json::Value = serde_json::from_str(ran.printed()).unwrap();
    let tokens = ["access_token", "refresh_token", "id_token"].map(|name| answer[name].as_str().unwrap());
    assert_absent(&ran.err, tokens);
    assert_absent(&ran.err, [parameter(&back, "code").as_str()]);
    assert!(ran.err.contains("✔ nonce      expected (hidden), found (hidden)"), "{}", ran.err);
}

#[test]
fn each_output_mode_of_a_login_prints_that_alone() {
    let server = honest();
    let (token, _) = pasted(&server, "");
    assert!(!token.printed().contains(char::is_whitespace));
    let (header, _) = pasted(&server, "--output header");
    assert!(header.printed().starts_with("Authorization: Bearer "));
    let (id_token, _) = pasted(&server, "--output id-token");
    assert_eq!(id_token.printed().split('.').count(), 3);
}

#[test]
fn what_is_pasted_wrongly_is_refused_and_asked_for_again() {
    let server = honest();
    let mut running = start(&server, "--no-browser");
    let back = sent_back_to(&running.address());
    let foreign = back.replace(&parameter(&back, "state"), "somebody-elses");
    for wrong in ["", "nonsense", &parameter(&back, "code"), &back.replace("/callback", "/other"), &foreign] {
        running.type_line(wrong);
    }
    running.line(|line| line.contains("belongs to another login"));
    running.type_line(&back);
    let ran = running.ended();
    ran.printed();
    assert_absent(&ran.err, [parameter(&back, "code").as_str()]);
}

#[test]
fn a_callback_with_another_issuer_is_refused() {
    let (ran, _) = pasted(&server(|config| config.faults = vec![Fault::CallbackIssWrong]), "");
    assert!(ran.failed(5).contains("the issuer is"));
    let (ran, _) = pasted(&server(|config| config.faults = vec![Fault::IdTokenBadSignature]), "--trace");
    assert!(ran.failed(5).contains("✘ signature"));
}

#[test]
fn a_person_who_says_no_and_one_who_walks_away_give_6() {
    let denying = || server(|config| config.consent = Consent::Deny);
    let (ran, _) = pasted(&denying(), "");
    assert!(ran.failed(6).contains("access_denied"));

    let server = honest();
    let mut running = start(&server, "--no-browser");
    running.address();
    drop(running.child.stdin.take());
    running.ended().failed(6);

    let server = denying();
    let mut running = start(&server, "--device");
    let code = running.line(|line| line.trim().len() == 9 && line.contains('-'));
    assert!(server.deny_device(&code));
    running.ended().failed(6);
}

#[test]
fn a_device_shows_its_code_and_gets_a_token() {
    let server = honest();
    let mut running = start(&server, "--device --output id-token");
    running.line(|line| line.starts_with("Visit http://127.0.0.1:"));
    let code = running.line(|line| line.trim().len() == 9 && line.contains('-'));
    assert!(server.approve_device(&code, "alice"));
    assert_eq!(running.ended().printed().split('.').count(), 3);
}

#[test]
fn parameters_resources_and_demands_reach_the_authorization_endpoint() {
    let server = honest();
    let more =
        "--param prompt=login --resource https://a.example --max-age 60 --acr mfa --redirect-uri http://127.0.0.1:1/cb";
    let mut running = start(&server, &format!("--no-browser {more}"));
    let address = running.address();
    assert_eq!(parameter(&address, "prompt"), "login");
    assert_eq!(parameter(&address, "resource"), "https%3A%2F%2Fa.example");
    assert_eq!(parameter(&address, "max_age"), "60");
    assert_eq!(parameter(&address, "acr_values"), "mfa");
    assert_eq!(parameter(&address, "redirect_uri"), "http%3A%2F%2F127.0.0.1%3A1%2Fcb");
    assert_eq!(parameter(&address, "code_challenge_method"), "S256");
    running.type_line(&sent_back_to(&address));
    running.ended().printed();
}

/// A folder with an `xdg-open` of these lines.
fn launcher(lines: &str) -> PathBuf {
    let folder = folder();
    write_launcher(&folder, lines);
    folder
}

fn write_launcher(folder: &Path, lines: &str) {
    let path = folder.join("xdg-open");
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn start_with(path: &Path, server: &DevServer, more: &str) -> Running {
    let mut command = command(line(server, more).split_whitespace());
    Running::start(command.env("PATH", path))
}

/// Goes where the server sends the browser: to the listener of the command.
fn browse(address: &str) -> u16 {
    get(&sent_back_to(address)).status
}

#[cfg(target_os = "linux")]
#[test]
fn dv_08_the_prompt_of_a_device_names_the_client_and_warns_and_opens_nothing() {
    let server = honest();
    let folder = launcher("/bin/touch \"${0%/*}/opened\"");
    let mut running = start_with(&folder, &server, "--device");
    let code = running.line(|line| line.trim().len() == 9 && line.contains('-'));
    let warning = running.line(|line| line.starts_with("Whoever enters it"));
    assert!(warning.contains(" lets demo-app in ") && warning.contains(&server.issuer()), "{warning}");
    assert!(warning.contains("do not enter it"), "{warning}");
    assert!(server.approve_device(&code, "alice"));
    running.ended().printed();
    assert!(!folder.join("opened").exists(), "a browser was opened");
}

#[cfg(target_os = "linux")]
#[test]
fn cl_05_the_browser_gets_the_address_as_one_argument_and_no_shell_sees_it() {
    let server = honest();
    let folder = launcher("printf '%s\\n' \"$#\" \"$1\" > \"${0%/*}/part\"; /bin/mv \"${0%/*}/part\" \"${0%/*}/seen\"");
    let mut command = command(line(&server, "--param x=$(touch${IFS}pwned);&touch|pwned'\"").split_whitespace());
    let running =
        Running::start(command.env("PATH", &folder).env("BROWSER", "/bin/sh -c 'touch pwned'").current_dir(&folder));
    let seen = (0..4_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        fs::read_to_string(folder.join("seen")).ok()
    });
    let seen = seen.unwrap();
    let (count, address) = seen.trim().split_once('\n').unwrap();
    assert_eq!(count, "1");
    assert_eq!(browse(address), 200);
    running.ended().printed();
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn cl_05_only_https_and_loopback_addresses_are_opened() {
    let server = honest();
    let (issuer, path) = (server.issuer(), "/.well-known/openid-configuration");
    for hostile in ["file:///etc/passwd", "javascript:alert(1)", "http://evil.example/authorize", "ms-msdt:/id"] {
        let document = format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"{hostile}","token_endpoint":"{issuer}/token"}}"#
        );
        let json = [("content-type", "application/json")];
        server.answer_next(path, grantflow_devserver::Answer::new(200, &json, document));
        let folder = launcher("echo > \"${0%/*}/opened\"");
        let ran = start_with(&folder, &server, "").ended();
        ran.failed(5);
        assert!(!folder.join("opened").exists(), "{hostile}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn cl_06_nothing_in_the_current_folder_is_run_or_read() {
    let server = honest();
    let folder = launcher("echo > opened");
    for name in ["grantflow.toml", ".grantflow.toml", "config.toml", ".env"] {
        fs::write(folder.join(name), "issuer = \"http://127.0.0.1:1\"\nGRANTFLOW_ISSUER=http://127.0.0.1:1\n").unwrap();
    }
    let mut command = command(line(&server, "").split_whitespace());
    let mut running = Running::start(command.current_dir(&folder));
    assert_eq!(browse(&running.address()), 200);
    running.ended().printed();
    assert!(!folder.join("opened").exists());
}

#[test]
fn fl_39_without_a_browser_the_address_is_shown_and_the_login_goes_on() {
    // Missing, failing, and hanging.
    for lines in [None, Some("exit 3"), Some("exec /bin/sleep 20")] {
        let server = honest();
        let path = lines.map_or_else(folder, launcher);
        let mut running = start_with(&path, &server, "--output id-token");
        assert_eq!(browse(&running.address()), 200, "{lines:?}");
        running.ended().printed();
    }
}

#[test]
fn fl_40_without_a_screen_the_ways_by_hand_are_named_and_the_end_has_its_code() {
    let ran = run(&line(&honest(), "--timeout 1"));
    let said = ran.failed(7);
    assert!(said.contains("--no-browser") && said.contains("--device"), "{said}");
}

#[test]
fn a_listener_takes_the_first_free_port_and_says_when_there_is_none() {
    let server = honest();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = (taken.local_addr().unwrap().port(), taken).0;
    let mut running = start(&server, &format!("--redirect-uri http://127.0.0.1:{taken}/cb"));
    let address = running.address();
    assert_eq!(parameter(&address, "redirect_uri"), format!("http%3A%2F%2F127.0.0.1%3A{taken}%2Fcb"));
    assert_eq!(browse(&address), 200);
    running.ended().printed();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = run(&line(&server, &format!("--port {}", held.local_addr().unwrap().port())));
    assert!(ran.failed(9).contains("in use"));
}

#[test]
fn an_answer_by_form_post_is_asked_for() {
    let server = honest();
    let mut running = start(&server, "--form-post");
    assert_eq!(parameter(&running.address(), "response_mode"), "form_post");
    running.signal("INT");
    running.ended().failed(130);
}

#[test]
fn a_demand_that_the_server_does_not_meet_fails_the_login() {
    let (ran, _) = pasted(&server(|config| config.faults = vec![Fault::IdTokenOldAuthTime]), "--max-age 60");
    assert!(ran.failed(5).contains("auth_time"));
    let other = |config: &mut Config| config.faults = vec![Fault::IdTokenWrongAcr];
    let (ran, _) = pasted(&server(other), "--acr mfa");
    assert!(ran.failed(5).contains("acr"));
}
