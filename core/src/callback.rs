//! What comes back by way of the browser (RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form Post Response Mode).

/// The parameters of a callback, parsed and bounded, before anybody has compared them with anything.
#[derive(Debug)]
pub struct CallbackParams {}
