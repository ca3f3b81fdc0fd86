//! All that is done with a saved login, with each store that the command knows.
//!
//! `GRANTFLOW_TEST_REDIS` and `GRANTFLOW_TEST_POSTGRES` name servers, and `GRANTFLOW_TEST_KEYRING` says that the session has
//! a keyring that tests may fill: `stores/run` and `stores/keyring-round-trip` set them. Without them these tests pass.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use grantflow_devserver::DevServer;
use serde_json::Value;

use crate::home::{Home, requests};
use crate::support::{Ran, assert_absent, honest, ran};

/// How many processes want the token at the same moment.
const TOGETHER: usize = 4;

/// A user whose environment names a store.
struct Away {
    home: Home,
    env: Vec<(&'static str, String)>,
}

impl Away {
    fn at(store: impl Into<String>) -> Self {
        Self { home: Home::new(), env: vec![("GRANTFLOW_STORE", store.into())] }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.home.command(line);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, line: &str) -> Ran {
        ran(&mut self.command(line))
    }

    /// It has done what it was told, and printed nothing.
    #[track_caller]
    fn does(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{line}: {ran:?}");
        ran
    }

    #[track_caller]
    fn log_in(&self, server: &DevServer) -> Ran {
        let line = format!(
            "login --no-browser --issuer {} --client-id demo-app --scope openid --save work --audience {}",
            server.issuer(),
            server.url("/api")
        );
        let ran = self.home.log_in_by(&mut self.command(&line));
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
        ran
    }

    fn exported(&self) -> Value {
        serde_json::from_str(self.run("export work").printed()).unwrap()
    }

    /// Lets the access token end long ago, by way of another program's file.
    fn age(&self, server: &DevServer) -> Ran {
        let mut tokens = self.exported();
        tokens["expires_at"] = 1_000.into();
        let file = self.home.0.join("aged.json");
        fs::write(&file, tokens.to_string()).unwrap();
        let line = format!("import work {} --shape aiorequestful --issuer {}", file.display(), server.issuer());
        let imported = self.does(&format!("{line} --client-id demo-app --audience {}", server.url("/api")));
        fs::remove_file(file).unwrap();
        imported
    }

    /// The file of the profiles.
    fn profiles(&self) -> PathBuf {
        let entries = fs::read_dir(self.home.0.join("grantflow")).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.to_string_lossy().ends_with("profiles.json")).unwrap()
    }

    /// Everything that stands in files of the user's.
    fn files(&self) -> String {
        let entries = fs::read_dir(self.home.0.join("grantflow")).into_iter().flatten();
        entries.map(|entry| String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).into_owned()).collect()
    }
}

fn secrets(tokens: &Value) -> [String; 2] {
    ["access_token", "refresh_token"].map(|name| tokens[name].as_str().unwrap().to_owned())
}

/// What a login goes through, from the first word to the last. Gives what must stand in no file elsewhere.
fn goes_through_everything(user: &Away) -> Vec<String> {
    let server = honest();
    let mut said = vec![user.log_in(&server)];
    let first = user.exported();
    let mut tokens = secrets(&first).to_vec();
    server.clear_log();
    assert_eq!(user.run("token work").printed(), tokens[0]);
    assert_eq!(server.log(), []);

    let api = server.url("/api/me");
    assert!(user.run(&format!("curl work {api}")).out.contains("demo-app"));
    let rows: Value = serde_json::from_str(user.run("list --output json").printed()).unwrap();
    assert_eq!((&rows[0]["name"], &rows[0]["state"]), (&"work".into(), &"valid".into()));
    let inspected = user.run("inspect work");
    let seen: Value = serde_json::from_str(inspected.printed()).unwrap();
    assert_eq!((&seen["subject"], &seen["has_refresh_token"]), (&"alice".into(), &true.into()));
    assert_absent(&inspected.out, tokens.iter().map(String::as_str));
    said.push(inspected);

    // Many processes, one renewal, and all of them have its token.
    said.push(user.age(&server));
    let start = || user.command("token work").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running: Vec<_> = std::iter::repeat_with(start).take(TOGETHER).collect();
    let printed: Vec<_> = running.into_iter().map(|child| Ran::from(child.wait_with_output().unwrap())).collect();
    tokens.extend(secrets(&user.exported()));
    for ran in &printed {
        assert_eq!(ran.printed(), tokens[2]);
    }
    assert_ne!(tokens[2], tokens[0]);
    assert_eq!(requests(&server, "refresh_token"), 1);

    // The family lives: a token that is over is renewed for a request too.
    user.age(&server);
    assert!(user.run(&format!("curl work {api}")).out.contains("demo-app"));
    assert_eq!(requests(&server, "refresh_token"), 2);

    user.does("revoke work --kind access");
    let renewed = user.run("token work");
    tokens.extend(secrets(&user.exported()));
    assert_eq!(renewed.printed(), tokens[4]);
    said.push(user.does("revoke work"));
    user.run("token work").failed(11);
    assert!(user.run("list").printed().contains("login-needed"));

    said.push(user.log_in(&server));
    let last = secrets(&user.exported());
    let profiles = user.profiles();
    let kept = fs::read(&profiles).unwrap();
    let logout = user.does("logout work");
    assert!(logout.err.contains("has revoked"), "{logout:?}");
    said.push(logout);
    user.run("token work").failed(11);
    assert_eq!(user.run("list --output json").printed(), "[]");
    // Not the profile alone is gone: with it, there are no tokens still.
    fs::write(&profiles, kept).unwrap();
    fs::set_permissions(&profiles, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(user.run("export work").failed(11).contains("no tokens"));
    fs::remove_file(profiles).unwrap();

    tokens.extend(last);
    said.iter().for_each(|ran| assert_absent(&ran.err, tokens.iter().map(String::as_str)));
    tokens
}

#[test]
fn a_login_in_a_file_of_its_own_goes_through_everything() {
    let mut user = Away::at("file");
    let own = user.home.0.join("grantflow/own.json");
    user.env.push(("GRANTFLOW_STORE", format!("file:{}", own.display())));
    goes_through_everything(&user);
    assert!(!own.exists());
}

/// The same with a store that is elsewhere: no file of the user's has a token in it, then or later.
#[cfg(any(feature = "keyring", feature = "postgres", feature = "redis"))]
fn goes_through_everything_elsewhere(user: &Away) {
    let tokens = goes_through_everything(user);
    let server = honest();
    user.log_in(&server);
    let now = secrets(&user.exported());
    let files = user.files();
    assert!(files.contains("demo-app"), "{files}");
    assert_absent(&files, tokens.iter().chain(&now).map(String::as_str));
    user.does("logout work");
}

#[cfg(feature = "redis")]
#[test]
fn a_login_in_redis_goes_through_everything() {
    let Ok(url) = std::env::var("GRANTFLOW_TEST_REDIS") else { return println!("skipped: Redis: there is no server") };
    goes_through_everything_elsewhere(&Away::at(url));
}

#[cfg(feature = "postgres")]
#[test]
fn a_login_in_postgres_goes_through_everything() {
    let Ok(url) = std::env::var("GRANTFLOW_TEST_POSTGRES") else {
        return println!("skipped: Postgres: there is no server");
    };
    goes_through_everything_elsewhere(&Away::at(url));
}

#[cfg(feature = "keyring")]
#[test]
fn a_login_in_the_keyring_goes_through_everything() {
    if std::env::var_os("GRANTFLOW_TEST_KEYRING").is_none() {
        return println!("skipped: the keyring: this session has none for tests");
    }
    let mut user = Away::at("keyring");
    user.env.push(("DBUS_SESSION_BUS_ADDRESS", std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap()));
    goes_through_everything_elsewhere(&user);
}

/// The store fails before anybody is asked to log in, and its password is repeated nowhere.
#[cfg(any(feature = "keyring", feature = "postgres", feature = "redis"))]
fn is_missed_before_the_login(user: &Away) {
    let server = honest();
    let line = format!("login --no-browser --issuer {} --client-id demo-app --save work", server.issuer());
    assert_absent(user.run(&line).failed(12), ["canary-pw"]);
    assert_eq!(server.log(), []);
}

#[cfg(feature = "redis")]
#[test]
fn a_redis_that_is_away_is_missed_before_the_login() {
    is_missed_before_the_login(&Away::at("redis://u:canary-pw@127.0.0.1:1/0"));
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgres_that_is_away_is_missed_before_the_login() {
    is_missed_before_the_login(&Away::at("postgres://u:canary-pw@127.0.0.1:1/db"));
}

// On other systems there is always a keyring.
#[cfg(all(feature = "keyring", target_os = "linux"))]
#[test]
fn a_keyring_that_is_away_is_missed_before_the_login() {
    let mut user = Away::at("keyring");
    user.env.push(("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus".to_owned()));
    is_missed_before_the_login(&user);
}

/// The error says what is missing and how it is had, before anything is read or sent.
#[cfg(not(all(feature = "keyring", feature = "postgres", feature = "redis")))]
fn is_not_built_in(store: &str, feature: &str) {
    let user = Away::at(store);
    for line in ["token work", "list", "login --issuer https://as.example --client-id x --save work"] {
        let refused = user.run(line);
        let text = refused.failed(10);
        assert!(text.contains(&format!("without the store {feature}")), "{text}");
        assert!(text.contains(&format!("--features {feature}")), "{text}");
        assert_absent(text, ["canary-pw"]);
    }
    assert_eq!(user.files(), "");
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_command_without_redis_says_how_to_get_one_with_it() {
    for scheme in ["redis", "rediss"] {
        is_not_built_in(&format!("{scheme}://u:canary-pw@127.0.0.1:1/0"), "redis");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_command_without_postgres_says_how_to_get_one_with_it() {
    for scheme in ["postgres", "postgresql"] {
        is_not_built_in(&format!("{scheme}://u:canary-pw@127.0.0.1:1/db"), "postgres");
    }
}

#[cfg(not(feature = "keyring"))]
#[test]
fn a_command_without_the_keyring_says_how_to_get_one_with_it() {
    is_not_built_in("keyring", "keyring");
}
