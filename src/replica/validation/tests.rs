//! Rounds without a store: each reads as a test tells it to.

use std::future::pending;
use std::sync::Mutex;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::clock::ManualClock;

/// Longer than any test takes.
const AMPLE: Duration = Duration::from_secs(600);

/// How a round ends.
type Ending = Result<(), &'static str>;

/// Rounds whose reads end when and how a test says. Time stands still.
struct Table {
    validations: Arc<Validations>,
    metrics: Metrics,
    clock: Arc<ManualClock>,
    /// The reads under way; never more than one.
    under_way: Arc<watch::Sender<usize>>,
    endings: Arc<Mutex<Vec<oneshot::Sender<Ending>>>>,
    task: JoinHandle<()>,
}

impl Table {
    fn with_budget(budget: Duration) -> Self {
        let metrics = Metrics::default();
        let validations = Arc::new(Validations {
            budget,
            ..Validations::new(&metrics)
        });
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let under_way = Arc::new(watch::Sender::new(0));
        let endings = Arc::new(Mutex::new(Vec::new()));
        let task = {
            let (validations, clock) = (Arc::clone(&validations), Arc::clone(&clock));
            let (under_way, endings) = (Arc::clone(&under_way), Arc::clone(&endings));
            tokio::spawn(async move {
                let prove = || {
                    let (end, ended) = oneshot::channel();
                    endings.lock().expect("no holder panics").push(end);
                    under_way.send_modify(|begun| *begun += 1);
                    async { ended.await.expect("it is told how to end") }
                };
                validations
                    .run(prove, &*clock, CancellationToken::new())
                    .await;
            })
        };
        Self {
            validations,
            metrics,
            clock,
            under_way,
            endings,
            task,
        }
    }

    /// A call that waits, if it has to.
    fn call(&self) -> JoinHandle<Outcome> {
        let validations = Arc::clone(&self.validations);
        let now = self.clock.monotonic();
        let mut wait = Box::pin(async move { validations.wait(now).await });
        // Polled once here, so that it has arrived when this returns.
        match (&mut wait).now_or_never() {
            Some(outcome) => tokio::spawn(async move { outcome }),
            None => tokio::spawn(wait),
        }
    }

    /// What a call is told without waiting; `None` if it would wait.
    fn told_at_once(&self) -> Option<Outcome> {
        self.validations.wait(self.clock.monotonic()).now_or_never()
    }

    /// Waits until so many rounds have begun.
    async fn begun(&self, count: usize) {
        let mut begun = self.under_way.subscribe();
        begun
            .wait_for(|begun| *begun >= count)
            .await
            .expect("a task");
    }

    /// Ends the read under way.
    fn end(&self, ending: Ending) {
        let end = self.endings.lock().expect("no holder panics").pop();
        end.expect("a read under way")
            .send(ending)
            .expect("somebody who reads");
    }

    fn rounds_begun(&self) -> usize {
        *self.under_way.borrow()
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_call_is_proved_by_a_round_that_begins_after_it() {
    let table = Table::with_budget(AMPLE);
    let call = table.call();
    table.begun(1).await;
    table.end(Ok(()));
    assert_eq!(call.await.expect("an outcome"), Outcome::Validated);
}

#[tokio::test]
async fn a_round_that_was_under_way_when_the_call_came_does_not_prove_it() {
    let table = Table::with_budget(AMPLE);
    let first = table.call();
    table.begun(1).await;
    let second = table.call();
    table.end(Ok(()));
    assert_eq!(first.await.expect("an outcome"), Outcome::Validated);
    table.begun(2).await;
    assert!(!second.is_finished());
    table.end(Ok(()));
    assert_eq!(second.await.expect("an outcome"), Outcome::Validated);
}

#[tokio::test]
async fn however_many_calls_wait_they_share_one_round() {
    let table = Table::with_budget(AMPLE);
    let first = table.call();
    table.begun(1).await;
    let calls: Vec<_> = (0..100).map(|_| table.call()).collect();
    table.end(Ok(()));
    table.begun(2).await;
    table.end(Ok(()));
    first.await.expect("an outcome");
    for call in calls {
        assert_eq!(call.await.expect("an outcome"), Outcome::Validated);
    }
    assert_eq!(table.rounds_begun(), 2);
}

#[tokio::test]
async fn a_round_that_fails_lets_everyone_go_who_waits() {
    let table = Table::with_budget(AMPLE);
    let first = table.call();
    table.begun(1).await;
    let second = table.call();
    table.end(Err("refused"));
    for call in [first, second] {
        assert_eq!(call.await.expect("an outcome"), Outcome::StoreAway);
    }
}

#[tokio::test]
async fn after_a_failed_round_nobody_waits_until_one_succeeds() {
    let table = Table::with_budget(AMPLE);
    let call = table.call();
    table.begun(1).await;
    table.end(Err("refused"));
    call.await.expect("an outcome");
    let mut rounds = 1;
    for _ in 0..3 {
        for _ in 0..100 {
            assert_eq!(table.told_at_once(), Some(Outcome::StoreAway));
        }
        assert_eq!(table.metrics.validation_breaker_open.get(), 1);
        table.clock.advance(Duration::from_millis(50));
        assert_eq!(table.told_at_once(), Some(Outcome::StoreAway));
        rounds += 1;
        table.begun(rounds).await;
        let is_last = rounds == 4;
        let mut ended = table.validations.rounds.ended.subscribe();
        table.end(if is_last { Ok(()) } else { Err("refused") });
        ended.changed().await.expect("a round that ends");
    }
    assert_eq!(table.rounds_begun(), 4, "one for each interval");
    assert_eq!(table.metrics.validation_breaker_open.get(), 0);
    assert_eq!(table.told_at_once(), None, "it waits");
}

#[tokio::test]
async fn a_round_that_hangs_ends_with_the_budget_and_nobody_waits_any_more() {
    let table = Table::with_budget(Duration::from_millis(5));
    let mut ended = table.validations.rounds.ended.subscribe();
    let call = table.call();
    table.begun(1).await;
    ended.changed().await.expect("a round that ends");
    assert!(!ended.borrow_and_update().is_good);
    // Its own budget began before the round's.
    let outcome = call.await.expect("an outcome");
    assert_ne!(outcome, Outcome::Validated);
    assert_eq!(table.told_at_once(), Some(Outcome::StoreAway));
}

#[tokio::test]
async fn a_call_whose_budget_runs_out_does_not_open_the_breaker() {
    let metrics = Metrics::default();
    let validations = Validations {
        budget: Duration::from_millis(5),
        ..Validations::new(&metrics)
    };
    // Nobody reads.
    assert_eq!(validations.wait(Duration::ZERO).await, Outcome::Budget);
    assert!(!validations.breaker.is_open());
}

#[tokio::test]
async fn rounds_end_when_they_are_told_to() {
    let metrics = Metrics::default();
    let validations = Validations::new(&metrics);
    let stop = CancellationToken::new();
    stop.cancel();
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    validations.run(pending::<Ending>, &clock, stop).await;
}
