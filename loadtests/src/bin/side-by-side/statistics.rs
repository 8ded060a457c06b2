//! The few figures that reports are made of.

use serde::Serialize;

/// The middle of several measurements of one thing, and how far they spread.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of `values`, of which there must be at least one: of none, every figure is NaN, which passes no bar.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else {
            return Self {
                median: f64::NAN,
                min: f64::NAN,
                max: f64::NAN,
            };
        };
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Self {
            median,
            min: *min,
            max: *max,
        }
    }
}

/// Percentiles of latency in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    /// Half of the requests took no longer.
    pub(crate) p50_us: f64,
    /// 90 % took no longer.
    pub(crate) p90_us: f64,
    /// 99 % took no longer.
    pub(crate) p99_us: f64,
    /// 99.9 % took no longer.
    pub(crate) p999_us: f64,
    /// The slowest.
    pub(crate) max_us: f64,
}

impl Latency {
    /// Exact percentiles (nearest rank) of `latencies_ns`; all 0 if there are none.
    pub(crate) fn of(mut latencies_ns: Vec<u32>) -> Self {
        latencies_ns.sort_unstable();
        let at = |permille: usize| {
            let rank = (latencies_ns.len() * permille).div_ceil(1000);
            latencies_ns
                .get(rank.saturating_sub(1))
                .map_or(0.0, |ns| f64::from(*ns) / 1000.0)
        };
        Self {
            p50_us: at(500),
            p90_us: at(900),
            p99_us: at(990),
            p999_us: at(999),
            max_us: at(1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0]).median, 3.0);
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let latency = Latency::of((1..=1000).map(|us| us * 1000).collect());
        assert_eq!(
            (
                latency.p50_us,
                latency.p99_us,
                latency.p999_us,
                latency.max_us
            ),
            (500.0, 990.0, 999.0, 1000.0)
        );
    }
}
