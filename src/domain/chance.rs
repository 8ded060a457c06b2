//! What chance alone explains: how far a share may stray from what was set, and how well a rate is known. For people to look
//! at; nothing is decided by it.

/// The standard normal's 97.5 % point.
const Z: f64 = 1.959_963_984_540_054;
/// How many standard deviations from the mean a binomial is summed; what lies beyond is less than a double can tell.
const REACH: f64 = 9.0;

/// From one share to another, both from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Range {
    /// Whether `share` lies in it, ends included.
    #[must_use]
    pub fn contains(&self, share: f64) -> bool {
        (self.low..=self.high).contains(&share)
    }
}

/// Where the share of `calls` draws with probability `share` lies 19 times of 20: the central quantiles of the binomial
/// distribution, summed exactly. `None` without calls.
#[must_use]
pub fn spread(calls: u64, share: f64) -> Option<Range> {
    if calls == 0 {
        return None;
    }
    if share <= 0.0 || share >= 1.0 {
        let end = share.clamp(0.0, 1.0);
        return Some(Range {
            low: end,
            high: end,
        });
    }
    let n = calls as f64;
    let deviation = (n * share * (1.0 - share)).sqrt();
    let first = (n * share - REACH * deviation - REACH).floor().max(0.0);
    let last = (n * share + REACH * deviation + REACH).ceil().min(n);
    let (ln_share, ln_rest) = (libm::log(share), libm::log(1.0 - share));
    let ln_first =
        libm::lgamma(n + 1.0) - libm::lgamma(first + 1.0) - libm::lgamma(n - first + 1.0)
            + first * ln_share
            + (n - first) * ln_rest;
    let (mut probability, mut below, mut at) = (libm::exp(ln_first), 0.0, first);
    let mut low = None;
    loop {
        below += probability;
        if low.is_none() && below >= 0.025 {
            low = Some(at);
        }
        if below >= 0.975 || at >= last {
            break;
        }
        probability *= (n - at) / (at + 1.0) * share / (1.0 - share);
        at += 1.0;
    }
    Some(Range {
        low: low.unwrap_or(first) / n,
        high: at / n,
    })
}

/// Where a rate lies of which `bad` of `calls` were seen, 19 times of 20: the score interval (Wilson, "Probable Inference, the
/// Law of Succession, and Statistical Inference", JASA 22, 1927). `None` without calls.
#[must_use]
pub fn rate(bad: u64, calls: u64) -> Option<Range> {
    if calls == 0 {
        return None;
    }
    let n = calls as f64;
    let seen = bad.min(calls) as f64 / n;
    let shrink = 1.0 + Z * Z / n;
    let middle = (seen + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (seen * (1.0 - seen) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Range {
        low: (middle - half).max(0.0),
        high: (middle + half).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probability of so many hits, by multiplication.
    fn binomial(n: u64, k: u64, p: f64) -> f64 {
        let ways = (1..=k).fold(1.0, |ways, i| ways * (n - k + i) as f64 / i as f64);
        ways * p.powi(i32::try_from(k).unwrap()) * (1.0 - p).powi(i32::try_from(n - k).unwrap())
    }

    #[test]
    fn the_spread_holds_nineteen_of_twenty_and_one_hit_less_on_either_side_does_not() {
        for (n, p) in [(20, 0.05), (50, 0.5), (200, 0.05), (200, 0.95), (7, 0.3)] {
            let range = spread(n, p).unwrap();
            let (low, high) = (range.low * n as f64, range.high * n as f64);
            let (low, high) = (low.round() as u64, high.round() as u64);
            let up_to = |k: u64| (0..=k).map(|k| binomial(n, k, p)).sum::<f64>();
            assert!(up_to(low) >= 0.025 && up_to(high) >= 0.975, "{n} {p}");
            assert!(low == 0 || up_to(low - 1) < 0.025, "{n} {p}");
            assert!(up_to(high - 1) < 0.975, "{n} {p}");
        }
    }

    #[test]
    fn many_calls_leave_little_to_chance_and_none_leave_everything() {
        let many = spread(10_000_000, 0.05).unwrap();
        assert!((many.low - 0.049_865).abs() < 2e-6, "{many:?}");
        assert!((many.high - 0.050_135).abs() < 2e-6, "{many:?}");
        assert!(many.contains(0.05) && !many.contains(0.0502));
        assert_eq!(spread(0, 0.05), None);
        let certain = Range {
            low: 1.0,
            high: 1.0,
        };
        assert_eq!(spread(10, 1.0), Some(certain));
    }

    #[test]
    fn a_rate_is_known_as_wilson_says() {
        // From the paper's formula by hand: 5 of 50.
        let known = rate(5, 50).unwrap();
        assert!((known.low - 0.043_48).abs() < 1e-4, "{known:?}");
        assert!((known.high - 0.213_60).abs() < 1e-4, "{known:?}");
        let none = rate(0, 30).unwrap();
        assert!(none.low == 0.0 && none.high > 0.1);
        assert_eq!(rate(0, 0), None);
        assert!(rate(30, 30).unwrap().high > 0.999);
    }
}
