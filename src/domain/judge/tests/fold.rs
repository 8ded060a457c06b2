use proptest::prelude::*;

use super::*;
use crate::domain::judge::arm::{ByArm, Tally};
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::record::{MetricRecord, Record};
use crate::domain::judge::verdict::{Data, Level};
use crate::domain::rollout::PauseCause;

fn abandon(judge: &Judge) -> MetricRecord {
    judge.record().metrics.abandon.unwrap()
}

fn seen(blue: (u64, u64), green: (u64, u64)) -> ByArm<Tally> {
    let tally = |(bad, calls): (u64, u64)| Tally { calls, bad };
    ByArm {
        active: tally(blue),
        candidate: tally(green),
    }
}

/// Outcomes reach the judge up to this long after they happen.
fn delivered(evidence: &Evidence, from: i64, until: i64) -> Evidence {
    let is_due = |time: Timestamp| time > at(from) && time <= at(until);
    Evidence {
        exposures: evidence
            .exposures
            .iter()
            .filter(|e| is_due(e.assigned_at))
            .copied()
            .collect(),
        outcomes: evidence
            .outcomes
            .iter()
            .filter(|o| is_due(o.at))
            .copied()
            .collect(),
        intervals: Vec::new(),
    }
}

#[test]
fn a_call_counts_once_its_horizon_and_grace_have_passed() {
    let calls = [exposure(1, 60, Slot::Green)];
    let outcomes = [abandoned(1, 90)];
    assert_eq!(
        abandon(&judged(&calls, &outcomes, at(60 + 659))).seen,
        seen((0, 0), (0, 0))
    );
    assert_eq!(
        abandon(&judged(&calls, &outcomes, at(60 + 660))).seen,
        seen((0, 0), (1, 1))
    );
}

#[test]
fn a_bad_end_counts_only_within_the_horizon() {
    let calls = [exposure(1, 60, Slot::Green), exposure(2, 60, Slot::Green)];
    let judge = judged(&calls, &[abandoned(1, 660), abandoned(2, 661)], minutes(30));
    assert_eq!(abandon(&judge).seen, seen((0, 0), (1, 2)));
    assert_eq!(judge.record().skipped.late_outcomes, 1);
    assert_eq!(
        abandon(&judge).late.bet.seen,
        ByArm {
            active: 0,
            candidate: 1
        }
    );
}

#[test]
fn the_evidence_is_what_another_implementation_makes_of_the_same_calls() {
    // A dozen lines of Python, written from the formulas.
    for (calls, e) in [
        (60, 5.144_906_220_075_045),
        (100, 23.941_540_686_973_78),
        (400, 2_599_812.340_690_048_4),
    ] {
        let judge = judged(
            &a_bad_day(calls).exposures,
            &a_bad_day(calls).outcomes,
            minutes(30),
        );
        let ours = abandon(&judge).harm.bet.e().value();
        assert!(
            (ours / e - 1.0).abs() < 1e-9,
            "{calls} calls: {ours}, expected {e}"
        );
    }
}

#[test]
fn duplicates_change_nothing() {
    let once = a_bad_day(400);
    let mut twice = once.clone();
    twice.exposures.extend(once.exposures.clone());
    twice.outcomes.extend(once.outcomes.iter().rev());
    let judge_of = |evidence: &Evidence| {
        let mut judge = Judge::resume(&rollout());
        judge.absorb(evidence);
        judge.advance(minutes(30));
        judge.absorb(&once);
        judge.advance(minutes(31));
        judge
    };
    assert_eq!(judge_of(&once).record(), judge_of(&twice).record());
    assert_eq!(judge_of(&twice).record().skipped, Default::default());
    assert_eq!(abandon(&judge_of(&twice)).seen, seen((20, 200), (67, 200)));
}

#[test]
fn a_call_in_both_flows_counts_for_the_first_one_wherever_it_ended() {
    let again = Exposure {
        revision: Revision(2),
        ..exposure(1, 120, Slot::Green)
    };
    let first = exposure(1, 60, Slot::Blue);
    for exposures in [[first, again], [again, first]] {
        let judge = judged(
            &exposures,
            &[ended_well(1, 100), abandoned(1, 200)],
            minutes(30),
        );
        assert_eq!(abandon(&judge).seen, seen((1, 1), (0, 0)));
    }
}

#[test]
fn a_call_whose_first_decision_was_not_left_to_chance_teaches_nothing() {
    let by_override = Exposure {
        is_randomised: false,
        ..exposure(1, 60, Slot::Green)
    };
    let judge = judged(
        &[by_override, exposure(1, 90, Slot::Green)],
        &[abandoned(1, 100)],
        minutes(30),
    );
    assert_eq!(abandon(&judge).seen, ByArm::default());
    assert_eq!(abandon(&judge).harm.bet.e(), EValue::ONE);
    assert_eq!(judge.record().skipped.not_randomised, 1);
    assert_eq!(judge.record().step.matured, ByArm::default());
}

#[test]
fn a_call_at_full_weight_teaches_nothing() {
    let full = Exposure {
        weight: Weight::FULL,
        ..exposure(1, 60, Slot::Green)
    };
    let judge = judged(&[full], &[abandoned(1, 100)], minutes(30));
    assert_eq!(abandon(&judge).seen, ByArm::default());
    assert_eq!(abandon(&judge).harm.bet.e(), EValue::ONE);
}

#[test]
fn an_exposure_that_arrives_after_its_time_was_judged_is_counted_late_and_never_judged() {
    let mut judge = judged(&[exposure(1, 60, Slot::Blue)], &[], minutes(30));
    let before = judge.record().clone();
    let late = evidence(
        &[
            exposure(2, 61, Slot::Green),
            exposure(2, 61, Slot::Green),
            exposure(2, 59, Slot::Green),
        ],
        &[abandoned(2, 70)],
    );
    judge.absorb(&late);
    judge.absorb(&late);
    judge.advance(minutes(31));
    assert_eq!(judge.record().skipped.late_exposures, 1);
    assert_eq!(judge.record().metrics, before.metrics);
    assert_eq!(judge.record().digest, before.digest);
}

#[test]
fn a_late_first_decision_takes_the_whole_conversation_out() {
    let mut judge = judged(&[exposure(1, 1_700, Slot::Green)], &[], minutes(30));
    judge.absorb(&evidence(
        &[exposure(1, 60, Slot::Blue)],
        &[abandoned(1, 1_750)],
    ));
    judge.advance(minutes(60));
    assert_eq!(abandon(&judge).seen, ByArm::default());
    assert_eq!(judge.record().skipped.late_exposures, 1);
}

#[test]
fn a_report_that_comes_after_its_call_was_judged_goes_to_the_late_evidence_once() {
    let mut judge = judged(&[exposure(1, 60, Slot::Green)], &[], minutes(30));
    let e = abandon(&judge).harm.bet.e();
    for _ in 0..3 {
        judge.absorb(&evidence(&[], &[abandoned(1, 90)]));
    }
    assert_eq!(abandon(&judge).harm.bet.e(), e);
    assert_eq!(judge.record().skipped.late_outcomes, 1);
}

#[test]
fn late_bad_ends_of_the_candidate_pause_and_those_of_the_active_version_do_not() {
    for (slot, level) in [(Slot::Green, Level::Pause), (Slot::Blue, Level::Sound)] {
        let calls: Vec<_> = (0..200)
            .map(|call| exposure(call, 60, if call < 100 { slot } else { slot.other() }))
            .collect();
        let mut judge = judged(&calls, &[], minutes(30));
        let late: Vec<_> = (0..12).map(|call| abandoned(call, 90)).collect();
        judge.absorb(&evidence(&[], &late));
        assert_eq!(
            verdict(&judge, minutes(30)).metrics[0].late.level(),
            level,
            "{slot}"
        );
    }
}

#[test]
fn outcomes_without_an_exposure_are_counted_and_ignored() {
    let mut judge = judged(
        &[],
        &[abandoned(7, 60), ended_well(7, 61), ended_well(8, 1_790)],
        minutes(30),
    );
    assert_eq!(judge.record().skipped.without_exposure, 1);
    judge.absorb(&evidence(&[], &[abandoned(9, 60)]));
    assert_eq!(judge.record().skipped.without_exposure, 2);
    assert_eq!(abandon(&judge).seen, ByArm::default());
}

#[test]
fn an_outcome_may_come_before_its_exposure() {
    let mut judge = judged(&[], &[abandoned(1, 70)], at(80));
    judge.absorb(&evidence(&[exposure(1, 60, Slot::Green)], &[]));
    judge.advance(minutes(30));
    assert_eq!(abandon(&judge).seen, seen((0, 0), (1, 1)));
}

#[test]
fn a_call_that_nobody_reported_is_good_but_not_enough() {
    let judge = judged(
        &[exposure(1, 60, Slot::Green), exposure(2, 60, Slot::Blue)],
        &[ended_well(2, 90)],
        minutes(30),
    );
    assert_eq!(abandon(&judge).seen, seen((0, 1), (0, 1)));
    let verdict = verdict(&judge, minutes(30));
    assert_eq!(verdict.calls.usable, 0);
    assert_eq!(
        verdict.data,
        Data::Unreported {
            slot: Slot::Green,
            reported: 0,
            matured: 1
        }
    );
}

#[test]
fn exactly_the_asked_share_of_reports_is_enough() {
    for (reported, is_fresh) in [(80, true), (79, false)] {
        let calls: Vec<_> = (0..200)
            .map(|call| exposure(call, 60, if call < 100 { Slot::Green } else { Slot::Blue }))
            .collect();
        let outcomes: Vec<_> = (0..reported)
            .chain(100..200)
            .map(|call| ended_well(call, 90))
            .collect();
        let judge = judged(&calls, &outcomes, minutes(30));
        assert_eq!(
            verdict(&judge, minutes(30)).data == Data::Fresh,
            is_fresh,
            "{reported}"
        );
    }
}

#[test]
fn data_gets_stale() {
    let calls = [exposure(1, 60, Slot::Green), exposure(2, 60, Slot::Blue)];
    let judge = judged(&calls, &[ended_well(1, 70), ended_well(2, 70)], minutes(30));
    assert_eq!(verdict(&judge, minutes(61)).data, Data::Fresh);
    assert_eq!(verdict(&judge, minutes(63)).data, Data::Stale(62));
}

#[test]
fn calls_of_an_earlier_revision_are_evidence_but_not_this_steps_calls() {
    let mut rollout = rollout();
    rollout = rollout
        .advance(Commit {
            revision: Revision(5),
            now: minutes(1),
        })
        .unwrap();
    let mut judge = Judge::resume(&rollout);
    let cut_off = Exposure {
        weight: Weight::from_bps(500).unwrap(),
        ..exposure(1, 60, Slot::Green)
    };
    let up_to_date = Exposure {
        revision: Revision(5),
        ..exposure(2, 61, Slot::Green)
    };
    judge.absorb(&evidence(
        &[cut_off, up_to_date],
        &[ended_well(1, 80), ended_well(2, 80)],
    ));
    judge.advance(minutes(30));
    assert_eq!(abandon(&judge).seen.candidate.calls, 2);
    assert_eq!(judge.record().step.matured.candidate, 1);
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let mut judge = judged(
        &a_bad_day(400).exposures,
        &a_bad_day(400).outcomes,
        minutes(30),
    );
    let before = judge.record().clone();
    judge.advance(minutes(5));
    judge.advance(Timestamp::MIN);
    assert_eq!(judge.record(), &before);
}

#[test]
fn a_clock_that_jumps_ahead_loses_evidence_and_invents_none() {
    let day = a_bad_day(400);
    let mut judge = judged(&day.exposures, &[], minutes(600));
    judge.absorb(&evidence(&[], &day.outcomes));
    judge.advance(minutes(601));
    assert_eq!(abandon(&judge).seen, seen((0, 200), (0, 200)));
    assert_eq!(
        verdict(&judge, minutes(601)).metrics[0].harm.level(),
        Level::Sound
    );
    judge.advance(Timestamp::MAX);
}

#[test]
fn a_judge_that_restarts_goes_on_bit_for_bit() {
    let day = a_bad_day(3_000);
    let mut steady = Judge::resume(&rollout());
    let mut restarting = Judge::resume(&rollout());
    let mut committed = rollout();
    for minute in 1..=70_i64 {
        let (from, until) = (60 * (minute - 1), 60 * minute);
        if minute % 7 == 0 {
            let json =
                serde_json::to_string(&committed.clone().with_record(restarting.record().clone()))
                    .unwrap();
            committed = serde_json::from_str(&json).unwrap();
            restarting = Judge::resume(&committed);
            restarting.recall(&delivered(&day, -1, from));
        }
        for judge in [&mut steady, &mut restarting] {
            judge.absorb(&delivered(&day, from, until));
            judge.advance(at(until));
        }
        assert_eq!(steady.record(), restarting.record(), "minute {minute}");
    }
    assert_eq!(abandon(&steady).seen.active.calls, 1_500);
    assert!(abandon(&steady).harm.bet.e().reaches(EValue::from_ln(7.0)));
}

#[test]
fn resuming_raises_the_line_to_three_times_the_evidence_and_keeps_the_evidence() {
    // Enough for a pause, not for an abort.
    let judge = judged(
        &a_bad_day(100).exposures,
        &a_bad_day(100).outcomes,
        minutes(30),
    );
    let before = verdict(&judge, minutes(30)).metrics[0].harm;
    assert_eq!(before.level(), Level::Pause, "{before}");
    let paused = rollout()
        .with_record(judge.record().clone())
        .pause(PauseCause::Harm(Metric::Abandon))
        .unwrap();
    let resumed = paused
        .resume(Commit {
            revision: Revision(3),
            now: minutes(31),
        })
        .unwrap();
    let mut judge = judge;
    judge.follow(&resumed);
    let after = verdict(&judge, minutes(31)).metrics[0].harm;
    assert_eq!(after.e, before.e);
    assert_eq!(after.level(), Level::Sound);
    assert_eq!(after.abort_line, before.abort_line);
    let line = after.pause_line.unwrap().value();
    assert!(
        (line - 100.0_f64.min(3.0 * before.e.value())).abs() < 1e-9,
        "{line}"
    );
    assert_eq!(judge.record().step.matured, ByArm::default());
}

#[test]
fn a_state_is_small() {
    let mut terms = Plan::default().into_terms();
    terms.steps = (1..=20)
        .map(|step| Step::at(Weight::from_bps(step * 500).unwrap()))
        .collect();
    let limit = crate::domain::rollout::limits::HarmLimit {
        certificate: Some(crate::domain::rollout::limits::Certificate {
            margin_points: "2".parse().unwrap(),
            alpha_percent: "5".parse().unwrap(),
        }),
        ..Default::default()
    };
    terms.limits = crate::domain::judge::metric::ByMetric::from_fn(|_| Some(limit));
    let rollout = rollout_of(Plan::new(terms).unwrap());
    let bytes = serde_json::to_vec(&rollout).unwrap().len();
    assert!(bytes < 8 * 1024, "{bytes} bytes");
}

#[test]
fn a_verdict_says_why() {
    let judge = judged(
        &a_bad_day(60).exposures,
        &a_bad_day(60).outcomes,
        minutes(20),
    );
    assert_eq!(
        verdict(&judge, minutes(20)).to_string(),
        "abandon: E = 5.1 of 20, 10 of 30 green calls bad, 3 of 30 blue calls bad; 30 of 50 matured green calls; split as set"
    );
}

#[test]
fn the_observation_counts_what_was_reported_lately() {
    let day = a_bad_day(400);
    let judge = judged(&day.exposures, &day.outcomes, minutes(9));
    let observed = judge.observation(
        Metric::Abandon,
        std::time::Duration::from_secs(30 * 60),
        minutes(9),
    );
    assert_eq!(observed, seen((20, 200), (67, 200)));
    let short = judge.observation(
        Metric::Abandon,
        std::time::Duration::from_secs(200),
        minutes(9),
    );
    assert_eq!(short.active.calls + short.candidate.calls, 60);
}

#[test]
fn a_fresh_version_looks_terrible_by_its_finished_calls_and_sound_to_the_judge() {
    // Both lose one call in twenty after half a minute; the others last four minutes.
    let mut day = Evidence::default();
    for call in 0..1_800_u128 {
        let (slot, seconds) = (
            if call % 2 == 0 {
                Slot::Blue
            } else {
                Slot::Green
            },
            1 + call as i64,
        );
        day.exposures.push(exposure(call, seconds, slot));
        let is_bad = call / 2 % 20 == 7;
        day.outcomes.push(if is_bad {
            abandoned(call, seconds + 30)
        } else {
            ended_well(call, seconds + 240)
        });
    }
    let mut judge = Judge::resume(&rollout());
    let mut looks = Vec::new();
    for minute in 1..=45 {
        judge.absorb(&delivered(&day, 60 * (minute - 1), 60 * minute));
        judge.advance(minutes(minute));
        let finished = judge.observation(
            Metric::Abandon,
            std::time::Duration::from_mins(30),
            minutes(minute),
        );
        looks.push(finished.candidate.rate().unwrap_or(0.0));
        assert_eq!(
            verdict(&judge, minutes(minute)).metrics[0].harm.level(),
            Level::Sound,
            "minute {minute}"
        );
    }
    assert_eq!(
        looks[1], 1.0,
        "after two minutes every finished call was lost"
    );
    assert!(looks[4] > 0.15 && looks[29] < 0.07, "{looks:?}");
    assert_eq!(abandon(&judge).seen, seen((45, 900), (45, 900)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn evidence_in_any_order_gives_the_same_record_bit_for_bit(
        day in Just(a_bad_day(300)).prop_flat_map(|day| {
            (Just(day.exposures.clone()).prop_shuffle(), Just(day.outcomes.clone()).prop_shuffle())
        }),
        batch in 1..50_usize,
    ) {
        let (exposures, outcomes) = day;
        let mut judge = Judge::resume(&rollout());
        for chunk in outcomes.chunks(batch) {
            judge.absorb(&evidence(&[], chunk));
        }
        for chunk in exposures.chunks(batch) {
            judge.absorb(&evidence(chunk, &[]));
        }
        judge.advance(minutes(30));
        let day = a_bad_day(300);
        let ordered = judged(&day.exposures, &day.outcomes, minutes(30));
        prop_assert_eq!(judge.record(), ordered.record());
    }

    #[test]
    fn a_record_survives_storage_bit_for_bit(calls in 0..300_u128) {
        let day = a_bad_day(calls);
        let record = judged(&day.exposures, &day.outcomes, minutes(30)).record().clone();
        let json = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
}
