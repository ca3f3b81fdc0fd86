//! Writing JSON objects that hold secrets: member by member, and no copy of the text stays behind.

use zeroize::Zeroizing;

use crate::http::json::{self, JsonError, Object};
use crate::secret::Secret;

/// How the text of an object is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Without any space.
    Compact,
    /// One member to a line, each with two spaces before it.
    Indented,
}

/// An object that is being written.
pub(crate) struct Members {
    text: Zeroizing<String>,
    layout: Layout,
}

impl Members {
    /// Begins an object of about this length.
    pub(crate) fn new(layout: Layout, room: usize) -> Self {
        let mut members = Self { text: Zeroizing::new(String::with_capacity(room)), layout };
        members.push("{");
        members
    }

    /// Adds a member whose name and value are JSON already; the name is without its quotes.
    pub(super) fn written(&mut self, name: &str, value: &str) {
        let first = self.text.len() == 1;
        let (between, colon) = match (self.layout, first) {
            (Layout::Compact, true) => ("\"", "\":"),
            (Layout::Compact, false) => (",\"", "\":"),
            (Layout::Indented, true) => ("\n  \"", "\": "),
            (Layout::Indented, false) => (",\n  \"", "\": "),
        };
        for piece in [between, name, colon, value] {
            self.push(piece);
        }
    }

    /// Adds a member whose value is JSON already, under any name.
    pub(crate) fn named(&mut self, name: &str, value: &str) {
        self.written(&escaped(name), value);
    }

    /// Adds a string. The name needs no escapes.
    pub(super) fn string(&mut self, name: &str, value: &str) {
        self.written(name, &quoted(value));
    }

    /// Adds an integer. The name needs no escapes.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.written(name, &value.to_string());
    }

    /// Adds an array of strings, unless it is empty. The name needs no escapes.
    pub(super) fn strings<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        let values: Vec<_> = values.into_iter().map(|value| quoted(value).to_string()).collect();
        if !values.is_empty() {
            self.written(name, &format!("[{}]", values.join(",")));
        }
    }

    /// Ends the object.
    pub(super) fn finish(mut self) -> Zeroizing<String> {
        self.push(match (self.layout, self.text.len()) {
            (Layout::Compact, _) | (Layout::Indented, 1) => "}",
            (Layout::Indented, _) => "\n}",
        });
        self.text
    }

    /// Ends the object and gives its bytes.
    pub(super) fn into_secret(self) -> Secret<Vec<u8>> {
        Secret::new(core::mem::take(&mut *self.finish()).into_bytes())
    }

    /// Ends the object and reads it.
    ///
    /// # Errors
    /// The name of a member stands in it twice, or it has too many, or what was added is nested too deep.
    pub(crate) fn into_object(self) -> Result<Object, JsonError> {
        Object::parse_owned(core::mem::take(&mut *self.finish()).into_bytes())
    }

    /// Adds to the text. A text that must move is wiped where it was.
    fn push(&mut self, piece: &str) {
        let needed = self.text.len().saturating_add(piece.len());
        if needed > self.text.capacity() {
            let mut larger = String::with_capacity(needed.saturating_mul(2));
            larger.push_str(&self.text);
            self.text = Zeroizing::new(larger);
        }
        self.text.push_str(piece);
    }
}

/// Writes a string as JSON, without its quotes.
fn escaped(value: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(json::escaped_len(value)));
    json::escape(value, &mut text);
    text
}

/// Writes a string as JSON.
pub(crate) fn quoted(value: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(json::escaped_len(value).saturating_add(2)));
    text.push('"');
    json::escape(value, &mut text);
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(layout: Layout, room: usize) -> String {
        let mut members = Members::new(layout, room);
        members.string("a", "x\"\n");
        members.number("b", 7);
        members.strings("c", ["y", "\\"]);
        members.strings("none", []);
        members.written("\\u0064", "1.50");
        members.finish().to_string()
    }

    /// A text that grows while it is written leaves copies behind.
    #[test]
    fn what_is_quoted_has_its_final_size_from_the_beginning() {
        for text in ["", "plain", "\"\\", "\u{0}\n\u{1f} \u{7f}é"] {
            let quoted = quoted(text);
            assert_eq!(quoted.capacity(), quoted.len(), "{text}");
        }
    }

    #[test]
    fn an_object_is_written_in_both_layouts() {
        assert_eq!(written(Layout::Compact, 0), r#"{"a":"x\"\u000a","b":7,"c":["y","\\"],"\u0064":1.50}"#);
        let indented = "{\n  \"a\": \"x\\\"\\u000a\",\n  \"b\": 7,\n  \"c\": [\"y\",\"\\\\\"],\n  \"\\u0064\": 1.50\n}";
        assert_eq!(written(Layout::Indented, 0), indented);
        for layout in [Layout::Compact, Layout::Indented] {
            assert_eq!(written(layout, 0), written(layout, 1000), "{layout:?}");
            assert!(Object::parse(written(layout, 3).as_bytes()).is_ok());
            assert_eq!(*Members::new(layout, 0).finish(), "{}");
        }
    }
}
