//! The snippets of the written documentation, so that they are compiled as tests, and the fuzz functions that cross crates.
//! Nothing else is in this library.

pub mod fuzz;

#[doc = include_str!("../README.md")]
pub mod readme {}

#[doc = include_str!("../docs/web-login.md")]
pub mod web_login {}

#[doc = include_str!("../docs/http-client.md")]
pub mod http_client {}

#[doc = include_str!("../docs/client-authentication.md")]
pub mod client_authentication {}

#[doc = include_str!("../docs/device-login.md")]
pub mod device_login {}

#[doc = include_str!("../docs/leniency.md")]
pub mod leniency {}

#[doc = include_str!("../docs/tokens.md")]
pub mod tokens {}

#[doc = include_str!("../docs/requests.md")]
pub mod requests {}
