//! Two futures, of which the first to be ready counts.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::Clock;

pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Waits for either; the left one if both are ready. The other is dropped.
pub(crate) async fn race<A: Future, B: Future>(left: A, right: B) -> Either<A::Output, B::Output> {
    let mut left = pin!(left);
    let mut right = pin!(right);
    poll_fn(|cx| {
        if let Poll::Ready(value) = left.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(value));
        }
        right.as_mut().poll(cx).map(Either::Right)
    })
    .await
}

/// Waits for `work`, for at most `limit`. The timer is not started if the work is done at once.
pub(crate) async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    match race(work, async { clock.sleep(limit).await }).await {
        Either::Left(done) => Some(done),
        Either::Right(()) => None,
    }
}
