//! What can be seen of the command while it handles secrets: all that it says at its highest level of detail, what it is
//! called with, and what the programs that it starts are given. No command takes a secret as an argument, and none says one
//! but on standard output, if that is what it was asked for.

#[path = "../../../tests/all/secrecy/finder.rs"]
mod finder;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantflow_devserver::{AccessTokenFormat, Answer, Config, DevServer, Fault};
use serde_json::Value;

use crate::home::Home;
use crate::support::{Ran, Running, SECRET, folder, get, parameter, secret_file, sent_back_to, server};
use finder::{Finder, SHORTEST};

const TOKENS: [&str; 3] = ["access_token", "refresh_token", "id_token"];
/// What a person who logs in must be shown, and what the address holds that a browser is sent to; see SECURITY.md.
const ADDRESS: [&str; 2] = ["state", "nonce"];

type Secrets = Arc<Mutex<BTreeMap<String, String>>>;

/// Something that others can see.
struct Sight {
    command: String,
    place: &'static str,
    text: String,
    /// The kinds of secrets that belong there.
    fitting: Vec<&'static str>,
}

/// Sees all that can be seen.
struct Watch {
    home: Home,
    secrets: Secrets,
    sights: Vec<Sight>,
    arguments: usize,
}

fn keeping(secrets: &Secrets) -> impl Fn(&str, &str) + Send + Sync + 'static {
    let secrets = secrets.clone();
    move |kind, secret| {
        if secret.len() >= SHORTEST {
            // What the server hands out may be shown to it under another name.
            secrets.lock().unwrap().entry(secret.to_owned()).or_insert_with(|| kind.to_owned());
        }
    }
}

impl Watch {
    fn new() -> Self {
        let watch = Self { home: Home::new(), secrets: Secrets::default(), sights: Vec::new(), arguments: 0 };
        watch.keep("client_secret", SECRET);
        watch
    }

    fn keep(&self, kind: &str, secret: &str) {
        keeping(&self.secrets)(kind, secret);
    }

    /// A server whose secrets are known.
    fn server(&self, change: impl FnOnce(&mut Config)) -> DevServer {
        let keep = keeping(&self.secrets);
        server(|config| {
            config.on_secret = Some(Arc::new(keep));
            change(config);
        })
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.home.command(line);
        command.arg("--trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        command
    }

    fn see(&mut self, command: &str, place: &'static str, text: String, fitting: &[&'static str]) {
        self.sights.push(Sight { command: command.to_owned(), place, text, fitting: fitting.to_vec() });
    }

    /// Sees with what arguments a program was started. One that has ended already has none.
    fn see_arguments(&mut self, command: &str, process: u32) {
        let arguments = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        self.arguments += usize::from(!arguments.is_empty());
        self.see(command, "arguments", String::from_utf8(arguments).unwrap(), &[]);
    }

    fn saw(&mut self, line: &str, ran: Ran, asked_for: &[&'static str], shown: &[&'static str]) -> Ran {
        // An id_token holds its nonce.
        let within: &[_] = if asked_for.contains(&"id_token") { &["nonce"] } else { &[] };
        self.see(line, "output", ran.out.clone(), &[asked_for, within].concat());
        self.see(line, "errors", ran.err.clone(), shown);
        ran
    }

    /// Runs a command that needs nobody and prints what it was asked for.
    fn run_with(&mut self, line: &str, variables: &[(&str, &str)], asked_for: &[&'static str]) -> Ran {
        let mut command = self.command(line);
        let mut running = Running::start(command.envs(variables.iter().copied()));
        drop(running.child.stdin.take());
        self.see_arguments(line, running.child.id());
        let ran = running.ended();
        self.saw(line, ran, asked_for, &[])
    }

    fn run(&mut self, line: &str, asked_for: &[&'static str]) -> Ran {
        let ran = self.run_with(line, &[], asked_for);
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        ran
    }

    fn fail(&mut self, line: &str) {
        let ran = self.run_with(line, &[], &[]);
        assert_ne!(ran.code, Some(0), "{line}: {ran:?}");
    }

    /// A person pastes where the browser was sent back to.
    fn paste(&mut self, line: &str, asked_for: &[&'static str]) -> Ran {
        let mut running = Running::start(&mut self.command(line));
        let back = sent_back_to(&running.address());
        self.keep("code", &parameter(&back, "code"));
        self.see_arguments(line, running.child.id());
        running.type_line(&back.replace("state=", "state=wrong"));
        running.type_line(&back);
        let ran = running.ended();
        self.saw(line, ran, asked_for, &ADDRESS)
    }

    /// A person has a browser, which looks at what it was given.
    fn browse(&mut self, line: &str, asked_for: &[&'static str]) -> Ran {
        let folder = folder();
        let launcher = folder.join("xdg-open");
        let script = "#!/bin/sh\ncd \"${0%/*}\"\nprintf '%s\\n' \"$@\" > arguments\n/bin/cat /proc/self/environ > environment\n\
                      /bin/cat /proc/$PPID/cmdline > parent\n/bin/mv arguments started\n";
        fs::write(&launcher, script).unwrap();
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.command(line);
        let path = self.home.0.join("own-store.json");
        self.keep("store", path.to_str().unwrap());
        let store = format!("file:{}", path.display());
        let running = Running::start(command.env("PATH", &folder).env("S", SECRET).env("GRANTFLOW_STORE", store));
        let started = (0..4_000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            fs::read_to_string(folder.join("started")).ok()
        });
        let address = started.unwrap().trim().to_owned();
        self.see(line, "the browser's arguments", address.clone(), &ADDRESS);
        for place in ["environment", "parent"] {
            let text = fs::read_to_string(folder.join(place)).unwrap();
            assert!(!text.is_empty(), "{place}");
            self.see(line, place, text, &[]);
        }
        let page = get(&sent_back_to(&address));
        assert_eq!(page.status, 200);
        let ran = running.ended();
        self.saw(line, ran, asked_for, &ADDRESS)
    }

    /// How often a secret was seen where it belongs, and what was seen elsewhere.
    fn judged(&self) -> (usize, Vec<String>) {
        let mut fitting_well = 0;
        let finder = Finder::new(&self.secrets.lock().unwrap());
        let mut given_away = Vec::new();
        for Sight { command, place, text, fitting } in &self.sights {
            for (kind, form) in finder.find(text.as_bytes()) {
                if fitting.contains(&kind.as_str()) {
                    fitting_well += 1;
                } else {
                    given_away.push(format!("{command}: {kind} as {form} in {place}: {text}"));
                }
            }
        }
        (fitting_well, given_away)
    }
}

#[cfg(target_os = "linux")]
#[test]
fn lg_01_cl_01_no_command_says_a_secret_that_it_was_not_asked_for_or_has_one_in_its_arguments() {
    let mut watch = Watch::new();
    for format in [AccessTokenFormat::Opaque, AccessTokenFormat::Jwt] {
        let server = watch.server(|config| config.access_token_format = format);
        everything_with(&mut watch, &server);
    }
    without_a_server(&mut watch);
    serving(&mut watch);
    let (asked_for, given_away) = watch.judged();
    assert!(given_away.is_empty(), "{given_away:#?}");
    let kinds: BTreeSet<_> = watch.secrets.lock().unwrap().values().cloned().collect();
    let expected = [
        "access_token",
        "client_secret",
        "code",
        "code_verifier",
        "credentials",
        "device_code",
        "id_token",
        "imported",
        "nonce",
        "refresh_token",
        "state",
        "store",
        "user_code",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let commands: BTreeSet<_> = watch.sights.iter().map(|sight| sight.command.as_str()).collect();
    assert!(watch.arguments * 2 > commands.len(), "too few commands were seen while they ran: {}", watch.arguments);
    println!("figure: secrecy/the command: command lines = {}", commands.len());
    println!("figure: secrecy/the command: texts searched = {}", watch.sights.len());
    println!("figure: secrecy/the command: canaries = {}", watch.secrets.lock().unwrap().len());
    assert!(asked_for > 50, "what is there is found: {asked_for}");
    println!("figure: secrecy/the command: found where they were asked for = {asked_for}");
    println!("figure: secrecy/the command: found elsewhere = {}", given_away.len());
}

fn everything_with(watch: &mut Watch, server: &DevServer) {
    let issuer = server.issuer();
    let app = format!("--issuer {issuer} --client-id demo-app --scope openid");
    let service = format!("--issuer {issuer} --client-id demo-service");
    let file = secret_file(SECRET);
    let file = file.display();

    watch.paste(&format!("login --no-browser {app}"), &["access_token"]).printed();
    watch.paste(&format!("login --no-browser {app} --output json"), &TOKENS).printed();
    watch.paste(&format!("login --no-browser {app} --output id-token"), &["id_token"]).printed();
    watch
        .browse(&format!("login {service} --scope openid --client-secret-env S --output header"), &["access_token"])
        .printed();
    for fault in [Fault::IdTokenBadSignature, Fault::IdTokenWrongNonce, Fault::TokenMissing, Fault::CallbackIssWrong] {
        server.set_fault(Some(fault));
        let ran = watch.paste(&format!("login --no-browser {app} --output json"), &[]);
        assert_eq!((ran.code == Some(0), ran.out.as_str()), (false, ""), "{ran:?}");
    }
    server.set_fault(None);

    let line = format!("login --device {app}");
    let mut running = Running::start(&mut watch.command(&line));
    let code = running.line(|line| line.trim().len() == 9 && line.contains('-'));
    watch.see_arguments(&line, running.child.id());
    assert!(server.approve_device(&code, "alice"));
    let ran = running.ended();
    watch.saw(&line, ran, &["access_token"], &["user_code"]).printed();

    let line = format!("token client-credentials {service} --client-secret-file {file} --scope read");
    watch.run(&line, &["access_token"]);
    let line = format!("token client-credentials {service} --client-secret-env S");
    let ran = watch.run_with(&line, &[("S", SECRET)], &["access_token"]);
    ran.printed();
    watch.keep("client_secret", "canary-that-is-wrong");
    let ran = watch.run_with(&line, &[("S", "canary-that-is-wrong")], &[]);
    ran.failed_with_trace(4);
    // A server that repeats what it was sent.
    let echo = format!(r#"{{"error":"invalid_client","error_description":"not {SECRET}"}}"#);
    server.answer_next("/token", Answer::new(401, &[("content-type", "application/json")], echo));
    let ran = watch.run_with(&line, &[("S", SECRET)], &[]);
    ran.failed_with_trace(4);

    watch.paste(&format!("login --no-browser {app} --save work --replace --audience {}", server.url("/api")), &[]);
    watch.run("token work --output env", &["access_token"]);
    watch.home.age(-10);
    watch.run("token work --output json", &["access_token", "id_token"]);
    watch.run(&format!("curl work {} --include", server.url("/api/me")), &[]);
    watch.home.age(-10);
    watch.run(&format!("curl work {} -d @{file}", server.url("/api/me")), &[]);
    watch.fail("curl work https://elsewhere.example/");
    watch.run("list", &[]);
    watch.run("list --output json", &[]);
    watch.run("inspect work", &[]);
    let exported = watch.run("export work", &TOKENS);
    let exported: Value = serde_json::from_str(exported.printed()).unwrap();
    let refresh_token = exported["refresh_token"].as_str().unwrap().to_owned();
    let line = format!("token refresh --issuer {issuer} --client-id demo-app --refresh-token-env R --output json");
    let ran = watch.run_with(&line, &[("R", &refresh_token)], &TOKENS);
    ran.printed();
    let ran = watch.run_with(&line, &[("R", &refresh_token)], &[]);
    ran.failed_with_trace(4);
    watch.run(&format!("discover {issuer}"), &[]);
    watch.run("revoke work --kind access", &[]);
    watch.run("revoke work", &[]);
    watch.fail("token work");
    watch.paste(&format!("login --no-browser {app} --save work --replace"), &[]);
    watch.run("logout work", &[]);

    let theirs = watch.home.0.join("theirs.json");
    for secret in ["canary-imported-a1", "canary-imported-r1"] {
        watch.keep("imported", secret);
    }
    let tokens = r#"{"access_token":"canary-imported-a1","refresh_token":"canary-imported-r1","token_type":"Bearer","expires_at":1000}"#;
    fs::write(&theirs, tokens).unwrap();
    let import = format!("import theirs {} --shape authlib --issuer {issuer} --client-id demo-app", theirs.display());
    watch.run(&import, &[]);
    watch.fail("token theirs");
    fs::write(&theirs, &tokens[..60]).unwrap();
    watch.fail(&import.replace("import theirs", "import others"));
    watch.run("export theirs", &["imported"]);
    watch.run_with("logout theirs", &[], &[]);
}

fn without_a_server(watch: &mut Watch) {
    for line in ["diagram device", "completions bash"] {
        watch.run(line, &[]);
    }
    for line in ["demo", "demo --fault id-token-bad-signature"] {
        let ran = watch.run_with(line, &[], &[]);
        // Its server makes the secrets: they are known by their length.
        for text in [&ran.out, &ran.err] {
            let words = text.split(|char: char| !char.is_ascii_alphanumeric() && !"-_".contains(char));
            assert_eq!(words.filter(|word| word.len() >= 40).collect::<Vec<_>>(), [""; 0], "{line}");
        }
    }
}

/// The development server as a command: what it writes of its requests.
fn serving(watch: &mut Watch) {
    let line = "serve --auto-consent alice";
    let mut running = Running::start(watch.command(line).stdin(Stdio::null()));
    let mut issuer = String::new();
    BufReader::new(running.child.stdout.as_mut().unwrap()).read_line(&mut issuer).unwrap();
    let issuer = issuer.trim();
    watch.see_arguments(line, running.child.id());
    let login = format!("login --no-browser --issuer {issuer} --client-id demo-app --scope openid --output json");
    let ran = watch.paste(&login, &TOKENS);
    let tokens: Value = serde_json::from_str(ran.printed()).unwrap();
    for kind in TOKENS {
        watch.keep(kind, tokens[kind].as_str().unwrap());
    }
    running.signal("TERM");
    let ran = running.ended();
    assert!(ran.err.contains("POST /token"), "{ran:?}");
    watch.saw(line, ran, &[], &[]);
}

impl Ran {
    /// It has failed with this code and has printed nothing.
    #[track_caller]
    fn failed_with_trace(&self, code: i32) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
    }
}
