//! Corrections of token answers, as data.

use core::fmt;
use std::borrow::Cow;

use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use zeroize::Zeroizing;

use crate::http::Body;
use crate::http::json::{Object, Value};
use crate::token::answer;
use crate::token::members::{self, Layout, quoted};

/// One correction of an answer. They are applied in order, each to what the one before has left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fix {
    /// A body with an `access_token` is a form, whatever its media type says.
    Form,
    /// Without an `access_token`, the members of this one are taken as if they stood outside.
    Lift(&'static str),
    /// A member of this name has that one, unless there is one already.
    Rename(&'static str, &'static str),
    /// Beside an access token, a member that is absent or null has this value.
    Fill(&'static str, &'static str),
    /// A member that is this string is that one.
    Replace(&'static str, &'static str, &'static str),
    /// In an answer that is no success, the string of this name is the error.
    Message(&'static str),
    /// A number that is not zero is the error, and the string beside it says why.
    Number(&'static str, &'static str),
    /// An error that is an object with this number as its `code` is that error.
    Nested(u16, &'static str),
    /// This error is that one. Its first name goes into the description.
    Code(&'static str, &'static str),
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fix::Form => f.write_str("read as a form, whatever the media type"),
            Fix::Lift(name) => write!(f, "without an access_token, the members of `{name}` are taken"),
            Fix::Rename(from, to) => write!(f, "`{from}` is read as `{to}`"),
            Fix::Fill(name, value) => write!(f, "without a `{name}`, it is {value}"),
            Fix::Replace(name, from, to) => write!(f, "the `{name}` {from} is read as {to}"),
            Fix::Message(name) => write!(f, "where the status is no success, `{name}` is the error"),
            Fix::Number(number, words) => write!(f, "a `{number}` that is not 0 is an error, explained by `{words}`"),
            Fix::Nested(number, code) => write!(f, "the error numbered {number} is read as `{code}`"),
            Fix::Code(from, to) => write!(f, "the error `{from}` is read as `{to}`"),
        }
    }
}

/// Makes an answer right. One that is no object, or that nothing is wrong with, stays as it is to the byte.
pub(super) fn apply(fixes: &[Fix], answer: Response<Body>) -> Response<Body> {
    let body = answer.body().expose();
    let mut changed = false;
    let object = Object::parse(body).ok().or_else(|| {
        let called_form = is_form(&answer);
        let form = answer::form_object(body).ok()?;
        let meant = fixes.iter().any(|fix| matches!(fix, Fix::Form)) && form.get("access_token").is_some();
        changed = !called_form;
        (called_form || meant).then_some(form)
    });
    let Some(object) = object else { return answer };
    let mut members = Members::of(&object);
    for fix in fixes {
        changed |= members.fix(*fix, answer.status().is_success());
    }
    if !changed {
        return answer;
    }
    let Some(object) = members.object() else { return answer };
    let (mut parts, _) = answer.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::new(object.expose().as_bytes().to_vec()))
}

fn is_form(answer: &Response<Body>) -> bool {
    let value = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The members of an answer, the values as they are written.
struct Members<'a>(Vec<(Cow<'a, str>, Written<'a>)>);

/// A value as it is written: in the answer, or here.
enum Written<'a> {
    There(&'a str),
    Here(Zeroizing<String>),
}

impl Written<'_> {
    fn as_str(&self) -> &str {
        match self {
            Written::There(text) => text,
            Written::Here(text) => text,
        }
    }
}

impl<'a> Members<'a> {
    fn of(object: &'a Object) -> Self {
        let names = object.members().map(|(name, _)| name);
        let values = object.written().map(|(_, value)| Written::There(value));
        Self(names.zip(values).collect())
    }

    /// The answer as a whole again; `None` if that would be no object.
    fn object(&self) -> Option<Object> {
        let room = self.0.iter().fold(2_usize, |room, (name, value)| {
            room.saturating_add(name.len()).saturating_add(value.as_str().len()).saturating_add(4)
        });
        let mut object = members::Members::new(Layout::Compact, room);
        for (name, value) in &self.0 {
            object.named(name, value.as_str());
        }
        object.into_object().ok()
    }

    fn get(&self, name: &str) -> Option<Value<'_>> {
        let (_, value) = self.0.iter().find(|(found, _)| found == name)?;
        Some(Value::of_written(value.as_str())).filter(|value| !value.is_null())
    }

    fn string(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.into_string()
    }

    fn set(&mut self, name: &'static str, value: Written<'a>) {
        self.0.retain(|(found, _)| found != name);
        self.0.push((Cow::Borrowed(name), value));
    }

    /// Whether that changed anything.
    fn fix(&mut self, fix: Fix, success: bool) -> bool {
        match fix {
            Fix::Form => false,
            Fix::Lift(name) => self.lift(name),
            Fix::Rename(from, to) => {
                if self.get(to).is_some() {
                    return false;
                }
                self.0.retain(|(found, _)| found != to);
                let member = self.0.iter_mut().find(|(found, _)| found == from);
                member.map(|(name, _)| *name = Cow::Borrowed(to)).is_some()
            }
            Fix::Fill(name, value) => {
                let lacks = self.get("access_token").is_some() && self.get(name).is_none();
                if lacks {
                    self.set(name, Written::Here(quoted(value)));
                }
                lacks
            }
            Fix::Replace(name, from, to) => {
                let found = self.string(name).is_some_and(|value| value == from);
                if found {
                    self.set(name, Written::Here(quoted(to)));
                }
                found
            }
            Fix::Message(name) => match self.string(name).filter(|_| !success).map(|words| quoted(&words)) {
                Some(words) => {
                    self.set("error", Written::Here(words));
                    true
                }
                None => false,
            },
            Fix::Number(number, words) => {
                let Some(Value::Number(code)) = self.get(number) else { return false };
                let (code, words) = (code.as_str().to_owned(), self.string(words).map(|words| quoted(&words)));
                code != "0" && self.refuse(&code, words)
            }
            Fix::Nested(number, code) => {
                let Some(Value::Object(nested)) = self.get("error") else { return false };
                let found =
                    matches!(nested.get("code"), Some(Value::Number(found)) if found.as_str() == number.to_string());
                let words = nested.get("message").and_then(Value::into_string).map(|words| quoted(&words));
                found && self.refuse(code, words)
            }
            Fix::Code(from, to) => {
                if self.string("error").is_none_or(|code| code != from) {
                    return false;
                }
                let words = match self.string("error_description") {
                    Some(words) => quoted(&Zeroizing::new(format!("{from}: {words}"))),
                    None => quoted(from),
                };
                self.refuse(to, Some(words))
            }
        }
    }

    /// Makes a refusal of it.
    fn refuse(&mut self, code: &str, words: Option<Zeroizing<String>>) -> bool {
        self.set("error", Written::Here(quoted(code)));
        if let Some(words) = words {
            self.set("error_description", Written::Here(words));
        }
        true
    }

    fn lift(&mut self, name: &str) -> bool {
        if self.get("access_token").is_some() {
            return false;
        }
        let inside: Vec<(String, Zeroizing<String>)> = match self.get(name) {
            Some(Value::Object(nested)) => {
                let written = nested.written().filter(|(found, _)| self.get(found).is_none());
                written.map(|(found, value)| (found.into_owned(), Zeroizing::new(value.to_owned()))).collect()
            }
            _ => return false,
        };
        let lifted = !inside.is_empty();
        for (found, value) in inside {
            self.0.retain(|(known, _)| *known != found);
            self.0.push((Cow::Owned(found), Written::Here(value)));
        }
        lifted
    }
}
