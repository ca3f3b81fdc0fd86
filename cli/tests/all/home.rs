//! A user with a folder of their own, who logs in and whose tokens grow old.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use grantflow_devserver::DevServer;
use serde_json::Value;

use crate::support::{Ran, Running, command, folder, ran, sent_back_to};

pub struct Home(pub PathBuf);

impl Home {
    pub fn new() -> Self {
        Self(folder())
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = command(line.split_whitespace());
        command.env("XDG_STATE_HOME", &self.0);
        command
    }

    pub fn run(&self, line: &str) -> Ran {
        ran(&mut self.command(line))
    }

    /// Logs alice in at `server`.
    pub fn log_in(&self, server: &DevServer, name: &str, more: &str) -> Ran {
        let line = format!("login --no-browser --issuer {} --save {name} {more}", server.issuer());
        let client = if more.contains("--client-id") { "" } else { " --client-id demo-app --scope openid" };
        self.log_in_by(&mut self.command(&format!("{line}{client}")))
    }

    pub fn log_in_by(&self, command: &mut Command) -> Ran {
        let mut running = Running::start(command);
        let back = sent_back_to(&running.address());
        running.type_line(&back);
        running.ended()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join("grantflow").join(name)
    }

    pub fn tokens(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.file("tokens.json")).unwrap()).unwrap()
    }

    /// The stored tokens of the only login there is.
    pub fn stored(&self) -> Value {
        let tokens = self.tokens();
        let records = tokens["records"].as_object().unwrap();
        assert_eq!(records.len(), 1);
        records.values().next().unwrap()["tokens"].clone()
    }

    /// Lets all tokens end so many seconds from now, as if that much time had gone by since they came.
    pub fn age(&self, seconds_left: i64) {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let mut tokens = self.tokens();
        for record in tokens["records"].as_object_mut().unwrap().values_mut() {
            let end = now.saturating_add(seconds_left);
            record["tokens"]["expires_at"] = end.into();
            record["tokens"]["granted_at"] = end.saturating_sub(3_600).into();
        }
        self.write("tokens.json", &tokens.to_string());
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// How many requests of this grant a server has had.
pub fn requests(server: &DevServer, grant: &str) -> usize {
    server.log().iter().filter(|entry| entry.path == "/token" && entry.form_value("grant_type") == Some(grant)).count()
}
