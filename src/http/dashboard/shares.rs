//! What callers get: the share that is set, and the one that they really got.

use std::time::Duration;

use jiff::Timestamp;

use super::words::{Moment, count, percent, rate, share, span};
use crate::domain::Environment;
use crate::domain::chance::{self, Range};
use crate::domain::environment::Content;
use crate::domain::ids::EnvironmentName;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;
use crate::replica::Served;
use crate::replica::meter::{KnownCalls, UnderShare};
use crate::store::heartbeats::Tally;

/// Width of the bar in its own units.
const WIDTH: f64 = 1_000.0;
/// Minutes over which the calls of all replicas are looked at, the present one included.
const LATELY: usize = 5;

/// What callers of an environment get.
#[derive(Debug)]
pub(super) struct Shares {
    /// Blue first.
    pub(super) slots: [SlotShare; 2],
    /// Where blue ends and green begins, and where that is set, in the bar.
    pub(super) split: String,
    pub(super) set: String,
    /// Where it may lie by chance: from, and how far.
    pub(super) spread: Option<(String, String)>,
    /// The bar in words.
    pub(super) label: String,
    /// What is behind it.
    pub(super) note: String,
    /// Whether chance alone does not explain it.
    pub(super) is_odd: bool,
    /// Calls of all replicas lately, and in which time.
    pub(super) rate: String,
}

/// A slot's part.
#[derive(Debug)]
pub(super) struct SlotShare {
    pub(super) slot: Slot,
    pub(super) is_active: bool,
    /// The flow version, or why there is none.
    pub(super) holds: String,
    /// Percent of new calls.
    pub(super) set: Weight,
    /// Percent of the calls that were counted under this share; none without calls.
    pub(super) got: Option<String>,
    pub(super) calls: String,
}

impl Shares {
    pub(super) fn of(
        known: &KnownCalls,
        name: &EnvironmentName,
        served: &Served,
        now: Timestamp,
    ) -> Self {
        let under_share = known.under_share(name, served.tally());
        let environment = &served.environment;
        let calls = under_share.tally.calls;
        let all = calls.blue + calls.green;
        let slots = Slot::BOTH.map(|slot| SlotShare {
            slot,
            is_active: slot == environment.active,
            holds: holds(environment, slot, now),
            set: environment.share(slot),
            got: share(calls[slot], all).map(percent),
            calls: count(calls[slot]),
        });
        let set = fraction(environment.share(Slot::Blue));
        let got = share(calls.blue, all);
        let drawn = Drawn::of(environment, &under_share.tally);
        Self {
            split: place(got.unwrap_or(set)),
            set: place(set),
            spread: drawn
                .spread
                .map(|range| of_blue(environment, range))
                .map(|Range { low, high }| (place(low), place(high - low))),
            label: label(&slots),
            note: note(environment, &under_share, &drawn, now),
            is_odd: drawn.is_odd(),
            rate: lately(&known.by_minute(name), now),
            slots,
        }
    }
}

/// The calls that were left to chance, while both slots had a share.
struct Drawn {
    candidate: u64,
    all: u64,
    spread: Option<Range>,
}

impl Drawn {
    fn of(environment: &Environment, tally: &Tally) -> Self {
        let candidate = tally.drawn[environment.candidate()];
        let all = tally.drawn.blue + tally.drawn.green;
        let is_split = environment.weight.is_split();
        Self {
            candidate,
            all,
            spread: is_split
                .then(|| chance::spread(all, fraction(environment.weight)))
                .flatten(),
        }
    }

    fn is_odd(&self) -> bool {
        let got = share(self.candidate, self.all);
        got.zip(self.spread)
            .is_some_and(|(got, spread)| !spread.contains(got))
    }
}

/// What a slot holds, in a word or two.
fn holds(environment: &Environment, slot: Slot, now: Timestamp) -> String {
    match environment.slots[slot].content(now) {
        Content::Empty => "nothing".to_owned(),
        Content::Version(version) => version.label.to_string(),
        Content::Claimed(claim) => format!("claimed for {}", claim.flow_version),
        Content::Unknown(_) => "unknown".to_owned(),
    }
}

/// The bar for who does not see it.
fn label(slots: &[SlotShare; 2]) -> String {
    let part = |slot: &SlotShare| match &slot.got {
        Some(got) => format!("{} gets {got} %, set {} %", slot.slot, slot.set),
        None => format!("{} is to get {} %", slot.slot, slot.set),
    };
    slots.each_ref().map(part).join("; ")
}

fn note(
    environment: &Environment,
    under_share: &UnderShare,
    drawn: &Drawn,
    now: Timestamp,
) -> String {
    let UnderShare {
        tally,
        replicas,
        others,
    } = under_share;
    let since = Moment::new(tally.since(), now);
    let when = format!("since {} UTC ({})", since.text, since.distance);
    let all = tally.calls.blue + tally.calls.green;
    let told = if all == 0 {
        let who = match replicas {
            1 => "This replica has".to_owned(),
            some => format!("The {some} live replicas have"),
        };
        // A process that starts finds the share set and does not know since when.
        format!("{who} decided no call {when}, when counting began.")
    } else {
        let who = match replicas {
            1 => "this replica".to_owned(),
            some => format!("{some} live replicas"),
        };
        let calls = format!("{} calls decided by {who} {when}", count(all));
        calls + &how(environment, tally, drawn)
    };
    let others = match others {
        0 => "",
        1 => " One more is not counted: it decides by another share, or does not tell.",
        _ => " Some more are not counted: they decide by another share, or do not tell.",
    };
    told + others
}

/// Whether calls went as set.
fn how(environment: &Environment, tally: &Tally, drawn: &Drawn) -> String {
    let candidate = environment.candidate();
    if let Some(Range { low, high }) = drawn.spread {
        let verdict = if drawn.is_odd() {
            "chance hardly explains that"
        } else {
            "as set"
        };
        return format!(
            ". Of {} left to chance, {} % went to {candidate}; 19 times in 20 it would be {} to {} %: {verdict}.",
            count(drawn.all),
            percent(share(drawn.candidate, drawn.all).unwrap_or_default()),
            percent(low),
            percent(high),
        );
    }
    let away = if environment.weight.is_zero() {
        candidate
    } else {
        environment.active
    };
    match tally.calls[away] {
        0 => ", as set.".to_owned(),
        some => format!(
            "; {} of them went to {away} by affinity or an override.",
            count(some)
        ),
    }
}

/// Calls of all replicas lately, and since when that is: calls that began a moment ago are not spread over the time before.
fn lately(minutes: &[BySlot<u64>], now: Timestamp) -> String {
    let all: Vec<_> = minutes
        .iter()
        .map(|calls| calls.blue + calls.green)
        .collect();
    let silent = all.iter().take_while(|calls| **calls == 0).count();
    let looked_at = match all.len() - silent {
        0 => LATELY,
        since_the_first => since_the_first.min(LATELY),
    };
    let calls = all.iter().rev().take(looked_at).sum();
    let into_minute = now.as_second().rem_euclid(60).unsigned_abs();
    let window = (60 * (looked_at as u64 - 1) + into_minute).max(1);
    let told = span(Duration::from_secs(window));
    format!("last {told}: {}", rate(calls, window))
}

/// A range of the candidate's share as one of blue's.
fn of_blue(environment: &Environment, range: Range) -> Range {
    match environment.candidate() {
        Slot::Blue => range,
        Slot::Green => Range {
            low: 1.0 - range.high,
            high: 1.0 - range.low,
        },
    }
}

fn fraction(weight: Weight) -> f64 {
    f64::from(weight.bps()) / f64::from(Weight::FULL.bps())
}

fn place(share: f64) -> String {
    format!("{:.1}", share.clamp(0.0, 1.0) * WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of so many calls so many minutes ago, 20 s into the present minute.
    fn said(calls: &[(usize, u64)]) -> String {
        let mut minutes = [BySlot::default(); 60];
        for (age, count) in calls {
            minutes[59 - age].green = *count;
        }
        let now = "2026-01-05T08:10:20Z".parse().expect("a time");
        lately(&minutes, now)
    }

    #[test]
    fn calls_are_told_by_the_time_since_the_first_and_five_minutes_at_the_most() {
        assert_eq!(said(&[(0, 200)]), "last 20 s: 10 calls a second");
        assert_eq!(said(&[(0, 8), (1, 72)]), "last 80 s: 1.0 calls a second");
        assert_eq!(said(&[(0, 26), (59, 1)]), "last 4 min: 6.0 calls a minute");
        assert_eq!(said(&[(30, 200)]), "last 4 min: no calls");
        assert_eq!(said(&[]), "last 4 min: no calls");
    }
}
