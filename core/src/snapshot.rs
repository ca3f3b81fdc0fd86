//! A resting flow as bytes, to be finished in another process.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Secret;
use crate::error::{ConfigError, Error};

/// The version of the stored form. A newer one is refused, an older one must load for ever.
const VERSION: u32 = 1;

/// The longest snapshot that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// A flow that waits for a person, as bytes that can be stored.
///
/// The bytes hold what binds the answer to the flow (`state`, nonce, verifier): store them where only you can read them,
/// with a time to live, and *take* them (read and delete) when the answer comes.
#[derive(Debug)]
pub struct Snapshot(Secret<Vec<u8>>);

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    version: u32,
    flow: &'a str,
    #[serde(borrow)]
    state: &'a RawValue,
}

impl Snapshot {
    /// Takes stored bytes in. They are read by the flow that is restored from them.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes to store: JSON, about a kilobyte.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.expose()
    }

    pub(crate) fn write(flow: &'static str, state: &impl Serialize) -> Self {
        // Writing our own plain data into memory cannot fail; an empty snapshot would be refused when it is read.
        let state = serde_json::to_string(state).map(zeroize::Zeroizing::new).unwrap_or_default();
        let raw: Option<&RawValue> = serde_json::from_str(&state).ok();
        let envelope = raw.map(|state| Envelope { version: VERSION, flow, state });
        Self::from_bytes(envelope.and_then(|envelope| serde_json::to_vec(&envelope).ok()).unwrap_or_default())
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, flow: &'static str) -> Result<T, Error> {
        let unreadable = |_| Error::from(ConfigError::SnapshotUnreadable);
        if self.as_bytes().len() > LIMIT {
            return Err(ConfigError::SnapshotUnreadable.into());
        }
        let envelope: Envelope<'_> = serde_json::from_slice(self.as_bytes()).map_err(unreadable)?;
        if envelope.version != VERSION || envelope.flow != flow {
            return Err(ConfigError::SnapshotUnreadable.into());
        }
        serde_json::from_str(envelope.state.get()).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_by_its_own_flow_in_its_version_and_up_to_its_limit() {
        let written = Snapshot::write("device", &"it waits");
        let text = r#"{"version":1,"flow":"device","state":"it waits"}"#;
        assert_eq!(written.as_bytes(), text.as_bytes());
        let read = |text: String| Snapshot::from_bytes(text.into_bytes()).read::<String>("device");
        let padded = |len: usize| format!("{text}{}", " ".repeat(len - text.len()));
        assert_eq!(read(padded(64 * 1024)).unwrap(), "it waits");
        for bad in [
            padded(64 * 1024 + 1),
            padded(128 * 1024),
            text.replace("device", "code"),
            text.replace('1', "2"),
            text.replace('1', "0"),
            text.replace("\"it waits\"", "7"),
            String::new(),
        ] {
            assert_eq!(read(bad), Err(Error::Config(ConfigError::SnapshotUnreadable)));
        }
    }
}
