//! The demo's browser: it asks for a page and goes where it is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grantflow_core::http::{Body, Reach};
use grantflow_core::loopback::may_open;
use grantflow_core::machine::Outgoing;
use grantflow_tokio::{Browser, HttpClient, Pending};
use http::header::LOCATION;
use tokio::task::JoinHandle;
use url::Url;

use crate::trace::{Trace, TracedClient};

/// So many redirects are followed.
const REDIRECTS: usize = 5;
const TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_PAGE: usize = 64 * 1024;

/// Follows redirects in a task of its own, as a browser goes on by itself. Clones share the task.
#[derive(Clone, Debug)]
pub(crate) struct RedirectFollower {
    client: TracedClient,
    task: Arc<Mutex<Option<JoinHandle<Option<u16>>>>>,
}

impl RedirectFollower {
    /// A browser whose requests are shown by `trace`.
    pub(crate) fn new(trace: Trace) -> Self {
        Self { client: TracedClient::new(trace, "browser →"), task: Arc::default() }
    }

    /// The status of the page on which it ended.
    pub(crate) async fn last_status(&self) -> Option<u16> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        task?.await.ok()?
    }
}

impl Browser for RedirectFollower {
    fn open(&self, url: &Url) -> Pending<'static, bool> {
        let task = tokio::spawn(visit(self.client.clone(), url.clone()));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Box::pin(async { true })
    }
}

async fn visit(client: TracedClient, mut url: Url) -> Option<u16> {
    for _ in 0..REDIRECTS {
        if !may_open(&url) {
            return None;
        }
        let request = http::Request::get(url.as_str()).body(Body::empty()).ok()?;
        let outgoing = Outgoing { request, max_body: LARGEST_PAGE, timeout: TIMEOUT, reach: Reach::Any };
        let response = client.send(outgoing).await.ok()?;
        if !response.status().is_redirection() {
            return Some(response.status().as_u16());
        }
        url = url.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    }
    None
}
