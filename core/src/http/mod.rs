//! What every message needs: bodies, forms, JSON, challenges, and the policy for URLs.
//!
//! Only parsing and writing lives here. Which request is sent when is the flows' business.

mod body;
pub mod challenge;
pub mod form;
pub mod json;
mod retry_after;
mod sent;
mod url_policy;

pub use body::Body;
pub use retry_after::{LONGEST_WAIT, http_date, retry_after};
pub(crate) use sent::Sent;
pub(crate) use url_policy::same_origin;
pub use url_policy::{MAX_URL, Reach, UrlPolicy, is_public};
