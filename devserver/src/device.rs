//! Devices: the authorization endpoint for them, the page where a code is typed, and the decision
//! (RFC 8628 §3.1 to §3.3).

use aws_lc_rs::error::Unspecified;
use grantflow_core::Timestamp;
use hyper::StatusCode;
use serde_json::json;

use crate::authorize::{acr, audience};
use crate::client_auth;
use crate::config::{GrantType, seconds};
use crate::context::Context;
use crate::faults::Place;
use crate::id_token::object;
use crate::keys::random_text;
use crate::pages;
use crate::refusal::Refusal;
use crate::session;
use crate::state::{Device, DeviceAnswer, Pending, REMEMBERED, State, key};
use crate::wire::{Reply, Request};

/// The letters of user codes: no vowels, so no words (RFC 8628 §6.1).
const LETTERS: [char; 20] =
    ['B', 'C', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Z'];

pub(crate) fn authorization(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    if let Some(reply) = cx.state.switches.answer(Place::DeviceAuthorization, cx.site) {
        return Ok(reply);
    }
    let (client, form) = client_auth::read(cx.config, request)?;
    if !client.grants.contains(&GrantType::DeviceCode) {
        return Err(Refusal::new("unauthorized_client", "the client may not use this grant"));
    }
    let scopes = form.words("scope");
    if let Some(scope) = client.first_forbidden(&scopes) {
        return Err(Refusal::new("invalid_scope", format!("scope {scope:?} is not for this client")));
    }
    let trouble = |_| Refusal::server_error("no randomness");
    let code = random_text::<32>().map_err(trouble)?;
    let user_code = user_code().map_err(trouble)?;
    let expires = cx.now.plus(seconds(cx.config.device_code_lifetime));
    let device = Device {
        user_code: user_code.clone(),
        client: client.id.clone(),
        scopes,
        audience: audience(form).map_err(|why| Refusal::new("invalid_target", why))?,
        acr: acr(cx, form),
        expires,
        interval: seconds(cx.config.device_interval),
        polled: None,
        answer: DeviceAnswer::Awaited,
    };
    cx.config.tell_secret("device_code", &code);
    cx.config.tell_secret("user_code", &user_code);
    cx.state.devices.insert(cx.now, key(&code), expires.plus(REMEMBERED), device);
    let page = cx.site.url("/device");
    let members = object(json!({
        "device_code": code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": cx.config.device_code_lifetime,
        "interval": cx.config.device_interval,
    }));
    let reply = cx.state.switches.spoil(Place::DeviceAuthorization, members);
    Ok(reply.no_store().with_note(format!("issued a device code to {}", client.id)))
}

/// Eight letters in two groups. Five random bits that name no letter are drawn again, so that none is favoured.
fn user_code() -> Result<String, Unspecified> {
    let mut code = String::new();
    while code.len() < 9 {
        let mut byte = [0_u8; 1];
        aws_lc_rs::rand::fill(&mut byte)?;
        let [byte] = byte;
        code.extend(LETTERS.get(usize::from(byte & 0x1f)));
        if code.len() == 4 {
            code.push('-');
        }
    }
    Ok(code)
}

/// The device's code and record that belong to what a person typed: case and punctuation do not matter.
fn typed<'a>(state: &'a State, now: Timestamp, text: &str) -> Option<(&'a Vec<u8>, &'a Device)> {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    };
    let wanted = letters(text);
    state.devices.iter(now).find(|(_, device)| now < device.expires && letters(&device.user_code) == wanted)
}

/// The device page: asks for a code, or, with one, for the decision.
pub(crate) fn page(cx: &mut Context<'_>, request: &Request) -> Result<Reply, Refusal> {
    let action = format!("{}/device", cx.site.path);
    let Some(text) = request.query.one("user_code") else {
        return Ok(pages::enter_code(&action, None).with_note("showed the device page"));
    };
    let found = typed(cx.state, cx.now, text).map(|(key, device)| (key.clone(), device.answer.clone()));
    match found {
        Some((device, DeviceAnswer::Awaited)) => session::ask(cx, request, Pending::Device(device), true),
        Some((_, DeviceAnswer::Approved { .. } | DeviceAnswer::Denied | DeviceAnswer::Redeemed { .. })) => {
            let alert = Some("This code was used before.");
            Ok(pages::enter_code(&action, alert).with_note("refused: the user code was used before"))
        }
        None => {
            let alert = Some("This code is unknown or has expired.");
            Ok(pages::enter_code(&action, alert).with_note("refused: the user code is unknown"))
        }
    }
}

/// The person on the page said yes.
pub(crate) fn approved(cx: &mut Context<'_>, device: &[u8], user: &str, at: Timestamp) -> Reply {
    let answer = DeviceAnswer::Approved { user: user.to_owned(), at };
    settle(cx, device, answer, "Your device is connected", format!("approved a device for {user}"))
}

/// The person on the page said no.
pub(crate) fn denied(cx: &mut Context<'_>, device: &[u8]) -> Reply {
    settle(cx, device, DeviceAnswer::Denied, "Your device was turned away", "denied a device".to_owned())
}

fn settle(cx: &mut Context<'_>, device: &[u8], answer: DeviceAnswer, title: &str, note: String) -> Reply {
    let waiting = cx.state.devices.find_mut(cx.now, device);
    match waiting.filter(|device| matches!(device.answer, DeviceAnswer::Awaited) && cx.now < device.expires) {
        Some(device) => {
            device.answer = answer;
            pages::message(StatusCode::OK, title, "You can close this page.").with_note(note)
        }
        None => pages::message(StatusCode::BAD_REQUEST, "Too late", "This code was used before or has expired.")
            .with_note("refused: the user code was used before or has expired"),
    }
}

/// Answers for a device that still waits, without a page. `false` if no device waits under that code.
pub(crate) fn settle_by_code(state: &mut State, now: Timestamp, user_code: &str, answer: DeviceAnswer) -> bool {
    let Some(key) = typed(state, now, user_code).map(|(key, _)| key.clone()) else {
        return false;
    };
    match state.devices.find_mut(now, &key) {
        Some(device) if matches!(device.answer, DeviceAnswer::Awaited) => {
            device.answer = answer;
            true
        }
        Some(_) | None => false,
    }
}

/// The user codes that wait for a decision.
pub(crate) fn waiting(state: &State, now: Timestamp) -> Vec<String> {
    let waits = |device: &Device| now < device.expires && matches!(device.answer, DeviceAnswer::Awaited);
    state.devices.iter(now).filter(|(_, device)| waits(device)).map(|(_, device)| device.user_code.clone()).collect()
}
