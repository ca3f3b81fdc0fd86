//! What comes back by way of the browser.

use super::is_safe;
use crate::callback::{AuthorizationResponse, CallbackParams, MAX_CALLBACK, ResponseMode};
use crate::http::form::{Form, MAX_PARAMETERS};
use crate::loopback::{Connection, Heard, Reception};

/// What is known is read as the URL Standard's parser reads it, `state` survives being written and read again, an
/// accepted code is visible ASCII, a refusal is safe to print, and `Debug` shows no value.
pub fn callback(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let read = [
        CallbackParams::from_query(&text),
        CallbackParams::from_form(input),
        CallbackParams::from_fragment(&text),
        CallbackParams::from_url(&text),
    ];
    for params in read.into_iter().flatten() {
        assert!(text.len() <= MAX_CALLBACK.saturating_add(1));
        judge_callback(params, &text);
    }
}

fn judge_callback(params: CallbackParams, text: &str) {
    let mut form = Form::new();
    let values = [
        ("code", params.code().map(|code| code.expose().as_str())),
        ("state", params.state().map(|state| state.expose().as_str())),
        ("iss", params.iss()),
        ("error", params.error()),
        ("session_state", params.session_state().map(|state| state.expose().as_str())),
    ];
    for (name, value) in values {
        let Some(value) = value else { continue };
        form.push(name, value);
        // Each of these is somewhere in what came, once more than its name and an equals sign.
        assert!(value.len() <= text.len());
    }
    assert!(form.len() <= MAX_PARAMETERS);
    let written = form.encode();
    if written.len() <= MAX_CALLBACK {
        let again = CallbackParams::from_form(written.expose()).expect("what was written can be read");
        assert!(
            matches!((again.state(), params.state()), (None, None))
                || again.state().zip(params.state()).is_some_and(|(one, other)| one.matches(other.expose()))
        );
        assert_eq!((again.iss(), again.error()), (params.iss(), params.error()));
        assert_eq!(again.mode(), ResponseMode::FormPost);
    }
    // Twelve names and no more.
    let shown = format!("{params:?}");
    assert!(shown.len() <= 256 && shown.is_ascii(), "{shown}");
    for (_, value) in values {
        assert!(value.is_none_or(|value| value.len() < 20 || !shown.contains(value)), "{shown}");
    }
    let code = params.code().map(|code| code.expose().clone());
    let error = params.error().map(str::to_owned);
    match params.response() {
        Ok(AuthorizationResponse::Code(accepted)) => {
            assert_eq!(code.as_ref(), Some(accepted.expose()));
            assert!(error.is_none() && !accepted.expose().is_empty());
            assert!(accepted.expose().bytes().all(|byte| matches!(byte, 0x20..=0x7E)));
        }
        Ok(AuthorizationResponse::Denied(refusal)) => {
            assert!(code.is_none() && error.is_some_and(|error| !error.is_empty()));
            for said in [Some(&refusal.code), refusal.description.as_ref(), refusal.uri.as_ref()].into_iter().flatten()
            {
                assert!(is_safe(said), "{said:?}");
            }
        }
        Err(_) => {}
    }
}

/// However the bytes are cut, the outcome is the same; what is no callback gets a short answer with a 4xx status that
/// holds nothing of the request; a callback says what its request line says; nothing waits for more than its limits.
pub fn loopback_request(input: &[u8]) {
    for mode in [ResponseMode::Query, ResponseMode::FormPost, ResponseMode::Fragment] {
        let reception = Reception::new("http://127.0.0.1:8400/callback", mode).expect("the redirect URI is a good one");
        let whole = listen(&reception, core::iter::once(input));
        assert_eq!(whole, listen(&reception, input.chunks(1)), "cut into bytes");
        let cut = usize::from(input.first().copied().unwrap_or_default()).min(input.len());
        let halves = input.split_at_checked(cut).unwrap_or_default();
        assert_eq!(whole, listen(&reception, [halves.0, halves.1].into_iter()), "cut at {cut}");
        assert_eq!(whole, listen(&reception, input.chunks(7)), "cut into sevens");
        if whole.starts_with("CallbackParams") && core::str::from_utf8(input).is_ok() {
            assert_eq!(Some(&whole), called(input, mode).as_ref());
        }
        if let Ok(text) = core::str::from_utf8(input)
            && let Ok(params) = reception.pasted(text)
        {
            assert!(text.trim_start().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http")));
            judge_callback(params, text);
        }
    }
}

/// Feeds a connection and tells what came of it, in words.
fn listen<'a>(reception: &Reception, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut connection = Connection::new(reception);
    let mut heard = Heard::More;
    let mut length = 0_usize;
    for piece in pieces {
        match (&heard, connection.receive(piece)) {
            (Heard::More, now) => {
                length = length.saturating_add(piece.len());
                heard = now;
            }
            (_, after) => assert!(matches!(after, Heard::More), "a connection that is over speaks"),
        }
    }
    match heard {
        Heard::More => {
            assert!(length <= 3 * 16 * 1024 + 16, "waiting for more after {length} bytes");
            "more".to_owned()
        }
        Heard::Answer(reply) => {
            let text = String::from_utf8_lossy(reply.as_bytes());
            assert!((400..500).contains(&reply.status()) && text.starts_with("HTTP/1.1 4"), "{text}");
            assert!(reply.as_bytes().len() <= 4096 && !text.contains("canary"), "{text}");
            text.into_owned()
        }
        Heard::Callback(params) => {
            assert_eq!(params.mode(), expected_mode(reception));
            tell(&params)
        }
    }
}

fn tell(params: &CallbackParams) -> String {
    let secrets = [params.code(), params.state(), params.session_state()].map(|secret| secret.map(|it| it.expose()));
    format!("{params:?} {secrets:?} {:?} {:?}", params.iss(), params.error())
}

/// What the callback in a request that was accepted must be: what stands in its request line, or in its body as far as
/// the declared length.
fn called(input: &[u8], mode: ResponseMode) -> Option<String> {
    let text = String::from_utf8_lossy(input);
    // Empty lines may stand before a request.
    let text = text.trim_start_matches(['\r', '\n']);
    let (line, rest) = text.split_once('\n')?;
    let params = match mode {
        ResponseMode::Query | ResponseMode::Fragment => {
            let target = line.split(' ').nth(1)?;
            CallbackParams::from_query(target.split_once('?').map_or("", |(_, query)| query))
        }
        ResponseMode::FormPost => {
            let (mut length, mut rest) = (0, rest);
            let body = loop {
                let (field, after) = rest.split_once('\n')?;
                rest = after;
                match field.trim_end_matches('\r').split_once(':') {
                    None => break rest,
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.trim().parse().ok()?;
                    }
                    Some(_) => {}
                }
            };
            CallbackParams::from_form(body.get(..length)?.as_bytes())
        }
    };
    params.ok().map(|params| tell(&params))
}

/// A browser keeps a fragment to itself, so a call in that mode is one without parameters.
fn expected_mode(reception: &Reception) -> ResponseMode {
    match reception.mode() {
        ResponseMode::Query | ResponseMode::Fragment => ResponseMode::Query,
        ResponseMode::FormPost => ResponseMode::FormPost,
    }
}
