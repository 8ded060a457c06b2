//! Histories of an environment's revision as several clients saw it, and whether one copy of it could have given them.
//!
//! The specification is a counter: a write adds one and answers what it made, a read answers what there is. A history is
//! linearizable if every operation can be given one moment between its call and its return at which it took effect, so that
//! the answers are those of the counter.
//!
//! Checkers for any specification search for that order. Here there is nothing to search for: every answer names its place
//! in it. Operations go by the revision they name, a write before the reads of it; the history is linearizable exactly if
//! that order nowhere contradicts real time, and if what nobody owns up to can be the work of writes whose outcome is open.
//! The tests below compare this with a search over all orders. `porcupine-rs` and `stateright` do that search in general, at
//! the price of a benchmark harness and a web server among our dependencies, and of exponential time where many operations
//! overlap, which is what a history with slow replies consists of.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use libtest_mimic::Trial;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// A point in real time. No two are the same.
type Moment = u64;

/// What an operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// An acknowledged write.
    Write {
        /// The revision it made.
        made: u64,
    },
    /// A write of which it is not known whether it took effect, or when, or will.
    OpenWrite,
    /// A read that claims to hold everything acknowledged before it.
    Read {
        /// The revision it saw.
        seen: u64,
    },
}

/// One operation of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// When it was asked for.
    called: Moment,
    /// When its answer was there; of an open write, when its client gave up.
    returned: Moment,
    /// What it came to.
    pub(crate) operation: Operation,
}

/// What no single copy could have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Two writes were told that they made this revision, or it was there before.
    MadeTwice(u64),
    /// Somebody saw this revision, or a later one, and no write could have made it by then.
    NobodyMade(u64),
    /// The later operation was called when the earlier one had returned, and yet comes before it.
    WentBack {
        /// The one that had returned.
        earlier: Event,
        /// The one that came after it and knows less.
        later: Event,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MadeTwice(revision) => write!(f, "revision {revision} was made twice"),
            Self::NobodyMade(revision) => write!(f, "nobody made revision {revision} in time"),
            Self::WentBack { earlier, later } => {
                write!(f, "{later:?} was called after {earlier:?} had returned")
            }
        }
    }
}

impl Event {
    /// Its place in the order of all operations: by revision, the write of one before the reads of it. An open write has none.
    fn place(&self) -> Option<(u64, u8)> {
        match self.operation {
            Operation::Write { made } => Some((made, 0)),
            Operation::Read { seen } => Some((seen, 1)),
            Operation::OpenWrite => None,
        }
    }
}

/// Finds out whether one copy, at revision `first` before any of the `events`, could have given all answers.
pub(crate) fn check(first: u64, events: &[Event]) -> Result<(), Violation> {
    let mut owned = BTreeSet::from([first]);
    for event in events {
        if let Operation::Write { made } = event.operation
            && (made < first || !owned.insert(made))
        {
            return Err(Violation::MadeTwice(made));
        }
    }
    let last = events.iter().filter_map(Event::place).max();
    let unowned = (first..=last.map_or(first, |(revision, _)| revision))
        .filter(|revision| !owned.contains(revision));
    check_unowned(unowned, events)?;
    check_order(first, events)
}

/// Gives every revision that nobody owns up to an open write that was called before anyone knew of it. The sooner a revision
/// was known, the sooner its write must have been called, so the first goes to the first.
fn check_unowned(unowned: impl Iterator<Item = u64>, events: &[Event]) -> Result<(), Violation> {
    let is_open = |event: &&Event| event.operation == Operation::OpenWrite;
    let mut open: Vec<_> = events
        .iter()
        .filter(is_open)
        .map(|open| open.called)
        .collect();
    open.sort_unstable();
    let mut open = open.into_iter();
    for revision in unowned {
        let knew = events
            .iter()
            .filter(|event| event.place().is_some_and(|place| place >= (revision, 0)));
        let known_by = knew.map(|event| event.returned).min();
        let is_in_time = |called| known_by.is_none_or(|known_by| called < known_by);
        if !open.next().is_some_and(is_in_time) {
            return Err(Violation::NobodyMade(revision));
        }
    }
    Ok(())
}

/// Looks for an operation that comes before another which had returned when it was called.
fn check_order(first: u64, events: &[Event]) -> Result<(), Violation> {
    let placed = || {
        events
            .iter()
            .filter_map(|event| Some((event.place()?, event)))
    };
    let (mut by_call, mut by_return): (Vec<_>, Vec<_>) = (placed().collect(), placed().collect());
    by_call.sort_by_key(|(_, event)| event.called);
    by_return.sort_by_key(|(_, event)| event.returned);
    let mut returned = by_return.into_iter().peekable();
    // What was there before counts as written before the first moment.
    let mut highest = (
        (first, 0),
        &Event {
            called: 0,
            returned: 0,
            operation: Operation::Write { made: first },
        },
    );
    for (place, later) in by_call {
        while let Some(earlier) = returned.next_if(|(_, event)| event.returned < later.called) {
            highest = if earlier.0 > highest.0 {
                earlier
            } else {
                highest
            };
        }
        if highest.0 > place {
            return Err(Violation::WentBack {
                earlier: *highest.1,
                later: *later,
            });
        }
    }
    Ok(())
}

/// Writes down what clients do, in the order of real time.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    moments: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// This moment.
    pub(crate) fn now(&self) -> Moment {
        self.moments.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Writes down an operation called at `called` that has returned now.
    pub(crate) fn add(&self, called: Moment, operation: Operation) {
        let returned = self.now();
        self.events().push(Event {
            called,
            returned,
            operation,
        });
    }

    /// What is written down so far.
    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().expect("no holder panics")
    }
}

/// The tests of the checker itself.
pub(crate) fn trials() -> Vec<Trial> {
    let test = |name: &str, test: fn()| {
        Trial::test(format!("history::{name}"), move || {
            test();
            Ok(())
        })
    };
    vec![
        test(
            "the_checker_agrees_with_a_search_over_all_orders",
            agrees_with_a_search,
        ),
        test(
            "a_read_from_before_an_acknowledged_write_is_found",
            finds_a_stale_read,
        ),
        test(
            "two_reads_that_disagree_about_their_order_are_found",
            finds_two_reads_in_the_wrong_order,
        ),
        test(
            "a_revision_made_twice_is_found",
            finds_a_revision_made_twice,
        ),
        test(
            "a_revision_that_nobody_made_is_found",
            finds_a_revision_out_of_nothing,
        ),
        test(
            "operations_at_once_may_come_in_any_order",
            lets_operations_overlap,
        ),
    ]
}

fn event(called: Moment, returned: Moment, operation: Operation) -> Event {
    Event {
        called,
        returned,
        operation,
    }
}

fn write(made: u64) -> Operation {
    Operation::Write { made }
}

fn read(seen: u64) -> Operation {
    Operation::Read { seen }
}

fn finds_a_stale_read() {
    let acknowledged = event(1, 2, write(1));
    let stale = event(3, 4, read(0));
    let (earlier, later) = (acknowledged, stale);
    let found = check(0, &[acknowledged, stale]);
    assert_eq!(found, Err(Violation::WentBack { earlier, later }));
    assert!(check(1, &[event(1, 2, read(0))]).is_err(), "before all");
}

fn finds_two_reads_in_the_wrong_order() {
    let writing = event(1, 6, write(1));
    let (new, old) = (event(2, 3, read(1)), event(4, 5, read(0)));
    assert_eq!(
        check(0, &[writing, event(2, 3, read(0)), event(4, 5, read(1))]),
        Ok(())
    );
    let found = check(0, &[writing, new, old]);
    let (earlier, later) = (new, old);
    assert_eq!(found, Err(Violation::WentBack { earlier, later }));
}

fn finds_a_revision_made_twice() {
    let twice = [event(1, 2, write(1)), event(3, 4, write(1))];
    assert_eq!(check(0, &twice), Err(Violation::MadeTwice(1)));
    assert_eq!(check(1, &twice[..1]), Err(Violation::MadeTwice(1)));
}

fn finds_a_revision_out_of_nothing() {
    let seen = event(3, 4, read(1));
    let open = |called| event(called, called + 10, Operation::OpenWrite);
    assert_eq!(check(0, &[seen]), Err(Violation::NobodyMade(1)));
    assert_eq!(
        check(0, &[seen, open(5)]),
        Err(Violation::NobodyMade(1)),
        "too late"
    );
    assert_eq!(check(0, &[seen, open(1)]), Ok(()));
    let third = event(6, 7, write(3));
    assert_eq!(
        check(0, &[seen, open(1), third]),
        Err(Violation::NobodyMade(2))
    );
    assert_eq!(check(0, &[seen, open(1), open(5), third]), Ok(()));
}

fn lets_operations_overlap() {
    let writing = event(1, 8, write(1));
    for seen in [0, 1] {
        assert_eq!(check(0, &[writing, event(2, 3, read(seen))]), Ok(()));
    }
    // An open write may take effect long after its client has given up.
    let open = event(1, 2, Operation::OpenWrite);
    let reads = [event(3, 4, read(0)), event(5, 6, read(1))];
    assert_eq!(check(0, &[open, reads[0], reads[1]]), Ok(()));
    assert_eq!(check(0, &[open, reads[0]]), Ok(()), "or never");
}

/// Whether any order of all operations gives these answers: the definition, tried out.
fn search(value: u64, left: &[Event]) -> bool {
    let is_closed = |event: &&Event| event.operation != Operation::OpenWrite;
    let Some(deadline) = left
        .iter()
        .filter(is_closed)
        .map(|event| event.returned)
        .min()
    else {
        // Open writes need not take effect.
        return true;
    };
    (0..left.len()).any(|n| {
        let event = left[n];
        let next = match event.operation {
            Operation::Write { made } => (made == value + 1).then_some(made),
            Operation::OpenWrite => Some(value + 1),
            Operation::Read { seen } => (seen == value).then_some(value),
        };
        // Whatever has returned before this was called has to come before it.
        event.called < deadline
            && next.is_some_and(|value| {
                let mut rest = left.to_vec();
                rest.remove(n);
                search(value, &rest)
            })
    })
}

/// Up to seven operations with calls and returns in any order, about few enough revisions that many histories are in order.
fn histories() -> impl Strategy<Value = Vec<Event>> {
    let operation = prop_oneof![
        3 => (1..4_u64).prop_map(write),
        2 => Just(Operation::OpenWrite),
        4 => (0..4_u64).prop_map(read),
    ];
    vec((operation, 0..24_u64, 0..12_u64), 0..7).prop_map(|operations| {
        // Calls at even moments and returns at odd ones, each shifted by its number, so that no two are the same.
        let moment = |n: usize, at: u64| at * 16 + 2 * n as u64;
        let events = operations.into_iter().enumerate();
        events
            .map(|(n, (operation, called, takes))| {
                let returned = moment(n, called + takes) + 1;
                event(moment(n, called), returned, operation)
            })
            .collect()
    })
}

fn agrees_with_a_search() {
    let verdicts = [const { AtomicU64::new(0) }; 2];
    let config = Config {
        cases: 20_000,
        failure_persistence: None,
        ..Config::default()
    };
    let always_the_same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, always_the_same);
    let outcome = runner.run(&histories(), |events| {
        let is_linearizable = search(0, &events);
        verdicts[usize::from(is_linearizable)].fetch_add(1, Ordering::Relaxed);
        let found = check(0, &events);
        assert_eq!(found.is_ok(), is_linearizable, "{found:?}");
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, events)) => panic!("{why}\nof {events:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    let verdicts = verdicts.map(AtomicU64::into_inner);
    assert!(verdicts.iter().all(|count| *count > 1_000), "{verdicts:?}");
}
