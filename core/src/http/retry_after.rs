//! The `Retry-After` header (RFC 9110 §10.2.3).

use core::time::Duration;

use crate::time::Timestamp;

/// How long a `Retry-After` value asks to wait from `now`; `None` if it cannot be read.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let _ = now;
    value.trim().parse().ok().map(Duration::from_secs)
}
