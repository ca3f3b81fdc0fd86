//! The validating pass over a JSON text.

use super::{JsonError, MAX_DEPTH, MAX_MEMBERS, Member, Span};
use crate::error::JsonFlaw;

/// Up to how many members of one object are compared each with each; beyond, they are sorted.
const FEW: usize = 16;

/// Validates a text and returns the members of its outermost object.
pub(super) fn members(text: &str) -> Result<Vec<Member>, JsonError> {
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError { at: 0, flaw: JsonFlaw::TooManyMembers });
    }
    let mut parser = Parser {
        text,
        rest: text.as_bytes(),
        names: Vec::with_capacity(FEW),
        count: 0,
        inside: Container::Object { first: 0 },
        around: [Container::Array; MAX_DEPTH],
        depth: 0,
    };
    parser.object().map_err(|flaw| JsonError { at: parser.at(), flaw })?;
    Ok(parser.names)
}

struct Parser<'a> {
    text: &'a str,
    /// What has not been read yet.
    rest: &'a [u8],
    /// The members of all open objects, outermost first. A closed object's are taken away, except the outermost's.
    names: Vec<Member>,
    /// How many members there were at all.
    count: usize,
    /// The innermost open container.
    inside: Container,
    /// The containers around it; `depth` of them are in use.
    around: [Container; MAX_DEPTH],
    depth: usize,
}

#[derive(Clone, Copy)]
enum Container {
    Array,
    Object {
        /// Its first member's place in `names`.
        first: usize,
    },
}

impl<'a> Parser<'a> {
    fn at(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    fn object(&mut self) -> Result<(), JsonFlaw> {
        self.space();
        match self.rest {
            [b'{', rest @ ..] => self.rest = rest,
            [] => return Err(JsonFlaw::Truncated),
            [b'[' | b'"' | b'-' | b'0'..=b'9', ..] => return Err(JsonFlaw::NotObject),
            rest if [&b"true"[..], b"false", b"null"].iter().any(|word| rest.starts_with(word)) => {
                return Err(JsonFlaw::NotObject);
            }
            _ => return Err(JsonFlaw::Syntax),
        }
        self.space();
        let mut open = match self.rest {
            [b'}', rest @ ..] => {
                self.rest = rest;
                false
            }
            _ => {
                self.name()?;
                true
            }
        };
        while open {
            if self.value()? {
                open = self.after_value()?;
            }
        }
        self.space();
        if self.rest.is_empty() { Ok(()) } else { Err(JsonFlaw::Trailing) }
    }

    /// Reads a value, or the beginning of one. Says whether it is whole: if not, its first inner value comes next.
    fn value(&mut self) -> Result<bool, JsonFlaw> {
        self.space();
        match self.rest {
            [b'"', rest @ ..] => {
                self.rest = rest;
                let escaped = self.string()?;
                if let Some(member) = self.names.last_mut() {
                    member.value_escaped |= escaped;
                }
            }
            [b'-' | b'0'..=b'9', ..] => self.number()?,
            [b'{', rest @ ..] => {
                self.enter(Container::Object { first: self.names.len() })?;
                self.rest = rest;
                self.space();
                let [b'}', rest @ ..] = self.rest else {
                    self.name()?;
                    return Ok(false);
                };
                self.rest = rest;
                self.leave();
            }
            [b'[', rest @ ..] => {
                self.enter(Container::Array)?;
                self.rest = rest;
                self.space();
                let [b']', rest @ ..] = self.rest else {
                    return Ok(false);
                };
                self.rest = rest;
                self.leave();
            }
            [b't', ..] => self.word(b"true")?,
            [b'f', ..] => self.word(b"false")?,
            [b'n', ..] => self.word(b"null")?,
            [] => return Err(JsonFlaw::Truncated),
            _ => return Err(JsonFlaw::Syntax),
        }
        Ok(true)
    }

    /// Reads on after a whole value, up to where the next one begins. Says whether there is a next one.
    fn after_value(&mut self) -> Result<bool, JsonFlaw> {
        loop {
            if self.depth == 0 {
                let end = self.at();
                if let Some(member) = self.names.last_mut() {
                    member.value.end = Span::new(0, end).end;
                }
            }
            self.space();
            match (self.inside, self.rest) {
                (Container::Object { .. }, [b',', rest @ ..]) => {
                    self.rest = rest;
                    self.space();
                    self.name()?;
                    return Ok(true);
                }
                (Container::Array, [b',', rest @ ..]) => {
                    self.rest = rest;
                    return Ok(true);
                }
                (Container::Object { first }, [b'}', rest @ ..]) => {
                    self.unique(first)?;
                    self.rest = rest;
                    if self.depth == 0 {
                        return Ok(false);
                    }
                    self.names.truncate(first);
                    self.leave();
                }
                (Container::Array, [b']', rest @ ..]) => {
                    self.rest = rest;
                    self.leave();
                }
                (_, []) => return Err(JsonFlaw::Truncated),
                _ => return Err(JsonFlaw::Syntax),
            }
        }
    }

    fn enter(&mut self, container: Container) -> Result<(), JsonFlaw> {
        // The innermost container is kept apart from those around it, so this many around are one too many.
        if self.depth.saturating_add(1) >= MAX_DEPTH {
            return Err(JsonFlaw::TooDeep);
        }
        if let Some(place) = self.around.get_mut(self.depth) {
            *place = self.inside;
        }
        self.depth = self.depth.saturating_add(1);
        self.inside = container;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if let Some(container) = self.around.get(self.depth) {
            self.inside = *container;
        }
    }

    /// Reads a name and its colon, and the space up to the value.
    fn name(&mut self) -> Result<(), JsonFlaw> {
        match self.rest {
            [b'"', rest @ ..] => self.rest = rest,
            [] => return Err(JsonFlaw::Truncated),
            _ => return Err(JsonFlaw::Syntax),
        }
        if self.count == MAX_MEMBERS {
            return Err(JsonFlaw::TooManyMembers);
        }
        self.count = self.count.saturating_add(1);
        let start = self.at();
        let name_escaped = self.string()?;
        let name = Span::new(start, self.at().saturating_sub(1));
        self.space();
        match self.rest {
            [b':', rest @ ..] => self.rest = rest,
            [] => return Err(JsonFlaw::Truncated),
            _ => return Err(JsonFlaw::Syntax),
        }
        self.space();
        let value = Span::new(self.at(), self.at());
        self.names.push(Member { name, value, name_escaped, value_escaped: false });
        Ok(())
    }

    /// Reads a string whose opening quote has been read. Says whether there are escapes in it.
    fn string(&mut self) -> Result<bool, JsonFlaw> {
        let mut escaped = false;
        loop {
            self.rest = plain(self.rest);
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(escaped);
                }
                [b'\\', rest @ ..] => {
                    escaped = true;
                    self.escape(rest)?;
                }
                [] => return Err(JsonFlaw::Truncated),
                _ => return Err(JsonFlaw::Syntax),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, after: &'a [u8]) -> Result<(), JsonFlaw> {
        match after {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => self.rest = rest,
            [b'u', rest @ ..] => {
                let (unit, rest) = code_unit(rest)?;
                self.rest = rest;
                match unit {
                    0xD800..=0xDBFF => {
                        let rest = match rest {
                            [b'\\', b'u', rest @ ..] => rest,
                            [] | [b'\\'] => return Err(JsonFlaw::Truncated),
                            _ => return Err(JsonFlaw::Syntax),
                        };
                        let (low, rest) = code_unit(rest)?;
                        if !(0xDC00..=0xDFFF).contains(&low) {
                            return Err(JsonFlaw::Syntax);
                        }
                        self.rest = rest;
                    }
                    0xDC00..=0xDFFF => return Err(JsonFlaw::Syntax),
                    _ => {}
                }
            }
            [] => return Err(JsonFlaw::Truncated),
            _ => return Err(JsonFlaw::Syntax),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonFlaw> {
        if let [b'-', rest @ ..] = self.rest {
            self.rest = rest;
        }
        match self.rest {
            [b'0', rest @ ..] => self.rest = rest,
            _ => self.digits()?,
        }
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonFlaw> {
        match self.rest {
            [b'0'..=b'9', ..] => {}
            [] => return Err(JsonFlaw::Truncated),
            _ => return Err(JsonFlaw::Syntax),
        }
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonFlaw> {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None if word.starts_with(self.rest) => Err(JsonFlaw::Truncated),
            None => Err(JsonFlaw::Syntax),
        }
    }

    fn space(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Checks that no two members of the object that begins at `first` have the same name.
    fn unique(&self, first: usize) -> Result<(), JsonFlaw> {
        let members = self.names.get(first..).unwrap_or_default();
        let unique = if members.len() <= FEW { self.unique_few(members) } else { self.unique_many(members) };
        if unique { Ok(()) } else { Err(JsonFlaw::DuplicateMember) }
    }

    fn unique_few(&self, mut members: &[Member]) -> bool {
        while let [one, others @ ..] = members {
            let name = one.name(self.text);
            if others.iter().any(|other| other.is_named(&name, self.text)) {
                return false;
            }
            members = others;
        }
        true
    }

    /// Sorts by a digest of the name, which is quick, and compares names only where digests agree. An attacker can make
    /// all digests agree, so those are sorted by name too: never worse than `n log n` comparisons.
    fn unique_many(&self, members: &[Member]) -> bool {
        let mut digests: Vec<(u64, &Member)> =
            members.iter().map(|member| (digest(&member.name(self.text)), member)).collect();
        digests.sort_unstable_by_key(|(digest, _)| *digest);
        digests.chunk_by(|(one, _), (other, _)| one == other).filter(|alike| alike.len() > 1).all(|alike| {
            let mut names: Vec<_> = alike.iter().map(|(_, member)| member.name(self.text)).collect();
            names.sort_unstable();
            names.is_sorted_by(|one, other| one != other)
        })
    }
}

/// Skips all bytes that mean nothing special in a string: up to a quote, a backslash or a control character.
fn plain(bytes: &[u8]) -> &[u8] {
    // Most names and values end within two words; what is longer is likely to be much longer.
    let (Some((one, after_one)), Some((two, after_two))) =
        (bytes.split_first_chunk::<8>(), bytes.split_at_checked(8).and_then(|(_, rest)| rest.split_first_chunk::<8>()))
    else {
        return plain_tail(bytes);
    };
    if let Some(skip) = special(*one) {
        return bytes.get(skip..).unwrap_or_default();
    }
    if let Some(skip) = special(*two) {
        return after_one.get(skip..).unwrap_or_default();
    }
    let mut bytes = after_two;
    while let Some((block, rest)) = bytes.split_first_chunk::<32>() {
        // Without a branch inside, so that the compiler looks at all of them at once.
        if block.iter().fold(false, |found, byte| found | (*byte < b' ') | (*byte == b'"') | (*byte == b'\\')) {
            break;
        }
        bytes = rest;
    }
    plain_tail(bytes)
}

fn plain_tail(mut bytes: &[u8]) -> &[u8] {
    while let Some((word, rest)) = bytes.split_first_chunk::<8>() {
        if let Some(skip) = special(*word) {
            return bytes.get(skip..).unwrap_or_default();
        }
        bytes = rest;
    }
    while let [byte, rest @ ..] = bytes {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Where in a word the first quote, backslash or control character stands.
///
/// A byte of the mask has its top bit set where the byte of the word is one of those. A borrow can set bits above the
/// first such byte, never below, so the lowest is right.
fn special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);
    let word = u64::from_le_bytes(word);
    let (quotes, backslashes) = (word ^ QUOTES, word ^ BACKSLASHES);
    let zeros = (quotes.wrapping_sub(ONES) & !quotes) | (backslashes.wrapping_sub(ONES) & !backslashes);
    let mask = (zeros | (word.wrapping_sub(SPACES) & !word)) & TOPS;
    if mask == 0 { None } else { usize::try_from(mask.trailing_zeros() / 8).ok() }
}

/// Reads the four hexadecimal digits of `\u`.
fn code_unit(bytes: &[u8]) -> Result<(u32, &[u8]), JsonFlaw> {
    let mut unit = 0_u32;
    let mut rest = bytes;
    for _ in 0..4 {
        let [byte, after @ ..] = rest else {
            return Err(JsonFlaw::Truncated);
        };
        let digit = char::from(*byte).to_digit(16).ok_or(JsonFlaw::Syntax)?;
        unit = (unit << 4) | digit;
        rest = after;
    }
    Ok((unit, rest))
}

/// A quick digest of a name. Nothing depends on its quality but speed.
fn digest(name: &str) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let bytes = name.as_bytes();
    let mix = |digest: u64, word: u64| (digest.rotate_left(29) ^ word).wrapping_mul(ODD);
    let digest = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => mix(u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => bytes.iter().fold(1, |word, byte| (word << 8) | u64::from(*byte)),
    };
    let digest =
        bytes.get(8..bytes.len().saturating_sub(8)).unwrap_or_default().chunks(8).fold(digest, |digest, chunk| {
            mix(digest, chunk.iter().fold(1, |word, byte| (word << 8) | u64::from(*byte)))
        });
    let digest = digest.wrapping_mul(ODD);
    digest ^ (digest >> 32)
}
