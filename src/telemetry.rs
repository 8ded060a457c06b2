//! Every metric: its name, unit and labels. And which trace something belongs to ([`trace_context`]), and who is told ([`spans`]).

mod alarm;
mod edge;
mod followers;
mod histogram;
pub mod spans;
mod store_requests;
pub mod trace_context;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use alarm::{Alarm, Alarms};
pub use edge::{EdgeMetrics, ListenerMetrics};
pub use followers::{Backlog, FollowerMetrics, RowLag};
pub use histogram::AtomicHistogram;
pub use store_requests::{StoreOperation, StoreRequests};

use crate::domain::decision::Reason;
use crate::domain::ids::Sequence;
use crate::domain::slot::{BySlot, Slot};

/// All metrics of the process. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// `traffic_cop_decisions_total`: decisions, by what was decided and how. Read through [`Metrics::decisions`].
    decisions: Family<DecisionLabels, Counter>,
    /// `traffic_cop_decision_duration_seconds`: from the request's head to its answer, inside this process.
    pub decision_duration: AtomicHistogram,
    /// `traffic_cop_problems_total`: answers that are problem documents, by type.
    pub problems: Family<ProblemLabels, Counter>,
    /// `traffic_cop_store_requests_total`: requests to the store on the wire, repeats included, by operation.
    pub store_requests: StoreRequests,
    /// Connections, by listener.
    pub edge: EdgeMetrics,
    /// `traffic_cop_writes_total`: commands, by action and what they came to.
    pub writes: Family<WriteLabels, Counter>,
    /// `traffic_cop_replica_sequence`: the last journal entry this replica has applied.
    pub replica_sequence: Gauge,
    /// `traffic_cop_replica_polls_total`: polls of the journal, by outcome.
    pub polls: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_replica_last_contact_seconds`: monotonic time at which the last poll began that proved the journal.
    pub last_contact: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// `traffic_cop_validations_total`: requests for a validated answer, by what came of the wait.
    pub validations: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_validation_breaker_open`: 1 while such requests are not kept waiting, since the store is away.
    pub validation_breaker_open: Gauge,
    /// `traffic_cop_alarm`: 1 while a condition needs a person, by condition.
    pub alarms: Alarms,
    /// `traffic_cop_access_tokens_total`: requests for OAuth access tokens, by outcome.
    access_tokens: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_issuer_keys_total`: requests for the keys of issuers, by outcome.
    issuer_keys: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_records_passed_over_total`: journal entries that could not be taken as they are, by why.
    pub passed_over: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_heartbeats_total`: heartbeats written and reads of everyone's, by outcome.
    pub heartbeats: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_heartbeat_calls_bytes`: what the last heartbeat says of calls; the store charges by size.
    pub heartbeat_calls: Gauge,
    /// `traffic_cop_live_replicas`: replicas that were alive at the last look at their heartbeats.
    pub live_replicas: Gauge,
    /// `traffic_cop_receipts_total`: receipts that a write waited for, by what they came to.
    pub receipts: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_exposures_total`: decisions that are evidence about a rollout, by whether they were written or dropped.
    pub exposures: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_outcomes_total`: outcomes of calls that were reported, by whether they were written, refused or ignored.
    pub outcomes: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_controller_leads`: 1 while this process carries out rollouts.
    pub controller_leads: Gauge,
    /// `traffic_cop_controller_ticks_total`: looks of this process's controller at the rollouts, by what they came to.
    pub controller_ticks: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_analytics_questions_total`: questions to the platform's analytics, by what they came to.
    pub analytics_questions: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_preflights_total`: looks at flows before callers are sent there, by what they came to.
    pub preflights: Family<OutcomeLabels, Counter>,
    /// Followers of the journal: webhooks, and the data table in Genesys Cloud.
    pub followers: FollowerMetrics,
    /// `traffic_cop_spans_total`: spans for a collector, by whether it took them.
    pub spans: Family<OutcomeLabels, Counter>,
    /// `traffic_cop_event_streams`: clients that follow changes.
    pub event_streams: Gauge,
    /// `traffic_cop_events_total`: events sent to them.
    pub events: Counter,
    /// `traffic_cop_journal_head`: place of the last entry applied here a minute ago or less, by its hash.
    journal_head: Arc<Mutex<Option<(HeadLabels, i64)>>>,
}

/// Labels of the journal's end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeadLabels {
    hash: String,
}

/// Labels of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    environment: String,
    slot: &'static str,
    reason: &'static str,
    source: &'static str,
}

/// Labels of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProblemLabels {
    /// The problem's type.
    pub problem: &'static str,
}

/// Labels of a write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WriteLabels {
    /// The command.
    pub action: &'static str,
    /// What it came to.
    pub outcome: &'static str,
}

/// One label for how something came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// How.
    pub outcome: &'static str,
}

/// Counters of one environment's decisions from one source, found once and then counted without a look-up.
#[derive(Debug, Clone)]
pub struct DecisionCounters(BySlot<[Counter; Reason::ALL.len()]>);

impl DecisionCounters {
    /// Counts one decision.
    pub fn count(&self, slot: Slot, reason: Reason) {
        self.0[slot][reason as usize].inc();
    }

    /// Decisions to `slot` so far that a draw has made by the weight.
    #[must_use]
    pub fn drawn(&self, slot: Slot) -> u64 {
        self.0[slot][Reason::Weighted as usize].get()
    }

    /// Decisions to `slot` so far, whatever the reason.
    #[must_use]
    pub fn total(&self, slot: Slot) -> u64 {
        self.0[slot].iter().map(Counter::get).sum()
    }
}

impl Metrics {
    /// The counters for decisions of `environment` from `source`.
    #[must_use]
    pub fn decisions(&self, environment: &str, source: &'static str) -> DecisionCounters {
        DecisionCounters(BySlot::from_fn(|slot| {
            Reason::ALL.map(|reason| {
                let labels = DecisionLabels {
                    environment: environment.to_owned(),
                    slot: slot.as_str(),
                    reason: reason.as_str(),
                    source,
                };
                self.decisions.get_or_create(&labels).clone()
            })
        }))
    }

    /// Counts one problem document.
    pub fn problem(&self, problem: &'static str) {
        self.problems
            .get_or_create(&ProblemLabels { problem })
            .inc();
    }

    /// Counts one request for an access token.
    pub fn access_token(&self, outcome: &'static str) {
        self.access_tokens
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
    }

    /// Counts one request for an issuer's keys.
    pub fn issuer_keys(&self, outcome: &'static str) {
        self.issuer_keys
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
    }

    /// Tells where the journal ends: at entry `sequence`, which has this hash.
    pub fn tell_journal_head(&self, sequence: Sequence, hash: String) {
        let sequence = i64::try_from(sequence.0).unwrap_or(i64::MAX);
        *self.locked_journal_head() = Some((HeadLabels { hash }, sequence));
    }

    /// A short critical section that replaces the whole value.
    fn locked_journal_head(&self) -> MutexGuard<'_, Option<(HeadLabels, i64)>> {
        self.journal_head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The exposition in OpenMetrics text format.
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut registry = Registry::with_prefix("traffic_cop");
        registry.register(
            "build",
            "The running binary",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register("decisions", "Decisions", self.decisions.clone());
        registry.register_with_unit(
            "decision_duration",
            "From the request's head to its answer, inside this process",
            Unit::Seconds,
            self.decision_duration.clone(),
        );
        registry.register(
            "problems",
            "Answers that are problem documents",
            self.problems.clone(),
        );
        self.edge.register(&mut registry);
        registry.register(
            "store_requests",
            "Requests to the store on the wire, repeats included",
            self.store_requests.family(),
        );
        registry.register(
            "writes",
            "Commands and what they came to",
            self.writes.clone(),
        );
        registry.register(
            "replica_sequence",
            "The last journal entry applied here",
            self.replica_sequence.clone(),
        );
        registry.register("replica_polls", "Polls of the journal", self.polls.clone());
        registry.register_with_unit(
            "replica_last_contact",
            "Time since the process started at which a poll last proved the journal",
            Unit::Seconds,
            self.last_contact.clone(),
        );
        registry.register(
            "validations",
            "Requests for a validated answer, by what came of the wait",
            self.validations.clone(),
        );
        registry.register(
            "validation_breaker_open",
            "1 while such requests are not kept waiting, since the store is away",
            self.validation_breaker_open.clone(),
        );
        registry.register(
            "alarm",
            "1 while a condition needs a person",
            self.alarms.gauges.clone(),
        );
        registry.register(
            "access_tokens",
            "Requests for OAuth access tokens",
            self.access_tokens.clone(),
        );
        registry.register(
            "issuer_keys",
            "Requests for the keys of issuers",
            self.issuer_keys.clone(),
        );
        registry.register(
            "records_passed_over",
            "Journal entries that could not be taken as they are",
            self.passed_over.clone(),
        );
        registry.register(
            "heartbeats",
            "Heartbeats written and reads of everyone's",
            self.heartbeats.clone(),
        );
        registry.register_with_unit(
            "heartbeat_calls",
            "What the last heartbeat says of calls",
            Unit::Bytes,
            self.heartbeat_calls.clone(),
        );
        registry.register(
            "live_replicas",
            "Replicas that were alive at the last look at their heartbeats",
            self.live_replicas.clone(),
        );
        registry.register(
            "receipts",
            "Receipts that a write waited for, and what they came to",
            self.receipts.clone(),
        );
        registry.register(
            "exposures",
            "Decisions that are evidence about a rollout, and whether they were written",
            self.exposures.clone(),
        );
        registry.register(
            "outcomes",
            "Reported outcomes of calls, and whether they were written",
            self.outcomes.clone(),
        );
        registry.register(
            "controller_leads",
            "1 while this process carries out rollouts",
            self.controller_leads.clone(),
        );
        registry.register(
            "controller_ticks",
            "Looks at the rollouts, and what they came to",
            self.controller_ticks.clone(),
        );
        registry.register(
            "analytics_questions",
            "Questions to the platform's analytics, and what they came to",
            self.analytics_questions.clone(),
        );
        self.followers.register(&mut registry);
        registry.register(
            "preflights",
            "Looks at flows before callers are sent there, and what they came to",
            self.preflights.clone(),
        );
        registry.register(
            "spans",
            "Spans for a collector, and whether it took them",
            self.spans.clone(),
        );
        registry.register(
            "event_streams",
            "Clients that follow changes",
            self.event_streams.clone(),
        );
        registry.register("events", "Events sent to them", self.events.clone());
        // Made anew: a family keeps every hash that it has had.
        let head = Family::<HeadLabels, Gauge>::default();
        if let Some((labels, sequence)) = &*self.locked_journal_head() {
            head.get_or_create(labels).set(*sequence);
        }
        registry.register(
            "journal_head",
            "Place of the last journal entry, by its hash; told once a minute",
            head,
        );
        let mut exposition = String::new();
        // Writing to a String cannot fail.
        text::encode(&mut exposition, &registry).expect("text in memory");
        exposition
    }
}
