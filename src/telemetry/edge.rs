//! What is counted at the edge: connections, by listener.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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

/// The edge's metrics of the process. Cloning shares the counts.
#[derive(Debug, Clone, Default)]
pub struct EdgeMetrics {
    /// `traffic_cop_connections`: open connections, by listener.
    open: Family<ListenerLabels, Gauge>,
    /// `traffic_cop_connections_refused_total`: connections that were ended for what their caller did or left undone, or to make
    /// room, by listener and reason.
    refused: Family<RefusalLabels, Counter>,
}

impl EdgeMetrics {
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
