//! base64url as JOSE writes it (RFC 7515 §2): no padding, no whitespace, no bits left over.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes `text`; `None` for everything that is not the one right spelling of some bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes `text` into `buffer` and gives the part that it fills.
pub(super) fn decode_into<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let len = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..len)
}

/// Whether `text` is the right spelling of `bytes`; at most 64 bytes are compared, without telling how many agree.
pub(super) fn spells(text: &str, bytes: &[u8]) -> bool {
    let mut buffer = [0; 86];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut buffer).ok().and_then(|len| buffer.get(..len));
    written.is_some_and(|written| subtle::ConstantTimeEq::ct_eq(written, text.as_bytes()).into())
}
