//! The runtime: started for commands that need one, and left at once when the command is interrupted, unless something is
//! under way that must not be cut.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::exit::Failure;

/// How long an interrupted command goes on with what must not be cut. A second signal ends it at once.
const GRACE: Duration = Duration::from_secs(20);

/// Runs `work` to its end, or to SIGINT or SIGTERM. Whatever it holds, a listener say, is closed then.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    block_on_uncut(|_| work)
}

/// The same, for work of which a part must not be cut: a server may have replaced a token by one that is not saved yet.
pub(crate) fn block_on_uncut<T, W>(work: impl FnOnce(Uncut) -> W) -> Result<T, Failure>
where
    W: Future<Output = Result<T, Failure>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Local(format!("the runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::watch().map_err(|error| Failure::Local(format!("signals: {error}")))?;
        let uncut = Uncut::default();
        let interrupted = async { Err(signals.next().await) };
        let outcome = first(work(uncut.clone()), interrupted).await;
        if let Err(Failure::Interrupted | Failure::Terminated) = outcome {
            let again = async {
                signals.next().await;
            };
            first(uncut.done(), again).await;
        }
        outcome
    });
    // A thread that reads standard input, or looks a name up, may never come back.
    runtime.shutdown_background();
    outcome
}

/// What must not be cut, one thing at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uncut(Arc<Mutex<()>>);

impl Uncut {
    /// Does `work` in a task of its own, which a signal lets end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let held = Arc::clone(&self.0).lock_owned().await;
        let task = tokio::spawn(async move {
            let outcome = work.await;
            drop(held);
            outcome
        });
        task.await.map_err(|_| Failure::Local("a task of this program is gone".to_owned()))
    }

    async fn done(&self) {
        // After this time the file is what it was, or what it was to become.
        let _ = tokio::time::timeout(GRACE, self.0.lock()).await;
    }
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
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn watch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) -> Failure {
        let Self(interrupt, terminate) = self;
        let interrupted = async {
            interrupt.recv().await;
            Failure::Interrupted
        };
        let terminated = async {
            terminate.recv().await;
            Failure::Terminated
        };
        first(interrupted, terminated).await
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn watch() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Failure {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Failure::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}
