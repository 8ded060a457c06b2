//! What can go wrong with a call, and a value for each.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A way in which a call can end badly.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The caller hung up in the flow.
    Abandon,
    /// The flow failed, or hung up on the caller.
    Error,
    /// The call went to a person.
    Transfer,
    /// The flow did not settle what the caller came for.
    Containment,
}

/// A text names no metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid metric: expected abandon, error, transfer or containment")]
pub struct InvalidMetric;

impl Metric {
    /// Every metric, in the order of reports.
    pub const ALL: [Self; 4] = [
        Self::Abandon,
        Self::Error,
        Self::Transfer,
        Self::Containment,
    ];

    /// The token of the wire, the tables and the telemetry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abandon => "abandon",
            Self::Error => "error",
            Self::Transfer => "transfer",
            Self::Containment => "containment",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Metric {
    type Err = InvalidMetric;

    fn from_str(text: &str) -> Result<Self, InvalidMetric> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.as_str() == text)
            .ok_or(InvalidMetric)
    }
}

/// One value per metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "T: Default + Deserialize<'de>")
)]
pub struct ByMetric<T> {
    /// The value for [`Metric::Abandon`].
    #[serde(default)]
    pub abandon: T,
    /// The value for [`Metric::Error`].
    #[serde(default)]
    pub error: T,
    /// The value for [`Metric::Transfer`].
    #[serde(default)]
    pub transfer: T,
    /// The value for [`Metric::Containment`].
    #[serde(default)]
    pub containment: T,
}

impl<T> ByMetric<T> {
    /// The value that `make` gives for each metric.
    pub fn from_fn(mut make: impl FnMut(Metric) -> T) -> Self {
        Self {
            abandon: make(Metric::Abandon),
            error: make(Metric::Error),
            transfer: make(Metric::Transfer),
            containment: make(Metric::Containment),
        }
    }

    /// All values with their metrics.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, &T)> {
        Metric::ALL
            .into_iter()
            .map(|metric| (metric, &self[metric]))
    }

    /// All values with their metrics, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Metric, &mut T)> {
        Metric::ALL.into_iter().zip([
            &mut self.abandon,
            &mut self.error,
            &mut self.transfer,
            &mut self.containment,
        ])
    }
}

impl<T> Index<Metric> for ByMetric<T> {
    type Output = T;

    fn index(&self, metric: Metric) -> &T {
        match metric {
            Metric::Abandon => &self.abandon,
            Metric::Error => &self.error,
            Metric::Transfer => &self.transfer,
            Metric::Containment => &self.containment,
        }
    }
}

impl<T> IndexMut<Metric> for ByMetric<T> {
    fn index_mut(&mut self, metric: Metric) -> &mut T {
        match metric {
            Metric::Abandon => &mut self.abandon,
            Metric::Error => &mut self.error,
            Metric::Transfer => &mut self.transfer,
            Metric::Containment => &mut self.containment,
        }
    }
}

/// Some of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MetricSet(u8);

impl MetricSet {
    /// No metric.
    pub const NONE: Self = Self(0);

    /// Whether `metric` is one of them.
    #[must_use]
    pub fn contains(self, metric: Metric) -> bool {
        self.0 & Self::from(metric).0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// These and `others`.
    #[must_use]
    pub fn and(self, others: impl Into<Self>) -> Self {
        Self(self.0 | others.into().0)
    }

    /// These without `others`.
    #[must_use]
    pub fn without(self, others: impl Into<Self>) -> Self {
        Self(self.0 & !others.into().0)
    }

    /// These, in the order of [`Metric::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Metric> {
        Metric::ALL
            .into_iter()
            .filter(move |metric| self.contains(*metric))
    }

    /// A byte that stands for this set, for digests and storage.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set that `bits` stands for; `None` if it has a metric that is not known here.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        let known: Self = Metric::ALL.into_iter().collect();
        (bits & !known.0 == 0).then_some(Self(bits))
    }
}

impl From<Metric> for MetricSet {
    fn from(metric: Metric) -> Self {
        Self(1 << metric as u8)
    }
}

impl FromIterator<Metric> for MetricSet {
    fn from_iter<I: IntoIterator<Item = Metric>>(metrics: I) -> Self {
        metrics.into_iter().fold(Self::NONE, Self::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for metric in Metric::ALL {
            assert_eq!(metric.to_string().parse(), Ok(metric));
            assert_eq!(
                serde_json::to_string(&metric).unwrap(),
                format!("\"{metric}\"")
            );
        }
        assert_eq!("Abandon".parse::<Metric>(), Err(InvalidMetric));
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: MetricSet = [Metric::Error, Metric::Containment].into_iter().collect();
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [Metric::Error, Metric::Containment]
        );
        assert!(
            set.without(Metric::Error)
                .without(Metric::Containment)
                .is_empty()
        );
        assert_eq!(MetricSet::from_bits(set.bits()), Some(set));
        assert_eq!(MetricSet::from_bits(16), None);
    }
}
