//! Running the command, and being its browser.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use grantflow_devserver::{Config, DevServer};

/// The secret of the confidential client in [`server`].
pub const SECRET: &str = "canary-client-secret-5ee1";

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// It has succeeded; what it printed, without the line break.
    #[track_caller]
    pub fn printed(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out.strip_suffix('\n').unwrap()
    }

    /// It has failed with this code, a message, and nothing on standard output.
    #[track_caller]
    pub fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert!(!self.err.is_empty());
        assert!(!self.err.contains('\u{1b}'), "{self:?}");
        &self.err
    }
}

/// The command, with nothing of this process' environment that could change what it does, and no browser.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantflow"));
    command.env_clear().env("PATH", "/nowhere").args(args).stdin(Stdio::null());
    // Where a program that counts its own lines leaves what it has counted.
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|path| ("LLVM_PROFILE_FILE", path)));
    command
}

pub fn ran(command: &mut Command) -> Ran {
    Ran::from(command.output().unwrap())
}

/// Runs a command line; words are separated by blanks.
pub fn run(line: &str) -> Ran {
    ran(&mut command(line.split_whitespace()))
}

/// A server that consents by itself, with a client whose secret is a canary.
pub fn server(change: impl FnOnce(&mut Config)) -> DevServer {
    let mut config = Config::default().allowing("alice");
    config.device_interval = 1;
    for client in config.clients.iter_mut().filter(|client| client.id == "demo-service") {
        client.secret = Some(SECRET.into());
    }
    change(&mut config);
    DevServer::start(config).unwrap()
}

pub fn honest() -> DevServer {
    server(|_| {})
}

/// A new folder.
pub fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A file that only its owner may read.
pub fn secret_file(text: &str) -> PathBuf {
    file_with_mode(text, 0o600)
}

pub fn file_with_mode(text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder().join("secret");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// A command that runs, and says things on standard error meanwhile.
pub struct Running {
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new() }
    }

    /// Reads on to the first line that `fits`.
    pub fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let mut line = String::new();
            let length = self.stderr.read_line(&mut line).unwrap();
            self.said.push_str(&line);
            assert!(length > 0, "no such line: {}", self.said);
            if fits(&line) {
                return line.trim().to_owned();
            }
        }
    }

    /// The address that a person is to open.
    pub fn address(&mut self) -> String {
        self.line(|line| line.starts_with("http") && line.contains("/authorize?"))
    }

    pub fn type_line(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ran {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        // Standard input stays open until now: the command must not need its end.
        let code = self.child.wait().unwrap().code();
        Ran { code, out, err: self.said.clone() }
    }
}

/// One answer of a server, as a browser sees it.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub location: Option<String>,
}

/// A GET request of `http://HOST:PORT/…`.
pub fn get(url: &str) -> Page {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer);
    let head = head.split("\r\n\r\n").next().unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    Page { status, location }
}

/// Where the server sends the browser back to.
pub fn sent_back_to(address: &str) -> String {
    let page = get(address);
    page.location.unwrap_or_else(|| panic!("no redirect, but {}", page.status))
}

/// The value of a query parameter, as it stands there.
pub fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|pair| pair.0 == name).unwrap().1.to_owned()
}

/// Fails if one of these stands in a text.
#[track_caller]
pub fn assert_absent<'a>(text: &str, canaries: impl IntoIterator<Item = &'a str>) {
    for canary in canaries {
        assert!(!canary.is_empty() && !text.contains(canary), "{canary} in {text}");
    }
}
