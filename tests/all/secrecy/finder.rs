//! Looks for secrets in whatever form they are written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What is shorter cannot be told from other text.
pub const SHORTEST: usize = 8;

/// The forms in which a secret might be written.
fn written(secret: &str) -> BTreeSet<String> {
    let escaped = |shown: fn(u8) -> bool, hex: fn(u8) -> String| -> String {
        secret.bytes().map(|byte| if shown(byte) { char::from(byte).to_string() } else { hex(byte) }).collect()
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        escaped(unreserved, |byte| format!("%{byte:02X}")),
        escaped(unreserved, |byte| format!("%{byte:02x}")),
        escaped(|_| false, |byte| format!("%{byte:02X}")),
        hex.to_uppercase(),
        hex,
        secret.escape_debug().to_string(),
    ]);
    for before in 0..3 {
        let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
        // Characters that depend on what stands before or behind the secret are left out.
        let (begin, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        forms.extend(
            [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|all| all[begin..end].to_owned()),
        );
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// Looks for many words at once.
pub struct Finder {
    /// Whether a word can begin with bytes of this hash.
    possible: Vec<bool>,
    /// By their first bytes.
    words: HashMap<[u8; SHORTEST], Vec<(String, String)>>,
    /// How many words these are.
    pub count: usize,
}

impl Finder {
    /// Of secrets, each with its kind.
    pub fn new(secrets: &BTreeMap<String, String>) -> Self {
        let mut finder = Self { possible: vec![false; 1 << 20], words: HashMap::new(), count: 0 };
        for (secret, kind) in secrets {
            for form in written(secret) {
                let first = form.as_bytes()[..SHORTEST].try_into().unwrap();
                finder.possible[Self::hash(first)] = true;
                finder.words.entry(first).or_default().push((kind.clone(), form));
                finder.count += 1;
            }
        }
        finder
    }

    fn hash(first: [u8; SHORTEST]) -> usize {
        usize::try_from(u64::from_le_bytes(first).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44).unwrap()
    }

    /// The kinds and forms of the secrets in a text.
    pub fn find(&self, text: &[u8]) -> Vec<&(String, String)> {
        let mut found = Vec::new();
        for (at, first) in text.windows(SHORTEST).enumerate() {
            let first = first.try_into().unwrap();
            if self.possible[Self::hash(first)] {
                let words = self.words.get(&first).into_iter().flatten();
                found.extend(words.filter(|(_, form)| text[at..].starts_with(form.as_bytes())));
            }
        }
        found
    }
}
