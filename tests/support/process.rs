//! One process of the service, as far as writing and following goes: a replica and the control behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use traffic_cop::clock::Clock;
use traffic_cop::control::{Answer, Control, Outcome, Request, WriteError};
use traffic_cop::controller::Controller;
use traffic_cop::domain::access::{Access, AccessCommand};
use traffic_cop::domain::decision::{self, Decision};
use traffic_cop::domain::ids::{AggregateKey, Revision, Sequence};
use traffic_cop::domain::repair::{Repair, Target};
use traffic_cop::domain::settings::{Settings, SettingsCommand};
use traffic_cop::domain::slot::Slot;
use traffic_cop::domain::{Command, Environment};
use traffic_cop::evidence::{self, Exposures, Reports, TestCallLog, TestCallWriter, Writer};
use traffic_cop::replica::tracked::Tracked;
use traffic_cop::replica::{CatchUpError, Replica, Served, tasks, validation};
use traffic_cop::store::connection::Endpoint;
use traffic_cop::store::record::Position;
use traffic_cop::store::{Store, StoreError};
use traffic_cop::telemetry::Metrics;
use uuid::Uuid;

use super::commands;
use super::world::{DRAIN_TIME, until_answered};

/// A replica and its control. Its tasks do not run by themselves: a test says when it catches up.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) replica: Arc<Replica>,
    pub(crate) control: Arc<Control>,
    pub(crate) exposures: Exposures,
    pub(crate) test_calls: TestCallLog,
    test_call_writer: Arc<Mutex<TestCallWriter>>,
    /// Outcomes are written while somebody waits for it.
    pub(crate) reports: Reports,
    writer: Arc<Mutex<Writer>>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What comes with a command when nothing about it matters.
pub(crate) fn asked() -> Request {
    Request {
        actor: "tester".parse().expect("an actor"),
        reason: "a test".parse().expect("a reason"),
        key: None,
        expected: None,
        wait: None,
    }
}

/// The same, under an idempotency key.
pub(crate) fn asked_as(key: &str) -> Request {
    Request {
        key: Some(key.parse().expect("a key")),
        ..asked()
    }
}

/// The same, by someone who has seen `revision`.
pub(crate) fn asked_at(revision: u64) -> Request {
    Request {
        expected: Some(Revision(revision)),
        ..asked()
    }
}

/// The key of an environment's aggregate.
pub(crate) fn environment(name: &str) -> AggregateKey {
    AggregateKey::Environment(name.parse().expect("an environment name"))
}

impl Process {
    pub(crate) async fn start(endpoint: &Endpoint, clock: Arc<dyn Clock>) -> Self {
        Self::start_patient(endpoint, clock, validation::DEFAULT_BUDGET).await
    }

    /// One that lets a call wait for the proof of its answer for at most `budget`.
    pub(crate) async fn start_patient(
        endpoint: &Endpoint,
        clock: Arc<dyn Clock>,
        budget: Duration,
    ) -> Self {
        let metrics = Metrics::default();
        let store = Store::connect(endpoint, metrics.store_requests.clone()).await;
        Self::over(store, metrics, clock, budget)
    }

    /// One whose requests to `store` are counted in `metrics`.
    pub(crate) fn over(
        store: Store,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        budget: Duration,
    ) -> Self {
        let replica = Replica::new(store, clock.clone(), metrics.clone());
        let replica = Arc::new(replica.with_validation_budget(budget));
        let control = Control::new(replica.clone(), clock.clone(), metrics.clone(), DRAIN_TIME);
        let (exposures, queue) = evidence::queue(clock.clone(), &metrics);
        let writer = Writer::new(queue, replica.clone(), clock.clone(), metrics.clone());
        let (test_calls, test_call_writer) = evidence::test_calls(replica.clone(), clock.clone());
        let (reports, report_writer) = evidence::reports(replica.clone(), clock.clone(), &metrics);
        // Ends with the last way into its queue.
        tokio::spawn(report_writer.run(CancellationToken::new()));
        Self {
            replica,
            control: Arc::new(control),
            exposures,
            test_calls,
            test_call_writer: Arc::new(Mutex::new(test_call_writer)),
            reports,
            writer: Arc::new(Mutex::new(writer)),
            metrics,
            clock,
        }
    }

    /// Has it write the test calls that wait.
    pub(crate) async fn write_test_calls(&self) {
        self.test_call_writer.lock().await.flush().await;
    }

    /// Has it prove answers, until the result is dropped.
    pub(crate) fn proves(&self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let never = CancellationToken::new();
        tasks.spawn(validation::rounds(self.replica.clone(), never));
        tasks
    }

    /// Has it prove answers and poll the journal, until the result is dropped.
    pub(crate) fn runs(&self) -> JoinSet<()> {
        let mut tasks = self.proves();
        tasks.spawn(tasks::poll(self.replica.clone(), CancellationToken::new()));
        tasks
    }

    /// Has it do all that a process does by itself, for the sake of the others too, until the result is dropped.
    pub(crate) fn runs_among_others(&self) -> JoinSet<()> {
        let mut tasks = self.runs();
        tasks.spawn(tasks::beat(self.replica.clone(), CancellationToken::new()));
        tasks.spawn(tasks::look(self.replica.clone(), CancellationToken::new()));
        tasks
    }

    /// Its controller, which does nothing until it is told to.
    pub(crate) fn controller(&self) -> Controller {
        Controller::new(
            self.replica.clone(),
            self.control.clone(),
            self.clock.clone(),
            self.metrics.clone(),
        )
    }

    /// Carries out `command`, whatever comes of it.
    pub(crate) async fn ask(
        &self,
        name: &str,
        command: impl Into<Command>,
        request: Request,
    ) -> Result<Answer<Environment>, WriteError> {
        self.control
            .execute(&environment(name), &command.into(), &request)
            .await
    }

    /// Carries out `command`, whatever comes of it, for nobody in particular.
    pub(crate) async fn tries(
        &self,
        name: &str,
        command: impl Into<Command>,
    ) -> Result<Answer<Environment>, WriteError> {
        self.ask(name, command, asked()).await
    }

    /// Carries out `command`, which must be committed; asks again if the store does not answer in time, as on a busy machine.
    pub(crate) async fn commits(&self, name: &str, command: impl Into<Command>) -> Revision {
        let command = command.into();
        let request = asked_as(&Uuid::new_v4().to_string());
        let answer = loop {
            match self.ask(name, command.clone(), request.clone()).await {
                Ok(answer) => break answer,
                Err(WriteError::Unavailable(StoreError::Unavailable(_)))
                | Err(WriteError::OutcomeUnknown { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert!(
            matches!(answer.outcome, Outcome::Committed(_) | Outcome::Repeated(_)),
            "{answer:?}"
        );
        answer.revision
    }

    pub(crate) async fn create(&self, name: &str) -> Revision {
        self.commits(name, commands::create()).await
    }

    pub(crate) async fn register(&self, name: &str, label: &str) -> Revision {
        self.commits(name, commands::register(label)).await
    }

    pub(crate) async fn cutover(&self, name: &str) -> Revision {
        self.commits(name, commands::cutover()).await
    }

    pub(crate) async fn roll_back(&self, name: &str) -> Revision {
        self.commits(name, commands::rollback()).await
    }

    pub(crate) async fn set_weight(&self, name: &str, percent: &str) -> Revision {
        self.commits(name, commands::weight(percent)).await
    }

    /// An environment with version `v1` in blue, which is active, and `v2` in green. Two commits.
    pub(crate) async fn create_with_candidate(&self, name: &str) -> Revision {
        self.create(name).await;
        self.register(name, "v2").await
    }

    /// Changes the tokens.
    pub(crate) async fn change_access(
        &self,
        command: AccessCommand,
        request: Request,
    ) -> Result<Answer<Access>, WriteError> {
        self.control
            .execute(&AggregateKey::Access, &command, &request)
            .await
    }

    /// Changes the settings.
    pub(crate) async fn change_settings(
        &self,
        command: SettingsCommand,
        request: Request,
    ) -> Result<Answer<Settings>, WriteError> {
        self.control
            .execute(&AggregateKey::Settings, &command, &request)
            .await
    }

    /// Repairs the environment `name`, whatever comes of it.
    pub(crate) async fn repairs(
        &self,
        name: &str,
        to: Target<Environment>,
    ) -> Result<Answer<Environment>, WriteError> {
        let repair = Repair {
            to,
            discard_newer_format: false,
        };
        let key = environment(name);
        self.control.repair(&key, &repair, &asked()).await
    }

    /// Reads the journal to its end, again if the store does not answer in time. It must be in order.
    pub(crate) async fn catch_up(&self) -> Position {
        let read = || async {
            match self.replica.catch_up().await {
                Ok(position) => Ok(position),
                Err(CatchUpError::Store(error)) => Err(error),
                Err(CatchUpError::Journal(fault)) => panic!("{fault}"),
            }
        };
        until_answered(read).await
    }

    /// Registers, then reads the journal to its end.
    pub(crate) async fn join(&self) {
        self.replica.join().await.expect("a journal to follow");
    }

    /// Writes a heartbeat and looks at everyone's.
    pub(crate) async fn beat(&self) {
        self.replica.beat().await.expect("a heartbeat");
        self.replica.look_around().await.expect("heartbeats");
    }

    /// Decides a call, as the decisions listener does.
    pub(crate) fn decide(&self, name: &str, call: &decision::Request<'_>) -> Decision {
        let served = self.serves(name).expect("it is served");
        let no_clock = || panic!("the time does not matter");
        let decision = decision::decide(&served.compiled, call, no_clock, || {
            panic!("every call has an id")
        });
        self.exposures.note(&served, &decision);
        decision
    }

    /// Writes the exposures that wait, as the process does once a second.
    pub(crate) async fn write_exposures(&self) -> Result<(), StoreError> {
        self.writer.lock().await.write().await
    }

    /// What calls to `name` are answered from.
    pub(crate) fn serves(&self, name: &str) -> Option<Arc<Served>> {
        let snapshot = self.replica.snapshot();
        snapshot.as_ref()?.environments.get(name).cloned()
    }

    /// The revision that calls to `name` are answered from; 0 if none are.
    pub(crate) fn revision(&self, name: &str) -> u64 {
        self.serves(name).map_or(0, |served| served.revision.0)
    }

    /// The active slot of `name`, which must be served.
    pub(crate) fn active(&self, name: &str) -> Slot {
        self.serves(name).expect("it is served").environment.active
    }

    /// Whether a token of this name is let in.
    pub(crate) fn lets_in(&self, token: &str) -> bool {
        let names = self.replica.look(|follower| {
            let access = follower.access().state();
            let tokens = access.map(|access| access.tokens.values());
            let names = tokens.into_iter().flatten().map(|token| &token.name);
            names.map(ToString::to_string).collect::<Vec<_>>()
        });
        names.is_some_and(|names| names.iter().any(|name| name == token))
    }

    /// The last entry that this process has followed.
    pub(crate) fn position(&self) -> Sequence {
        self.replica
            .look(|follower| follower.position.last)
            .unwrap_or_default()
    }

    /// Where this process would write next.
    pub(crate) fn position_to_write_at(&self) -> Position {
        self.replica
            .look(|follower| follower.position)
            .unwrap_or_default()
    }

    /// What this process knows of `name`.
    pub(crate) fn tracked(&self, name: &str) -> Tracked<Environment> {
        let name = name.parse().expect("an environment name");
        self.replica
            .look(|follower| follower.environment(&name).cloned())
            .flatten()
            .unwrap_or_default()
    }
}
