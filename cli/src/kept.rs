//! Where logins are kept: the store of their tokens, and beside it what is needed to use them again.
//!
//! A profile is what a login was asked for and by whom, and where its client secret is: never the secret itself. Profiles
//! stand in a file of their own that is written like the file of tokens: for its owner alone, whole or not at all.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grantflow_core::error::{StoreError, StoreFault, safe_text};
use grantflow_core::store::{Claim, Expected, Life, StoreKey, StoreWrite, Stored, Version};
use grantflow_core::token::TokenSet;
use grantflow_core::{Error, Secret};
use grantflow_stores::{Claimed, FileStore, Saved, Store};
use grantflow_tokio::{Clock, SystemClock};

use crate::exit::Failure;
use crate::profile::Profile;

/// The environment variable that names the store, where `--store` does not.
pub(crate) const VARIABLE: &str = "GRANTFLOW_STORE";

/// The second part of the keys of profiles.
const PROFILES: &str = "profile";

/// How long somebody who saves a login waits for another one who does. It takes milliseconds.
const CLAIM_WAIT: Duration = Duration::from_secs(30);

/// Tokens and profiles.
#[derive(Debug)]
pub(crate) struct Kept {
    tokens: Arc<dyn Store>,
    profiles: FileStore,
    /// The store, as the first part of the keys of profiles: several stores may share their file.
    place: String,
}

/// A login that is kept.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) profile: Profile,
    pub(crate) key: StoreKey,
}

/// Tokens as they are stored.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) life: Life,
    pub(crate) tokens: TokenSet,
}

impl Kept {
    /// Opens the store that `--store` or the environment names: a file in the user's state folder if neither does.
    pub(crate) fn open(named: Option<&str>) -> Result<Self, Failure> {
        let place = match named {
            Some(text) => Place::parse(text, "--store", FromWhom::Argument)?,
            None => match env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
                Some(value) => match value.to_str() {
                    Some(text) => Place::parse(text, VARIABLE, FromWhom::Environment)?,
                    None => return Err(unknown(VARIABLE)),
                },
                None => Place::File(None),
            },
        };
        place.open()
    }

    /// Where tokens are kept.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.tokens)
    }

    /// The login of this name.
    pub(crate) fn login(&self, name: &str) -> Result<Login, Failure> {
        match self.find(name)? {
            Some((login, _)) => Ok(login),
            None => Err(Failure::LoginNeeded(format!(
                "there is no login named {}; `grantflow list` shows what there is, `grantflow login --save` makes one",
                safe_text(name)
            ))),
        }
    }

    /// All logins, by name.
    pub(crate) fn logins(&self) -> Result<Vec<Login>, Failure> {
        let listed = self.profiles.list().map_err(of_profiles)?;
        let mut names: Vec<_> = listed
            .iter()
            .filter(|listed| listed.key.issuer() == self.place && listed.key.client_id() == PROFILES)
            .map(|listed| listed.key.profile())
            .collect();
        names.sort_unstable();
        // One that has gone meanwhile is left out.
        names.into_iter().filter_map(|name| self.find(name).transpose()).map(|found| Ok(found?.0)).collect()
    }

    /// What is stored of a login.
    pub(crate) fn held(&self, login: &Login) -> Result<Option<Held>, Failure> {
        let stored = self.tokens.load(&login.key).map_err(Error::from)?;
        let Some(stored) = stored else { return Ok(None) };
        let (life, tokens) = stored.tokens(&login.key, SystemClock.now()).map_err(Error::from)?;
        Ok(Some(Held { life, tokens }))
    }

    /// Whether a login may be saved under this name: whoever has it must be the same client of the same server, or give way.
    pub(crate) fn admit(&self, name: &str, profile: &Profile, taken: Taken) -> Result<(), Failure> {
        let key = profile.key(name)?;
        let found = self.find(name)?;
        // What cannot be read is put aside by a login; any other trouble is better known before somebody logs in.
        match self.tokens.load(&key) {
            Err(error) if error.fault != StoreFault::Corrupt => return Err(Failure::Flow(error.into())),
            Err(_) | Ok(_) => {}
        }
        match found {
            Some((login, _)) if !login.profile.is_of_the_same_client(profile) && taken == Taken::Respect => {
                Err(Failure::Usage(format!(
                    "the name {name} belongs to the client {} of {}; choose another one, or give --replace to forget its tokens",
                    safe_text(&login.profile.client_id),
                    safe_text(&login.profile.issuer),
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Keeps others from saving a login under this name until the claim is dropped.
    pub(crate) fn claim(&self, name: &str) -> Result<Option<Box<dyn Claimed>>, Failure> {
        self.profiles.claim(&Claim { key: self.key(name)?, wait: CLAIM_WAIT, lease: CLAIM_WAIT }).map_err(of_profiles)
    }

    /// Writes a profile, and forgets the tokens of another client that had the name.
    pub(crate) fn save_profile(&self, name: &str, profile: Profile, taken: Taken) -> Result<Login, Failure> {
        self.admit(name, &profile, taken)?;
        let found = self.find(name)?;
        let previous = found.as_ref().map(|(_, version)| *version);
        let version = next(previous);
        let write = StoreWrite {
            key: self.key(name)?,
            expected: previous.map_or(Expected::Absent, Expected::Version),
            stored: Stored { version, bytes: profile.to_record(version) },
        };
        match self.profiles.save(write).map_err(of_profiles)? {
            Saved::Done => {}
            Saved::Conflict => {
                let text = "the profile was changed by somebody else at the same moment; try again";
                return Err(of_profiles(StoreError::new(StoreFault::Busy, text)));
            }
        }
        let login = Login { name: name.to_owned(), key: profile.key(name)?, profile };
        match found {
            Some((old, _)) if old.key != login.key => self.tokens.delete(&old.key).map_err(Error::from)?,
            Some(_) | None => {}
        }
        Ok(login)
    }

    /// Forgets a profile.
    pub(crate) fn forget_profile(&self, name: &str) -> Result<(), Failure> {
        self.profiles.delete(&self.key(name)?).map_err(of_profiles)
    }

    fn find(&self, name: &str) -> Result<Option<(Login, Version)>, Failure> {
        // A name that none can have is not there.
        let Ok(key) = self.key(name) else { return Ok(None) };
        let Some(stored) = self.profiles.load(&key).map_err(of_profiles)? else { return Ok(None) };
        let profile = Profile::from_record(stored.bytes.expose()).map_err(of_profiles)?;
        let key = profile.key(name)?;
        Ok(Some((Login { name: name.to_owned(), profile, key }, stored.version)))
    }

    fn key(&self, name: &str) -> Result<StoreKey, Failure> {
        Ok(StoreKey::of(&self.place, PROFILES, name)?)
    }
}

/// What becomes of a name that another client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It stays.
    Respect,
    /// It goes, with its tokens.
    Replace,
}

/// What went wrong with the file of profiles: not what a token manager would mean by a store.
fn of_profiles(error: StoreError) -> Failure {
    Failure::Flow(StoreError::new(error.fault, format!("profiles: {}", error.detail)).into())
}

fn next(previous: Option<Version>) -> Version {
    let time = SystemClock.now().as_millis().min((1 << 42) - 1) << 20;
    let least = previous.map_or(0, |previous| previous.as_u64().saturating_add(1));
    Version::from_u64(time.max(least))
}

/// Where the name of a store comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FromWhom {
    Argument,
    Environment,
}

/// A store by its name.
#[derive(Debug)]
enum Place {
    File(Option<PathBuf>),
    Keyring,
    Redis(Secret),
    Postgres(Secret),
}

impl Place {
    /// Reads the name of a store. Messages never repeat it: there may be a password in it.
    fn parse(text: &str, whence: &str, from: FromWhom) -> Result<Self, Failure> {
        let (kind, rest) = text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
        let url = |place: fn(Secret) -> Self| {
            let url = url::Url::parse(text).map_err(|_| unknown(whence))?;
            let is_secret = url.password().is_some() || url.query().is_some_and(|query| query.contains("password"));
            if is_secret && from == FromWhom::Argument {
                let text = format!(
                    "everybody on this machine can read arguments: give a store with a password in {VARIABLE} instead"
                );
                return Err(Failure::Usage(text));
            }
            Ok(place(Secret::from(text)))
        };
        match (kind, rest) {
            ("file", None) => Ok(Place::File(None)),
            ("file", Some(path)) if !path.is_empty() => Ok(Place::File(Some(path.into()))),
            ("keyring", None) => Ok(Place::Keyring),
            ("redis" | "rediss", Some(_)) => url(Place::Redis),
            ("postgres" | "postgresql", Some(_)) => url(Place::Postgres),
            _ => Err(unknown(whence)),
        }
    }

    fn open(self) -> Result<Kept, Failure> {
        let in_state = || FileStore::in_user_state().map_err(|error| Failure::Flow(error.into()));
        match self {
            Place::File(path) => {
                let tokens = path.map_or_else(in_state, |path| Ok(FileStore::at(path)))?;
                let profiles = FileStore::at(tokens.path().with_extension("profiles.json"));
                Ok(Kept { tokens: Arc::new(tokens), profiles, place: "file".to_owned() })
            }
            Place::Keyring => elsewhere(keyring()?, in_state()?, "keyring".to_owned()),
            Place::Redis(url) => elsewhere(redis(&url)?, in_state()?, without_user(&url)),
            Place::Postgres(url) => elsewhere(postgres(&url)?, in_state()?, without_user(&url)),
        }
    }
}

/// Profiles of tokens that are no file stand where the tokens would if they were.
fn elsewhere(tokens: Arc<dyn Store>, file: FileStore, place: String) -> Result<Kept, Failure> {
    let profiles = FileStore::at(file.path().with_extension("profiles.json"));
    Ok(Kept { tokens, profiles, place })
}

/// A server's address without who asks it.
fn without_user(url: &Secret) -> String {
    url::Url::parse(url.expose()).map_or_else(
        |_| String::new(),
        |url| {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
        },
    )
}

fn unknown(whence: &str) -> Failure {
    let text = "is none of file, file:PATH, keyring, redis://… and postgres://…";
    Failure::Usage(format!("{whence} {text}"))
}

#[cfg(not(all(feature = "keyring", feature = "postgres", feature = "redis")))]
fn not_built_in(feature: &str) -> Failure {
    Failure::Settings(format!(
        "this grantflow was built without the store {feature}; in its source, `cargo install --path cli --features {feature}` builds one that has it"
    ))
}

#[cfg(feature = "keyring")]
fn keyring() -> Result<Arc<dyn Store>, Failure> {
    Ok(Arc::new(grantflow_stores::KeyringStore::of_the_system("grantflow").map_err(Error::from)?))
}

#[cfg(not(feature = "keyring"))]
fn keyring() -> Result<Arc<dyn Store>, Failure> {
    Err(not_built_in("keyring"))
}

#[cfg(feature = "redis")]
fn redis(url: &Secret) -> Result<Arc<dyn Store>, Failure> {
    Ok(Arc::new(grantflow_stores::RedisStore::connect(url.expose())?))
}

#[cfg(not(feature = "redis"))]
fn redis(_url: &Secret) -> Result<Arc<dyn Store>, Failure> {
    Err(not_built_in("redis"))
}

#[cfg(feature = "postgres")]
fn postgres(url: &Secret) -> Result<Arc<dyn Store>, Failure> {
    Ok(Arc::new(grantflow_stores::PostgresStore::connect(url.expose())?))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_url: &Secret) -> Result<Arc<dyn Store>, Failure> {
    Err(not_built_in("postgres"))
}
