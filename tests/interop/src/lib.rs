//! What the interop tests run against: the server, the person and the browser of this folder, each a Node process.
//!
//! Everything here panics when something is not as it should be; it is a test harness.

pub mod hand;
pub mod runners;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
    command
}

/// Runs a script to its end and reads the line of JSON that it prints.
fn answer<T: DeserializeOwned>(mut command: Command) -> T {
    let output = command.stdin(Stdio::null()).output().expect("node is installed");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed: {errors}");
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{command:?} printed {text}: {error}"))
}

/// A running authorization server. It ends with this value.
#[derive(Debug)]
pub struct Server {
    ready: Ready,
    child: Child,
    /// Held open: the server lives as long as its standard input.
    _stdin: ChildStdin,
}

#[derive(Debug, Deserialize)]
struct Ready {
    issuer: String,
    resource: String,
    clients: std::collections::BTreeMap<String, Registered>,
}

/// A client as the server knows it.
#[derive(Debug, Deserialize)]
pub struct Registered {
    /// Its id.
    pub client_id: String,
    /// Its secret, if it is confidential.
    pub client_secret: Option<String>,
}

/// One request that the server has had.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Logged {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The scheme of the `Authorization` header: `basic`, `bearer`, `none`.
    pub authorization: String,
    /// The `Accept` header.
    pub accept: String,
    /// The names of the parameters in the URL.
    pub query: Vec<String>,
    /// The names of the parameters in the form.
    pub form: Vec<String>,
    /// The grant, in a token request.
    pub grant_type: Option<String>,
}

impl std::fmt::Display for Logged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, path, status, authorization, accept, query, form, grant_type } = self;
        write!(f, "{status} {method} {path}, authorization {authorization}, accept {accept}")?;
        if !query.is_empty() {
            write!(f, ", query {}", query.join(" "))?;
        }
        if !form.is_empty() {
            write!(f, ", form {}", form.join(" "))?;
        }
        grant_type.as_ref().map_or(Ok(()), |grant| write!(f, ", {grant}"))
    }
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub fn start() -> Self {
        let mut command = node("server.mjs");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is installed");
        let stdin = child.stdin.take().expect("its input is piped");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output is piped"))
            .read_line(&mut line)
            .expect("it says something");
        let ready = serde_json::from_str(&line).expect("the server starts: run tests/interop/run, which installs it");
        Self { ready, child, _stdin: stdin }
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.ready.issuer
    }

    /// The one resource that it knows.
    pub fn resource(&self) -> &str {
        &self.ready.resource
    }

    /// A client by its name in `server.mjs`.
    pub fn client(&self, name: &str) -> &Registered {
        &self.ready.clients[name]
    }

    /// The requests that a client sent: no pages, no browser.
    pub fn log(&self) -> Vec<Logged> {
        let url = Url::parse(&format!("{}/-/log", self.issuer())).expect("a URL");
        let all: Vec<Logged> = serde_json::from_slice(&hand::get(&url)).expect("the log");
        let pages = ["/auth", "/interaction/", "/device", "/favicon.ico"];
        let page = |path: &str| path != "/device/auth" && pages.iter().any(|page| path.starts_with(page));
        all.into_iter().filter(|logged| !page(&logged.path)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the person's way ended.
#[derive(Debug, Deserialize)]
pub struct Arrived {
    /// The URL of the callback.
    pub location: Url,
    /// The status of our listener's answer, if it was asked.
    pub status: Option<u16>,
    /// The title of our listener's page, if it was asked.
    pub title: Option<String>,
}

/// A person who does everything by plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Logs in and consents.
    Willing,
    /// Refuses.
    Unwilling,
}

impl Person {
    fn script(self, arguments: &[&str]) -> Command {
        let mut command = node("person.mjs");
        command.args(arguments);
        if self == Person::Unwilling {
            command.arg("--deny");
        }
        command
    }

    /// Walks through the server's pages and stops before the callback.
    pub fn authorizes(self, url: &Url) -> Arrived {
        answer(self.script(&["authorize", url.as_str()]))
    }

    /// Walks through the server's pages and calls the redirect URI.
    pub fn comes_back(self, url: &Url) -> Arrived {
        answer(self.script(&["authorize", url.as_str(), "--follow"]))
    }

    /// Opens the device page with the code in its URL, and confirms or refuses.
    pub fn confirms(self, complete: &Url) {
        #[derive(Deserialize)]
        struct Page {
            status: u16,
        }
        let page: Page = answer(self.script(&["device", complete.as_str()]));
        assert_eq!(page.status, 200, "the device page");
    }
}

/// The page that a browser showed at the end.
#[derive(Debug, Deserialize)]
pub struct Shown {
    /// Its URL.
    pub url: Url,
    /// Its title.
    pub title: String,
    /// Its status.
    pub status: u16,
    /// Its text.
    pub text: String,
    /// What the pages before it were called.
    pub pages: Vec<String>,
}

/// A person with headless Chromium: types a login, clicks, waits for our page and takes a picture of it.
pub fn browse(url: &Url, picture: &Path) -> Shown {
    let mut command = node("browser.mjs");
    command.arg(url.as_str()).arg(picture);
    answer(command)
}
