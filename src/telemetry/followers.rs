//! What followers of the journal do, and how far behind they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// A gauge of seconds.
type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Metrics of the followers. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct FollowerMetrics {
    /// `traffic_cop_follower_leads`: 1 while this process does what only one does, by what that is.
    leads: Family<FollowerLabels, Gauge>,
    /// `traffic_cop_follower_ticks_total`: looks at what there is to do, by what it is and what they came to.
    ticks: Family<TickLabels, Counter>,
    /// `traffic_cop_webhook_deliveries_total`: attempts to deliver an event, by webhook and what they came to.
    deliveries: Family<DeliveryLabels, Counter>,
    /// `traffic_cop_webhook_behind` and its like: what this process has to deliver, by webhook, while it leads.
    webhooks: Arc<Mutex<BTreeMap<String, Backlog>>>,
    /// `traffic_cop_mirror_requests_total`: requests about the data table and its rows, by what was asked and what it came to.
    mirror_requests: Family<RequestLabels, Counter>,
    /// `traffic_cop_mirror_corrections_total`: rows that others had changed and that were put right, by environment.
    mirror_corrections: Family<RowLabels, Counter>,
    /// `traffic_cop_mirror_behind_seconds` and its like: how the rows stand, by environment, while this process leads.
    rows: Arc<Mutex<BTreeMap<String, RowLag>>>,
}

/// How the row of an environment stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowLag {
    /// For how long it has been known not to say what the journal says; zero if it does.
    pub behind: Duration,
    /// What is in the way, if something is.
    pub obstacle: Option<String>,
}

/// What a webhook has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Journal entries behind the last that was dealt with. Not all of them need be for this webhook.
    pub entries: u64,
    /// How old the oldest event is that has to be delivered; zero if there is none.
    pub age: Duration,
    /// What holds it up, if something does.
    pub obstacle: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FollowerLabels {
    follower: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TickLabels {
    follower: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RowLabels {
    environment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    request: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    webhook: String,
    outcome: &'static str,
}

impl FollowerMetrics {
    /// Says whether this process is the one that does what `follower` does.
    pub fn leads(&self, follower: &'static str, leads: bool) {
        self.leads
            .get_or_create(&FollowerLabels { follower })
            .set(i64::from(leads));
    }

    /// Counts a look of `follower` at what there is to do.
    pub fn tick(&self, follower: &'static str, outcome: &'static str) {
        let labels = TickLabels { follower, outcome };
        self.ticks.get_or_create(&labels).inc();
    }

    /// Counts an attempt to deliver an event.
    pub fn delivery(&self, webhook: &str, outcome: &'static str) {
        let labels = DeliveryLabels {
            webhook: webhook.to_owned(),
            outcome,
        };
        self.deliveries.get_or_create(&labels).inc();
    }

    /// Says what there is to deliver, of every webhook.
    pub fn set_webhooks(&self, backlogs: BTreeMap<String, Backlog>) {
        *locked(&self.webhooks) = backlogs;
    }

    /// What there is to deliver, by webhook; nothing unless this process leads.
    #[must_use]
    pub fn webhooks(&self) -> BTreeMap<String, Backlog> {
        locked(&self.webhooks).clone()
    }

    /// Counts a request about the data table or a row.
    pub fn mirror_request(&self, request: &'static str, outcome: &'static str) {
        let labels = RequestLabels { request, outcome };
        self.mirror_requests.get_or_create(&labels).inc();
    }

    /// Counts a row that others had changed and that is put right.
    pub fn mirror_correction(&self, environment: &str) {
        let environment = environment.to_owned();
        let labels = RowLabels { environment };
        self.mirror_corrections.get_or_create(&labels).inc();
    }

    /// Says how the rows stand, of every environment.
    pub fn set_rows(&self, rows: BTreeMap<String, RowLag>) {
        *locked(&self.rows) = rows;
    }

    /// How the rows stand, by environment; nothing unless this process leads.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<String, RowLag> {
        locked(&self.rows).clone()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.register_webhooks(registry);
        self.register_mirror(registry);
    }

    fn register_webhooks(&self, registry: &mut Registry) {
        registry.register(
            "follower_leads",
            "1 while this process does what only one does",
            self.leads.clone(),
        );
        registry.register(
            "follower_ticks",
            "Looks at what only one process does, and what they came to",
            self.ticks.clone(),
        );
        registry.register(
            "webhook_deliveries",
            "Attempts to deliver an event to a webhook, and what they came to",
            self.deliveries.clone(),
        );
        // Made anew: a family keeps every name that it has had.
        let behind = Family::<WebhookLabels, Gauge>::default();
        let age = Family::<WebhookLabels, Seconds>::default();
        let held_up = Family::<WebhookLabels, Gauge>::default();
        for (webhook, backlog) in self.webhooks() {
            let labels = WebhookLabels { webhook };
            let entries = i64::try_from(backlog.entries).unwrap_or(i64::MAX);
            behind.get_or_create(&labels).set(entries);
            age.get_or_create(&labels).set(backlog.age.as_secs_f64());
            let is_held_up = i64::from(backlog.obstacle.is_some());
            held_up.get_or_create(&labels).set(is_held_up);
        }
        registry.register(
            "webhook_behind",
            "Journal entries that a webhook has not been told of, while this process leads",
            behind,
        );
        registry.register_with_unit(
            "webhook_oldest",
            "Age of the oldest event that a webhook has not taken",
            Unit::Seconds,
            age,
        );
        registry.register(
            "webhook_held_up",
            "1 while something keeps a webhook from being told",
            held_up,
        );
    }

    fn register_mirror(&self, registry: &mut Registry) {
        registry.register(
            "mirror_requests",
            "Requests about the data table in Genesys Cloud and its rows, and what they came to",
            self.mirror_requests.clone(),
        );
        registry.register(
            "mirror_corrections",
            "Rows of the data table that others had changed and that were put right",
            self.mirror_corrections.clone(),
        );
        // Made anew, as above.
        let behind = Family::<RowLabels, Seconds>::default();
        let held_up = Family::<RowLabels, Gauge>::default();
        for (environment, lag) in self.rows() {
            let labels = RowLabels { environment };
            let seconds = lag.behind.as_secs_f64();
            behind.get_or_create(&labels).set(seconds);
            let is_held_up = i64::from(lag.obstacle.is_some());
            held_up.get_or_create(&labels).set(is_held_up);
        }
        registry.register_with_unit(
            "mirror_behind",
            "For how long a row has been known not to say what the journal says, while this process leads",
            Unit::Seconds,
            behind,
        );
        registry.register(
            "mirror_held_up",
            "1 while something keeps a row from being read or written",
            held_up,
        );
    }
}

/// A short critical section that replaces or copies the whole value.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
