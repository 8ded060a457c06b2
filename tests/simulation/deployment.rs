//! A deployment and everybody around it: processes that fail, people who change things, callers who want to be connected.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedHttpClient;
use jiff::SignedDuration;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use traffic_cop::control::{Outcome, Request, WriteError};
use traffic_cop::dice;
use traffic_cop::domain::Command;
use traffic_cop::domain::command::Rollback;
use traffic_cop::domain::ids::{AggregateKey, EnvironmentName, Sequence};
use traffic_cop::domain::rollout::command::{
    AbortRollout, PauseRollout, ResumeRollout, StartRollout,
};
use traffic_cop::domain::rollout::plan::{Plan, Terms};
use traffic_cop::replica::last_good::{self, Files};
use traffic_cop::replica::saved::Saved;
use traffic_cop::replica::validation;
use traffic_cop::store::Store;
use traffic_cop::store::connection::Endpoint;
use traffic_cop::store::record::Entry;
use traffic_cop::telemetry::Metrics;

use crate::clock::SimulatedClock;
use crate::network::{Betrayal, Network, Way, Weather};
use crate::support::process::asked_as;
use crate::support::{Call, Caller, Process, commands};
use crate::truth::{Answered, Broken, Tally, Truth};

/// Replicas.
const SEATS: [&str; 3] = ["a", "b", "c"];
/// The environment whose state somebody spoils in half of the courses.
const SPOILED: &str = "Spoiled_IVR";
const ENVIRONMENTS: [&str; 3] = ["Main_IVR", "Payments_IVR", SPOILED];
/// Conversations there are: few, so that each comes again.
const CONVERSATIONS: usize = 40;
/// Time between two events, on average.
const PACE: Duration = Duration::from_millis(60);
/// How long a decision may take: the deadline of the decisions listener.
const IN_TIME: Duration = Duration::from_millis(250);
/// How long it takes at the most, with the way to the store in order, until all know everything.
const PEACE: Duration = Duration::from_secs(20);
/// How often a person repeats a write whose outcome is not known.
const REPEATS: usize = 4;

/// One course of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// Everything follows from it.
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    /// What the store does not keep.
    pub(crate) betrayal: Option<Betrayal>,
}

/// What came of a course.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    /// Every request to the store, answer and change, in order.
    pub(crate) trace: Vec<(Duration, String)>,
}

/// Runs a course to its end, in simulated time.
pub(crate) fn run(course: &Course) -> Result<Report, Broken> {
    dice::seed(course.seed);
    fastrand::seed(course.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut deployment = Deployment::found(course).await;
        deployment.live(course).await;
        deployment.end().await
    })
}

/// Where a process runs: its way to the store, its disk and its clock outlive it.
struct Seat {
    way: Way,
    files: Files,
    clock: Arc<SimulatedClock>,
    alive: Option<Alive>,
}

/// A process while it runs. Dropped, it is gone as by `kill -9`.
struct Alive {
    process: Process,
    caller: Caller,
    tasks: JoinSet<()>,
    /// Which of all processes there ever were.
    number: usize,
    /// What it was asked ends with it.
    end: DropGuard,
}

struct Deployment {
    seats: Vec<Seat>,
    /// What people do, beside each other.
    people: JoinSet<()>,
    /// Somebody with a way to the store that never fails.
    bystander: Process,
    truth: Arc<Mutex<Truth>>,
    random: Xoshiro256PlusPlus,
    endpoint: Endpoint,
    started: usize,
    versions: usize,
    is_spoiled: bool,
    _disk: TempDir,
}

impl Deployment {
    /// The tables, the environments and the first processes.
    async fn found(course: &Course) -> Self {
        let truth = Arc::new(Mutex::new(Truth::start()));
        let network = Network::new(course.seed ^ 1, course.betrayal, truth.clone());
        let endpoint = Endpoint {
            url: Some("http://127.0.0.1:1".to_owned()),
            region: None,
            control_table: "control".to_owned(),
            evidence_table: "evidence".to_owned(),
        };
        let disk = tempfile::tempdir().expect("a directory");
        let way = network.way("bystander");
        let bystander = process(&endpoint, &way, Arc::new(SimulatedClock::start())).await;
        let tables = bystander.replica.store().create_tables().await;
        tables.expect("tables");
        let seats = SEATS.map(|name| {
            let directory = disk.path().join(name);
            std::fs::create_dir(&directory).expect("a directory");
            Seat {
                way: network.way(name),
                files: Files::within(&directory),
                clock: Arc::new(SimulatedClock::start()),
                alive: None,
            }
        });
        let mut deployment = Self {
            seats: seats.into(),
            people: JoinSet::new(),
            bystander,
            truth,
            random: Xoshiro256PlusPlus::seed_from_u64(course.seed ^ 2),
            endpoint,
            started: 0,
            versions: 0,
            is_spoiled: false,
            _disk: disk,
        };
        for seat in 0..SEATS.len() {
            deployment.start(seat).await;
        }
        for name in ENVIRONMENTS {
            deployment.ask(0, name, commands::create());
            deployment.people.join_next().await;
        }
        sleep(Duration::from_secs(1)).await;
        deployment
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("no holder panics")
    }

    /// Events come one after the other, until the course has been long enough.
    async fn live(&mut self, course: &Course) {
        let end = Instant::now() + course.length;
        while Instant::now() < end && !self.truth().is_broken() {
            let pause = PACE.mul_f64(-self.random.random_range(0.001_f64..1.0).ln());
            sleep(pause).await;
            let seat = self.random.random_range(0..SEATS.len());
            match self.random.random_range(0..1_000) {
                0..820 => self.call(seat),
                820..940 => self.change(seat),
                940..965 => self.set_weather(seat),
                965..972 => self.cut_everybody(),
                972..985 => self.kill(seat),
                985..990 => self.set_clock(seat),
                990..993 => self.spoil().await,
                _ => self.start_those_that_are_dead().await,
            }
            self.look_for_panics();
        }
    }

    /// Everything works again; then nothing may be missing.
    async fn end(mut self) -> Result<Report, Broken> {
        for seat in &self.seats {
            seat.way.set(Weather::Calm);
        }
        self.start_those_that_are_dead().await;
        while let Some(ended) = self.people.join_next().await {
            if let Err(panic) = ended {
                self.truth().panicked(&panic);
            }
        }
        sleep(PEACE).await;
        self.look_for_panics();
        let store = self.bystander.replica.store();
        let entries = store.entries_from(Sequence(0), usize::MAX).await;
        let entries: Vec<Entry> = entries.expect("the journal");
        let verification = store.verify(None).await.expect("the journal");
        let mut truth = self.truth();
        for seat in &self.seats {
            let Some(alive) = &seat.alive else { continue };
            for name in ENVIRONMENTS {
                truth.ends_at(alive.number, name, alive.process.revision(name));
            }
        }
        truth.judge(&entries, &verification, self.is_spoiled.then_some(SPOILED))?;
        Ok(truth.report())
    }

    /// Notes what ended in a panic: a call whose answer is not what every answer is, among others.
    fn look_for_panics(&mut self) {
        let running = self.seats.iter_mut().filter_map(|seat| seat.alive.as_mut());
        let tasks = running.map(|alive| &mut alive.tasks);
        for tasks in tasks.chain([&mut self.people]) {
            while let Some(ended) = tasks.try_join_next() {
                if let Err(panic) = ended {
                    self.truth
                        .lock()
                        .expect("no holder panics")
                        .panicked(&panic);
                }
            }
        }
    }

    /// Starts a process in `seat`, from what its disk holds.
    async fn start(&mut self, seat: usize) {
        let Seat {
            way, files, clock, ..
        } = &self.seats[seat];
        let (way, files, clock) = (way.clone(), files.clone(), clock.clone());
        let process = process(&self.endpoint, &way, clock.clone()).await;
        process.replica.start_from(&files);
        let mut tasks = process.runs_among_others();
        let write = move |saved: Saved| std::future::ready(files.write(&saved));
        let replica = process.replica.clone();
        tasks.spawn(last_good::keep_by(replica, write, CancellationToken::new()));
        tasks.spawn(process.controller().run(CancellationToken::new()));
        let evidence = process.clone();
        tasks.spawn(async move {
            loop {
                // What is not written is kept for the next time.
                let _ = evidence.write_exposures().await;
                sleep(Duration::from_secs(1)).await;
            }
        });
        let caller = Caller::of(&process);
        let number = self.started;
        self.started += 1;
        self.truth().note(format!("{number} starts in seat {seat}"));
        self.seats[seat].alive = Some(Alive {
            process,
            caller,
            tasks,
            number,
            end: CancellationToken::new().drop_guard(),
        });
    }

    async fn start_those_that_are_dead(&mut self) {
        for seat in 0..SEATS.len() {
            if self.seats[seat].alive.is_none() {
                self.start(seat).await;
            }
        }
    }

    fn kill(&mut self, seat: usize) {
        self.look_for_panics();
        if let Some(alive) = self.seats[seat].alive.take() {
            self.truth().note(format!("{} is killed", alive.number));
        }
    }

    fn set_weather(&mut self, seat: usize) {
        let weather = [Weather::Calm, Weather::Rough, Weather::Rough, Weather::Cut];
        let weather = *weather.choose(&mut self.random).expect("some weather");
        self.seats[seat].way.set(weather);
    }

    /// The store is away, for a while.
    fn cut_everybody(&mut self) {
        let length = Duration::from_millis(self.random.random_range(50..4_000));
        let ways: Vec<_> = self.seats.iter().map(|seat| seat.way.clone()).collect();
        ways.iter().for_each(|way| way.set(Weather::Cut));
        self.people.spawn(async move {
            sleep(length).await;
            ways.iter().for_each(|way| way.set(Weather::Calm));
        });
    }

    fn set_clock(&mut self, seat: usize) {
        let hours = self.random.random_range(-48..=48);
        self.seats[seat]
            .clock
            .set_off_by(SignedDuration::from_hours(hours));
    }

    /// Somebody leaves a state in the journal that nobody can read, once.
    async fn spoil(&mut self) {
        if self.is_spoiled {
            return;
        }
        let (replica, key) = (&self.bystander.replica, environment(SPOILED));
        let Ok(position) = replica.catch_up().await else {
            return;
        };
        let (revision, last) = self.bystander.end_of(&key);
        let Ok(Some(Entry::Record(record))) = replica.store().entry(last).await else {
            return;
        };
        let mut draft = record.change;
        draft.revision = revision.next();
        draft.previous = last;
        draft.operation.0[0] ^= 0xff;
        draft.state = b"{\"oops".to_vec();
        let deadline = Instant::now() + Duration::from_secs(1);
        // Somebody else may have been quicker; then it is for another time.
        if let Ok(record) = replica.store().commit(draft, &position, deadline).await {
            self.is_spoiled = true;
            self.truth()
                .note(format!("{SPOILED} is spoiled at {}", record.sequence));
        }
    }

    /// A call comes in at `seat`, if the balancer sends any there.
    fn call(&mut self, seat: usize) {
        let name = *ENVIRONMENTS
            .choose(&mut self.random)
            .expect("an environment");
        let conversation = format!(
            "conversation-{}",
            self.random.random_range(0..CONVERSATIONS)
        );
        let is_afresh = self.random.random_bool(0.7);
        let has_been_there = self.random.random_bool(0.3);
        let Some(alive) = &mut self.seats[seat].alive else {
            return;
        };
        if !alive.process.replica.is_ready() {
            return;
        }
        let (caller, number) = (alive.caller.clone(), alive.number);
        let truth = self.truth.clone();
        // The process's: killed, it answers nobody.
        alive.tasks.spawn(async move {
            let (asked, flow_version) = {
                let truth = truth.lock().expect("no holder panics");
                let flow_version = truth.last_version(name, &conversation);
                let flow_version = flow_version.filter(|_| has_been_there).unwrap_or_default();
                (truth.asks(number, name), flow_version)
            };
            let call = Call {
                conversation: &conversation,
                flow_version: &flow_version,
            };
            let since = Instant::now();
            let decided = match is_afresh {
                true => caller.ask_afresh(name, call).await,
                false => caller.ask(name, call).await,
            };
            let answered = Answered {
                process: number,
                environment: name,
                conversation: conversation.clone(),
                named: flow_version.clone(),
                decided,
                is_in_time: since.elapsed() <= IN_TIME,
            };
            truth
                .lock()
                .expect("no holder panics")
                .answers(asked, answered);
        });
    }

    /// Somebody changes something, by way of `seat`.
    fn change(&mut self, seat: usize) {
        let name = *ENVIRONMENTS
            .choose(&mut self.random)
            .expect("an environment");
        let command = match self.random.random_range(0..100) {
            0..25 => {
                self.versions += 1;
                commands::register(&format!("version-{}", self.versions))
            }
            25..55 => {
                let percent = ["0", "5", "25", "50", "100", "12.5"];
                commands::weight(percent.choose(&mut self.random).expect("a weight"))
            }
            55..70 => commands::cutover(),
            70..85 => Rollback {
                keep_calls: self.random.random_bool(0.2),
            }
            .into(),
            85..92 => StartRollout {
                plan: Plan::new(Terms::default()).expect("a plan"),
                force_incompatible: false,
            }
            .into(),
            92..95 => PauseRollout {}.into(),
            95..98 => ResumeRollout {}.into(),
            _ => AbortRollout::default().into(),
        };
        self.ask(seat, name, command);
    }

    /// Somebody asks for `command`, and asks again, elsewhere if need be, while the outcome is not known.
    fn ask(&mut self, seat: usize, name: &'static str, command: Command) {
        let key = self.random.random::<u128>().to_string();
        let request = asked_as(&key);
        let processes: Vec<_> = (0..SEATS.len())
            .filter_map(|next| self.seats[(seat + next) % SEATS.len()].alive.as_ref())
            .map(|alive| Asking {
                process: alive.process.clone(),
                number: alive.number,
                killed: alive.end.token().clone(),
            })
            .collect();
        let truth = self.truth.clone();
        self.people.spawn(async move {
            for process in processes.iter().cycle().take(REPEATS) {
                if process.settles(name, &command, &request, &truth).await {
                    return;
                }
                sleep(Duration::from_millis(200)).await;
            }
        });
    }
}

/// A process that somebody asks for a change.
struct Asking {
    process: Process,
    number: usize,
    killed: CancellationToken,
}

impl Asking {
    /// Asks it for `command`. Returns whether there is nothing left to ask.
    async fn settles(
        &self,
        name: &'static str,
        command: &Command,
        request: &Request,
        truth: &Mutex<Truth>,
    ) -> bool {
        let asked = self.process.ask(name, command.clone(), request.clone());
        let Some(answer) = self.killed.run_until_cancelled(asked).await else {
            return false;
        };
        let mut truth = truth.lock().expect("no holder panics");
        match answer {
            Ok(answer) => {
                if let Outcome::Committed(sequence) | Outcome::Repeated(sequence) = answer.outcome {
                    truth.acknowledges(self.number, name, answer.revision, sequence);
                }
                true
            }
            Err(
                WriteError::Unavailable(_)
                | WriteError::OutcomeUnknown { .. }
                | WriteError::Journal(_)
                | WriteError::Contended,
            ) => false,
            Err(refused) => {
                truth.note(format!("{} refuses for {name}: {refused}", self.number));
                true
            }
        }
    }
}

fn environment(name: &str) -> AggregateKey {
    let name: EnvironmentName = name.parse().expect("a name");
    AggregateKey::Environment(name)
}

async fn process(endpoint: &Endpoint, way: &Way, clock: Arc<SimulatedClock>) -> Process {
    let metrics = Metrics::default();
    let network = || SharedHttpClient::new(way.clone());
    let store = Store::connect_over(endpoint, metrics.store_requests.clone(), network).await;
    Process::over(store, metrics, clock, validation::DEFAULT_BUDGET)
}
