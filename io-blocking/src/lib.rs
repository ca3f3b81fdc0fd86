//! Drives grantflow's machines on threads.

mod transport;

pub use grantflow_core as core;
pub use transport::{HttpClient, Settings, Timeouts, UreqClient};
