//! Validated reads over three processes that write at the same time, each behind a way to the store that fails: the history
//! has to be one that a single copy could have given (`history`).
//!
//! A history is made of writers, whose acknowledgements name the revision that they made, and callers, whose validated answers
//! name the revision that they saw. Answers that say they are from memory promise nothing and are only counted. A write whose
//! outcome stays open may take effect at any later time, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use traffic_cop::clock::SystemClock;
use traffic_cop::control::WriteError;

use crate::history::{Operation, Recorder, check};
use crate::support::engine::{cases, environment_variable};
use crate::support::process::asked_as;
use crate::support::random::{SEED, seed};
use crate::support::{
    Ask, Call, Caller, Engine, Fault, FaultProxy, Process, World, commands, engine,
};

cases![
    histories_on_failing_ways_to_the_store_are_linearizable,
    on_a_healthy_store_nearly_every_answer_is_validated,
    answers_without_validation_are_not_linearizable,
];

/// Names how many histories the proof makes.
const HISTORIES: &str = "TRAFFIC_COP_TEST_HISTORIES";
/// Histories that the proof makes without being told.
const MANY: u64 = 500;
/// Histories for every change.
const FEW: u64 = 3;
/// Histories that the proof makes at the same time. Most of the time they wait for faults to end.
const AT_ONCE: usize = 4;

const PROCESSES: usize = 3;
const WRITERS: usize = 2;
const WRITES: usize = 4;
const CALLERS: usize = 2;
/// Pause of a caller between two calls, so that a history is not one of calls alone.
const PAUSE: Duration = Duration::from_millis(5);
/// The same after an answer from memory, of which nothing is claimed. Where many are made at once, they would take the time that
/// proofs need.
const LONG_PAUSE: Duration = Duration::from_millis(40);

/// What the way to the store does by chance: most of it nothing, the rest all that can happen. A read that comes back late
/// is what makes an old answer look new, a put that arrives late what makes an outcome open.
fn draw(random: &mut StdRng, ask: Ask) -> Option<Fault> {
    let short = Duration::from_millis(random.random_range(1..60));
    let long = Duration::from_millis(random.random_range(60..400));
    match random.random_range(0..200) {
        0..20 => Some(Fault::ReplyLate(short)),
        20..26 => Some(Fault::ReplyLate(long)),
        26..36 => Some(Fault::DeliverLate(short)),
        36..40 => Some(Fault::DeliverLate(long)),
        40..48 => Some(Fault::DropReply),
        48..54 => Some(Fault::Refuse),
        54..56 => Some(Fault::Throttle),
        56..58 => Some(Fault::ServerError),
        // Longer than an attempt takes: it is sent again, and arrives all the same.
        58 if ask == Ask::Commit => Some(Fault::DeliverLate(Duration::from_millis(1_200))),
        58 => Some(Fault::Silence),
        _ => None,
    }
}

/// How a history is made.
#[derive(Debug, Clone, Copy)]
struct Plan {
    seed: u64,
    /// How long an answer may wait for its proof.
    budget: Duration,
    way: Way,
    answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Sound,
    Failing,
}

/// Which answers are taken for validated ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// Those that say so.
    Validated,
    /// Those from memory: as if there were no validation.
    FromMemory,
}

/// What became of the operations in some histories.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    acknowledged: usize,
    open: usize,
    validated: usize,
    from_memory: usize,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            open: self.open + other.open,
            validated: self.validated + other.validated,
            from_memory: self.from_memory + other.from_memory,
        }
    }
}

/// One history in the making.
struct Scene {
    name: String,
    plan: Plan,
    recorder: Recorder,
    from_memory: AtomicUsize,
    /// Writers that have not come to their end.
    writing: watch::Sender<usize>,
}

impl Scene {
    /// Writes, and sends a write whose outcome is open once more: what a pipeline does.
    async fn write(self: Arc<Self>, process: Process, writer: usize) {
        for n in 0..WRITES {
            let request = || asked_as(&format!("{writer}-{n}"));
            let called = self.recorder.now();
            let mut answer = process
                .ask(&self.name, commands::cutover(), request())
                .await;
            if let Err(WriteError::OutcomeUnknown { .. }) = answer {
                answer = process
                    .ask(&self.name, commands::cutover(), request())
                    .await;
                if answer.is_err() {
                    self.recorder.add(called, Operation::OpenWrite);
                    continue;
                }
            }
            match answer {
                Ok(answer) => {
                    let made = answer.revision.0;
                    self.recorder.add(called, Operation::Write { made });
                }
                // It says that nothing was changed. If that is wrong, there is a revision that nobody made.
                Err(WriteError::Unavailable(_) | WriteError::Contended) => {}
                Err(error) => panic!("nothing else can go wrong here: {error}"),
            }
        }
        self.writing.send_modify(|writing| *writing -= 1);
    }

    /// Has calls decided for as long as there is writing.
    async fn call(self: Arc<Self>, process: Process, mut random: StdRng) {
        let caller = Caller::of(&process);
        while *self.writing.borrow() > 0 {
            let conversation = format!("call {}", random.random::<u64>());
            let call = Call {
                conversation: &conversation,
                ..Call::default()
            };
            let called = self.recorder.now();
            let answer = match self.plan.answers {
                Answers::Validated => caller.ask_afresh(&self.name, call).await,
                Answers::FromMemory => caller.ask(&self.name, call).await,
            };
            let pause = if answer.is_validated() || self.plan.answers == Answers::FromMemory {
                let seen = answer.revision;
                self.recorder.add(called, Operation::Read { seen });
                PAUSE
            } else {
                self.from_memory.fetch_add(1, Ordering::Relaxed);
                LONG_PAUSE
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// Makes a history in an environment of its own. `Err` tells what no single copy could have answered.
async fn history(world: &World, plan: Plan) -> Result<Tally, String> {
    let scene = Arc::new(Scene {
        name: format!("E{}", plan.seed),
        plan,
        recorder: Recorder::default(),
        from_memory: AtomicUsize::new(0),
        writing: watch::Sender::new(PROCESSES * WRITERS),
    });
    let observer = world.process().await;
    let first = observer.create_with_candidate(&scene.name).await;
    let mut random = StdRng::seed_from_u64(plan.seed);
    let (mut proxies, mut running, mut clients) = (Vec::new(), Vec::new(), JoinSet::new());
    for n in 0..PROCESSES {
        let proxy = world.proxy().await;
        let clock = Arc::new(SystemClock::start());
        let process = world
            .patient_process_behind(&proxy, clock, plan.budget)
            .await;
        running.push(process.runs());
        if plan.way == Way::Failing {
            proxy.fail_by_chance(random.random(), draw);
        }
        proxies.push(proxy);
        for writer in 0..WRITERS {
            clients.spawn(scene.clone().write(process.clone(), n * WRITERS + writer));
        }
        for _ in 0..CALLERS {
            let random = StdRng::seed_from_u64(random.random());
            clients.spawn(scene.clone().call(process.clone(), random));
        }
    }
    clients.join_all().await;
    settle(&proxies).await;
    // Somebody who reads the journal itself has the last word.
    let called = scene.recorder.now();
    observer.catch_up().await;
    let seen = observer.revision(&scene.name);
    scene.recorder.add(called, Operation::Read { seen });

    let events = scene.recorder.events();
    check(first.0, &events).map_err(|violation| format!("{plan:?}: {violation}\n{events:#?}"))?;
    let count =
        |is: fn(Operation) -> bool| events.iter().filter(|event| is(event.operation)).count();
    Ok(Tally {
        acknowledged: count(|operation| matches!(operation, Operation::Write { .. })),
        open: count(|operation| operation == Operation::OpenWrite),
        validated: count(|operation| matches!(operation, Operation::Read { .. })) - 1,
        from_memory: scene.from_memory.load(Ordering::Relaxed),
    })
}

async fn settle(proxies: &[FaultProxy]) {
    for proxy in proxies {
        proxy.heal();
    }
    for proxy in proxies {
        proxy.settled().await;
    }
}

/// Makes a history on failing ways for each of `seeds`. Fails with the first that is not linearizable.
async fn histories(world: &World, seeds: &[u64]) -> Tally {
    let mut total = Tally::default();
    for seed in seeds {
        let plan = Plan {
            seed: *seed,
            budget: Duration::from_millis(100),
            way: Way::Failing,
            answers: Answers::Validated,
        };
        match history(world, plan).await {
            Ok(tally) => total = total.plus(tally),
            Err(why) => panic!("run again with {SEED}={seed} {HISTORIES}=1\n{why}"),
        }
    }
    total
}

/// The seeds of so many histories.
fn seeds(count: u64) -> Vec<u64> {
    (0..count).map(|n| seed().wrapping_add(n)).collect()
}

/// How many histories to make: `count`, unless whoever runs the tests says otherwise.
fn how_many(count: u64) -> u64 {
    environment_variable(HISTORIES).map_or(count, |count| count.parse().expect("a number"))
}

async fn histories_on_failing_ways_to_the_store_are_linearizable(world: &mut World) {
    let tally = histories(world, &seeds(how_many(FEW))).await;
    assert!(tally.acknowledged > 0 && tally.validated > 0, "{tally:?}");
}

async fn on_a_healthy_store_nearly_every_answer_is_validated(world: &mut World) {
    let plan = Plan {
        seed: seed(),
        budget: Duration::from_secs(10),
        way: Way::Sound,
        answers: Answers::Validated,
    };
    let made = history(world, plan).await;
    let tally = made.unwrap_or_else(|why| panic!("run again with {SEED}={}\n{why}", seed()));
    assert!(tally.acknowledged > 0 && tally.validated > 0, "{tally:?}");
    assert!(tally.from_memory * 100 <= tally.validated, "{tally:?}");
}

/// The same without validation has to fail, or the tests above prove nothing.
async fn answers_without_validation_are_not_linearizable(world: &mut World) {
    let plan = Plan {
        seed: seed(),
        budget: Duration::ZERO,
        way: Way::Sound,
        answers: Answers::FromMemory,
    };
    let why = history(world, plan)
        .await
        .expect_err("answers from memory are old");
    assert!(why.contains("had returned"), "{why}");
}

/// The proof: many histories. Ignored by default; `.ci/proof` runs it.
#[expect(clippy::print_stdout, reason = "the figures are the result")]
pub(crate) fn proof() -> Trial {
    let name = "proof::many_histories_on_failing_ways_to_the_store_are_linearizable";
    let run = || {
        let seeds = seeds(how_many(MANY));
        let total = engine::runtime().block_on(async {
            let mut making = JoinSet::new();
            let share = seeds.len().div_ceil(AT_ONCE);
            for seeds in seeds.chunks(share).map(<[u64]>::to_vec) {
                making.spawn(async move {
                    let mut total = Tally::default();
                    // A world holds at most 256 environments.
                    for seeds in seeds.chunks(100) {
                        let world = World::start(Engine::Memory).await;
                        total = total.plus(histories(&world, seeds).await);
                    }
                    total
                });
            }
            making
                .join_all()
                .await
                .into_iter()
                .fold(Tally::default(), Tally::plus)
        });
        println!("{} histories from seed {}: {total:?}", seeds.len(), seed());
        // Faults have to be many enough to matter, and few enough to leave something to look at.
        assert!(
            total.acknowledged > seeds.len() && total.validated > total.from_memory / 10,
            "{total:?}"
        );
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(true)
}
