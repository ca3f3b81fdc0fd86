//! The runtime: started for commands that need one, and left at once when the command is interrupted.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::exit::Failure;

/// Runs `work` to its end, or to SIGINT or SIGTERM. Whatever it holds, a listener say, is closed then.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Local(format!("the runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        match interruption() {
            Ok(interruption) => first(work, interruption).await,
            Err(error) => Err(Failure::Local(format!("signals: {error}"))),
        }
    });
    // A thread that reads standard input, or looks a name up, may never come back.
    runtime.shutdown_background();
    outcome
}

/// Whichever is ready first; the other one is dropped.
pub(crate) async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Pending => other.as_mut().poll(cx),
        ready => ready,
    })
    .await
}

#[cfg(unix)]
fn interruption<T>() -> std::io::Result<impl Future<Output = Result<T, Failure>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        let interrupted = async {
            interrupt.recv().await;
            Err(Failure::Interrupted)
        };
        let terminated = async {
            terminate.recv().await;
            Err(Failure::Terminated)
        };
        first(interrupted, terminated).await
    })
}

#[cfg(not(unix))]
fn interruption<T>() -> std::io::Result<impl Future<Output = Result<T, Failure>>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Err(Failure::Interrupted),
            Err(_) => std::future::pending().await,
        }
    })
}
