//! Whether a stored token is worth using: what can be told from the token itself, and the request that tells the rest.
//!
//! Left out on purpose: sending that request, and renewing a token ([`TokenSet::is_fresh`] says when).

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use zeroize::Zeroizing;

use super::TokenSet;
use super::times;
use crate::error::ConfigError;
use crate::http::Body;
use crate::time::Timestamp;

/// Says of an answer whether the token in the request was good.
pub type Predicate = Arc<dyn Fn(&Response<Body>) -> bool + Send + Sync>;

/// Tests tokens before they are used.
///
/// The tests come in this order, and the first that fails ends them: there is a token; its answer holds no `error`; it
/// lives long enough; the server takes it.
///
/// ```
/// use std::time::Duration;
/// use grantflow_core::Timestamp;
/// use grantflow_core::token::{Tester, TokenSet, Verdict};
/// let tokens = TokenSet::from_record(br#"{"access_token":"t","expires_at":1000}"#, Timestamp::from_secs(500))?;
/// let tester = Tester::new().minimum_life(Duration::from_secs(300));
/// assert!(matches!(tester.judge(Some(&tokens), Timestamp::from_secs(600)), Verdict::Passed));
/// assert!(matches!(tester.judge(Some(&tokens), Timestamp::from_secs(700)), Verdict::Expiring));
/// assert!(matches!(tester.judge(None, Timestamp::from_secs(600)), Verdict::Absent));
/// # Ok::<(), grantflow_core::token::RecordError>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct Tester {
    minimum_life: Duration,
    live: Option<(Request<Body>, Predicate)>,
}

/// What a [`Tester`] has found.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// There is no token.
    Absent,
    /// The answer that the token came with has a member `error`, if only `null`.
    ErrorStored,
    /// Less than the minimum life is left, or just as much.
    Expiring,
    /// The token, or its type, cannot stand in a header.
    Unpresentable,
    /// Ask the server: send this request, and show [`Tester::accepts`] the answer. That no answer came is no verdict.
    Unproven(Box<Request<Body>>),
    /// All tests are passed.
    Passed,
}

impl Tester {
    /// Tests that a token is there, and that it is not expired.
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands that more than this is left of the token's lifetime. One of unknown lifetime passes, unless its whole
    /// lifetime is known to be no longer than that.
    pub fn minimum_life(mut self, minimum_life: Duration) -> Self {
        self.minimum_life = minimum_life;
        self
    }

    /// Has the server asked, by a request like this one with the token in its `Authorization` header.
    ///
    /// For a token that is bound to a key, the proof (RFC 9449 §7) is for whoever sends the request to add.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when the request has an `Authorization` header already.
    pub fn live(mut self, request: Request<Body>, accepts: Predicate) -> Result<Self, ConfigError> {
        if request.headers().contains_key(AUTHORIZATION) {
            let why = "the token belongs in the Authorization header";
            return Err(ConfigError::Invalid { setting: "test request", why });
        }
        self.live = Some((request, accepts));
        Ok(self)
    }

    /// Tests what can be tested without the server.
    pub fn judge(&self, tokens: Option<&TokenSet>, now: Timestamp) -> Verdict {
        let Some(tokens) = tokens else {
            return Verdict::Absent;
        };
        if tokens.answer().contains("error") {
            return Verdict::ErrorStored;
        }
        if self.is_expiring(tokens, now) {
            return Verdict::Expiring;
        }
        let Some((request, _)) = &self.live else {
            return Verdict::Passed;
        };
        match authorization(tokens) {
            Some(authorization) => Verdict::Unproven(Box::new(with(request, authorization))),
            None => Verdict::Unpresentable,
        }
    }

    fn is_expiring(&self, tokens: &TokenSet, now: Timestamp) -> bool {
        match tokens.expires_at() {
            Some(end) => now.plus(self.minimum_life) >= end,
            None => {
                let whole = tokens.answer().get("expires_in").and_then(|value| times::moment(&value));
                whole.is_some_and(|whole| whole <= Timestamp::from_secs(0).plus(self.minimum_life))
            }
        }
    }

    /// Whether the server has taken the token, by its answer to the request of [`Verdict::Unproven`].
    pub fn accepts(&self, answer: &Response<Body>) -> bool {
        self.live.as_ref().is_none_or(|(_, accepts)| accepts(answer))
    }
}

impl fmt::Debug for Tester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = self.live.as_ref().map(|(request, _)| request.method());
        f.debug_struct("Tester").field("minimum_life", &self.minimum_life).field("live", &live).finish()
    }
}

fn authorization(tokens: &TokenSet) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("{} {}", tokens.token_type(), tokens.access_token().expose()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A copy of the request with the token in it.
fn with(template: &Request<Body>, authorization: HeaderValue) -> Request<Body> {
    let mut request = Request::new(Body::new(template.body().expose().to_vec()));
    *request.method_mut() = template.method().clone();
    *request.uri_mut() = template.uri().clone();
    *request.version_mut() = template.version();
    *request.headers_mut() = template.headers().clone();
    request.headers_mut().insert(AUTHORIZATION, authorization);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(members: &str, now: u64) -> TokenSet {
        let record = format!(r#"{{"access_token":"s3cr3t"{members}}}"#);
        TokenSet::from_record(record.as_bytes(), Timestamp::from_secs(now)).unwrap()
    }

    fn found(tester: &Tester, members: &str, now: u64) -> String {
        format!("{:?}", tester.judge(Some(&tokens(members, now)), Timestamp::from_secs(now)))
    }

    fn after(seconds: u64) -> Tester {
        Tester::new().minimum_life(Duration::from_secs(seconds))
    }

    fn asking() -> Tester {
        let mut request = Request::new(Body::new(b"q=1".to_vec()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static("https://api.example/me");
        request.headers_mut().insert("x-test", HeaderValue::from_static("1"));
        let accepts: Predicate = Arc::new(|answer| {
            answer.status().is_success() && answer.headers().contains_key("x-me") && answer.body().expose() == b"alice"
        });
        after(10).live(request, accepts).unwrap()
    }

    #[test]
    fn a_54_the_first_test_that_fails_ends_them_without_a_request() {
        let tester = asking();
        assert!(matches!(tester.judge(None, Timestamp::from_secs(1000)), Verdict::Absent));
        assert_eq!(found(&tester, r#","error":null,"expires_at":1"#, 1000), "ErrorStored");
        assert_eq!(found(&tester, r#","error":"invalid_grant","expires_at":9999"#, 1000), "ErrorStored");
        assert_eq!(found(&tester, r#","expires_at":1010"#, 1000), "Expiring");
        assert!(found(&tester, r#","expires_at":1011"#, 1000).starts_with("Unproven"));
    }

    #[test]
    fn a_55_more_than_the_minimum_life_must_be_left() {
        for (minimum, members, now, passed) in [
            (10, r#","expires_at":1010"#, 1000, false),
            (10, r#","expires_at":1010.001"#, 1000, true),
            (10, r#","expires_in":10"#, 1000, false),
            (10, r#","expires_in":11"#, 1000, true),
            (10, r#","granted_at":1000,"expires_in":10"#, 1000, false),
            (10, r#","granted_at":1000,"expires_in":11"#, 1000, true),
            (10, r#","expires_at":1011,"expires_in":1"#, 1000, true),
            (10, r#","expires_at":1009,"expires_in":3600"#, 1000, false),
            (300, r#","granted_at":1000,"expires_in":600"#, 1060, true),
            (300, r#","granted_at":1000,"expires_in":600"#, 1500, false),
            (300, "", 1000, true),
            (300, r#","expires_in":"soon""#, 1000, true),
        ] {
            let expected = if passed { "Passed" } else { "Expiring" };
            assert_eq!(found(&after(minimum), members, now), expected, "{minimum} {members} {now}");
        }
    }

    #[test]
    fn a_56_an_expired_token_fails_without_any_setting() {
        assert_eq!(found(&Tester::new(), r#","expires_at":1000"#, 1000), "Expiring");
        assert_eq!(found(&Tester::new(), r#","expires_at":"1000.5""#, 1000), "Passed");
        assert_eq!(found(&Tester::new(), r#","granted_at":1,"expires_in":"5""#, 1000), "Expiring");
        assert_eq!(found(&Tester::new().minimum_life(Duration::MAX), r#","expires_at":253402300799"#, 0), "Expiring");
    }

    #[test]
    fn l_31_h_17_x_01_other_libraries_margins_are_minimum_lives() {
        // Authlib's leeway of a minute takes equality for good; every library's margin is exact to the millisecond.
        for (margin, end) in [(0, 1001), (20, 1021), (60, 1061)] {
            let at = |end: u64| found(&after(margin), &format!(r#","expires_at":{end}"#), 1000);
            assert_eq!((at(end - 1), at(end)), ("Expiring".to_owned(), "Passed".to_owned()), "{margin}");
        }
    }

    #[test]
    fn a_57_the_request_carries_the_token_and_the_predicate_sees_the_answer() {
        let tester = asking();
        for _ in 0..2 {
            let Verdict::Unproven(request) = tester.judge(Some(&tokens("", 0)), Timestamp::from_secs(0)) else {
                panic!()
            };
            assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/me"));
            assert_eq!(request.headers()["x-test"], "1");
            assert_eq!(request.headers()["authorization"], "Bearer s3cr3t");
            assert_eq!(request.body().expose(), b"q=1");
            assert!(!format!("{request:?} {tester:?}").contains("s3cr3t"));
        }
        let mut answer = Response::new(Body::new(b"alice".to_vec()));
        assert!(!tester.accepts(&answer));
        answer.headers_mut().insert("x-me", HeaderValue::from_static("1"));
        assert!(tester.accepts(&answer));
        *answer.status_mut() = http::StatusCode::UNAUTHORIZED;
        assert!(!tester.accepts(&answer));
        assert!(Tester::new().accepts(&answer), "nobody was asked");
        let mut unpresentable = tokens("", 0);
        unpresentable.token_type = crate::token::TokenType::Other("a\nb".to_owned());
        assert!(matches!(tester.judge(Some(&unpresentable), Timestamp::from_secs(0)), Verdict::Unpresentable));
        let mut carrying = Request::new(Body::empty());
        carrying.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic x"));
        assert!(matches!(
            Tester::new().live(carrying, Arc::new(|_| true)),
            Err(ConfigError::Invalid { setting: "test request", .. })
        ));
    }
}
