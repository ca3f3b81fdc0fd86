//! Servers of the tests' own, on loopback, in a folder that goes with them.
//!
//! Without the programs the tests print `skipped: …` and pass.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grantflow_core::store::StoreKey;
use grantflow_stores::{PostgresStore, RedisStore, Store};

/// In no error, no `Debug`, no log of ours.
pub(crate) const PASSWORD: &str = "se:cr/et@1";
pub(crate) const PASSWORD_IN_URL: &str = "se%3Acr%2Fet%401";

/// A machine that is busy with other things is not what these tests are about.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store for tests in which the server answers in the end.
pub(crate) fn patient_postgres(url: &str) -> PostgresStore {
    PostgresStore::connect(url).unwrap().with_timeouts(PATIENCE, PATIENCE)
}

pub(crate) fn skipped(what: &str) {
    println!("skipped: {what}: the server's program is not installed");
}

/// A folder that is removed when it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("grantflow-{what}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where a program is: on the path, or where Debian keeps those of Postgres.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Sends a signal, as `kill -STOP` does.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
}

fn answers(store: &dyn Store) -> bool {
    let began = Instant::now();
    let key = StoreKey::of("https://ready.example", "client", "default").unwrap();
    while began.elapsed() < Duration::from_secs(60) {
        if store.load(&key).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[derive(Debug)]
pub(crate) struct Redis {
    child: Option<Child>,
    folder: Folder,
    port: u16,
    options: Vec<String>,
}

impl Redis {
    /// A server that loses nothing it has acknowledged.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        if program("redis-server").is_none() {
            skipped("Redis");
            return None;
        }
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut redis = Self { child: None, folder: Folder::new("redis"), port: free_port(), options };
        redis.start_again();
        Some(redis)
    }

    pub(crate) fn start_again(&mut self) {
        let fixed = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
        let child = Command::new(program("redis-server").unwrap())
            .args(fixed)
            .args(["--port", &self.port.to_string(), "--requirepass", PASSWORD, "--masterauth", PASSWORD])
            .arg("--dir")
            .arg(&self.folder.0)
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        assert!(answers(&self.store()), "Redis does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{PASSWORD_IN_URL}@127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::connect(&self.url()).unwrap().with_timeouts(PATIENCE, PATIENCE)
    }

    /// Asks the server itself.
    pub(crate) fn ask(&self, words: &[&str]) -> redis::Value {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut connection).unwrap()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.as_ref().unwrap(), name);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Debug)]
pub(crate) struct Postgres {
    child: Option<Child>,
    folder: Folder,
    port: u16,
    user: Option<(u32, u32)>,
}

impl Postgres {
    pub(crate) fn start() -> Option<Self> {
        let user = match unprivileged() {
            Ok(user) => user,
            Err(()) => {
                println!("skipped: Postgres: there is no user for it");
                return None;
            }
        };
        let (Some(initdb), Some(_)) = (program("initdb"), program("postgres")) else {
            skipped("Postgres");
            return None;
        };
        let folder = Folder::new("postgres");
        let password = folder.0.join("password");
        fs::write(&password, PASSWORD).unwrap();
        if let Some((uid, gid)) = user {
            chown(&folder.0, Some(uid), Some(gid)).unwrap();
            chown(&password, Some(uid), Some(gid)).unwrap();
        }
        let mut postgres = Self { child: None, folder, port: free_port(), user };
        let made = postgres
            .command(&initdb)
            .args([
                "--username",
                "grantflow",
                "--auth",
                "scram-sha-256",
                "--no-sync",
                "--encoding",
                "UTF8",
                "--locale",
                "C",
            ])
            .arg("--pwfile")
            .arg(&password)
            .arg("--pgdata")
            .arg(postgres.data())
            .status()
            .unwrap();
        assert!(made.success(), "initdb fails");
        postgres.start_again();
        Some(postgres)
    }

    fn data(&self) -> PathBuf {
        self.folder.0.join("data")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command.current_dir(&self.folder.0).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Writes a file that the server may read, and nobody else.
    #[cfg(feature = "postgres-tls")]
    pub(crate) fn give(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        path
    }

    pub(crate) fn start_again(&mut self) {
        let child = self
            .command(&program("postgres").unwrap())
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "max_connections=60", "-c", "shared_buffers=16MB"])
            .spawn()
            .unwrap();
        self.child = Some(child);
        assert!(answers(&self.store()), "Postgres does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://grantflow:{PASSWORD_IN_URL}@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn url_at(&self, port: u16) -> String {
        self.url().replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }

    pub(crate) fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn store(&self) -> PostgresStore {
        patient_postgres(&self.url())
    }

    /// Asks the server itself.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (sql, url) = (sql.to_owned(), self.url());
        runtime.block_on(async move {
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let answers = client.simple_query(&sql).await.unwrap();
            drop(client);
            connection.await.unwrap().unwrap();
            let cell = |message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            };
            answers.into_iter().filter_map(cell).collect()
        })
    }

    /// Ends it as a crash does: nothing is tidied up, and the next start recovers.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, "QUIT");
            child.wait().unwrap();
        }
    }

    /// Ends it as an administrator does who does not wait.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(&child, "INT");
            child.wait().unwrap();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// As whom Postgres runs, which refuses to be root: its own user then.
fn unprivileged() -> Result<Option<(u32, u32)>, ()> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    match id(&["-u"]) {
        Some(0) => Ok(Some((id(&["-u", "postgres"]).ok_or(())?, id(&["-g", "postgres"]).ok_or(())?))),
        _ => Ok(None),
    }
}
