//! Numbers and times as people read them. All times are UTC, and pages say so.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment: for machines, and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// RFC 3339.
    pub(super) exact: String,
    /// The time of day, and the day if it is another than that of `now`.
    pub(super) text: String,
    /// How long ago, or in how long.
    pub(super) distance: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let day = |time: Timestamp| time.strftime("%F").to_string();
        let text = if day(at) == day(now) {
            at.strftime("%H:%M:%S").to_string()
        } else {
            at.strftime("%F %H:%M").to_string()
        };
        let away = at.duration_since(now);
        let distance = if away.is_positive() {
            format!("in {}", span(away.unsigned_abs()))
        } else {
            format!("{} ago", span(away.unsigned_abs()))
        };
        Self {
            exact: at.to_string(),
            text,
            distance,
        }
    }
}

/// A duration with as much detail as matters.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{minutes} min"),
        7_200..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} days"),
    }
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share, from 0 to 1, in percent with as many decimals as matter.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let nearness = percent.min(100.0 - percent);
    let text = if nearness > 0.0 && nearness < 1.0 {
        format!("{percent:.2}")
    } else {
        format!("{percent:.1}")
    };
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    text.to_owned()
}

/// `part` of `whole`, from 0 to 1; `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// So many calls in a time.
pub(super) fn rate(calls: u64, seconds: u64) -> String {
    let per_second = calls as f64 / seconds.max(1) as f64;
    match per_second {
        rate if rate <= 0.0 => "no calls".to_owned(),
        rate if rate < 0.95 => format!("{:.1} calls a minute", rate * 60.0),
        rate if rate < 10.0 => format!("{rate:.1} calls a second"),
        rate => format!("{} calls a second", count(rate.round() as u64)),
    }
}

/// How long ago `at` was; nothing if it is to come.
pub(super) fn since(at: Timestamp, now: Timestamp) -> Duration {
    let passed = now.duration_since(at).max(SignedDuration::ZERO);
    passed.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count).join(" "),
            "0 999 1,000 1,234,567"
        );
        let shares = [0.0, 0.05, 0.0512, 0.5, 0.99, 0.9987, 1.0, 0.0004];
        assert_eq!(
            shares.map(percent).join(" "),
            "0 5 5.1 50 99 99.87 100 0.04"
        );
        assert_eq!(rate(0, 60), "no calls");
        assert_eq!(rate(6, 240), "1.5 calls a minute");
        assert_eq!(rate(1_000, 250), "4.0 calls a second");
        assert_eq!(rate(300_000, 250), "1,200 calls a second");
    }

    #[test]
    fn times_are_told_as_near_as_they_matter() {
        let now: Timestamp = "2026-01-05T02:00:00Z".parse().unwrap();
        let moment = |text: &str| Moment::new(text.parse().unwrap(), now);
        let near = moment("2026-01-05T01:57:30Z");
        assert_eq!(
            (near.text.as_str(), near.distance.as_str()),
            ("01:57:30", "2 min ago")
        );
        let far = moment("2026-01-07T02:00:00Z");
        assert_eq!(
            (far.text.as_str(), far.distance.as_str()),
            ("2026-01-07 02:00", "in 2 days")
        );
        assert_eq!(span(Duration::from_secs(3_700 * 3)), "3 h 5 min");
        assert_eq!(span(Duration::from_secs(119)), "119 s");
    }
}
