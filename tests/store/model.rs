//! Random commands by several writers, compared with a plain map of states.
//!
//! What counts as failure: an answer, a refusal, a state, a revision or a sequence that the map does not predict; afterwards
//! a finding of the verification, a row or a history that says anything else than what was answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use traffic_cop::clock::Clock;
use traffic_cop::control::{Answer, Outcome, Request, WriteError};
use traffic_cop::domain::command::Command;
use traffic_cop::domain::ids::{Revision, Sequence};
use traffic_cop::domain::{Aggregate, Change, Context, Environment, Refusal, Unchanged};
use traffic_cop::store::format::Document;
use traffic_cop::store::item::number;
use traffic_cop::store::record::{Entry, Record};

use crate::support::engine::cases;
use crate::support::process::asked;
use crate::support::random::for_all;
use crate::support::world::DRAIN_TIME;
use crate::support::{Process, World, commands};

cases![several_writers_do_what_a_plain_map_does];

const WRITERS: usize = 3;
const ENVIRONMENTS: usize = 3;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Write {
        writer: usize,
        environment: usize,
        command: Command,
        expected: Expected,
        key: Option<u8>,
    },
    /// Time passes: claims end, slots drain.
    Wait { minutes: u64 },
    /// A process dies and comes again.
    Restart { writer: usize },
}

/// The revision that a writer says it has seen.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Any,
    Present,
    Older,
    Newer,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expected = prop_oneof![
        6 => Just(Expected::Any),
        4 => Just(Expected::Present),
        1 => Just(Expected::Older),
        1 => Just(Expected::Newer),
    ];
    let write = (
        0..WRITERS,
        0..ENVIRONMENTS,
        commands::any_command(),
        expected,
        option::weighted(0.4, 0..12_u8),
    )
        .prop_map(
            |(writer, environment, command, expected, key)| Step::Write {
                writer,
                environment,
                command,
                expected,
                key,
            },
        );
    let step = prop_oneof![
        16 => write,
        2 => (1..90_u64).prop_map(|minutes| Step::Wait { minutes }),
        1 => (0..WRITERS).prop_map(|writer| Step::Restart { writer }),
    ];
    vec(step, 1..40)
}

/// All there is, as a plain map would have it.
#[derive(Debug, Default)]
struct Model {
    head: u64,
    environments: HashMap<usize, Known>,
}

/// One environment: every state it had, by the place of its record.
#[derive(Debug, Default)]
struct Known {
    states: Vec<(Sequence, Option<Environment>)>,
    keys: HashMap<u8, (Command, usize)>,
}

/// What an answer has to be.
#[derive(Debug)]
enum Predicted {
    Committed(Box<Option<Environment>>),
    Repeated(usize),
    Unchanged(Unchanged),
    Refused(Refusal),
    Stale,
    KeyReused,
}

impl Known {
    fn revision(&self) -> u64 {
        self.states.len() as u64
    }

    fn state(&self) -> Option<&Environment> {
        self.states.last()?.1.as_ref()
    }
}

impl Model {
    fn predict(
        &self,
        environment: usize,
        command: &Command,
        expected: Option<Revision>,
        key: Option<u8>,
        clock: &dyn Clock,
    ) -> Predicted {
        let nothing = Known::default();
        let known = self.environments.get(&environment).unwrap_or(&nothing);
        if let Some((first, made)) = key.and_then(|key| known.keys.get(&key)) {
            return if first == command {
                Predicted::Repeated(*made)
            } else {
                Predicted::KeyReused
            };
        }
        let state = known.state();
        if state.is_some() && expected.is_some_and(|expected| expected.0 != known.revision()) {
            return Predicted::Stale;
        }
        let others = self.environments.iter();
        let context = Context {
            frozen: None,
            now: clock.now(),
            revision: traffic_cop::domain::ids::Revision(known.revision() + 1),
            sequence: Default::default(),
            draw: [0; 16],
            drain_time: DRAIN_TIME,
            last_calls: Some(Default::default()),
            others: others
                .filter(|(other, known)| **other != environment && known.state().is_some())
                .count(),
        };
        match Environment::apply(state, command, &context) {
            Ok(Change::To(state)) => Predicted::Committed(Box::new(state)),
            Ok(Change::Nothing(unchanged)) => Predicted::Unchanged(unchanged),
            Err(refusal) => Predicted::Refused(refusal),
        }
    }

    /// Compares an answer with what it has to be, and takes a change in.
    fn check(
        &mut self,
        environment: usize,
        (command, key): (&Command, Option<u8>),
        predicted: Predicted,
        answer: Result<Answer<Environment>, WriteError>,
    ) {
        let known = self.environments.entry(environment).or_default();
        match (predicted, answer) {
            (Predicted::Committed(mut state), Ok(answer)) => {
                let is_creation = known.state().is_none();
                if let (Some(state), Some(answered)) = (&mut *state, &answer.state)
                    && is_creation
                {
                    // The one thing that the map cannot foresee.
                    state.salt = answered.salt;
                }
                self.head += 1;
                let sequence = Sequence(self.head);
                assert_eq!(answer.outcome, Outcome::Committed(sequence));
                assert_eq!(answer.state, *state);
                known.states.push((sequence, *state));
                assert_eq!(answer.revision.0, known.revision());
                if let Some(key) = key {
                    known
                        .keys
                        .insert(key, (command.clone(), known.states.len() - 1));
                }
            }
            (Predicted::Repeated(made), Ok(answer)) => {
                let (sequence, state) = &known.states[made];
                assert_eq!(answer.outcome, Outcome::Repeated(*sequence));
                assert_eq!(answer.revision.0, made as u64 + 1);
                assert_eq!(answer.state, *state);
            }
            (Predicted::Unchanged(unchanged), Ok(answer)) => {
                assert_eq!(answer.outcome, Outcome::Unchanged(unchanged));
                assert_eq!(answer.revision.0, known.revision());
                assert_eq!(answer.state.as_ref(), known.state());
            }
            (Predicted::Refused(expected), Err(WriteError::Refused(refusal))) => {
                assert_eq!(refusal, expected);
            }
            (Predicted::Stale, Err(WriteError::Stale { current })) => {
                assert_eq!(current.0, known.revision());
            }
            (Predicted::KeyReused, Err(WriteError::KeyReused)) => {}
            (predicted, answer) => panic!("expected {predicted:?}, found {answer:?}"),
        }
    }
}

async fn several_writers_do_what_a_plain_map_does(world: &mut World) {
    let world = &*world;
    let run = AtomicU32::new(0);
    let head_before = std::sync::atomic::AtomicU64::new(0);
    for_all(16, &steps(), async |steps| {
        // Every run has environments of its own, in one growing journal.
        let run = run.fetch_add(1, Ordering::Relaxed);
        let name = |environment: usize| format!("E{run}-{environment}");
        let mut model = Model {
            head: head_before.load(Ordering::Relaxed),
            ..Model::default()
        };
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            writers.push(world.process().await);
        }
        for step in steps {
            match step {
                Step::Wait { minutes } => world.clock.advance(Duration::from_secs(60 * minutes)),
                Step::Restart { writer } => writers[writer] = world.process().await,
                Step::Write {
                    writer,
                    environment,
                    command,
                    expected,
                    key,
                } => {
                    let known = model.environments.get(&environment);
                    let revision = known.map_or(0, Known::revision);
                    let request = Request {
                        expected: match expected {
                            Expected::Any => None,
                            Expected::Present => Some(Revision(revision)),
                            Expected::Older => Some(Revision(revision.wrapping_sub(1))),
                            Expected::Newer => Some(Revision(revision + 1)),
                        },
                        key: key.map(|key| format!("k{key}").parse().expect("a key")),
                        ..asked()
                    };
                    let predicted =
                        model.predict(environment, &command, request.expected, key, &*world.clock);
                    let answer = writers[writer]
                        .ask(&name(environment), command.clone(), request)
                        .await;
                    model.check(environment, (&command, key), predicted, answer);
                }
            }
            head_before.store(model.head, Ordering::Relaxed);
        }
        writers.push(world.process().await);
        for writer in &writers {
            assert_eq!(writer.catch_up().await.last, Sequence(model.head));
            for (environment, known) in &model.environments {
                check_served(writer, &name(*environment), known);
            }
        }
        for (environment, known) in &model.environments {
            check_history(world, &name(*environment), known).await;
        }
        world.assert_sound().await;
    });
}

fn check_served(process: &Process, name: &str, known: &Known) {
    let served = process.serves(name);
    let environment = served.as_ref().map(|served| &served.environment);
    assert_eq!(environment, known.state(), "{name}");
    if let Some(served) = served {
        assert_eq!(served.revision.0, known.revision());
        assert_eq!(served.fault, None);
    }
}

/// The row, and from it back from record to record.
async fn check_history(world: &World, name: &str, known: &Known) {
    let Some((last, state)) = known.states.last() else {
        return;
    };
    let row = world.tables.row(name).await;
    assert_eq!(row["Revision"], number(known.revision()));
    assert_eq!(row["Sequence"], number(last.0));
    match state {
        None => assert!(row["Deleted"].as_bool().expect("a truth value")),
        Some(state) => {
            let text = |name: &str| row[name].as_s().expect("a text").clone();
            assert_eq!(text("Active_Slot"), state.active.as_str());
            let active = &state.slots[state.active].flow.id;
            assert_eq!(text("Active_Flow_ID"), active.as_str());
            let weight = row["Traffic_Weight"].as_n().expect("a number");
            assert_eq!(*weight, state.weight.to_string());
        }
    }
    let mut sequence = *last;
    for (n, (made, state)) in known.states.iter().enumerate().rev() {
        assert_eq!(sequence, *made);
        let record = record(world, sequence).await;
        assert_eq!(record.change.revision.0, n as u64 + 1);
        let document = Document::<Environment>::read(record.change.format, &record.change.state);
        assert_eq!(document.expect("a state").state, *state);
        sequence = record.change.previous;
    }
    assert_eq!(sequence, Sequence(0), "the first has none before it");
}

async fn record(world: &World, sequence: Sequence) -> Record {
    match world.store.entry(sequence).await.expect("an answer") {
        Some(Entry::Record(record)) => *record,
        other => panic!("no record: {other:?}"),
    }
}
