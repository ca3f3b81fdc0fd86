//! Everything the server remembers: in memory, bounded, expiring. Codes, tokens and cookies are kept as hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use grantflow_core::Timestamp;

use crate::answer::Scripts;
use crate::config::Consent;
use crate::faults::Switches;
use crate::keys::KeyRing;
use crate::log::Log;
use crate::redirect::Return;

/// Each kind of thing is kept this often; the oldest goes first.
pub const CAPACITY: usize = 10_000;

/// Used codes and refresh tokens are remembered beyond their life, so that a second use is noticed.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(3_600);

/// The server's memory.
pub(crate) struct State {
    pub(crate) keys: KeyRing,
    pub(crate) consent: Consent,
    pub(crate) sessions: Bounded<Session>,
    pub(crate) requests: Bounded<PendingRequest>,
    pub(crate) codes: Bounded<Code>,
    pub(crate) tokens: Bounded<AccessToken>,
    pub(crate) refresh_tokens: Bounded<RefreshToken>,
    pub(crate) devices: Bounded<Device>,
    pub(crate) switches: Switches,
    pub(crate) scripts: Scripts,
    pub(crate) log: Log,
    next_family: u64,
}

impl State {
    pub(crate) fn new(consent: Consent) -> Result<Self, Unspecified> {
        Ok(Self {
            keys: KeyRing::new()?,
            consent,
            sessions: Bounded::default(),
            requests: Bounded::default(),
            codes: Bounded::default(),
            tokens: Bounded::default(),
            refresh_tokens: Bounded::default(),
            devices: Bounded::default(),
            switches: Switches::default(),
            scripts: Scripts::default(),
            log: Log::default(),
            next_family: 0,
        })
    }

    /// A number for everything that descends from one act of consent.
    pub(crate) fn new_family(&mut self) -> u64 {
        self.next_family = self.next_family.saturating_add(1);
        self.next_family
    }

    /// Kills every token that descends from one act of consent.
    pub(crate) fn revoke_family(&mut self, family: u64) {
        self.tokens.retain(|token| token.grant.family != family);
        self.refresh_tokens.retain(|token| token.grant.family != family);
    }
}

/// What somebody allowed, or what a client got for itself.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) family: u64,
    pub(crate) client: String,
    /// The user's name; a client's own grant has none.
    pub(crate) user: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// The resources and audiences asked for.
    pub(crate) audience: Vec<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) acr: Option<String>,
}

impl Grant {
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}

/// A browser, by its cookie.
#[derive(Clone, Default)]
pub(crate) struct Session {
    /// Who signed in, and when.
    pub(crate) signed_in: Option<(String, Timestamp)>,
    /// What was allowed here before: clients and their scopes.
    allowed: BTreeMap<String, BTreeSet<String>>,
}

impl Session {
    /// More scopes than these are not remembered for a client.
    const MOST_SCOPES: usize = 100;

    /// Whether this was allowed here before.
    pub(crate) fn has_allowed(&self, asked: &Asked) -> bool {
        let known = self.allowed.get(&asked.client);
        known.is_some_and(|known| asked.scopes.iter().all(|scope| known.contains(scope)))
    }

    /// Remembers that this was allowed here.
    pub(crate) fn allow(&mut self, asked: &Asked) {
        let known = self.allowed.entry(asked.client.clone()).or_default();
        for scope in &asked.scopes {
            if known.len() < Self::MOST_SCOPES {
                known.insert(scope.clone());
            }
        }
    }
}

/// An authorization request or a device that waits for a person's decision, by the form's token.
#[derive(Clone)]
pub(crate) struct PendingRequest {
    /// The browser that was shown the form.
    pub(crate) browser: Vec<u8>,
    /// Whether a name and a password are wanted although somebody is signed in.
    pub(crate) fresh_login: bool,
    pub(crate) subject: Pending,
}

#[derive(Clone)]
pub(crate) enum Pending {
    Authorization(Box<Asked>),
    /// A device, by its code's hash.
    Device(Vec<u8>),
}

/// A checked authorization request.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) client: String,
    pub(crate) back: Return,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) acr: Option<String>,
    pub(crate) login_hint: Option<String>,
}

/// An authorization code.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) grant: Grant,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) expires: Timestamp,
    pub(crate) used: bool,
}

/// An access token.
#[derive(Clone)]
pub(crate) struct AccessToken {
    pub(crate) grant: Grant,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) jti: String,
}

/// A refresh token.
#[derive(Clone)]
pub(crate) struct RefreshToken {
    pub(crate) grant: Grant,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) used: bool,
}

/// A device that asked for authorization.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) user_code: String,
    pub(crate) client: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) acr: Option<String>,
    pub(crate) expires: Timestamp,
    pub(crate) interval: Duration,
    pub(crate) polled: Option<Timestamp>,
    pub(crate) answer: DeviceAnswer,
}

/// What a person said about a device.
#[derive(Clone)]
pub(crate) enum DeviceAnswer {
    Awaited,
    Approved { user: String, at: Timestamp },
    Denied,
    Redeemed { family: u64 },
}

/// The hash under which a code, token or cookie is kept.
pub(crate) fn key(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// A map that forgets: what has expired, and the oldest when it is full.
pub(crate) struct Bounded<V> {
    entries: BTreeMap<Vec<u8>, Entry<V>>,
    /// The keys by age.
    order: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

struct Entry<V> {
    number: u64,
    until: Timestamp,
    value: V,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<V> Bounded<V> {
    /// Keeps `value` until `until`.
    pub(crate) fn insert(&mut self, now: Timestamp, key: Vec<u8>, until: Timestamp, value: V) {
        if self.entries.len() >= CAPACITY {
            self.keep(|entry| now < entry.until);
        }
        if self.entries.len() >= CAPACITY
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.order.insert(number, key.clone());
        if let Some(replaced) = self.entries.insert(key, Entry { number, until, value }) {
            self.order.remove(&replaced.number);
        }
    }

    pub(crate) fn find(&self, now: Timestamp, key: &[u8]) -> Option<&V> {
        self.entries.get(key).filter(|entry| now < entry.until).map(|entry| &entry.value)
    }

    pub(crate) fn find_mut(&mut self, now: Timestamp, key: &[u8]) -> Option<&mut V> {
        self.entries.get_mut(key).filter(|entry| now < entry.until).map(|entry| &mut entry.value)
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.number);
        Some(entry.value)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.keep(|entry| keep(&entry.value));
    }

    /// All that has not expired, with its key.
    pub(crate) fn iter(&self, now: Timestamp) -> impl Iterator<Item = (&Vec<u8>, &V)> {
        self.entries.iter().filter(move |(_, entry)| now < entry.until).map(|(key, entry)| (key, &entry.value))
    }

    fn keep(&mut self, keep: impl Fn(&Entry<V>) -> bool) {
        self.entries.retain(|_, entry| keep(entry));
        let entries = &self.entries;
        self.order.retain(|_, key| entries.contains_key(key));
    }
}
