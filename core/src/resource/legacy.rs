//! Tokens as parameters (RFC 6750 §2.2 and §2.3), for servers that take them in no other way.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use url::Url;

use crate::error::{ConfigError, Error};
use crate::http::Body;
use crate::http::form::{Form, encode_component};
use crate::manager::{Parameter, Part};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Prepares a head for its parameter; one in the query is in it then. `body` is `None` when it streams.
pub(super) fn prepare(parameter: &Parameter, url: &Url, body: Option<&Body>, head: &mut Parts) -> Result<(), Error> {
    let invalid = |why| Error::from(ConfigError::Invalid { setting: "token placement", why });
    let conflict = || Error::from(ConfigError::AuthorizationConflict(parameter.name.clone()));
    match parameter.part {
        Part::Query => {
            if url.query_pairs().any(|(name, _)| name == parameter.name.as_str()) {
                return Err(conflict());
            }
            let mut url = url.clone();
            let own = url.query().filter(|own| !own.is_empty()).map(|own| format!("{own}&")).unwrap_or_default();
            url.set_query(Some(&format!("{own}{}", written(parameter))));
            head.uri = url.as_str().parse().map_err(|_| invalid("no URL can hold the token"))?;
            // RFC 6750 §2.3 asks for it, so that no cache keeps what the URL names.
            head.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        }
        Part::Form => {
            let body = body.ok_or_else(|| invalid("a token cannot go into a body that streams"))?;
            let media_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
            let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
            if !media_type.trim_ascii().eq_ignore_ascii_case(FORM) {
                return Err(invalid("a token can go into a form only"));
            }
            let form = Form::parse(body.expose(), usize::MAX).map_err(|_| invalid("the form cannot be read"))?;
            if form.get(&parameter.name).is_some() {
                return Err(conflict());
            }
            head.headers.remove(CONTENT_LENGTH);
        }
    }
    Ok(())
}

/// The body with its parameter, if it has one.
pub(super) fn filled(body: Body, parameter: Option<&Parameter>) -> Body {
    let Some(parameter) = parameter.filter(|parameter| parameter.part == Part::Form) else { return body };
    let separator: &[u8] = if body.is_empty() { b"" } else { b"&" };
    Body::new([body.expose(), separator, written(parameter).as_bytes()].concat())
}

fn written(parameter: &Parameter) -> String {
    format!("{}={}", encode_component(&parameter.name).expose(), encode_component(parameter.value.expose()).expose())
}
