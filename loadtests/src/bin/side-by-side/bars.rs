//! What a plain decision may cost, against the reference in the same run.

use serde::Serialize;

use crate::statistics::Spread;

/// A ratio's limit.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Limit {
    /// The ratio's median must not be above.
    AtMost(f64),
    /// The ratio's median must not be below.
    AtLeast(f64),
}

/// User instructions per request. They hardly depend on the machine, so this is the bar for automatic checks.
pub(crate) const INSTRUCTIONS: Limit = Limit::AtMost(0.80);

/// CPU time per request, user and kernel together.
pub(crate) const CPU: Limit = Limit::AtMost(0.95);

/// Requests per second on one core.
pub(crate) const THROUGHPUT: Limit = Limit::AtLeast(1.05);

/// CPU time per validated decision by that of a plain one, at 5,000 calls a second each.
pub(crate) const VALIDATED_CPU: Limit = Limit::AtMost(1.2);

/// Share of the answers that are proved, of those that were asked to be.
pub(crate) const PROVED: Limit = Limit::AtLeast(0.99);

/// Milliseconds that a validated decision takes beyond one read of the store, when nothing is shared.
pub(crate) const BEYOND_A_READ_MS: Limit = Limit::AtMost(0.3);

/// The slowest of a hundred answers while twenty people look at the dashboard, by the same while nobody does.
pub(crate) const DASHBOARDS_P99: Limit = Limit::AtMost(1.5);

/// Useful answers a second while ten times as many calls come as the server can take, by what it can take.
pub(crate) const GOODPUT: Limit = Limit::AtLeast(0.9);

/// Rollbacks of twenty that take no longer than a second meanwhile.
pub(crate) const ROLLBACKS: Limit = Limit::AtLeast(20.0);

/// Seconds after that until answers come as before.
pub(crate) const UNTIL_NORMAL_S: Limit = Limit::AtMost(2.0);

impl Limit {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::AtLeast(limit) => ratio >= limit,
        }
    }
}

/// A measured ratio, held against its limit if it is judged.
#[derive(Debug, Serialize)]
pub(crate) struct Bar {
    /// What was measured.
    pub(crate) what: &'static str,
    /// Candidate divided by reference.
    pub(crate) ratio: Spread,
    /// What the ratio's median must keep to.
    pub(crate) limit: Limit,
    /// Whether it does; `None` if this run compares the reference with itself.
    pub(crate) passed: Option<bool>,
}

impl Bar {
    /// Holds `ratio` against `limit`, if it is `judged`.
    pub(crate) fn new(what: &'static str, ratio: Spread, limit: Limit, judged: Judged) -> Self {
        let passed = match judged {
            Judged::Yes => Some(limit.holds(ratio.median)),
            Judged::No => None,
        };
        Self {
            what,
            ratio,
            limit,
            passed,
        }
    }

    /// The report's line.
    pub(crate) fn line(&self) -> String {
        let Spread { median, min, max } = self.ratio;
        let limit = match self.limit {
            Limit::AtMost(limit) => format!("≤ {limit:.2}"),
            Limit::AtLeast(limit) => format!("≥ {limit:.2}"),
        };
        let verdict = match self.passed {
            Some(true) => "PASS",
            Some(false) => "FAIL",
            None => "not judged",
        };
        format!(
            "{:<32} {median:.3} ({min:.3}–{max:.3})  bar {limit}  {verdict}",
            self.what
        )
    }
}

/// Whether a run's ratios are held against their bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The service is compared with the reference.
    Yes,
    /// The reference is compared with itself, to see the noise.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_at_its_limit_and_missed_without_a_figure() {
        let passed = |ratio, limit| Bar::new("x", Spread::of(ratio), limit, Judged::Yes).passed;
        assert_eq!(passed(vec![0.8], INSTRUCTIONS), Some(true));
        assert_eq!(passed(vec![0.81], INSTRUCTIONS), Some(false));
        assert_eq!(passed(vec![1.04], THROUGHPUT), Some(false));
        assert_eq!(passed(vec![], CPU), Some(false));
    }
}
