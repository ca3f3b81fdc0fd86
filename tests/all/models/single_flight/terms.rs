//! The core's words for what the reference numbers.

use grantflow_core::Secret;
use grantflow_core::error::{Delivery, Error, LoginNeeded, ProviderError, SendFailure, TransportKind};
use grantflow_core::http::Body;
use grantflow_core::machine::Event;
use grantflow_core::manager::{self, Credential, TokenId};
use grantflow_core::testing::MarkerCrypto;

use super::desk::Outcome;
use super::reference::{Why, Wish};
use super::scripts::Fate;

/// What somebody who waited has got.
pub fn given(outcome: Outcome, wish: Wish) -> Result<u32, Why> {
    let lease = outcome.map_err(|error| why(&error))?;
    let credential = match wish {
        Wish::Any => lease.granted(manager::Wish::Credential),
        Wish::Other(number) => lease.granted(manager::Wish::Other(id(number))),
        Wish::New => lease.renewed(),
        Wish::Leave => return lease.left().map_or_else(|error| Err(why(&error)), |_| Err(Why::NoSession)),
    };
    credential.map(|credential| number(&credential)).map_err(|error| why(&error))
}

pub fn id(number: u32) -> TokenId {
    TokenId::of(&Secret::from(format!("A{number}")), &MarkerCrypto)
}

pub fn number(credential: &Credential) -> u32 {
    credential.access_token().unwrap().expose()[1..].parse().unwrap()
}

pub fn why(error: &Error) -> Why {
    match error {
        Error::Transport(_) => Why::Transport,
        Error::Protocol(_) => Why::Garbled,
        Error::Refused(_) => Why::Refused,
        Error::LoginNeeded(LoginNeeded::Ended(_)) => Why::Ended,
        Error::LoginNeeded(LoginNeeded::NoSession) => Why::NoSession,
        Error::Provider(ProviderError::Interrupted) => Why::Interrupted,
        error => panic!("{error:?}"),
    }
}

/// What comes of a token request.
pub fn answer(fate: Fate, number: u32) -> Event {
    let lost = |delivery, kind| Event::SendFailed(SendFailure { delivery, kind });
    let mut response = http::Response::builder().header("content-type", "application/json");
    let (status, body) = match fate {
        Fate::NotSent => return lost(Delivery::NotSent, TransportKind::Connect),
        Fate::Reset => return lost(Delivery::Unknown, TransportKind::Reset),
        Fate::TimedOut => return lost(Delivery::Unknown, TransportKind::Timeout),
        Fate::Well(seconds) => {
            (200, format!(r#"{{"access_token":"A{number}","token_type":"Bearer","expires_in":{seconds}}}"#))
        }
        Fate::Garbled => (200, "{}".to_owned()),
        Fate::Refused(code) => (400, format!(r#"{{"error":"{code}"}}"#)),
        Fate::Ill(asked) => {
            if let Some(seconds) = asked {
                response = response.header("retry-after", seconds);
            }
            (503, String::new())
        }
    };
    Event::Response(response.status(status).body(Body::new(body.into_bytes())).unwrap())
}
