//! Power cuts.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

use crate::client::{Change, Client, weight_of};
use crate::world::{Service, admin_token};

const NAME: &str = "Written";
/// Acknowledged writes in all.
const WRITES: u64 = 200;

/// What was acknowledged: the weight in basis points by revision.
type Acknowledged = BTreeMap<u64, u64>;

/// Writes one weight after the other, until there have been `count` acknowledgements or an answer fails to come.
async fn write(client: Client, first: u64, count: u64, told: watch::Sender<Acknowledged>) {
    for bps in first..first + count {
        let Ok(answer) = client.try_change(NAME, Change::weight(bps)).await else {
            return;
        };
        let revision = answer.revision();
        answer.ok();
        told.send_modify(|acknowledged| {
            acknowledged.insert(revision, bps);
        });
    }
}

/// Everything that was acknowledged is in the history, which has no gap.
async fn assert_nothing_is_lost(client: &Client, acknowledged: &Acknowledged) {
    let history = client.history(NAME).await;
    let kept: BTreeMap<_, _> = history
        .iter()
        .map(|entry| {
            (
                entry["revision"].as_u64().expect("a revision"),
                weight_of(entry),
            )
        })
        .collect();
    for (revision, bps) in acknowledged {
        assert_eq!(
            kept.get(revision),
            Some(&Some(*bps)),
            "revision {revision} was acknowledged"
        );
    }
    assert_eq!(
        kept.keys().copied().collect::<Vec<_>>(),
        (1..=kept.len() as u64).collect::<Vec<_>>(),
        "a gap"
    );
    assert_eq!(
        client.show(NAME).await["revision"].as_u64(),
        Some(kept.len() as u64)
    );
    client.assert_journal_is_sound().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_two_hundred_writes_loses_none_that_was_acknowledged() {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().expect("a directory");
    let before_the_kill = random.random_range(1..WRITES);
    let pause = Duration::from_micros(random.random_range(0..5_000));
    println!("seed {seed}: killed after {before_the_kill} writes and {pause:?}");
    let service = Service::embedded(data.path());
    let client = service.client(&admin_token(data.path()));
    client.create_with_candidate(NAME).await;
    let (told, mut so_far) = watch::channel(Acknowledged::new());
    let writer = tokio::spawn(write(client, 1, WRITES, told));
    let enough = |so_far: &Acknowledged| so_far.len() as u64 >= before_the_kill;
    so_far.wait_for(enough).await.expect("a writer");
    // Not to wait for anything: to hit a write at any of its stages.
    tokio::time::sleep(pause).await;
    service.kill().await;
    writer.await.expect("a writer that ends");
    let mut acknowledged = so_far.borrow().clone();

    let service = Service::embedded(data.path());
    let client = service.client(&admin_token(data.path()));
    assert_nothing_is_lost(&client, &acknowledged).await;
    let rest = WRITES - acknowledged.len() as u64;
    let (told, so_far) = watch::channel(Acknowledged::new());
    write(client.clone(), 1 + WRITES, rest, told).await;
    acknowledged.append(&mut so_far.borrow().clone());
    assert_eq!(acknowledged.len() as u64, WRITES);
    assert_nothing_is_lost(&client, &acknowledged).await;
    service.stop().await;
}
