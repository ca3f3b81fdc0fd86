//! Records in a file that says nothing to whoever has no key. Feature `encrypted`.
//!
//! ```
//! # #[cfg(feature = "encrypted")] {
//! use grantflow_core::Secret;
//! use grantflow_stores::FileStore;
//! # let bytes = vec![7; 32];
//! let key = Secret::new(bytes); // 32 random bytes, kept elsewhere
//! let store = FileStore::at("/home/me/.local/state/example/tokens.json").encrypted(&key)?;
//! # }
//! # Ok::<(), grantflow_core::Error>(())
//! ```
//!
//! Each record is sealed with AES-256-GCM under a random nonce, by aws-lc-rs, which is there for TLS anyway. It is bound to its
//! key and its version, so that records cannot be exchanged for each other. With random nonces of 96 bits one key is good for
//! 2³² saves, which is more than anybody's logins need.
//!
//! Not hidden: which logins there are, when they were renewed, and how long their records are. Whoever may write to the
//! file can put an older one in its place.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use grantflow_core::error::{ConfigError, StoreError, StoreFault};
use grantflow_core::store::{Stored, Version};
use grantflow_core::{Error, Secret};
use serde::Deserialize;

use crate::FileStore;
use crate::file::document;
use crate::file::records::Coding;

/// How long a key is, in bytes.
pub const ENCRYPTION_KEY_LENGTH: usize = 32;

impl FileStore {
    /// Seals every record with `key`: 32 random bytes. A password is no such key. Feature `encrypted`.
    ///
    /// A record that was sealed with another key, moved, changed or not sealed at all is [`StoreFault::Corrupt`].
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a key of another length.
    pub fn encrypted(self, key: &Secret<Vec<u8>>) -> Result<Self, Error> {
        let invalid = |_| ConfigError::Invalid { setting: "encryption key", why: "must have 32 bytes" };
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(invalid)?;
        Ok(Self(self.0.coded(Coding::Sealed(Sealed { key: Arc::new(key) }))))
    }

    /// Seals every record with a key that the system's keyring keeps under `name`, which is made when there is none. Features
    /// `encrypted` and `keyring-core`.
    ///
    /// # Errors
    /// [`StoreFault::Unavailable`] without a keyring.
    #[cfg(feature = "keyring-core")]
    pub fn encrypted_with_key_in(self, keyring: &crate::KeyringStore, name: &str) -> Result<Self, Error> {
        self.encrypted(&keyring.encryption_key(name)?)
    }
}

/// Writes records so that only the key's owner can read them: nonce, ciphertext and tag under `sealed`.
#[derive(Clone)]
pub(crate) struct Sealed {
    key: Arc<RandomizedNonceKey>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// What a record is bound to. A key's text has no line breaks.
fn bound(key: &str, version: Version) -> Aad<String> {
    Aad::from(format!("grantflow 1\n{key}\n{version}"))
}

impl Sealed {
    pub(crate) fn write(&self, key: &str, stored: &Stored) -> Result<Secret<Vec<u8>>, StoreError> {
        let plain = stored.bytes.expose();
        // Room for all of it at once, so that no half-grown copy is left behind unwiped.
        let room = plain.len().saturating_add(AES_256_GCM.tag_len());
        let mut sealed = Vec::with_capacity(room);
        sealed.extend_from_slice(plain);
        let broken = |_| StoreError::new(StoreFault::Unavailable, "a record could not be sealed");
        let nonce = self.key.seal_in_place_append_tag(bound(key, stored.version), &mut sealed).map_err(broken)?;
        let text = STANDARD.encode([&nonce.as_ref()[..], &sealed].concat());
        Ok(document::coded(stored.version, "sealed", &text))
    }

    pub(crate) fn read(&self, key: &str, version: Version, text: &str) -> Result<Stored, StoreError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Read<'a> {
            #[serde(rename = "version")]
            _version: &'a str,
            sealed: &'a str,
        }
        let corrupt = |why| StoreError::new(StoreFault::Corrupt, why);
        let read: Read<'_> = serde_json::from_str(text).map_err(|_| corrupt("a record that is not sealed"))?;
        let sealed = STANDARD.decode(read.sealed).map_err(|_| corrupt("a sealed record that is no base64"))?;
        let (nonce, sealed) =
            sealed.split_at_checked(NONCE_LEN).ok_or_else(|| corrupt("a sealed record without a nonce"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt("a sealed record without a nonce"))?;
        let mut opened = sealed.to_vec();
        let length = self.key.open_in_place(nonce, bound(key, version), &mut opened).map(|plain| plain.len());
        let mut opened = Secret::new(opened);
        let length = length.map_err(|_| corrupt("sealed with another key, or changed since"))?;
        opened = Secret::new(opened.expose().get(..length).unwrap_or_default().to_vec());
        Ok(Stored { version, bytes: opened })
    }
}
