//! traffic-cop decides which of two Genesys Cloud IVR flows, blue or green, takes each call.

pub mod access;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod data_dir;
pub mod domain;
pub mod http;
pub mod replica;
pub mod signals;
pub mod store;
pub mod telemetry;
