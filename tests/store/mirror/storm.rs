//! A storm: changes, two processes that crash and come back, clocks that go on, people who edit rows and remove them, a Genesys
//! Cloud and a store that fail.
//!
//! What counts as failure: a row that is not as its environment is once all of that has ended, or does not stay so.

use std::time::Duration;

use http::StatusCode;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::office::{Mirroring, Office, TABLE, expected};
use super::{CHECK, LEASE, LONG, SETTLED};
use crate::support::genesys::Fault;
use crate::support::genesys::data_tables::COLUMNS;
use crate::support::{Ask, Fault as StoreFault, FaultProxy, Process, World};

const SEEDS: u64 = 3;
const STEPS: usize = 100;

/// A process that mirrors.
struct Side {
    process: Process,
    proxy: FaultProxy,
    mirror: Mirroring,
}

impl Side {
    async fn start(world: &World, office: &Office) -> Self {
        let proxy = world.proxy().await;
        let process = world.process_behind(&proxy).await;
        let mirror = office.mirror_that_may_add(&process);
        Self {
            process,
            proxy,
            mirror,
        }
    }

    /// Reads on, and looks; whatever comes of it.
    async fn look(&mut self) {
        // A store that fails has been told to.
        let _ = self.process.replica.catch_up().await;
        let _ = self.mirror.tick().await;
    }

    /// Looks until there is nothing left to do at once.
    async fn looks(&mut self) {
        for _ in 0..8 {
            self.look().await;
            self.wait().await;
        }
    }

    /// Looks without reading on.
    async fn look_as_it_is(&mut self) {
        let _ = self.mirror.tick().await;
    }

    /// Lets what is under way come back, if anything is.
    async fn wait(&mut self) {
        let moment = Duration::from_millis(5);
        let _ = tokio::time::timeout(moment, self.mirror.progress()).await;
    }
}

pub(super) async fn whatever_fails_every_row_ends_as_the_environment_is(world: &mut World) {
    for _ in 0..SEEDS {
        let seed = rand::random();
        storm(world, seed).await;
    }
}

async fn storm(world: &World, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (writer, office) = (world.process().await, Office::open().await);
    // Rows of earlier storms are their office's.
    let names = ["a", "b"].map(|side| format!("{side}_{}", uuid::Uuid::new_v4().simple()));
    for name in &names {
        writer.create_with_candidate(name).await;
    }
    let mut earlier = Vec::new();
    let mut sides = [
        Side::start(world, &office).await,
        Side::start(world, &office).await,
    ];
    for _ in 0..STEPS {
        let name = &names[random.random_range(0..2)];
        let side = &mut sides[random.random_range(0..2)];
        match random.random_range(0..23) {
            0 | 1 => {
                earlier.extend(office.genesys.row(TABLE, name));
                writer.cutover(name).await;
            }
            2 | 3 => {
                let percent = random.random_range(1..100).to_string();
                // It may be what it is.
                let weight = crate::support::commands::weight(&percent);
                writer.tries(name, weight).await.expect("an answer");
            }
            4..8 => side.look().await,
            8 => side.look_as_it_is().await,
            9..14 => side.wait().await,
            14 => *side = Side::start(world, &office).await,
            15 => world.clock.advance(LEASE),
            16 => {
                let seconds = random.random_range(1..200);
                world.clock.advance(Duration::from_secs(seconds));
            }
            17 => office.genesys.fails(random_fault(&mut random)),
            18 | 19 => office.genesys.fails(None),
            20 => edit(&office, name, &earlier, &mut random),
            21 => office.genesys.fails_once(random_fault(&mut random)),
            _ => {
                let asks = [Ask::Lease, Ask::Cursor, Ask::Poll];
                let what = asks[random.random_range(0..3)];
                let faults = [StoreFault::Refuse, StoreFault::DropReply];
                let fault = faults[random.random_range(0..2)];
                side.proxy.fail(what, fault, random.random_range(1..3));
            }
        }
    }
    office.genesys.fails(None);
    writer.catch_up().await;
    let is_right = |name: &String| {
        let row = office.row(name);
        let expected = expected(&writer, name);
        let mut members = expected.as_object().expect("members").iter();
        members.all(|(column, value)| row[column] == *value)
    };
    let mut side = Side::start(world, &office).await;
    // Faults that were to come once may come yet, and each has its pause.
    for _ in 0..STEPS {
        world.clock.advance(LONG);
        side.looks().await;
        if names.iter().all(is_right) {
            break;
        }
    }
    // It stays so, whatever those who are left have begun.
    for pause in [LEASE, SETTLED, CHECK] {
        world.clock.advance(pause);
        side.looks().await;
    }
    for name in &names {
        let row = office.genesys.row(TABLE, name).unwrap_or_default();
        for (column, value) in expected(&writer, name).as_object().expect("members") {
            assert_eq!(row[column], *value, "seed {seed}: {column} of {row}");
        }
    }
    for name in &names {
        writer
            .commits(name, crate::support::commands::delete())
            .await;
    }
}

/// Somebody edits a row, puts an earlier one in its place, or removes it.
fn edit(office: &Office, name: &str, earlier: &[Value], random: &mut StdRng) {
    let own = earlier.iter().filter(|row| row["key"] == name);
    let own: Vec<_> = own.collect();
    match random.random_range(0..4) {
        0 if !own.is_empty() => {
            let row = own[random.random_range(0..own.len())];
            office.genesys.edits_row(TABLE, name, row);
        }
        1 => office.genesys.loses_row(TABLE, name),
        2 => office
            .genesys
            .edits_row(TABLE, name, &json!({ "Revision": 4711 })),
        _ => {
            let (column, _) = COLUMNS[random.random_range(1..3)];
            office
                .genesys
                .edits_row(TABLE, name, &json!({ column: "green" }));
        }
    }
}

fn random_fault(random: &mut StdRng) -> Fault {
    match random.random_range(0..9) {
        0 => Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
        1 => Fault::Status(StatusCode::UNAUTHORIZED),
        2 => Fault::Status(StatusCode::FORBIDDEN),
        3 => Fault::Status(StatusCode::NOT_FOUND),
        4 => Fault::Garbage("<html>"),
        5 => Fault::TooMany(None),
        6 => Fault::TooMany(Some(100)),
        _ => Fault::LostReply,
    }
}
