//! What an endpoint works with: the configuration, the memory, the time.

use grantflow_core::Timestamp;

use crate::config::Config;
use crate::site::Site;
use crate::state::State;

/// One request's view of the server.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) site: &'a Site,
    pub(crate) now: Timestamp,
    pub(crate) state: &'a mut State,
}
