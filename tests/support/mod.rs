//! What the test binaries share: the engines to test on, a world on one of them, faults between the two, and commands.
//!
//! - [`Engine`] names what can stand behind the store; [`engine::main`] runs a suite on each and reports those out of reach.
//! - [`World`] is two fresh tables on one engine, with processes ([`Process`]) that share them, and a door for damage
//!   ([`tables::Tables`]).
//! - [`FaultProxy`] stands between a process and the engine and fails as it is told.
//! - [`forgery`] puts records into a journal that no writer of ours has written.
//! - [`Caller`] has calls decided by one process.
//! - [`commands`] makes commands, by name or at random.
//! - [`velocity`] and [`contract`] are what Genesys Cloud does with the exported data actions.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "every test binary compiles this and uses its own share"
)]

pub(crate) mod caller;
pub(crate) mod certificates;
pub(crate) mod commands;
pub(crate) mod contract;
pub(crate) mod engine;
pub(crate) mod event_stream;
pub(crate) mod fault_proxy;
pub(crate) mod forgery;
pub(crate) mod genesys;
pub(crate) mod issuer;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod raw;
pub(crate) mod receiver;
pub(crate) mod tables;
pub(crate) mod velocity;
pub(crate) mod world;

pub(crate) use caller::{Call, Caller};
pub(crate) use engine::Engine;
pub(crate) use fault_proxy::{Ask, Fault, FaultProxy};
pub(crate) use process::{Process, asked};
pub(crate) use world::World;
