//! What is counted at the edge: connections, by listener.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The label of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

/// Labels of a connection that had to end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    listener: &'static str,
    reason: &'static str,
}

/// The label of a class of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

/// The label of the threads that something runs on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ThreadsLabels {
    threads: &'static str,
}

/// The edge's metrics of the process. Cloning shares the counts.
#[derive(Debug, Clone, Default)]
pub struct EdgeMetrics {
    /// `traffic_cop_connections`: open connections, by listener.
    open: Family<ListenerLabels, Gauge>,
    /// `traffic_cop_connections_refused_total`: connections that were ended for what their caller did or left undone, or to make
    /// room, by listener and reason.
    refused: Family<RefusalLabels, Counter>,
    /// `traffic_cop_requests_put_off_total`: requests answered 503 because others come first, by class.
    put_off: Family<ClassLabels, Counter>,
    /// `traffic_cop_turn_wait_seconds`: how long what arrives waits for its turn, by threads.
    waits: Family<ThreadsLabels, Gauge<f64, AtomicU64>>,
}

impl EdgeMetrics {
    /// Counts a request of `class` that is put off.
    pub fn put_off(&self, class: &'static str) {
        self.put_off.get_or_create(&ClassLabels { class }).inc();
    }

    /// How long what arrives waits for its turn on `threads`.
    #[must_use]
    pub fn wait(&self, threads: &'static str) -> Gauge<f64, AtomicU64> {
        self.waits.get_or_create(&ThreadsLabels { threads }).clone()
    }

    /// What is counted of the connections of `listener`.
    #[must_use]
    pub fn of(&self, listener: &'static str) -> ListenerMetrics {
        ListenerMetrics {
            open: self
                .open
                .get_or_create(&ListenerLabels { listener })
                .clone(),
            listener,
            refused: self.refused.clone(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Open connections", self.open.clone());
        registry.register(
            "connections_refused",
            "Connections ended for what their caller did or left undone, or to make room",
            self.refused.clone(),
        );
        registry.register(
            "requests_put_off",
            "Requests put off because others come first",
            self.put_off.clone(),
        );
        registry.register_with_unit(
            "turn_wait",
            "How long what arrives waits for its turn",
            Unit::Seconds,
            self.waits.clone(),
        );
    }
}

/// What is counted of one listener's connections.
#[derive(Debug, Clone)]
pub struct ListenerMetrics {
    /// Open connections.
    pub open: Gauge,
    listener: &'static str,
    refused: Family<RefusalLabels, Counter>,
}

impl ListenerMetrics {
    /// Counts a connection that had to end.
    pub fn refused(&self, reason: &'static str) {
        let listener = self.listener;
        self.refused
            .get_or_create(&RefusalLabels { listener, reason })
            .inc();
    }
}
