//! Does one thing with one store, for tests that stop, kill and starve the process meanwhile.
//!
//!     save STORE PATH idle
//!     save STORE PATH save FROM TO [SIZE]    FROM: a version, `absent` or `anything`
//!     save STORE PATH load                   the version is the exit code
//!     save STORE PATH delete
//!     save STORE PATH hold FROM TO           claims, says so, and saves when a line is typed
//!
//! STORE: `file`, `encrypted`, `sqlite`, `home` or, with the feature, `keyring`. Says how it went by its exit code alone, so that
//! it writes nothing that the store does not write.
#![expect(clippy::print_stdout, reason = "a command says when it holds the claim")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use grantflow_core::Secret;
use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::{Claim, Expected, StoreKey, StoreWrite, Stored, Version};
use grantflow_stores::{FileStore, Saved, SqliteStore, Store};

const CONFLICT: u8 = 100;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    let mut next = || words.next().ok_or("too few words");
    let (kind, path) = (next()?, next()?);
    let store = match open(kind, path)? {
        Ok(store) => store,
        Err(error) => return Ok(code(Err(error))),
    };
    let key = StoreKey::of("https://as.example", "client", "default")?;
    let went = match next()? {
        "idle" => Ok(0),
        "save" => {
            let write = write(key, next()?, next()?, words.next().unwrap_or("10"))?;
            store.save(write).map(outcome)
        }
        "load" => {
            let version = |stored: Stored| u8::try_from(stored.version.as_u64()).unwrap_or(u8::MAX);
            store.load(&key).map(|stored| stored.map_or(0, version))
        }
        "delete" => store.delete(&key).map(|()| 0),
        "hold" => {
            let held =
                store.claim(&Claim { key: key.clone(), wait: Duration::from_secs(5), lease: Duration::from_secs(60) });
            match held {
                Ok(_held) => {
                    println!("held");
                    std::io::stdin().read_line(&mut String::new())?;
                    store.save(write(key, next()?, next()?, "10")?).map(outcome)
                }
                Err(error) => Err(error),
            }
        }
        _ => return Err("no such word".into()),
    };
    Ok(code(went))
}

fn open(kind: &str, path: &str) -> Result<Result<Box<dyn Store>, StoreError>, Box<dyn Error>> {
    Ok(match kind {
        "file" => Ok(Box::new(FileStore::at(path))),
        "home" => FileStore::in_user_state().map(|store| -> Box<dyn Store> { Box::new(store) }),
        "encrypted" => Ok(Box::new(FileStore::at(path).encrypted(&Secret::new(vec![7; 32]))?)),
        "sqlite" => Ok(Box::new(SqliteStore::at(path))),
        #[cfg(feature = "keyring")]
        "keyring" => {
            let keyring = grantflow_stores::KeyringStore::of_the_system("grantflow-tests");
            keyring.map(|keyring| -> Box<dyn Store> { Box::new(keyring.with_lock_folder(path)) })
        }
        _ => return Err("no such store".into()),
    })
}

fn write(key: StoreKey, from: &str, to: &str, size: &str) -> Result<StoreWrite, Box<dyn Error>> {
    let expected = match from {
        "absent" => Expected::Absent,
        "anything" => Expected::Anything,
        version => Expected::Version(Version::from_u64(version.parse()?)),
    };
    let filler = "x".repeat(size.parse()?);
    let bytes = format!(r#"{{"version":"{to}","refresh_token":"secret-{to}","filler":"{filler}"}}"#).into_bytes();
    let stored = Stored { version: Version::from_u64(to.parse()?), bytes: Secret::new(bytes) };
    Ok(StoreWrite { key, expected, stored })
}

fn outcome(saved: Saved) -> u8 {
    match saved {
        Saved::Done => 0,
        Saved::Conflict => CONFLICT,
    }
}

fn code(went: Result<u8, StoreError>) -> ExitCode {
    ExitCode::from(went.unwrap_or_else(|error| match error.fault {
        StoreFault::Unavailable => 201,
        StoreFault::Busy => 202,
        StoreFault::Full => 203,
        StoreFault::Denied => 204,
        StoreFault::Corrupt => 205,
        StoreFault::Newer => 206,
        StoreFault::TooLarge => 207,
        _ => 208,
    }))
}
