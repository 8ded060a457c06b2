//! traffic-cop decides which of two Genesys Cloud IVR flows, blue or green, takes each call.
//!
//! In suggested reading order:
//!
//! - [`domain`]: what an environment is, what commands do to it, which slot takes a call, how a rollout is judged. Pure.
//! - [`store`]: the journal and everything else that knows DynamoDB.
//! - [`replica`]: follows the journal, and keeps the snapshot that decisions are made from.
//! - [`evidence`]: what decisions leave behind for the judge, and how calls ended, on the way to the store.
//! - [`control`]: the only writer.
//! - [`controller`]: carries out what follows from the evidence about rollouts.
//! - [`followers`]: what follows the journal under a lease: webhooks, and the mirror in Genesys Cloud.
//! - [`access`]: every kind of credential in, one principal out.
//! - [`genesys`]: what the platform on the other side tells us.
//! - [`http`]: the two listeners.
//! - [`cli`]: the command line over the admin API.
//! - [`app`]: puts it all together; [`config`], [`clock`], [`dice`], [`telemetry`], [`signals`], [`reload`], [`data_dir`] and [`root_url`] are what it uses.

pub mod access;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod controller;
pub mod data_dir;
pub mod dice;
pub mod domain;
pub mod evidence;
pub mod followers;
pub mod genesys;
pub mod http;
pub mod reload;
pub mod replica;
pub mod root_url;
pub mod signals;
pub mod store;
pub mod telemetry;
