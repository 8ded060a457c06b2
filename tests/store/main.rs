//! The store, the replica and the control, on every engine in reach.
//!
//! | engine | where | how |
//! | --- | --- | --- |
//! | `memory` | the embedded engine, in memory | always |
//! | `disk` | the embedded engine, on disk | always |
//! | `dynalite` | `TRAFFIC_COP_TEST_DYNALITE_URL` | `.ci/dynalite cargo test --test store` |
//! | `endpoint` | `TRAFFIC_COP_TEST_ENDPOINT_URL` | DynamoDB Local, DynamoDB itself, … |
//!
//! The tests of an engine out of reach are reported as ignored; `TRAFFIC_COP_TEST_REQUIRE=dynalite` makes them fail instead.

#[path = "../support/mod.rs"]
mod support;

mod analytics;
mod chronicle;
mod control;
mod controller;
mod conversation;
mod damage;
mod exposures;
mod faults;
mod fixtures;
mod history;
mod journal;
mod linearizability;
mod membership;
mod mirror;
mod model;
mod mutations;
mod repair;
mod replica;
mod rewind;
mod rows;
mod settings;
mod validation;
mod verification;
mod webhooks;

use std::process::ExitCode;

use support::Engine;
use support::engine::Suite;

fn main() -> ExitCode {
    let everywhere = |name, cases| Suite {
        name,
        cases,
        engines: &Engine::ALL,
    };
    let suites = [
        everywhere("journal", journal::CASES),
        everywhere("verification", verification::CASES),
        everywhere("control", control::CASES),
        everywhere("settings", settings::CASES),
        everywhere("model", model::CASES),
        everywhere("damage", damage::CASES),
        everywhere("damage_repair", repair::CASES),
        everywhere("damage_rows", rows::CASES),
        Suite {
            name: "damage_mutations",
            cases: mutations::CASES,
            engines: &[Engine::Memory],
        },
        everywhere("rewind", rewind::CASES),
        Suite {
            name: "replica",
            cases: replica::CASES,
            engines: &Engine::LOCAL,
        },
        Suite {
            name: "exposures",
            cases: exposures::CASES,
            engines: &Engine::LOCAL,
        },
        Suite {
            name: "membership",
            cases: membership::CASES,
            engines: &Engine::LOCAL,
        },
        Suite {
            name: "validation",
            cases: validation::CASES,
            engines: &Engine::LOCAL,
        },
        Suite {
            name: "linearizability",
            cases: linearizability::CASES,
            engines: &Engine::LOCAL,
        },
        Suite {
            name: "conversation",
            cases: conversation::CASES,
            engines: &Engine::LOCAL,
        },
        Suite {
            name: "controller",
            cases: controller::CASES,
            engines: &[Engine::Memory],
        },
        Suite {
            name: "analytics",
            cases: analytics::CASES,
            engines: &[Engine::Memory],
        },
        Suite {
            name: "webhooks",
            cases: webhooks::CASES,
            engines: &[Engine::Memory],
        },
        Suite {
            name: "mirror",
            cases: mirror::CASES,
            engines: &[Engine::Memory],
        },
        Suite {
            name: "faults",
            cases: faults::CASES,
            engines: &Engine::LOCAL,
        },
    ];
    let mut others = fixtures::trials();
    others.extend(history::trials());
    others.push(linearizability::proof());
    others.push(controller::proof());
    support::engine::main(&suites, others)
}
