//! A histogram that a decision can afford: fixed buckets, one atomic addition, no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Upper bounds of the buckets in microseconds, from what a decision costs to what a caller would notice.
const BOUNDS_US: [u64; 12] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 25_000, 100_000, 250_000,
];

/// Counts durations by size. Cloning shares the counts.
#[derive(Debug, Clone, Default)]
pub struct AtomicHistogram(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl AtomicHistogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US
            .iter()
            .position(|bound| ns <= bound * 1_000)
            .unwrap_or(BOUNDS_US.len());
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl EncodeMetric for AtomicHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = BOUNDS_US
            .iter()
            .map(|us| *us as f64 / 1e6)
            .chain([f64::INFINITY]);
        let counts = self
            .0
            .buckets
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_ns.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_smallest_bucket_that_holds_them() {
        let metrics = crate::telemetry::Metrics::default();
        for us in [1, 10, 11, 300_000] {
            metrics.decision_duration.observe(Duration::from_micros(us));
        }
        let exposition = metrics.exposition();
        let line = |bound: &str, count: u64| {
            format!("traffic_cop_decision_duration_seconds_bucket{{le=\"{bound}\"}} {count}\n")
        };
        for (bound, count) in [("0.00001", 2), ("0.000025", 3), ("0.25", 3), ("+Inf", 4)] {
            assert!(
                exposition.contains(&line(bound, count)),
                "{bound} {count} in\n{exposition}"
            );
        }
        assert!(
            exposition.contains("traffic_cop_decision_duration_seconds_count 4\n"),
            "{exposition}"
        );
    }
}
