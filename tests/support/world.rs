//! Two fresh tables on an engine, and the processes that share them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use traffic_cop::clock::{Clock, ManualClock};
use traffic_cop::store::connection::Endpoint;
use traffic_cop::store::verify::Verification;
use traffic_cop::store::{Store, StoreError};
use traffic_cop::telemetry::StoreRequests;

use super::engine::{Engine, Running};
use super::tables::Tables;
use super::{FaultProxy, Process};

/// How long a slot takes to drain.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(30 * 60);

/// Reads again until the store answers: on a busy machine a page of a megabyte may take longer than one attempt has.
pub(crate) async fn until_answered<T, R>(read: impl Fn() -> R) -> T
where
    R: Future<Output = Result<T, StoreError>>,
{
    loop {
        match read().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A deployment: tables that nobody else uses, and a clock that stands still until it is told to move.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    /// The tables without the service's own code in between.
    pub(crate) tables: Tables,
    /// A store without a proxy in between.
    pub(crate) store: Store,
    endpoint: Endpoint,
    running: Running,
}

impl World {
    /// Starts the engine, if it is ours to start, and makes the tables.
    pub(crate) async fn start(engine: Engine) -> Self {
        let running = engine.start();
        let name = uuid::Uuid::new_v4().simple();
        let endpoint = Endpoint {
            url: Some(running.url.clone()),
            region: None,
            control_table: format!("traffic-cop-test-{name}-control"),
            evidence_table: format!("traffic-cop-test-{name}-evidence"),
        };
        let store = Store::connect(&endpoint, StoreRequests::default()).await;
        store.create_tables().await.expect("tables");
        let start: Timestamp = "2026-01-05T08:00:00Z".parse().expect("a time");
        Self {
            engine,
            clock: Arc::new(ManualClock::at(start)),
            tables: Tables::connect(&endpoint).await,
            store,
            endpoint,
            running,
        }
    }

    /// Stops an engine on disk and starts it again, with what it has kept.
    pub(crate) async fn restart_engine(&mut self) {
        self.running.restart();
        self.endpoint.url = Some(self.running.url.clone());
        self.store = Store::connect(&self.endpoint, StoreRequests::default()).await;
        self.tables = Tables::connect(&self.endpoint).await;
    }

    /// A process that has loaded what there is.
    pub(crate) async fn process(&self) -> Process {
        let process = self.newcomer().await;
        process.catch_up().await;
        process
    }

    /// A process that has loaded nothing yet.
    pub(crate) async fn newcomer(&self) -> Process {
        Process::start(&self.endpoint, self.clock.clone()).await
    }

    /// A process that reaches the engine through `proxy` and has loaded what there is.
    pub(crate) async fn process_behind(&self, proxy: &FaultProxy) -> Process {
        let process = self.newcomer_behind(proxy).await;
        process.catch_up().await;
        process
    }

    /// A process that reaches the engine through `proxy` and has loaded nothing yet.
    pub(crate) async fn newcomer_behind(&self, proxy: &FaultProxy) -> Process {
        Process::start(&self.endpoint_behind(proxy), self.clock.clone()).await
    }

    /// A process with a clock of its own that reaches the engine through `proxy` and has loaded nothing yet.
    pub(crate) async fn newcomer_with(&self, proxy: &FaultProxy, clock: Arc<dyn Clock>) -> Process {
        Process::start(&self.endpoint_behind(proxy), clock).await
    }

    /// A process that has loaded what there is and lets a call wait for the proof of its answer for at most `budget`.
    pub(crate) async fn patient_process(&self, clock: Arc<dyn Clock>, budget: Duration) -> Process {
        let process = Process::start_patient(&self.endpoint, clock, budget).await;
        process.catch_up().await;
        process
    }

    /// A process that reaches the engine through `proxy`, has loaded what there is, and lets a call wait for the proof of its
    /// answer for at most `budget`.
    pub(crate) async fn patient_process_behind(
        &self,
        proxy: &FaultProxy,
        clock: Arc<dyn Clock>,
        budget: Duration,
    ) -> Process {
        let endpoint = self.endpoint_behind(proxy);
        let process = Process::start_patient(&endpoint, clock, budget).await;
        process.catch_up().await;
        process
    }

    fn endpoint_behind(&self, proxy: &FaultProxy) -> Endpoint {
        Endpoint {
            url: Some(proxy.url()),
            ..self.endpoint.clone()
        }
    }

    /// The store as it is reached through `proxy`.
    pub(crate) async fn store_behind(&self, proxy: &FaultProxy) -> Store {
        Store::connect(&self.endpoint_behind(proxy), StoreRequests::default()).await
    }

    /// A proxy in front of the engine, without faults for now.
    pub(crate) async fn proxy(&self) -> FaultProxy {
        FaultProxy::before(&self.running.url).await
    }

    /// Where the tables are, for a client of one's own.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What `journal verify` says.
    pub(crate) async fn verification(&self) -> Verification {
        until_answered(|| self.store.verify(None)).await
    }

    /// Fails unless the chain is unbroken and every row complete.
    pub(crate) async fn assert_sound(&self) {
        let findings = self.verification().await.findings;
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
