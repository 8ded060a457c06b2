//! The real binary, as processes: what a newcomer sees first, what survives a crash, and what several of them agree on.

mod access;
mod analytics;
mod audit;
mod canary;
#[path = "../support/certificates.rs"]
mod certificates;
mod client;
mod cluster;
mod crash;
mod cut_off;
mod decisions_only;
mod demo;
mod doctor;
mod documented;
#[path = "../support/event_stream.rs"]
mod event_stream;
mod events;
mod exposures;
#[path = "../support/fault_proxy.rs"]
#[expect(dead_code, reason = "every test binary uses its own share")]
mod fault_proxy;
#[path = "../support/genesys/mod.rs"]
#[expect(dead_code, reason = "every test binary uses its own share")]
mod genesys;
mod held;
#[path = "../support/issuer.rs"]
#[expect(dead_code, reason = "every test binary uses its own share")]
mod issuer;
mod load;
mod mirror;
mod outage;
mod proof;
mod quick_start;
mod receipts;
#[path = "../support/receiver.rs"]
#[expect(dead_code, reason = "every test binary uses its own share")]
mod receiver;
mod releases;
mod repair;
mod rolling;
mod rollouts;
mod settings;
mod shutdown;
mod smoke;
mod split;
mod stability;
mod starved;
mod tls;
mod traces;
mod under_load;
mod watch;
mod webhooks;
mod world;
