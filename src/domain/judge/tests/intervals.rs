use super::*;
use crate::domain::judge::arm::{ByArm, Tally};
use crate::domain::judge::evidence::Interval;
use crate::domain::judge::verdict::{Data, Level};
use crate::domain::rollout::limits::{HarmLimit, Source};

fn judge(source: Source) -> Judge {
    let mut terms = Plan::default().into_terms();
    terms.limits.abandon = Some(HarmLimit {
        source,
        ..HarmLimit::default()
    });
    Judge::resume(&rollout_of(Plan::new(terms).unwrap()))
}

fn interval(from: i64, blue_bad: u64, green_bad: u64) -> Interval {
    Interval {
        metric: Metric::Abandon,
        from: minutes(from),
        until: minutes(from + 15),
        revision: Revision(1),
        weight: half(),
        seen: ByArm {
            active: Tally {
                calls: 500,
                bad: blue_bad,
            },
            candidate: Tally {
                calls: 500,
                bad: green_bad,
            },
        },
    }
}

fn told(source: Source, intervals: &[Interval]) -> Judge {
    let mut judge = judge(source);
    judge.absorb(&Evidence {
        intervals: intervals.to_vec(),
        ..Evidence::default()
    });
    judge
}

#[test]
fn interval_counts_are_evidence_too_and_named_as_approximate() {
    let judge = told(
        Source::Analytics,
        &[interval(15, 25, 26), interval(30, 25, 75)],
    );
    let verdict = verdict(&judge, minutes(46));
    assert_eq!(verdict.metrics[0].harm.level(), Level::Abort);
    assert_eq!(verdict.calls.usable, 1_000);
    assert_eq!(verdict.data, Data::Fresh);
    assert!(
        verdict
            .to_string()
            .contains("(approximate, from analytics)"),
        "{verdict}"
    );
}

#[test]
fn a_source_that_may_only_pause_never_aborts() {
    let judge = told(
        Source::AnalyticsPauseOnly,
        &[interval(15, 25, 26), interval(30, 5, 400)],
    );
    assert_eq!(
        verdict(&judge, minutes(46)).metrics[0].harm.level(),
        Level::Pause
    );
}

#[test]
fn overlapping_absurd_and_unasked_intervals_are_left_out() {
    let absurd = interval(60, 25, 501);
    let backwards = Interval {
        until: minutes(59),
        ..interval(60, 1, 1)
    };
    let judge = told(
        Source::Analytics,
        &[
            interval(15, 25, 25),
            interval(15, 25, 25),
            interval(29, 25, 25),
            absurd,
            backwards,
        ],
    );
    assert_eq!(judge.record().skipped.intervals, 4);
    assert_eq!(
        judge.record().metrics.abandon.unwrap().seen.active.calls,
        500
    );
    assert_eq!(
        told(Source::Outcomes, &[interval(15, 25, 75)])
            .record()
            .skipped
            .intervals,
        1
    );
}

#[test]
fn a_judge_that_restarts_recognises_intervals() {
    let mut judge = told(Source::Analytics, &[interval(15, 25, 25)]);
    let before = judge.record().clone();
    judge.recall(&Evidence {
        intervals: vec![interval(15, 25, 25)],
        ..Evidence::default()
    });
    assert_eq!(judge.record(), &before);
}

#[test]
fn without_intervals_there_is_no_data() {
    assert_eq!(
        verdict(&judge(Source::Analytics), minutes(5)).data,
        Data::NoIntervals(Metric::Abandon)
    );
    let judge = told(Source::Analytics, &[interval(15, 25, 25)]);
    assert_eq!(verdict(&judge, minutes(91)).data, Data::Stale(61));
}
