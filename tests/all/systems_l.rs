//! What a general OAuth client library does, as acceptance rows (L): each row that the engine keeps, or keeps otherwise
//! on purpose, is carried by a test that names it.
//!
//! `asking` holds requests to the authorization endpoint and what comes back, `requests` the exact token requests and
//! their answers, `by_get` those by GET, `granting` grants of one's own, `proving` client authentication, `verifying` id_tokens and discovery, `drivers` what all three ways of
//! running have in common.

mod asking;
mod by_get;
mod drivers;
mod granting;
mod proving;
mod requests;
mod verifying;

use std::fmt::Debug;

use grantflow_core::machine::{Effect, Event, Machine, Step};

use crate::scripted::Run;

/// A request exactly as it leaves, names of headers in lower case.
struct Exact {
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Exact {
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} stands in the headers twice");
        value.map(|(_, value)| value.as_str())
    }
}

/// Gives an event to which a machine answers with a request.
#[track_caller]
fn exact<M: Machine + Debug>(run: &mut Run<M>, event: Event) -> Exact
where
    M::Output: Debug,
{
    let mut step = run.handle(event).unwrap();
    while let Step::Do(Effect::Sign(request)) = step {
        let signature = crate::scripted::Signer::shared().sign(request.algorithm, request.message.expose());
        step = run.handle(Event::Signed(grantflow_core::Secret::new(signature))).unwrap();
    }
    let Step::Do(Effect::Send(outgoing)) = step else { panic!("no request: {step:?}") };
    let request = &outgoing.request;
    let header =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
    Exact {
        target: format!("{} {}", request.method(), request.uri()),
        headers: request.headers().iter().map(header).collect(),
        body: String::from_utf8(request.body().expose().to_vec()).unwrap(),
    }
}
