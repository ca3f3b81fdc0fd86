mod audience;
#[cfg(feature = "legacy-grants")]
mod legacy;
mod requests;
mod template;
