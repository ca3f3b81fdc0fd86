//! Waiting for somebody else, without marching in step.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// The first pause is at most this long.
const FIRST: Duration = Duration::from_millis(20);
/// No pause is longer.
const LONGEST: Duration = Duration::from_millis(100);

/// Pauses of 10 to 100 ms until the time is over.
#[derive(Debug)]
pub(crate) struct Backoff {
    began: Instant,
    wait: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn of(wait: Duration) -> Self {
        Self { began: Instant::now(), wait, next: FIRST }
    }

    /// How long to pause before the next attempt. `None` when the time is over; the last pause ends with it.
    pub(crate) fn next_pause(&mut self) -> Option<Duration> {
        let left = self.wait.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())?;
        let pause = jittered(self.next);
        self.next = self.next.saturating_mul(2).min(LONGEST);
        Some(pause.min(left))
    }
}

/// Between a half and the whole of `most`.
pub(crate) fn jittered(most: Duration) -> Duration {
    let half = most.checked_div(2).unwrap_or_default();
    let share = half.checked_div(256).unwrap_or_default();
    let [noise, ..] = random().to_le_bytes();
    half.saturating_add(share.saturating_mul(u32::from(noise)))
}

/// A name that nobody else has, in any process. It need not be hard to guess.
#[cfg(feature = "redis")]
pub(crate) fn unique() -> String {
    format!("{:08x}{:016x}{:016x}", std::process::id(), random(), random())
}

/// The standard library seeds its hashers from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
