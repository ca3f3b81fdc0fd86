//! Time as a thing that a driver is given.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grantflow_core::Timestamp;

use crate::Cancel;

/// Tells the time and waits.
pub trait Clock: Debug + Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Returns when [`now`](Clock::now) has reached `until`, or as soon as `cancel` is used.
    fn sleep_until(&self, until: Timestamp, cancel: &Cancel);
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Waiting stands still while the machine sleeps and knows nothing of a clock that is set; so it is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, until: Timestamp, cancel: &Cancel) {
        loop {
            let left = until.since(self.now());
            if left.is_zero() || cancel.wait(left.min(LOOK_AGAIN)) {
                return;
            }
        }
    }
}

#[cfg(any(test, feature = "testing"))]
pub use manual::ManualClock;

#[cfg(any(test, feature = "testing"))]
mod manual {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::{Cancel, Clock, Debug, Duration, Timestamp};

    /// A clock that only a test moves. Clones show the same time.
    #[derive(Clone, Debug)]
    pub struct ManualClock {
        now: Arc<Mutex<Timestamp>>,
        jumps: bool,
    }

    /// How often a sleeper looks whether somebody has moved the clock.
    const LOOK_AGAIN: Duration = Duration::from_millis(2);

    impl ManualClock {
        /// A clock that shows `now` until [`advance`](ManualClock::advance) is called.
        pub fn new(now: Timestamp) -> Self {
            Self { now: Arc::new(Mutex::new(now)), jumps: false }
        }

        /// A clock that shows `now` and jumps to whatever moment somebody waits for.
        pub fn jumping(now: Timestamp) -> Self {
            Self { jumps: true, ..Self::new(now) }
        }

        /// Moves the clock on.
        pub fn advance(&self, by: Duration) {
            self.change(|now| now.plus(by));
        }

        fn change(&self, to: impl FnOnce(Timestamp) -> Timestamp) {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            *now = to(*now);
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            *self.now.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn sleep_until(&self, until: Timestamp, cancel: &Cancel) {
            if self.jumps {
                self.change(|now| now.max(until));
            }
            while self.now() < until && !cancel.wait(LOOK_AGAIN) {}
        }
    }
}
