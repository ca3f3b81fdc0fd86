//! A clock that skips what flows wait for, so that the demo takes no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grantflow_core::Timestamp;
use grantflow_tokio::{Clock, Pending, SystemClock};

/// The system's clock, and all that was skipped. Deadlines are kept in real time.
#[derive(Clone, Debug, Default)]
pub(crate) struct SkippingClock {
    skipped_millis: Arc<AtomicU64>,
}

impl SkippingClock {
    /// The same clock for the server.
    pub(crate) fn of_server(&self) -> grantflow_devserver::Clock {
        let own = self.clone();
        Arc::new(move || own.now())
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_millis(self.skipped_millis.load(Ordering::SeqCst)))
    }

    fn sleep_until(&self, until: Timestamp) -> Pending<'_, ()> {
        Box::pin(async move {
            let left = u64::try_from(until.since(self.now()).as_millis()).unwrap_or_default();
            self.skipped_millis.fetch_add(left, Ordering::SeqCst);
        })
    }

    fn sleep(&self, duration: Duration) -> Pending<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
