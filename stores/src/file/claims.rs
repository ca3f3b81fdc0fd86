//! Claims of keys, for every store on this machine: a lock on an empty file for each key.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use grantflow_core::error::{StoreError, StoreFault};
use grantflow_core::store::Claim;

use super::folder::{Access, Folder, here};
use super::lock::Lock;
use crate::Claimed;

#[derive(Debug)]
struct Held {
    _lock: Lock,
}

impl Claimed for Held {}

/// Claims a key beside the file at `path`.
pub(crate) fn claim(path: &Path, access: Access, claim: &Claim) -> Result<Option<Box<dyn Claimed>>, StoreError> {
    let (folder, name) = place(path)?;
    let folder = Folder::make(&folder, access)?;
    let lock = Lock::take(&folder, &name_of(&name, &claim.key.to_text()), claim.wait)?;
    Ok(Some(Box::new(Held { _lock: lock })))
}

/// The name of the file that stands for the claim of a key.
///
/// It must be the same in all versions of this software, and fit where names have 255 bytes; a key does not. If two keys
/// ever had the same name, one would wait for the other.
pub(crate) fn name_of(file: &OsStr, key: &str) -> OsString {
    let mut name = file.to_owned();
    name.push(format!(".claim-{:032x}", checksum(key.as_bytes())));
    name
}

/// FNV-1a of 128 bits: tells apart what nobody makes alike on purpose.
pub(crate) fn checksum(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |digest: u128, byte| {
        (digest ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// The folder and the name of a file.
pub(crate) fn place(path: &Path) -> Result<(PathBuf, OsString), StoreError> {
    let name = path
        .file_name()
        .ok_or_else(|| StoreError::new(StoreFault::Denied, format!("{} is not the path of a file", path.display())))?;
    Ok((here(path.parent().unwrap_or(Path::new(""))).to_owned(), name.to_owned()))
}
