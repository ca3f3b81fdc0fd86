//! Token files of other programs.

use super::TokenSet;
use super::members::{Layout, Members};
use super::record::OWN;
use super::times::{self, Names};
use crate::secret::Secret;

impl TokenSet {
    /// Writes a file that the Python library `aiorequestful` loads as its own: one flat object, a member to a line.
    ///
    /// The times are in whole seconds. What only this library knows is left out; a lifetime that is no number or
    /// counts from nowhere too, because that library would stumble over it.
    ///
    /// ```
    /// use grantflow_core::Timestamp;
    /// use grantflow_core::token::TokenSet;
    /// let stored = br#"{"access_token":"s3cr3t","granted_at":1799996400,"expires_in":"3600"}"#;
    /// let tokens = TokenSet::from_record(stored, Timestamp::from_secs(1_799_999_000))?;
    /// let file = String::from_utf8(tokens.to_reference_file().expose().clone()).unwrap_or_default();
    /// assert_eq!(file.lines().nth(1), Some(r#"  "access_token": "s3cr3t","#));
    /// assert_eq!(file.lines().nth(4), Some(r#"  "expires_at": 1800000000,"#));
    /// # Ok::<(), grantflow_core::token::RecordError>(())
    /// ```
    pub fn to_reference_file(&self) -> Secret<Vec<u8>> {
        let mut file = Members::new(Layout::Indented, self.answer.expose().len().saturating_add(1024));
        self.write_flat(&mut file);
        for ((name, value), (written, value_written)) in self.answer.members().zip(self.answer.written()) {
            let counts = self.expires_at.is_some() && times::moment(&value).is_some();
            let stumbling = name == Names::USUAL.expires_in && !counts;
            if !stumbling && !OWN.contains(&&*name) {
                file.written(written, value_written);
            }
        }
        file.into_secret()
    }
}
