//! What is shown on standard error: what people must know, and on request every transition, exchange and check.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use grantflow_core::error::{SendFailure, safe_text};
use grantflow_core::http::Body;
use grantflow_core::machine::{Check, Observer, Outgoing, Transition};
use grantflow_tokio::{Driver, HttpClient, HyperClient, Pending};

/// Says something to the person. Where nobody can be told, nobody is.
pub(crate) fn say(text: impl Display) {
    // One write a line, so that lines of two threads do not mix.
    let line = format!("{text}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// What a person must know.
    Little,
    /// Each exchange besides.
    Exchanges,
    /// Each transition and check besides.
    Everything,
}

/// Shows what happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    detail: Detail,
    coloured: bool,
}

const GREEN: &str = "32";
const RED: &str = "31";
const DIM: &str = "2";
const BOLD: &str = "1";

impl Trace {
    /// Shows so much, in colour if there is somebody to see it.
    pub(crate) fn new(detail: Detail) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self { detail, coloured: wanted && able && io::stderr().is_terminal() }
    }

    /// Shows at least so much.
    #[must_use]
    pub(crate) fn at_least(self, detail: Detail) -> Self {
        Self { detail: self.detail.max(detail), ..self }
    }

    fn paint(self, style: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Says that something new begins.
    pub(crate) fn heading(self, text: &str) {
        say(format_args!("\n{}", self.paint(BOLD, text)));
    }

    /// Says why there is no artefact.
    pub(crate) fn failure(self, text: &str) {
        say(format_args!("{} {text}", self.paint(RED, "grantflow:")));
    }

    /// A driver that shows what it does.
    pub(crate) fn driver(self) -> Driver {
        let driver = Driver::with_client(TracedClient::new(self, "→"));
        match self.detail {
            Detail::Little | Detail::Exchanges => driver,
            Detail::Everything => driver.with_observer(Arc::new(Mutex::new(Watcher::new(self)))),
        }
    }

    fn exchange(self, who: &str, request: &str, answer: &str, is_good: Good) {
        if self.detail >= Detail::Exchanges {
            let answer = self.paint(if is_good == Good::Yes { GREEN } else { RED }, answer);
            say(format_args!("  {} {request} {answer}", self.paint(DIM, who)));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    Yes,
    No,
}

/// Shows transitions and checks, and counts the checks.
#[derive(Debug)]
pub(crate) struct Watcher {
    trace: Trace,
    passed: usize,
}

impl Watcher {
    /// Shows them by `trace`.
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, passed: 0 }
    }

    /// How many checks have passed since this was asked last.
    pub(crate) fn take_passed(&mut self) -> usize {
        std::mem::take(&mut self.passed)
    }
}

impl Observer for Watcher {
    fn transition(&mut self, transition: &Transition) {
        let Transition { machine, from, event, finding, to } = transition;
        let machine = self.trace.paint(DIM, &format!("{machine:<18}"));
        say(format_args!("  {machine} {from} ── {event} / {finding} ──▸ {to}"));
    }

    fn check(&mut self, check: &Check<'_>) {
        let (mark, style) = if check.passed { ("✔", GREEN) } else { ("✘", RED) };
        let (expected, found) = (safe_text(check.expected), safe_text(check.found));
        let mark = self.trace.paint(style, mark);
        say(format_args!("    {mark} {:<10} expected {expected}, found {found}", check.name));
        self.passed = self.passed.saturating_add(usize::from(check.passed));
    }
}

/// A client that shows each exchange in one line: method, URL without its query, status.
#[derive(Clone, Debug)]
pub(crate) struct TracedClient {
    client: HyperClient,
    trace: Trace,
    who: &'static str,
}

impl TracedClient {
    /// Shows exchanges by `trace`, as those of `who`.
    pub(crate) fn new(trace: Trace, who: &'static str) -> Self {
        Self { client: HyperClient::default(), trace, who }
    }
}

impl HttpClient for TracedClient {
    fn send(&self, outgoing: Outgoing) -> Pending<'_, Result<http::Response<Body>, SendFailure>> {
        let request = shown(&outgoing.request);
        Box::pin(async move {
            let answer = self.client.send(outgoing).await;
            match &answer {
                Ok(response) => {
                    let status = response.status();
                    let good = if status.as_u16() < 400 { Good::Yes } else { Good::No };
                    self.trace.exchange(self.who, &request, status.as_str(), good);
                }
                Err(failure) => {
                    let text = format!("no answer ({:?}, {:?})", failure.kind, failure.delivery);
                    self.trace.exchange(self.who, &request, &text, Good::No);
                }
            }
            answer
        })
    }
}

/// A request in one line. Queries hold codes and states: only that there is one is shown.
fn shown(request: &http::Request<Body>) -> String {
    let uri = request.uri();
    let origin = format!("{}://{}", uri.scheme_str().unwrap_or(""), uri.authority().map_or("", |host| host.as_str()));
    let query = if uri.query().is_some() { "?…" } else { "" };
    safe_text(&format!("{} {origin}{}{query}", request.method(), uri.path()))
}
