//! The one type that holds secrets: redacted, wiped on drop, compared in constant time.
//!
//! Nothing else in the workspace may print, compare or serialise a secret. There is deliberately no `Clone`,
//! `PartialEq`, `Display` or `Serialize`: whoever needs the value says [`Secret::expose`], which is easy to find.

use core::fmt;

use subtle::ConstantTimeEq;

/// Holds a value that must not reach a log, an error or a snapshot by accident.
///
/// ```
/// use grantflow_core::Secret;
/// let token = Secret::from("s3cr3t");
/// assert_eq!(format!("{token:?}"), "Secret(..)");
/// assert_eq!(token.expose(), "s3cr3t");
/// assert!(token.matches("s3cr3t"));
/// ```
///
/// It cannot be printed, compared with `==`, cloned or serialised:
///
/// ```compile_fail
/// let secret = grantflow_core::Secret::from("s3cr3t");
/// println!("{secret}");
/// ```
/// ```compile_fail
/// let secret = grantflow_core::Secret::from("s3cr3t");
/// assert!(secret == grantflow_core::Secret::from("s3cr3t"));
/// ```
/// ```compile_fail
/// let secret = grantflow_core::Secret::from("s3cr3t");
/// let copy = secret.clone();
/// drop(secret);
/// ```
/// ```compile_fail
/// let secret = grantflow_core::Secret::from("s3cr3t");
/// serde_json::to_string(&secret);
/// ```
pub struct Secret<T: Wipe = String>(T);

/// What a [`Secret`] can hold: memory that can be overwritten.
///
/// Overwritten in one stroke: byte by byte takes as long as reading a whole answer does.
pub trait Wipe {
    /// Overwrites the value, spare room included, in a way that the compiler does not leave out.
    fn wipe(&mut self);
}

impl Wipe for Vec<u8> {
    fn wipe(&mut self) {
        self.clear();
        self.resize(self.capacity(), 0);
        zeroize::optimization_barrier(self.as_slice());
        self.clear();
    }
}

impl Wipe for String {
    fn wipe(&mut self) {
        core::mem::take(self).into_bytes().wipe();
    }
}

impl<T: Wipe> Secret<T> {
    /// Takes the value in.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Reads the value. Every use of it is a place to look at in a review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Wipe + AsRef<[u8]>> Secret<T> {
    /// Compares with `other` in time that depends on the lengths only.
    pub fn matches(&self, other: impl AsRef<[u8]>) -> bool {
        self.0.as_ref().ct_eq(other.as_ref()).into()
    }
}

impl<T: Wipe + Clone> Secret<T> {
    /// Makes a second copy, which is wiped on its own. Named so that copies are seen.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(value: Vec<u8>) -> Self {
        Self(value)
    }
}

impl<T: Wipe> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T: Wipe> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn a_secret_wipes_what_it_holds_when_it_is_dropped() {
        struct Noted<'a>(&'a Cell<bool>);
        impl Wipe for Noted<'_> {
            fn wipe(&mut self) {
                self.0.set(true);
            }
        }
        let wiped = Cell::new(false);
        let secret = Secret::new(Noted(&wiped));
        assert!(!wiped.get());
        drop(secret);
        assert!(wiped.get());
    }

    #[test]
    fn nothing_is_left_of_what_was_wiped() {
        let (mut text, mut bytes) = ("s3cr3t".to_owned(), b"s3cr3t".to_vec());
        text.wipe();
        bytes.wipe();
        assert!(text.is_empty() && bytes.is_empty());
    }

    #[test]
    fn a_secret_holds_what_it_was_made_of_and_matches_that_alone() {
        let (text, bytes) = (Secret::from("s3cr3t".to_owned()), Secret::from(b"s3cr3t".to_vec()));
        assert_eq!((text.expose().as_str(), bytes.expose().as_slice()), ("s3cr3t", &b"s3cr3t"[..]));
        for (other, same) in [("s3cr3t", true), ("s3cr3T", false), ("s3cr3", false), ("s3cr3ts", false), ("", false)] {
            assert_eq!((text.matches(other), bytes.matches(other)), (same, same), "{other}");
        }
    }
}
