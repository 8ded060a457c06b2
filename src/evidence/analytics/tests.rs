//! What answers of analytics come to.

use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::ids::Revision;
use crate::domain::judge::arm::ByArm;
use crate::domain::judge::evidence::{ConversationHash, Evidence, Exposure};
use crate::domain::judge::metric::Metric;
use crate::domain::rollout::Commit;
use crate::domain::rollout::Rollout;
use crate::domain::rollout::limits::{HarmLimit, Source};
use crate::domain::rollout::plan::Plan;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;

/// A step at 50 % that is entered on the full hour, and judged by the numbers of calls that hang up and fail.
struct World {
    docket: Docket,
    judge: Judge,
    question: Option<Question>,
}

const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_secs(300),
    lag: Duration::from_secs(120),
    pause: Duration::from_secs(60),
};

fn hour() -> Timestamp {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

fn at(minutes: i64) -> Timestamp {
    hour() + SignedDuration::from_mins(minutes)
}

impl World {
    /// With two calls decided every second.
    fn start() -> Self {
        let mut terms = Plan::default().into_terms();
        let limit = HarmLimit {
            source: Source::Analytics,
            ..HarmLimit::default()
        };
        (terms.limits.abandon, terms.limits.error) = (Some(limit), Some(limit));
        let plan = Plan::new(terms).unwrap();
        let commit = Commit {
            revision: Revision(7),
            now: hour(),
        };
        let rollout = Rollout::start(plan, Slot::Green, commit);
        let mut judge = Judge::resume(&rollout);
        let exposures = (0..7_200_u32).map(|number| Exposure {
            conversation: ConversationHash(number.into()),
            assigned_at: hour() + SignedDuration::from_millis(500 * i64::from(number)),
            revision: Revision(7),
            weight: half(),
            slot: Slot::BOTH[number as usize % 2],
            is_randomised: true,
        });
        judge.absorb(&Evidence {
            exposures: exposures.collect(),
            ..Evidence::default()
        });
        let ground = Ground {
            entered: Revision(7),
            weight: half(),
            candidate: Slot::Green,
            flows: BySlot::from_fn(|slot| format!("flow-{slot}").parse().unwrap()),
            metrics: rollout.plan.approximate_metrics(),
        };
        Self {
            docket: Docket::open(ground, SCHEDULE, rollout.plan.data.horizon(), hour()),
            judge,
            question: None,
        }
    }

    /// Asks what is due so many minutes after the start: from and until, in minutes.
    fn ask(&mut self, minutes: i64) -> Option<(i64, i64)> {
        let monotonic = Duration::from_secs(60 * minutes.unsigned_abs());
        self.question = self.docket.due(at(minutes), monotonic);
        let query = &self.question.as_ref()?.query;
        self.docket.asked_at = Some(monotonic);
        let minutes = |time: Timestamp| time.duration_since(hour()).as_mins();
        Some((minutes(query.from), minutes(query.until)))
    }

    fn answer(&mut self, answer: Answer) -> Vec<(Timestamp, Vec<Interval>)> {
        let question = self.question.take().expect("a question");
        let ends = FlowEnds::default();
        self.docket
            .take(&question.query, answer, &ends, &self.judge)
    }

    /// Two looks at the first interval that find `rows`: what is wrong with them.
    fn settle(&mut self, rows: &[Row]) -> Option<Trouble> {
        for minutes in [22, 23] {
            assert_eq!(self.ask(minutes), Some((15, 20)));
            self.answer(Ok(rows.to_vec()));
        }
        self.docket.trouble()
    }
}

fn half() -> Weight {
    Weight::from_bps(5_000).unwrap()
}

/// Calls that left the flow of `slot` in the five minutes that begin so many after the start.
fn row(minutes: i64, slot: Slot, exit_reason: &str, calls: u64) -> Row {
    Row {
        flow: format!("FLOW-{slot}").to_uppercase(),
        version: Some(format!("4{}.0", slot as u8)),
        exit_reason: Some(exit_reason.to_owned()),
        transfer_type: None,
        from: at(minutes),
        until: at(minutes + 5),
        calls,
    }
}

/// What every interval should look like.
fn sound(minutes: i64) -> Vec<Row> {
    vec![
        row(minutes, Slot::Blue, "DISCONNECT", 20),
        row(minutes, Slot::Blue, "TRANSFER", 280),
        row(minutes, Slot::Green, "disconnect", 10),
        row(minutes, Slot::Green, "FLOW_ERROR_EXIT", 5),
        row(minutes, Slot::Green, "FLOW_DISCONNECT", 265),
    ]
}

#[test]
fn an_interval_is_asked_for_when_it_is_over_and_a_horizon_after_the_weight_changed() {
    let mut world = World::start();
    assert_eq!(world.ask(21), None);
    assert_eq!(world.ask(22), Some((15, 20)));
    world.answer(Ok(Vec::new()));
    assert_eq!(world.ask(22), None, "a pause has to pass");
    assert_eq!(world.ask(27), Some((15, 25)));
    world.answer(Ok(Vec::new()));
    assert_eq!(
        world.ask(300),
        Some((15, 75)),
        "no more than twelve at once"
    );
}

#[test]
fn an_interval_counts_once_two_looks_have_found_the_same() {
    let mut world = World::start();
    world.ask(22);
    assert_eq!(world.answer(Ok(sound(15))), []);
    world.ask(23);
    let accepted = world.answer(Ok(sound(15)));
    let [(until, values)] = &accepted[..] else {
        panic!("{accepted:?}")
    };
    assert_eq!(*until, at(20));
    let told: Vec<_> = values
        .iter()
        .map(|value| {
            let ByArm { active, candidate } = value.seen;
            assert_eq!((value.from, value.revision), (at(15), Revision(7)));
            let (active, candidate) =
                ((active.bad, active.calls), (candidate.bad, candidate.calls));
            (value.metric, active, candidate)
        })
        .collect();
    assert_eq!(
        told,
        [
            (Metric::Abandon, (20, 300), (10, 280)),
            (Metric::Error, (0, 300), (5, 280))
        ]
    );
    assert_eq!(world.docket.trouble(), None);
    assert_eq!(world.ask(27), Some((20, 25)), "it is not asked for again");
}

#[test]
fn late_calls_and_lost_calls_hold_until_two_looks_agree() {
    let mut world = World::start();
    world.ask(22);
    world.answer(Ok(sound(15)));
    let mut more = sound(15);
    more[0].calls += 1;
    world.ask(23);
    assert_eq!(world.answer(Ok(more.clone())), []);
    assert_eq!(world.docket.trouble(), Some(Trouble::Growing));
    world.ask(24);
    assert_eq!(world.answer(Ok(sound(15))), []);
    assert_eq!(world.docket.trouble(), Some(Trouble::Shrinking));
    // One call ended otherwise than was said before.
    let mut other = sound(15);
    (other[0].calls, other[1].calls) = (19, 281);
    world.ask(25);
    assert_eq!(world.answer(Ok(other.clone())), []);
    assert_eq!(world.docket.trouble(), Some(Trouble::Shrinking));
    world.ask(26);
    assert_eq!(world.answer(Ok(other)).len(), 1);
    assert_eq!(world.docket.trouble(), None);
}

#[test]
fn data_that_is_missing_partial_one_sided_or_absurd_does_not_count() {
    let green = |rows: Vec<Row>| -> Vec<Row> {
        rows.into_iter()
            .filter(|row| row.flow == self::row(0, Slot::Green, "", 0).flow)
            .collect()
    };
    let change = |change: fn(&mut Vec<Row>)| {
        let mut rows = sound(15);
        change(&mut rows);
        rows
    };
    let few: Vec<_> = sound(15)
        .into_iter()
        .map(|row| Row {
            calls: row.calls / 5,
            ..row
        })
        .collect();
    let cases: [(Vec<Row>, Trouble); 10] = [
        (Vec::new(), Trouble::NoCalls),
        (green(sound(15)), Trouble::OneSided(Slot::Blue)),
        (
            few,
            Trouble::Partial {
                counted: 56,
                decided: 300,
            },
        ),
        (
            change(|rows| rows[1].calls = 2_000),
            Trouble::Excess {
                counted: 2_300,
                decided: 600,
            },
        ),
        (
            change(|rows| rows[1].exit_reason = None),
            Trouble::WithoutExits,
        ),
        (
            change(|rows| rows[4].version = Some("46.0".to_owned())),
            Trouble::SeveralVersions(Slot::Green),
        ),
        (
            change(|rows| rows[0].flow = "another".to_owned()),
            Trouble::Absurd,
        ),
        (change(|rows| rows.push(rows[0].clone())), Trouble::Absurd),
        (change(|rows| rows[0].from = at(16)), Trouble::Absurd),
        (change(|rows| rows[0].until = at(25)), Trouble::Absurd),
    ];
    for (rows, trouble) in cases {
        let mut world = World::start();
        assert_eq!(world.settle(&rows), Some(trouble));
        assert_eq!(world.ask(27), Some((15, 25)), "{trouble} took it");
    }
    assert_eq!(World::start().settle(&sound(15)), None);
}

#[test]
fn a_failure_to_ask_is_told_until_the_next_answer() {
    let mut world = World::start();
    let status = StatusCode::BAD_GATEWAY;
    world.ask(22);
    world.answer(Err(AskError::Status(status)));
    assert_eq!(world.docket.trouble(), Some(Trouble::Status(502)));
    world.ask(23);
    world.answer(Err(AskError::NotNow));
    assert_eq!(world.docket.trouble(), Some(Trouble::Status(502)));
    world.ask(24);
    world.answer(Ok(sound(15)));
    assert_eq!(world.docket.trouble(), None);
}

#[test]
fn a_doubtful_interval_is_passed_over_with_the_next_that_counts() {
    let mut world = World::start();
    assert_eq!(world.settle(&[]), Some(Trouble::NoCalls));
    for (minutes, accepted) in [(27, 0), (28, 1)] {
        assert_eq!(world.ask(minutes), Some((15, 25)));
        assert_eq!(world.answer(Ok(sound(20))).len(), accepted);
    }
    assert_eq!(world.docket.trouble(), None);
    assert_eq!(world.ask(32), Some((25, 30)));
}
