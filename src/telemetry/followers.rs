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
    /// `traffic_cop_webhook_deliveries_total`: attempts to deliver an event, by webhook and what they came to.
    deliveries: Family<DeliveryLabels, Counter>,
    /// `traffic_cop_webhook_behind` and its like: what this process has to deliver, by webhook, while it leads.
    webhooks: Arc<Mutex<BTreeMap<String, Backlog>>>,
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
struct WebhookLabels {
    webhook: String,
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
        *self.locked_webhooks() = backlogs;
    }

    /// What there is to deliver, by webhook; nothing unless this process leads.
    #[must_use]
    pub fn webhooks(&self) -> BTreeMap<String, Backlog> {
        self.locked_webhooks().clone()
    }

    /// A short critical section that replaces or copies the whole value.
    fn locked_webhooks(&self) -> MutexGuard<'_, BTreeMap<String, Backlog>> {
        self.webhooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "follower_leads",
            "1 while this process does what only one does",
            self.leads.clone(),
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
}
