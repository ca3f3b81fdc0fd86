//! What a request had in it that no error may repeat.

use std::borrow::Cow;
use std::sync::Arc;

use http::Response;

use super::Body;
use crate::secret::Secret;

/// The shortest secret that is looked for: a shorter one cannot be told from a part of a word.
const SHORTEST: usize = 4;

/// The secrets of a request, kept beside its answer: a server may echo them in its explanation of what is wrong.
///
/// Only answers that may be refusals carry them, because only those end in errors that show a server's words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<Vec<Secret>>);

impl Sent {
    pub(crate) fn new(secrets: impl Iterator<Item = Secret>) -> Self {
        let mut secrets: Vec<_> = secrets.filter(|secret| secret.expose().len() >= SHORTEST).collect();
        // One may be a part of another.
        secrets.sort_by_key(|secret| core::cmp::Reverse(secret.expose().len()));
        Self(Arc::new(secrets))
    }

    /// What was kept beside this answer.
    pub(crate) fn of(answer: &Response<Body>) -> Self {
        answer.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Strikes out every secret that was sent.
    pub(crate) fn strike<'a>(&self, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        self.0.iter().fold(text.into(), |text, secret| {
            let secret = secret.expose().as_str();
            if text.contains(secret) { Cow::Owned(text.replace(secret, "[..]")) } else { text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_struck_the_longest_first() {
        let sent = Sent::new(["hunter2", "hunter2-and-more", "abc"].into_iter().map(Secret::from));
        assert_eq!(sent.strike("hunter2-and-more, hunter2!"), "[..], [..]!");
        assert_eq!(sent.strike("abc stays"), "abc stays");
        assert_eq!(Sent::default().strike("all stays"), "all stays");
    }
}
