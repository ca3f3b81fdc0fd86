//! Key sets by issuer: how long they are used, and how often they are fetched (OpenID Connect Core §10.1.1).

use core::time::Duration;
use std::sync::Arc;

use crate::jose::JwkSet;
use crate::time::Timestamp;

/// How long a set is used without asking.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long a set is used while the server cannot be asked.
const STALE: Duration = Duration::from_secs(60 * 60);
/// How long nothing is fetched after a fetch that did not help.
const COOLDOWN: Duration = Duration::from_secs(60);
/// How many issuers are remembered.
pub(super) const ISSUERS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct KeySets {
    /// The one touched last at the end.
    issuers: Vec<Issuer>,
}

#[derive(Debug)]
struct Issuer {
    /// The issuer's identifier, compared as exact text.
    name: String,
    fetched: Option<(Arc<JwkSet>, Timestamp)>,
    failed_at: Option<Timestamp>,
    /// When a set was fetched although there was a fresh one, or did not help.
    refetched_at: Option<Timestamp>,
}

impl Issuer {
    fn age(&self, now: Timestamp) -> Option<Duration> {
        let (_, fetched_at) = self.fetched.as_ref()?;
        elapsed(*fetched_at, now)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.age(now).is_some_and(|age| age < FRESH)
    }

    /// Whether the set has to do because there was no newer one to be had a moment ago.
    fn is_bridging(&self, now: Timestamp) -> bool {
        self.age(now).is_some_and(|age| age < STALE) && is_cooling(self.failed_at, now)
    }
}

impl KeySets {
    pub(super) fn usable(&self, issuer: &str, now: Timestamp) -> Option<Arc<JwkSet>> {
        let issuer = self.find(issuer)?;
        let usable = issuer.is_fresh(now) || issuer.is_bridging(now);
        issuer.fetched.as_ref().filter(|_| usable).map(|(keys, _)| Arc::clone(keys))
    }

    pub(super) fn may_fetch(&self, issuer: &str, now: Timestamp) -> bool {
        let Some(issuer) = self.find(issuer) else {
            return true;
        };
        if issuer.is_fresh(now) { !is_cooling(issuer.refetched_at, now) } else { !issuer.is_bridging(now) }
    }

    pub(super) fn fetched(&mut self, issuer: &str, keys: JwkSet, now: Timestamp) -> Arc<JwkSet> {
        let keys = Arc::new(keys);
        self.update(issuer, |issuer| {
            if issuer.is_fresh(now) {
                issuer.refetched_at = Some(now);
            }
            issuer.fetched = Some((Arc::clone(&keys), now));
            issuer.failed_at = None;
        });
        keys
    }

    pub(super) fn fetch_failed(&mut self, issuer: &str, now: Timestamp) {
        self.update(issuer, |issuer| {
            issuer.failed_at = Some(now);
            issuer.refetched_at = Some(now);
        });
    }

    pub(super) fn did_not_fit(&mut self, issuer: &str, now: Timestamp) {
        self.update(issuer, |issuer| issuer.refetched_at = Some(now));
    }

    fn find(&self, issuer: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|known| known.name == issuer)
    }

    /// Changes what is known of an issuer, moves it to the end, and lets go of the oldest beyond the bound.
    fn update(&mut self, issuer: &str, change: impl FnOnce(&mut Issuer)) {
        let known = self.issuers.iter().position(|known| known.name == issuer).map(|at| self.issuers.remove(at));
        let mut known = known.unwrap_or_else(|| Issuer {
            name: issuer.to_owned(),
            fetched: None,
            failed_at: None,
            refetched_at: None,
        });
        change(&mut known);
        while self.issuers.len() >= ISSUERS {
            self.issuers.remove(0);
        }
        self.issuers.push(known);
    }
}

/// How long ago a moment was; `None` if the clock has been set back since, and nothing is known.
fn elapsed(then: Timestamp, now: Timestamp) -> Option<Duration> {
    (then <= now).then(|| now.since(then))
}

fn is_cooling(since: Option<Timestamp>, now: Timestamp) -> bool {
    since.and_then(|since| elapsed(since, now)).is_some_and(|ago| ago < COOLDOWN)
}
