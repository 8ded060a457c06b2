//! What a replica does by itself: poll the journal, tell where it ends, write its heartbeat, read the others'.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Replica;
use crate::dice;
use crate::domain::ids::Sequence;
use crate::store::heartbeats;

/// Time between two polls of the journal.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Each wait is up to this share shorter or longer, so that replicas do not poll in step.
const JITTER: f64 = 0.2;
/// Least time between two heartbeats. Changes that are applied meanwhile share the next.
const BEAT_PAUSE: Duration = Duration::from_millis(25);
/// Least time between two looks at the others' heartbeats, however many writes wait for a receipt.
const LOOK_PAUSE: Duration = Duration::from_millis(40);

/// Time between two times that the journal's head is told.
const HEAD_INTERVAL: Duration = Duration::from_secs(60);

/// Tells the journal's head once there is one, every minute until `stop`, and then for the last time.
pub async fn tell_head(replica: Arc<Replica>, stop: CancellationToken) {
    let mut served = replica.served.subscribe();
    tokio::select! {
        () = stop.cancelled() => return,
        // An error would mean that the replica is gone, and it is held here.
        _ = served.wait_for(|last| *last > Sequence(0)) => {}
    }
    loop {
        replica.tell_head();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(HEAD_INTERVAL) => {}
        }
    }
    replica.tell_head();
}

/// Polls until `stop`. Errors end nothing: the next poll is the retry, and alarms tell of what lasts.
pub async fn poll(replica: Arc<Replica>, stop: CancellationToken) {
    loop {
        let read = if replica.has_joined() {
            replica.catch_up().await
        } else {
            replica.join().await
        };
        if let Err(error) = read {
            tracing::debug!(%error, "a poll of the journal failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(dice::about(POLL_INTERVAL, JITTER)) => {}
        }
    }
}

/// Writes a heartbeat every two seconds and after every change that may be acknowledged, until `stop`; then the last one.
pub async fn beat(replica: Arc<Replica>, stop: CancellationToken) {
    let mut timer = tokio::time::interval(heartbeats::INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = Sequence(0);
    loop {
        tokio::select! {
            // Of two that are due the first is taken, here as in a simulation of it.
            biased;
            () = stop.cancelled() => break,
            _ = timer.tick() => {}
            () = replica.until_more_is_acknowledged(told) => {}
        }
        told = replica.acknowledged();
        if let Err(error) = replica.beat().await {
            tracing::debug!(%error, "no heartbeat this time");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(BEAT_PAUSE) => {}
        }
    }
    replica.say_goodbye().await;
}

/// Reads everyone's heartbeats every two seconds and whenever a receipt waits for them, until `stop`. A store that does not
/// answer means that nobody can be judged alive: what was known grows old by itself.
pub async fn look(replica: Arc<Replica>, stop: CancellationToken) {
    loop {
        replica.look_for_all().await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_PAUSE) => {}
        }
        tokio::select! {
            // Of two that are due the first is taken, here as in a simulation of it.
            biased;
            () = stop.cancelled() => return,
            () = replica.is_looked_for() => {}
            () = tokio::time::sleep(heartbeats::INTERVAL) => {}
        }
    }
}
