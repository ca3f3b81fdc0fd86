//! What must hold for any bytes in place of a store's file. Feature `testing`.
#![expect(clippy::expect_used, reason = "a broken invariant must stop the fuzzer, and nothing else runs this")]

use grantflow_core::store::{RECORD_LIMIT, Version};

use crate::file::document::{self, Document};

/// Tries one input against one invariant.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[("store_file", store_file)];

/// The file of a [`FileStore`](crate::FileStore): what was read is written so that it reads the same, records that are not touched
/// stay byte for byte, and any bytes at all can be kept in it.
///
/// # Panics
/// When one of these does not hold.
pub fn store_file(input: &[u8]) {
    let version = Version::from_u64(1 << 60);
    let kept = document::plain(version, input);
    let mut fresh = Document::empty();
    let text = std::str::from_utf8(kept.expose()).expect("text");
    fresh.put("a b c", text);
    let written = fresh.write();
    assert!(
        input.len() > RECORD_LIMIT || written.expose().len() <= document::DOCUMENT_LIMIT,
        "a record outgrows the file"
    );
    reads_back(written.expose(), version, input);
    let Ok(mut read) = Document::parse(input) else { return };
    let again = read.write();
    assert_eq!(again.expose(), Document::parse(again.expose()).expect("what was written").write().expose());
    for key in read.keys() {
        let record = read.record(key).expect("a key without a record");
        if let Ok((_, text)) = record {
            let bytes = document::read_plain(text);
            assert!(bytes.is_none_or(|bytes| bytes.expose().len() <= input.len()), "a record larger than its file");
        }
    }
    let others: Vec<_> =
        read.keys().filter(|key| *key != "a b c").map(|key| (key.to_owned(), raw(&read, key))).collect();
    read.put("a b c", text);
    let merged = read.write();
    reads_back(merged.expose(), version, input);
    let merged = Document::parse(merged.expose()).expect("what was written");
    for (key, text) in others {
        assert_eq!(raw(&merged, &key), text, "another record has changed");
    }
}

fn raw(document: &Document<'_>, key: &str) -> Option<String> {
    document.record(key).and_then(Result::ok).map(|(_, text)| text.to_owned())
}

fn reads_back(file: &[u8], version: Version, bytes: &[u8]) {
    let document = Document::parse(file).expect("what was written");
    let (found, text) = document.record("a b c").expect("the record").expect("its version");
    assert_eq!(found, version);
    assert_eq!(document::read_plain(text).expect("a record").expose(), bytes, "other bytes than were saved");
}
