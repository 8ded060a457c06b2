//! A storm: changes, two processes that crash and come back, clocks that go on, a receiver and a store that fail.
//!
//! What counts as failure: a change that was never taken, or one that was first taken after a later one.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use traffic_cop::domain::settings::SettingsCommand;
use traffic_cop::followers::Follower;
use traffic_cop::followers::webhooks::Webhooks;

use super::{LEASE, LONG, NAME, add, set, teller};
use crate::support::receiver::{Receiver, Reply};
use crate::support::{Ask, Fault, FaultProxy, Process, World};

const SEEDS: u64 = 3;
const STEPS: usize = 100;

/// A process that tells.
struct Side {
    process: Process,
    proxy: FaultProxy,
    teller: Follower<Webhooks>,
}

impl Side {
    async fn start(world: &World) -> Self {
        let proxy = world.proxy().await;
        let process = world.process_behind(&proxy).await;
        let teller = teller(&process);
        Self {
            process,
            proxy,
            teller,
        }
    }

    /// Reads on, and looks; whatever comes of it.
    async fn look(&mut self) {
        // A store that fails has been told to.
        let _ = self.process.replica.catch_up().await;
        let _ = self.teller.tick().await;
    }

    /// Lets what is under way come back, if anything is.
    async fn wait(&mut self) {
        let moment = Duration::from_millis(5);
        let _ = tokio::time::timeout(moment, self.teller.progress()).await;
    }
}

pub(super) async fn whatever_fails_every_change_is_told_and_in_order(world: &mut World) {
    for _ in 0..SEEDS {
        let seed = rand::random();
        storm(world, seed).await;
    }
}

async fn storm(world: &World, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (writer, receiver) = (world.process().await, Receiver::start().await);
    let name = format!("{NAME}_{}", uuid::Uuid::new_v4().simple());
    let hook = format!("chat-{}", &name[9..30]);
    writer.create_with_candidate(&name).await;
    add(&writer, &hook, &receiver).await;
    let first = writer.catch_up().await.last.0 + 1;
    let mut sides = [Side::start(world).await, Side::start(world).await];
    for _ in 0..STEPS {
        let side = &mut sides[random.random_range(0..2)];
        match random.random_range(0..20) {
            0..4 => {
                writer.cutover(&name).await;
            }
            4..9 => side.look().await,
            9..13 => side.wait().await,
            13 => *side = Side::start(world).await,
            14 => world.clock.advance(LEASE),
            15 => world
                .clock
                .advance(Duration::from_secs(random.random_range(1..120))),
            16 => receiver.always(random_reply(&mut random)),
            17 | 18 => receiver.always(Reply::Status(200)),
            _ => {
                let what = [Ask::Lease, Ask::Cursor][random.random_range(0..2)];
                let fault = [Fault::Refuse, Fault::DropReply][random.random_range(0..2)];
                side.proxy.fail(what, fault, random.random_range(1..3));
            }
        }
    }
    receiver.always(Reply::Status(200));
    let last = writer.catch_up().await.last.0;
    let expected: Vec<_> = (first..=last)
        .map(|sequence| sequence.to_string())
        .collect();
    let mut side = Side::start(world).await;
    for _ in 0..10 * STEPS {
        let taken = receiver.taken();
        if expected.iter().all(|id| taken.contains(id)) {
            break;
        }
        world.clock.advance(LONG);
        side.look().await;
        side.wait().await;
    }
    let mut seen = Vec::new();
    for id in receiver.taken() {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    assert_eq!(seen, expected, "seed {seed}");
    set(
        &writer,
        SettingsCommand::RemoveWebhook(hook.parse().expect("a name")),
    )
    .await;
}

fn random_reply(random: &mut StdRng) -> Reply {
    match random.random_range(0..5) {
        0 => Reply::Status(500),
        1 => Reply::HangUp,
        2 => Reply::Garbage,
        3 => Reply::RetryAfter(503, 100),
        _ => Reply::Status(410),
    }
}
