//! Time as a thing that a driver is given.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grantflow_core::Timestamp;

use crate::Pending;

/// Tells the time and waits.
pub trait Clock: Debug + Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Is ready when [`now`](Clock::now) has reached `until`: flows wait with this.
    fn sleep_until(&self, until: Timestamp) -> Pending<'_, ()>;

    /// Is ready after `duration`, whatever happens to the wall clock: deadlines are kept with this.
    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        self.sleep_until(self.now().plus(duration))
    }
}

/// The operating system's clock, and tokio's timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A timer stands still while the machine sleeps and knows nothing of a clock that is set; so it is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, until: Timestamp) -> Pending<'_, ()> {
        Box::pin(async move {
            loop {
                let left = until.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        })
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[cfg(any(test, feature = "testing"))]
pub use manual::ManualClock;

#[cfg(any(test, feature = "testing"))]
mod manual {
    use super::{Clock, Debug, Duration, Pending, Timestamp};
    use std::sync::Arc;
    use tokio::sync::watch;

    /// A clock that only a test moves. Clones show the same time.
    #[derive(Clone, Debug)]
    pub struct ManualClock {
        now: Arc<watch::Sender<Timestamp>>,
        jumps: bool,
    }

    impl ManualClock {
        /// A clock that shows `now` until [`advance`](ManualClock::advance) is called.
        pub fn new(now: Timestamp) -> Self {
            Self { now: Arc::new(watch::Sender::new(now)), jumps: false }
        }

        /// A clock that shows `now` and jumps to whatever moment a flow waits for. Deadlines do not make it jump.
        pub fn jumping(now: Timestamp) -> Self {
            Self { jumps: true, ..Self::new(now) }
        }

        /// Moves the clock on and wakes whoever waited for that.
        pub fn advance(&self, by: Duration) {
            self.now.send_modify(|now| *now = now.plus(by));
        }

        async fn reach(&self, until: Timestamp) {
            // The sender lives as long as this clock does.
            let _ = self.now.subscribe().wait_for(|now| *now >= until).await;
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            *self.now.borrow()
        }

        fn sleep_until(&self, until: Timestamp) -> Pending<'_, ()> {
            Box::pin(async move {
                if self.jumps {
                    self.now.send_modify(|now| *now = until.max(*now));
                }
                self.reach(until).await;
            })
        }

        fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
            Box::pin(self.reach(self.now().plus(duration)))
        }
    }
}
