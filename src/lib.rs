//! traffic-cop decides which of two Genesys Cloud IVR flows, blue or green, takes each call.

pub mod access;
pub mod clock;
pub mod control;
pub mod domain;
pub mod http;
pub mod replica;
pub mod store;
pub mod telemetry;
