//! traffic-cop decides which of two Genesys Cloud IVR flows, blue or green, takes each call.

pub mod domain;
pub mod store;
