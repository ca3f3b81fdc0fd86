//! Randomness as an argument, and the one way the core makes unguessable strings.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::Secret;
use crate::error::{Error, ProviderError};

/// A source of cryptographically secure random bytes.
///
/// Drivers pass the operating system's. A failure ends the flow: there is no weaker fallback.
pub trait Random {
    /// Fills `out` completely or reports that it could not.
    ///
    /// # Errors
    /// [`RandomUnavailable`] when the source gives nothing; `out` is then not used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomUnavailable>;
}

/// The random source gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomUnavailable;

impl From<RandomUnavailable> for Error {
    fn from(_: RandomUnavailable) -> Self {
        Error::Provider(ProviderError::Random)
    }
}

/// Draws a text that nobody guesses: 256 bits as 43 characters of base64url.
///
/// Flows draw their own; this is for what a program makes itself, such as the name of a browser session or the `state`
/// of a request that is no flow of ours. It is fit to be a PKCE verifier (RFC 7636 §4.1).
///
/// # Errors
/// [`ProviderError::Random`] when the source gives nothing.
pub fn unguessable(random: &mut dyn Random) -> Result<Secret, Error> {
    token::<32>(random)
}

/// Draws `N` random bytes and writes them as base64url without padding.
///
/// Used for `state`, `nonce` and the PKCE verifier (32 bytes, 43 characters) and for `jti` (16 bytes).
pub(crate) fn token<const N: usize>(random: &mut dyn Random) -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    random.fill(bytes.as_mut_slice())?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}
