//! A message body that hides and wipes itself.

use core::fmt;

use crate::Secret;

/// The bytes of a request or an answer. Both carry secrets, so both are redacted and wiped on drop.
#[derive(Default)]
pub struct Body(Secret<Vec<u8>>);

impl Body {
    /// Takes the bytes in.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Secret::new(bytes))
    }

    /// No bytes at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads the bytes.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.expose().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.expose().is_empty()
    }
}

impl Default for Secret<Vec<u8>> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_how_long_it_is_and_no_more() {
        let body = Body::from(b"s3cr3t".to_vec());
        assert_eq!((body.expose(), body.len(), body.is_empty()), (&b"s3cr3t"[..], 6, false));
        assert_eq!(format!("{body:?}"), "Body(6 bytes)");
        assert_eq!((Body::empty().len(), Body::empty().is_empty()), (0, true));
    }
}
