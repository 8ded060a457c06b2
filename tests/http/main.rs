//! The two listeners, driven in process: what goes in as an HTTP request, and what comes out.
//!
//! Every answer that a test gets has been checked for what holds of all answers (`ask::Ask::send`): nothing may keep it, an
//! error is a problem document, and no input comes back in one.

#[path = "../support/mod.rs"]
mod support;

mod ask;
mod audit;
mod authorisation;
mod commands;
mod credentials;
mod dashboard;
mod decision_errors;
mod decisions;
mod description;
mod drain;
mod edge;
mod environments;
mod events;
mod explain;
mod exposures;
mod framing;
mod freezes;
mod genesys;
mod health;
mod history;
mod interfaces;
mod kit;
mod mirror;
mod oauth;
mod oidc;
mod operations;
mod outcomes;
mod overrides;
mod preflight;
mod receipts;
mod repair;
mod rollouts;
mod shortcut;
mod snapshot;
mod test_calls;
mod tls;
mod tokens;
mod variables;
mod webhooks;
mod world;
