//! Views of values in a text that the parser has accepted.
//!
//! Nothing here can fail: what would be an error in a text that was not checked reads as an end.

use core::fmt;
use std::borrow::Cow;

/// One value of a JSON text. Its `Debug` form tells the kind, not the contents.
#[derive(Clone)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number of any size.
    Number(Number<'a>),
    /// A string; borrowed unless there were escapes in it.
    String(Cow<'a, str>),
    /// An array.
    Array(Array<'a>),
    /// An object inside the outermost one.
    Object(Nested<'a>),
}

impl<'a> Value<'a> {
    /// Reads a value from the text that it fills; `escaped` tells whether a string may have escapes in it.
    pub(super) fn of(text: &'a str, escaped: bool) -> Self {
        match text.as_bytes() {
            [b'"', ..] if escaped => Value::String(unescape(inner(text))),
            [b'"', ..] => Value::String(Cow::Borrowed(inner(text))),
            [b'{', ..] => Value::Object(Nested(text)),
            [b'[', ..] => Value::Array(Array(text)),
            [b't', ..] => Value::Bool(true),
            [b'f', ..] => Value::Bool(false),
            [b'n', ..] | [] => Value::Null,
            _ => Value::Number(Number(text)),
        }
    }

    /// Reads a value from the text that the parser has accepted for it.
    pub(crate) fn of_written(text: &'a str) -> Self {
        Self::of(text, true)
    }

    /// The string, if it is one.
    pub fn into_string(self) -> Option<Cow<'a, str>> {
        match self {
            Value::String(string) => Some(string),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "Null",
            Value::Bool(_) => "Bool(..)",
            Value::Number(_) => "Number(..)",
            Value::String(_) => "String(..)",
            Value::Array(_) => "Array(..)",
            Value::Object(_) => "Object(..)",
        })
    }
}

/// A number, as written. It may be larger or finer than any type of Rust's.
#[derive(Clone, Copy)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// The number as written.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it is below zero. `-0` is not.
    pub fn is_negative(self) -> bool {
        self.0.starts_with('-') && !Decimal::of(self.0).is_zero()
    }

    /// Whether it is a whole number, however it is written: `3600.0` is.
    pub fn is_integral(self) -> bool {
        Decimal::of(self.0).truncated().1
    }

    /// The largest integer that is not above it, or `None` below zero. Clamped to `u64::MAX`.
    pub fn floor_u64(self) -> Option<u64> {
        (!self.is_negative()).then(|| Decimal::of(self.0).truncated().0)
    }

    /// The largest integer that is not above it, clamped to the range of `i64`.
    pub fn floor_i64(self) -> i64 {
        let (magnitude, exact) = Decimal::of(self.0).truncated();
        if self.is_negative() {
            let magnitude = if exact { magnitude } else { magnitude.saturating_add(1) };
            0_i64.saturating_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).unwrap_or(i64::MAX)
        }
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number(..)")
    }
}

/// The digits of a number without its sign, and where the point is after the exponent has moved it.
struct Decimal<'a> {
    integral: &'a str,
    fractional: &'a str,
    /// How many digits stand before the point; may lie far outside the digits.
    point: i64,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (integral, fractional) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
        let point = i64::try_from(integral.len()).unwrap_or(i64::MAX).saturating_add(exponent);
        Self { integral, fractional, point }
    }

    fn digits(&self) -> impl Iterator<Item = u64> {
        self.integral.bytes().chain(self.fractional.bytes()).map(|digit| u64::from(digit.saturating_sub(b'0')))
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == 0)
    }

    /// The digits before the point, clamped, and whether all behind it are zeros.
    fn truncated(&self) -> (u64, bool) {
        let mut value = 0_u64;
        let mut left = self.point;
        let mut exact = true;
        for digit in self.digits() {
            if left > 0 {
                value = value.saturating_mul(10).saturating_add(digit);
                left = left.saturating_sub(1);
            } else {
                exact &= digit == 0;
            }
        }
        while left > 0 && value != 0 && value != u64::MAX {
            value = value.saturating_mul(10);
            left = left.saturating_sub(1);
        }
        (value, exact)
    }
}

/// An array. Goes through its values.
#[derive(Clone, Copy)]
pub struct Array<'a>(&'a str);

impl<'a> Array<'a> {
    /// Goes through the values in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        let mut rest = inner(self.0);
        core::iter::from_fn(move || next(&mut rest).map(|text| Value::of(text, true)))
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Array(..)")
    }
}

/// An object that stands inside another value.
#[derive(Clone, Copy)]
pub struct Nested<'a>(&'a str);

impl<'a> Nested<'a> {
    /// Finds a member by its name. Reads the object up to it.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.members().find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Goes through the members in the order in which they stand.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> {
        let mut rest = inner(self.0);
        core::iter::from_fn(move || {
            let name = next(&mut rest)?;
            let value = next(&mut rest)?;
            Some((unescape(inner(name)), Value::of(value, true)))
        })
    }

    /// Goes through the members, the values as they are written.
    pub(crate) fn written(self) -> impl Iterator<Item = (Cow<'a, str>, &'a str)> {
        let mut rest = inner(self.0);
        core::iter::from_fn(move || {
            let name = next(&mut rest)?;
            Some((unescape(inner(name)), next(&mut rest)?))
        })
    }

    /// The object's text, as written.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nested(..)")
    }
}

/// The text between the quotes, brackets or braces.
fn inner(text: &str) -> &str {
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default()
}

/// Takes the next value off, with the commas, colons and space around it.
fn next<'a>(rest: &mut &'a str) -> Option<&'a str> {
    const BETWEEN: [char; 6] = [' ', '\n', '\r', '\t', ',', ':'];
    let text = rest.trim_start_matches(BETWEEN);
    let (value, after) = text.split_at_checked(extent(text)).filter(|(value, _)| !value.is_empty())?;
    *rest = after;
    Some(value)
}

/// How long the value at the beginning of `text` is.
fn extent(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate();
    let bare = !text.starts_with(['"', '[', '{']);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | b',' if bare => return at,
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !bare {
            return text.len().saturating_sub(bytes.len());
        }
    }
    text.len()
}

/// Resolves the escapes of a string that the parser has accepted; its quotes are off already.
pub(super) fn unescape(written: &str) -> Cow<'_, str> {
    let Some((plain, escaped)) = written.split_once('\\') else {
        return Cow::Borrowed(written);
    };
    // Never longer than written, so the buffer is not moved and leaves no copy behind.
    let mut out = String::with_capacity(written.len());
    out.push_str(plain);
    let mut rest = escaped;
    loop {
        rest = unescape_one(&mut out, rest);
        let Some((plain, escaped)) = rest.split_once('\\') else {
            out.push_str(rest);
            return Cow::Owned(out);
        };
        out.push_str(plain);
        rest = escaped;
    }
}

/// Resolves the escape whose backslash has been read, and gives what follows it.
fn unescape_one<'a>(out: &mut String, text: &'a str) -> &'a str {
    let mut chars = text.chars();
    match chars.next() {
        Some('b') => out.push('\u{8}'),
        Some('f') => out.push('\u{C}'),
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('t') => out.push('\t'),
        Some('u') => {
            let (unit, after) = hex(chars.as_str());
            let low = after.strip_prefix("\\u").map(hex).filter(|_| (0xD800..=0xDBFF).contains(&unit));
            let (code, after) = match low {
                Some((low, after)) => (0x1_0000_u32.saturating_add(((unit & 0x3FF) << 10) | (low & 0x3FF)), after),
                None => (unit, after),
            };
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return after;
        }
        Some(itself) => out.push(itself),
        None => {}
    }
    chars.as_str()
}

fn hex(text: &str) -> (u32, &str) {
    let (digits, after) = text.split_at_checked(4).unwrap_or((text, ""));
    (u32::from_str_radix(digits, 16).unwrap_or(0xFFFD), after)
}

/// How long a string is when it is written without its quotes.
pub(crate) fn escaped_len(text: &str) -> usize {
    text.bytes().fold(0_usize, |len, byte| {
        len.saturating_add(match byte {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        })
    })
}

/// Writes a string without its quotes.
pub(crate) fn escape(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\0'..' ' => {
                let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.extend([digit(u32::from(char) >> 4), digit(u32::from(char) & 0xF)]);
            }
            _ => out.push(char),
        }
    }
}
