//! Tokens that are kept fresh: the same stories, told with the handle of each driver. No time passes that the stories do not
//! let pass.
//!
//! `flight` is about many callers, `failures` about servers and stores that fail, `sharing` about several programs on one
//! store, `clocks` about clocks that jump, `proofs` about tokens that are bound to a key, `types` about tokens that nobody
//! knows how to present, `systems` about what other libraries' users are used to.

mod clocks;
mod failures;
mod flight;
mod proofs;
pub mod rig;
mod sharing;
mod systems;
mod types;
