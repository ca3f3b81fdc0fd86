//! What flows learn for one another: key sets by issuer, DPoP nonces by origin.
//!
//! The caller owns a [`Memory`] and lends it with every event. It is bounded, holds nothing that must survive a
//! restart, and keeps what belongs to one issuer apart from all others.
#[derive(Debug, Default)]
pub struct Memory {}
