//! One binary for all tests that cross crates. Each module says what it claims.

mod authorization_response;
mod catalogue;
mod client_authentication;
mod device;
mod discovery;
mod documents;
mod dpop;
mod endpoints;
mod faults;
mod fixtures;
mod hooks;
mod keys;
mod launching;
<<<<<<< HEAD
mod lifecycle_model;
=======
mod lifecycle;
>>>>>>> d9ac4ed (Tell the story of a token through both drivers)
mod machines;
mod oracles;
mod pkce;
mod processes;
mod profiles;
mod purity;
mod replay;
mod runners;
mod scenarios;
mod scripted;
mod secrets;
mod splits;
mod token_response;
mod walk;
