//! Giving a flow up from another thread.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Ends what a [`Driver`](crate::Driver) waits for. Cheap to clone; all clones are one.
///
/// A wait for a person, for a moment or for the next poll ends at once. A request that is under way is not broken off:
/// what it would bring may be a token that exists nowhere else. It ends within its own deadline.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: Mutex<bool>,
    woken: Condvar,
}

impl Cancel {
    /// A handle that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives up. Whatever the driver waits for is over, now and for good.
    pub fn cancel(&self) {
        *self.flag() = true;
        self.0.woken.notify_all();
    }

    /// Whether somebody has given up.
    pub fn is_cancelled(&self) -> bool {
        *self.flag()
    }

    /// Waits for `time` or until somebody gives up, and says whether somebody has.
    ///
    /// For a [`Clock`](crate::Clock) or a [`Person`](crate::Person) of your own.
    pub fn wait(&self, time: Duration) -> bool {
        let begun = Instant::now();
        let mut cancelled = self.flag();
        loop {
            // A condition variable may wake for nothing.
            let left = time.saturating_sub(begun.elapsed());
            if *cancelled || left.is_zero() {
                return *cancelled;
            }
            let woken = self.0.woken.wait_timeout(cancelled, left);
            cancelled = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn flag(&self) -> MutexGuard<'_, bool> {
        self.0.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}
