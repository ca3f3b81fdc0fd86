//! What servers answer about tokens, and what of it is kept.
//!
//! [`answer`] is the one reader of token answers, [`refusal`] the one judge of everything that is no success, [`device`]
//! reads the answer that begins a device authorization. What comes out is a [`TokenSet`]. Two modes, [`Leniency`], no
//! others; each tolerance that was used is a [`Note`]. Security checks are the same in both.
//! [`TokenSet::to_record`] is its stored form.
//!
//! Not here: when requests are made (the flows), what an id_token says ([`jose`](crate::jose)), where tokens are stored.

pub mod answer;
pub mod device;
mod facts;
mod import;
mod mapping;
pub(crate) mod members;
mod note;
mod record;
pub mod refusal;
mod scopes;
mod set;
mod tester;
mod times;

pub use import::{Import, Shape};
pub use note::{Leniency, Note};
pub use record::{RECORD_LIMIT, RecordError, RecordFlaw};
pub use scopes::Scopes;
pub(crate) use set::Person;
pub use set::{TokenSet, TokenType};
pub use tester::{Predicate, Tester, Verdict};
