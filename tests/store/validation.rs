//! Validated reads against a store: what they cost, what they hold, and how they stop when it goes away.
//!
//! Time stands still unless a test moves it, and nobody polls unless a test does.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;
use traffic_cop::domain::ids::Sequence;
use traffic_cop::replica::JournalFault;

use crate::support::caller::Decided;
use crate::support::engine::cases;
use crate::support::{Ask, Call, Caller, Fault, FaultProxy, Process, World};

cases![
    a_validated_answer_costs_one_read,
    reads_of_a_busy_replica_are_as_many_as_its_polls_and_round_trips_allow,
    a_validated_answer_holds_what_another_process_has_just_committed,
    a_journal_that_nobody_has_read_lately_is_read_before_it_proves_anything,
    a_store_that_keeps_silent_is_waited_for_once,
    a_store_that_is_back_is_noticed_by_the_next_call_that_may_try,
    a_poll_that_succeeds_lets_calls_wait_again,
    a_poll_whose_answer_lay_unread_proves_nothing,
    a_look_that_began_earlier_does_not_undo_what_a_later_one_found,
];

const NAME: &str = "Main_IVR";
/// Longer than any read takes, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(60);
/// Longer than most reads take.
const SCARCE: Duration = Duration::from_millis(200);
/// How long a breaker that is open keeps calls from trying the store.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// A process behind a proxy that proves answers, and someone who has calls decided by it.
struct Proving {
    proxy: FaultProxy,
    process: Process,
    caller: Caller,
    tasks: JoinSet<()>,
}

impl Proving {
    async fn within(world: &World, budget: Duration) -> Self {
        let proxy = world.proxy().await;
        world.process().await.create_with_candidate(NAME).await;
        let clock = world.clock.clone();
        let process = world.patient_process_behind(&proxy, clock, budget).await;
        Self {
            caller: Caller::of(&process),
            tasks: process.proves(),
            proxy,
            process,
        }
    }

    async fn asks(&self) -> Decided {
        self.caller.ask(NAME, Call::default()).await
    }

    async fn asks_afresh(&self) -> Decided {
        self.caller.ask_afresh(NAME, Call::default()).await
    }

    /// Reads so far: of one place, and from one place on.
    fn reads(&self) -> (usize, usize) {
        (self.proxy.count(Ask::Entry), self.proxy.count(Ask::Poll))
    }

    fn is_open(&self) -> bool {
        self.process.metrics.validation_breaker_open.get() == 1
    }

    /// Waits until a round that took too long or failed has opened the breaker.
    async fn opens(&self) {
        while !self.is_open() {
            tokio::task::yield_now().await;
        }
    }

    /// Asks, and lets time go on, until an answer is validated.
    async fn asks_until_validated(&self, world: &World) -> Decided {
        loop {
            let answer = self.asks_afresh().await;
            if answer.is_validated() {
                return answer;
            }
            world.clock.advance(PROBE_INTERVAL);
        }
    }

    /// How often calls came to this end.
    fn outcomes(&self, outcome: &str) -> u64 {
        let exposition = self.process.metrics.exposition();
        let line = format!("traffic_cop_validations_total{{outcome=\"{outcome}\"}} ");
        let count = exposition.lines().find_map(|at| at.strip_prefix(&line));
        count.expect(&line).parse().expect("a number")
    }
}

async fn a_validated_answer_costs_one_read(world: &mut World) {
    let proving = Proving::within(world, AMPLE).await;
    for _ in 0..3 {
        let before = proving.reads();
        assert_eq!(proving.asks_afresh().await.source, "validated");
        assert_eq!(proving.reads(), (before.0 + 1, before.1));
        assert_eq!(proving.asks().await.source, "live");
        assert_eq!(proving.reads(), (before.0 + 1, before.1));
    }
    assert_eq!(proving.outcomes("validated"), 3);
}

/// The formula: at most 7 a second, and one for each call that wants a proof or as many as fit one after the other into the time,
/// whichever is less.
async fn reads_of_a_busy_replica_are_as_many_as_its_polls_and_round_trips_allow(world: &mut World) {
    const ROUND_TRIP: Duration = Duration::from_millis(20);
    const CALLERS: usize = 16;
    const CALLS: usize = 20;
    let mut proving = Proving::within(world, AMPLE).await;
    let slow = Fault::ReplyLate(ROUND_TRIP);
    proving.proxy.fail(Ask::Entry, slow, usize::MAX);
    let began = Instant::now();
    let reads_before = proving.process.metrics.store_requests.reads();
    let entries_before = proving.proxy.count(Ask::Entry);
    proving.tasks = proving.process.runs_among_others();
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..CALLS {
            assert!(proving.asks_afresh().await.is_validated());
        }
    });
    join_all(callers).await;
    let entries = proving.proxy.count(Ask::Entry) - entries_before;
    let others = proving.process.metrics.store_requests.reads() - reads_before - entries as u64;
    let seconds = began.elapsed().as_secs_f64();
    let one_after_the_other = seconds / ROUND_TRIP.as_secs_f64();
    let most = one_after_the_other.min((CALLERS * CALLS) as f64);
    // What a process reads once when it starts comes on top.
    assert!(
        entries as f64 <= most + 1.0,
        "{entries} rounds in {seconds} s"
    );
    assert!(
        others as f64 <= 7.0 * seconds + 3.0,
        "{others} other reads in {seconds} s"
    );
    assert!(
        entries >= CALLS,
        "each call has a round that began after it"
    );
}

async fn a_validated_answer_holds_what_another_process_has_just_committed(world: &mut World) {
    let proving = Proving::within(world, AMPLE).await;
    let other = world.process().await;
    for changes in 1..4 {
        let before = proving.asks().await.revision;
        for _ in 0..changes {
            other.cutover(NAME).await;
        }
        assert_eq!(proving.asks().await.revision, before, "nobody has polled");
        let answer = proving.asks_afresh().await;
        assert_eq!(answer.source, "validated");
        assert_eq!(answer.revision, before + changes);
    }
}

/// As after a pause of the whole process.
async fn a_journal_that_nobody_has_read_lately_is_read_before_it_proves_anything(
    world: &mut World,
) {
    let proving = Proving::within(world, AMPLE).await;
    let revision = world.process().await.cutover(NAME).await;
    world.clock.advance(Duration::from_secs(5));
    let before = proving.reads();
    let answer = proving.asks_afresh().await;
    assert_eq!(answer.source, "validated");
    assert_eq!(answer.revision, revision.0);
    assert_eq!(proving.reads(), (before.0, before.1 + 1));
    world.clock.advance(Duration::from_secs(5));
    world.tables.rewind(2).await;
    assert_eq!(proving.asks_afresh().await.source, "live");
    assert_eq!(
        proving.process.replica.fault(),
        Some(JournalFault::Rewound(Sequence(3)))
    );
}

async fn a_store_that_keeps_silent_is_waited_for_once(world: &mut World) {
    let proving = Proving::within(world, SCARCE).await;
    proving.proxy.fail_all(Fault::Silence);
    assert_eq!(proving.asks_afresh().await.source, "live");
    // Its own budget may have run out a moment before that of the round.
    proving.opens().await;
    let (before, waited) = (proving.reads(), proving.outcomes("budget"));
    for _ in 0..1_000 {
        assert_eq!(proving.asks_afresh().await.source, "live");
    }
    assert_eq!(proving.reads(), before, "time stands still");
    assert_eq!(proving.outcomes("budget"), waited, "none of them waited");
    assert!(proving.outcomes("store_away") >= 1_000);
    // A few a second try again, and nobody waits for that either.
    for tries in 1..4 {
        world.clock.advance(PROBE_INTERVAL);
        assert_eq!(proving.asks_afresh().await.source, "live");
        proving.proxy.arrived(Ask::Entry, before.0 + tries).await;
    }
    assert_eq!(proving.outcomes("budget"), waited);
}

async fn a_store_that_is_back_is_noticed_by_the_next_call_that_may_try(world: &mut World) {
    for (fault, away_for) in [
        (Fault::Silence, PROBE_INTERVAL),
        (Fault::Refuse, PROBE_INTERVAL),
        (Fault::Throttle, PROBE_INTERVAL),
        (Fault::ServerError, Duration::from_secs(10)),
    ] {
        let proving = Proving::within(world, SCARCE).await;
        proving.proxy.fail_all(fault);
        assert_eq!(proving.asks_afresh().await.source, "live");
        proving.opens().await;
        proving.proxy.heal();
        let other = world.process().await;
        let revision = other.cutover(NAME).await;
        world.clock.advance(away_for);
        let answer = proving.asks_afresh().await;
        assert_eq!(answer.source, "live", "nobody waits for the try");
        let answer = proving.asks_until_validated(world).await;
        assert_eq!(answer.revision, revision.0, "{fault:?}");
        other
            .commits(NAME, crate::support::commands::delete())
            .await;
    }
}

async fn a_poll_that_succeeds_lets_calls_wait_again(world: &mut World) {
    let proving = Proving::within(world, AMPLE).await;
    proving.proxy.fail(Ask::Entry, Fault::Refuse, 1);
    assert_eq!(proving.asks_afresh().await.source, "live");
    assert!(proving.is_open());
    assert_eq!(proving.asks_afresh().await.source, "live");
    proving.process.catch_up().await;
    assert!(!proving.is_open());
    assert_eq!(proving.asks_afresh().await.source, "validated");
}

/// The process stands still with the answer to a poll in its socket; meanwhile the journal is set back. What the poll found
/// is old by the time it is looked at.
async fn a_poll_whose_answer_lay_unread_proves_nothing(world: &mut World) {
    let proving = Proving::within(world, AMPLE).await;
    proving.process.cutover(NAME).await;
    proving.proxy.fail(Ask::Poll, Fault::HoldReply, 1);
    let replica = proving.process.replica.clone();
    let poll = tokio::spawn(async move { replica.catch_up().await });
    proving.proxy.holds().await;
    world.tables.rewind(2).await;
    let stood_still_for = Duration::from_secs(10);
    world.clock.advance(stood_still_for);
    proving.proxy.release();
    poll.await.expect("a poll").expect("the answer from before");
    assert_eq!(proving.process.replica.age(), Some(stood_still_for));
    assert_eq!(proving.asks_afresh().await.source, "live");
}

async fn a_look_that_began_earlier_does_not_undo_what_a_later_one_found(world: &mut World) {
    let proving = Proving::within(world, AMPLE).await;
    proving.process.cutover(NAME).await;
    proving.proxy.fail(Ask::Poll, Fault::HoldReply, 1);
    let replica = proving.process.replica.clone();
    let poll = tokio::spawn(async move { replica.catch_up().await });
    proving.proxy.holds().await;
    world.tables.rewind(2).await;
    world.clock.advance(Duration::from_millis(1));
    let found = proving.process.replica.catch_up().await;
    found.expect_err("it is set back");
    let fault = Some(JournalFault::Rewound(Sequence(3)));
    assert_eq!(proving.process.replica.fault(), fault);
    proving.proxy.release();
    poll.await.expect("a poll").expect("the answer from before");
    assert_eq!(proving.process.replica.fault(), fault);
    assert_eq!(proving.asks_afresh().await.source, "live");
}
