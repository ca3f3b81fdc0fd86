//! Where a token may go.

use url::Url;

use super::super::stimuli::ISSUER;
use crate::error::{ConfigError, Endpoint, Error};
use crate::http::{Body, UrlPolicy};
use crate::resource::{Audience, AuthorizedRequest, RequestSettings};

/// The first line is a base, the second a path or a URL. What is joined, and what is admitted, is of the base's origin and
/// below its path, for another URL parser too; no spelling leads out of it; a request goes there and nowhere else.
pub fn audience(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (base, rest) = text.split_once('\n').unwrap_or((ISSUER, &text));
    let Some(audience) = judged(Audience::only(base)) else { return };
    let base = UrlPolicy::default().issuer(base).expect("a base is what an issuer is");
    for audience in [audience.clone(), audience.dangerous_allow_loopback_http()] {
        if let Some(url) = judged(audience.join(rest)) {
            judge(&audience, &base, &url);
        }
        let Ok(url) = Url::parse(rest) else { continue };
        if judged(audience.admit(&url)).is_some() {
            judge(&audience, &base, &url);
        } else if url.fragment().is_none()
            && let Ok(request) = http::Request::get(url.as_str()).body(Body::empty())
        {
            // A request has no fragment: what is refused for its fragment alone is another URL there.
            assert!(AuthorizedRequest::new(request, &audience, RequestSettings::new()).is_err(), "{url}");
        }
    }
}

/// An error about a place is one of two, and shows neither a path nor a query.
fn judged<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(Error::Config(ConfigError::Url { endpoint: Endpoint::Resource, .. })) => None,
        Err(Error::Config(ConfigError::Audience(origin))) => {
            let shown = origin.split_once("://").map_or("", |(_, host)| host);
            assert!(!shown.contains(['/', '?', '#', '@']), "more than an origin: {origin}");
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn judge(audience: &Audience, base: &Url, url: &Url) {
    let undotted = |url: &Url| url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
    assert_eq!((url.scheme(), undotted(url)), (base.scheme(), undotted(base)));
    assert_eq!(url.port_or_known_default(), base.port_or_known_default());
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    let own = base.path().trim_end_matches('/');
    let below = url.path().strip_prefix(own).expect("outside of the base's path");
    assert!(below.is_empty() || below.starts_with('/'), "beside the base's path: {url}");
    assert!(own.is_empty() || !below.split(['/', ';']).any(|segment| segment == ".."), "{url}");
    assert_eq!(audience.admit(url), Ok(()), "what was admitted once is admitted again");
    let Ok(request) = http::Request::get(url.as_str()).body(Body::empty()) else { return };
    assert_eq!(request.uri().host(), url.host_str(), "two parsers see two hosts");
    assert!(AuthorizedRequest::new(request, audience, RequestSettings::new()).is_ok(), "{url}");
}
