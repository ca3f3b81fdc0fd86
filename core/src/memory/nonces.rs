//! The last DPoP nonce of each origin (RFC 9449 §8.2).

/// How many origins are remembered; the one not heard of for longest goes first.
const ORIGINS: usize = 64;
/// The longest nonce that is kept.
const LONGEST: usize = 1024;

/// The last nonce of each origin, the most recent origin last.
#[derive(Debug, Default)]
pub(super) struct Nonces(Vec<(String, String)>);

impl Nonces {
    pub(super) fn of(&self, origin: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == origin).map(|(_, nonce)| nonce.as_str())
    }

    /// Keeps a nonce, unless it is none: too long, or not of the characters of RFC 9449 §8.1.
    pub(super) fn keep(&mut self, origin: &str, nonce: &str) {
        let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        if nonce.is_empty() || nonce.len() > LONGEST || !nonce.bytes().all(legal) {
            return;
        }
        self.0.retain(|(known, _)| known != origin);
        if self.0.len() >= ORIGINS {
            self.0.remove(0);
        }
        self.0.push((origin.to_owned(), nonce.to_owned()));
    }
}
