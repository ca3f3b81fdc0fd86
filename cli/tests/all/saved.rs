//! Logins that are kept: saved, printed fresh by any number of processes, listed, signed out.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use grantflow_devserver::Consent;
use serde_json::Value;

use crate::home::{Home, requests};
use crate::support::{Running, SECRET, assert_absent, honest, parameter, ran, run, secret_file, sent_back_to, server};

#[test]
fn a_saved_login_gives_its_token_without_asking_anybody() {
    let (server, home) = (honest(), Home::new());
    let login = home.log_in(&server, "work", "");
    assert_eq!((login.code, login.out.as_str()), (Some(0), ""), "{login:?}");
    let stored = home.stored();
    server.clear_log();
    let token = home.run("token work");
    assert_eq!(token.printed(), stored["access_token"].as_str().unwrap());
    assert_eq!(token.err, "");
    assert_eq!(server.log(), []);
    for file in ["tokens.json", "tokens.profiles.json"] {
        let mode = fs::metadata(home.file(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn each_output_of_a_saved_token_is_that_alone_and_none_holds_the_refresh_token() {
    let (server, home) = (honest(), Home::new());
    let login = home.log_in(&server, "work", "--output token");
    let (stored, token) = (home.stored(), login.printed().to_owned());
    assert_eq!(home.run("token work --output header").printed(), format!("Authorization: Bearer {token}"));
    assert_eq!(home.run("token work --output env").printed(), format!("ACCESS_TOKEN={token}"));
    assert_eq!(home.run("token work --output id-token").printed(), stored["id_token"].as_str().unwrap());
    let json = home.run("token work --output json");
    let answer: Value = serde_json::from_str(json.printed()).unwrap();
    assert_eq!(answer["access_token"], token);
    assert!(answer["expires_at"].as_u64().unwrap() > 1_700_000_000);
    assert_absent(&json.out, [stored["refresh_token"].as_str().unwrap()]);
}

#[test]
fn a_token_that_is_due_is_renewed_and_saved_before_it_is_printed() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let old = home.stored();
    home.age(-10);
    let renewed = home.run("token work");
    let new = home.stored();
    assert_eq!(renewed.printed(), new["access_token"].as_str().unwrap());
    assert_ne!(old["access_token"], new["access_token"]);
    assert_ne!(old["refresh_token"], new["refresh_token"]);
    assert_eq!(home.run("token work").printed(), renewed.printed());
    assert_eq!(requests(&server, "refresh_token"), 1);
}

fn together(count: usize) {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    home.age(-10);
    let start = || home.command("token work").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running: Vec<_> = std::iter::repeat_with(start).take(count).collect();
    let printed: Vec<_> = running
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let token = format!("{}\n", home.stored()["access_token"].as_str().unwrap());
    assert!(printed.iter().all(|printed| *printed == token));
    assert_eq!(requests(&server, "refresh_token"), 1);
    // The family lives: nobody has spent a token twice.
    home.age(-10);
    home.run("token work").printed();
}

#[test]
fn two_processes_at_expiry_cause_one_refresh() {
    together(2);
}

#[test]
fn eight_processes_at_expiry_cause_one_refresh() {
    together(8);
}

#[test]
fn min_life_renews_early_and_what_cannot_be_had_is_not_printed() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    home.age(600);
    home.run("token work --min-life 60").printed();
    assert_eq!(requests(&server, "refresh_token"), 0);
    let token = home.run("token work --min-life 900");
    assert_eq!(token.printed(), home.stored()["access_token"].as_str().unwrap());
    assert_eq!(requests(&server, "refresh_token"), 1);
    assert!(home.run("token work --min-life 7200").failed(8).contains("--min-life"));
}

#[test]
fn a_server_that_is_down_takes_no_valid_token_away() {
    let (mut server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    server.stop();
    home.run("token work").printed();
    home.age(20);
    let due = home.run("token work");
    due.printed();
    assert!(due.err.contains("could not be renewed"), "{due:?}");
    home.run("token work --min-life 60").failed(3);
    home.age(-10);
    home.run("token work").failed(3);
}

#[test]
fn an_expired_login_that_the_server_has_ended_needs_a_person_and_the_server_is_not_asked_again() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let old = fs::read(home.file("tokens.json")).unwrap();
    home.age(-10);
    home.run("token work").printed();
    // A copy from before: its refresh token is spent, and using it ends the family.
    fs::write(home.file("tokens.json"), old).unwrap();
    home.age(-10);
    let refused = home.run("token work");
    assert!(refused.failed(11).contains("grantflow login"));
    server.clear_log();
    assert!(home.run("token work").failed(11).contains("the server has ended the session"));
    assert_eq!(server.log(), []);
    assert!(home.run("list").printed().contains("login-needed"));
    home.log_in(&server, "work", "");
    home.run("token work").printed();
}

#[test]
fn who_is_not_logged_in_is_told_so() {
    let home = Home::new();
    assert!(home.run("token work").failed(11).contains("no login named work"));
    home.run("logout work").failed(11);
    assert_eq!(home.run("list --output json").printed(), "[]");
    let lines = run("token").failed(2).to_owned();
    assert!(lines.contains("NAME"), "{lines}");
    assert!(!home.0.join("grantflow").exists());
}

#[test]
fn a_damaged_store_is_reported_and_kept_and_a_login_puts_it_aside() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let damaged = r#"{"schema":1,"records":{"#;
    home.write("tokens.json", damaged);
    for line in ["token work", "list"] {
        home.run(line).failed(12);
    }
    assert_eq!(fs::read_to_string(home.file("tokens.json")).unwrap(), damaged);
    let login = home.log_in(&server, "work", "");
    assert_eq!(login.code, Some(0), "{login:?}");
    home.run("token work").printed();
    assert_eq!(fs::read_to_string(home.file("tokens.json.corrupt-1")).unwrap(), damaged);

    home.write("tokens.profiles.json", damaged);
    assert!(home.run("token work").failed(12).contains("profiles"));
    home.run(&format!("login --no-browser --issuer {} --client-id demo-app --save work", server.issuer())).failed(12);
    assert_eq!(fs::read_to_string(home.file("tokens.profiles.json")).unwrap(), damaged);
}

#[test]
fn a_store_that_others_may_read_is_refused_before_anybody_logs_in() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let login = format!("login --no-browser --issuer {} --client-id demo-app --save work", server.issuer());
    for file in ["tokens.json", "tokens.profiles.json"] {
        home.set_mode(file, 0o644);
        home.run("token work").failed(12);
        server.clear_log();
        home.run(&login).failed(12);
        assert_eq!(server.log(), []);
        home.set_mode(file, 0o600);
    }
    home.run("token work").printed();
}

#[test]
fn a_client_secret_is_found_again_and_stands_in_no_file() {
    let (server, home) = (honest(), Home::new());
    let path = secret_file(SECRET);
    let line = format!(
        "login --no-browser --issuer {} --client-id demo-service --scope openid --save work --client-secret-file {}",
        server.issuer(),
        path.display()
    );
    let login = home.log_in_by(&mut home.command(&line));
    assert_eq!(login.code, Some(0), "{login:?}");
    home.age(-10);
    let token = home.run("token work --trace");
    token.printed();
    let new = home.stored();
    assert_absent(&token.err, [SECRET, new["access_token"].as_str().unwrap(), new["refresh_token"].as_str().unwrap()]);
    for file in ["tokens.json", "tokens.profiles.json"] {
        assert_absent(&fs::read_to_string(home.file(file)).unwrap(), [SECRET]);
    }

    let line = line.split(" --client-secret-file").next().unwrap().replace("work", "other");
    let mut command = home.command(&format!("{line} --client-secret-env S"));
    home.log_in_by(command.env("S", SECRET));
    home.age(-10);
    home.run("token other").failed(10);
    ran(home.command("token other").env("S", SECRET)).printed();

    home.run(&format!("{line} --client-secret-stdin")).failed(2);
}

#[test]
fn names_that_mean_something_else_are_refused() {
    let home = Home::new();
    for name in ["refresh", "client-credentials", "grant", "help", "", "a b", "-x", "ü", "a\nb"] {
        let base = ["login", "--no-browser", "--issuer", "https://as.example", "--client-id", "x"];
        let mut command = home.command("");
        command.args(base).arg(format!("--save={name}"));
        ran(&mut command).failed(2);
    }
    assert!(!home.0.join("grantflow").exists());
}

#[test]
fn a_name_of_another_client_is_not_taken_without_being_asked_to() {
    let (server, other, home) = (honest(), honest(), Home::new());
    home.log_in(&server, "work", "");
    let line =
        format!("login --no-browser --issuer {} --client-id demo-app --scope openid --save work", other.issuer());
    assert!(home.run(&line).failed(2).contains("--replace"));
    assert_eq!(other.log(), []);
    let old = home.stored();
    let replaced = home.log_in_by(&mut home.command(&format!("{line} --replace")));
    assert_eq!(replaced.code, Some(0), "{replaced:?}");
    // One record, and not that one.
    assert_ne!(home.stored()["refresh_token"], old["refresh_token"]);
    assert!(home.run("list").printed().contains(&other.issuer()));
}

#[test]
fn cl_12_two_logins_under_one_name_leave_one_whole_login() {
    let (one, two, home) = (honest(), honest(), Home::new());
    for _ in 0..4 {
        let mut running = [&one, &two].map(|server| {
            let scope = "--client-id demo-app --scope openid --save work --replace";
            let line = format!("login --no-browser --issuer {} {scope}", server.issuer());
            Running::start(&mut home.command(&line))
        });
        let back: Vec<_> = running.iter_mut().map(|running| sent_back_to(&running.address())).collect();
        running.iter_mut().zip(&back).for_each(|(running, back)| running.type_line(back));
        for running in running {
            let ran = running.ended();
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        // The tokens of the other one are gone.
        let token = home.stored()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(home.run("token work").printed(), token);
        home.age(-10);
        assert_ne!(home.run("token work").printed(), token);
    }
}

#[test]
fn the_list_shows_what_is_saved_and_nothing_secret() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let list = home.run("list");
    let lines: Vec<_> = list.printed().lines().collect();
    assert!(lines[0].starts_with("NAME "), "{lines:?}");
    assert!(lines[1].starts_with("work ") && lines[1].contains("valid") && lines[1].contains("in 59 min"), "{lines:?}");
    let json = home.run("list --output json");
    let rows: Value = serde_json::from_str(json.printed()).unwrap();
    assert_eq!(rows[0]["name"], "work");
    assert_eq!(rows[0]["issuer"], server.issuer());
    assert_eq!(rows[0]["client_id"], "demo-app");
    assert_eq!(rows[0]["state"], "valid");
    home.age(-10);
    assert!(home.run("list").printed().contains("renewable"));
    let stored = home.stored();
    let secrets = ["access_token", "refresh_token", "id_token"].map(|name| stored[name].as_str().unwrap());
    assert_absent(&format!("{list:?}{json:?}"), secrets);
}

#[test]
fn a_logout_revokes_and_forgets() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let refresh_token = home.stored()["refresh_token"].as_str().unwrap().to_owned();
    let logout = home.run("logout work");
    assert_eq!((logout.code, logout.out.as_str()), (Some(0), ""), "{logout:?}");
    assert!(logout.err.contains("has revoked"), "{logout:?}");
    assert_absent(&logout.err, [refresh_token.as_str()]);
    assert!(server.log().iter().any(|entry| entry.path == "/revoke"));
    assert!(!home.file("tokens.json").exists() && !home.file("tokens.profiles.json").exists());
    let line = format!("token refresh --issuer {} --client-id demo-app --refresh-token-env R", server.issuer());
    ran(home.command(&line).env("R", refresh_token)).failed(4);
}

#[test]
fn a_logout_that_the_server_does_not_confirm_forgets_all_the_same_and_says_so() {
    let (mut server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    server.stop();
    let logout = home.run("logout work");
    assert!(logout.failed(3).contains("forgotten here"), "{logout:?}");
    assert!(!home.file("tokens.json").exists());
    home.run("token work").failed(11);
}

#[test]
fn a_login_that_fails_changes_nothing_that_is_saved() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let before = [home.file("tokens.json"), home.file("tokens.profiles.json")].map(|path| fs::read(path).unwrap());
    server.set_consent(Consent::Deny);
    home.log_in(&server, "work", "").failed(6);
    let after = [home.file("tokens.json"), home.file("tokens.profiles.json")].map(|path| fs::read(path).unwrap());
    assert_eq!(before, after);
}

/// The same command with `SIGHUP` as it is by default: whoever runs the tests may ignore it, and children inherit that.
fn heeding_hangups(command: &Command) -> Command {
    let mut heeding = Command::new("/usr/bin/env");
    heeding.arg("--default-signal=HUP").arg(command.get_program()).args(command.get_args()).env_clear();
    heeding.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    heeding
}

/// A terminal that goes away: `SIGHUP`, or its input ends. Either way nothing that is saved changes.
#[cfg(target_os = "linux")]
#[test]
fn fl_49_a_login_whose_terminal_is_lost_ends_and_changes_nothing_that_is_saved() {
    let (server, home) = (honest(), Home::new());
    home.log_in(&server, "work", "");
    let before = [home.file("tokens.json"), home.file("tokens.profiles.json")].map(|path| fs::read(path).unwrap());
    let line = format!("login --issuer {} --save work --client-id demo-app --scope openid", server.issuer());

    let mut running = Running::start(&mut heeding_hangups(&home.command(&line)));
    let back = parameter(&running.address(), "redirect_uri").replace("%3A", ":").replace("%2F", "/");
    let host = back.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    running.signal("HUP");
    let lost = running.ended();
    // Nobody catches the signal, so that `nohup` does what it is for.
    assert_eq!((lost.code, lost.out.as_str()), (None, ""), "{lost:?}");
    assert!(TcpStream::connect(host).is_err(), "the listener is gone");

    let mut running = Running::start(&mut home.command(&format!("{line} --no-browser")));
    running.address();
    drop(running.child.stdin.take());
    assert!(running.ended().code.is_some_and(|code| code != 0), "without input nothing can be pasted");

    let after = [home.file("tokens.json"), home.file("tokens.profiles.json")].map(|path| fs::read(path).unwrap());
    assert_eq!(before, after);
    home.run("token work").printed();
}

#[cfg(target_os = "linux")]
#[test]
fn a_saved_token_that_cannot_be_written_is_a_failure() {
    let (server, home) = (server(|_| {}), Home::new());
    home.log_in(&server, "work", "");
    for line in ["token work", "list", "token work --output json"] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let status = home.command(line).stdout(full).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(9), "{line}");
    }
}

#[test]
fn a_store_is_chosen_by_an_argument_or_the_environment_and_no_password_is_repeated() {
    let (server, home) = (honest(), Home::new());
    let path = home.0.join("own/store.json");
    let store = format!("--store file:{}", path.display());
    home.log_in(&server, "work", &store);
    assert!(path.exists() && path.with_extension("profiles.json").exists());
    home.run("token work").failed(11);
    let token = home.run(&format!("token work {store}"));
    let by_env = ran(home.command("token work").env("GRANTFLOW_STORE", format!("file:{}", path.display())));
    assert_eq!(by_env.printed(), token.printed());

    for url in ["redis://u:canary-pw@127.0.0.1:1/0", "postgres://u:canary-pw@127.0.0.1:1/db", "canary-pw:x", "keyring:"]
    {
        let typed = home.run(&format!("token work --store {url}"));
        assert_absent(typed.failed(2), ["canary-pw"]);
        let named = ran(home.command("token work").env("GRANTFLOW_STORE", url));
        assert!(!named.err.contains("canary-pw") && named.out.is_empty() && named.code != Some(0), "{named:?}");
    }
}
