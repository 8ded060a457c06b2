use std::time::Duration;

use super::*;
use crate::domain::judge::arm::ByArm;
use crate::domain::judge::mixture::EValue;
use crate::domain::judge::record::Skipped;
use crate::domain::judge::verdict::{
    CertificateFinding, Data, Finding, MetricFinding, StepCalls, Verdict,
};
use crate::domain::rollout::limits::Source;
use crate::domain::rollout::percent::Percent;

fn line(alpha: u16) -> Option<EValue> {
    Some(EValue::line(Percent::whole(alpha)))
}

fn finding(e: f64) -> Finding {
    Finding {
        e: EValue::from_ln(e.ln()),
        pause_line: line(5),
        abort_line: None,
    }
}

/// A verdict with which nothing keeps a step from being left.
fn sound() -> Verdict {
    let abandon = MetricFinding {
        metric: Metric::Abandon,
        source: Source::Outcomes,
        on_pause: OnPause::Hold,
        harm: Finding {
            abort_line: line(1),
            ..finding(0.5)
        },
        late: finding(1.0),
        certificate: None,
        seen: ByArm::default(),
    };
    Verdict {
        candidate: Slot::Green,
        metrics: vec![abandon],
        fast_lane: Some(Finding {
            e: EValue::ONE,
            pause_line: None,
            abort_line: line(1),
        }),
        decisions: finding(1.0),
        reports: finding(1.0),
        calls: StepCalls {
            usable: 50,
            minimum: 50,
            matured: ByArm::default(),
            reported: ByArm::default(),
        },
        data: Data::Fresh,
        skipped: Skipped::default(),
    }
}

fn after(minutes: u64) -> Timing {
    let in_step = Duration::from_secs(60 * minutes);
    Timing {
        now: at(0, i64::try_from(minutes).unwrap()).now,
        in_step,
        without_data: Duration::ZERO,
    }
}

fn harm(e: f64) -> Verdict {
    let mut verdict = sound();
    verdict.metrics[0].harm.e = EValue::from_ln(e.ln());
    verdict
}

fn in_last_step() -> Rollout {
    (0..3).fold(canary(), |rollout, step| {
        rollout.advance(at(2 + step, 0)).unwrap()
    })
}

fn with_terms(json: &str) -> Rollout {
    Rollout::start(serde_json::from_str(json).unwrap(), Slot::Green, at(1, 0))
}

#[test]
fn a_step_is_left_when_everything_holds() {
    assert_eq!(
        step(&canary(), &sound(), &after(30)),
        Transition::Go(Move::Advance)
    );
}

#[test]
fn each_missing_condition_holds_the_step_by_itself() {
    let cases: [(&str, Verdict, Timing); 3] = [
        ("bake", sound(), after(29)),
        (
            "calls",
            Verdict {
                calls: StepCalls {
                    usable: 49,
                    ..sound().calls
                },
                ..sound()
            },
            after(30),
        ),
        (
            "data",
            Verdict {
                data: Data::NoCalls(Slot::Green),
                ..sound()
            },
            after(30),
        ),
    ];
    for (name, verdict, timing) in cases {
        match step(&canary(), &verdict, &timing) {
            Transition::Hold(waits) => assert_eq!(waits.len(), 1, "{name}: {waits:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn silence_never_promotes_however_long_it_lasts() {
    let silence = Verdict {
        calls: StepCalls {
            usable: 0,
            ..sound().calls
        },
        data: Data::NoCalls(Slot::Green),
        ..sound()
    };
    for minutes in [30, 300, 1_440] {
        assert!(
            matches!(
                step(&canary(), &silence, &after(minutes)),
                Transition::Hold(_)
            ),
            "{minutes}"
        );
    }
    assert_eq!(
        step(&canary(), &silence, &after(1_441)),
        Transition::Go(Move::Pause(PauseCause::Maximum))
    );
}

#[test]
fn harm_pauses_at_its_first_line_and_aborts_at_its_second() {
    let abandon = Metric::Abandon;
    assert_eq!(
        step(&canary(), &harm(19.9), &after(30)),
        Transition::Go(Move::Advance)
    );
    assert_eq!(
        step(&canary(), &harm(20.1), &after(30)),
        Transition::Go(Move::Pause(PauseCause::Harm(abandon)))
    );
    assert_eq!(
        step(&canary(), &harm(100.1), &after(0)),
        Transition::Go(Move::Abort(AbortCause::Harm(abandon)))
    );
}

#[test]
fn the_judge_goes_on_during_a_pause_and_may_abort_but_never_moves_on() {
    let paused = canary().pause(PauseCause::Operator).unwrap();
    assert_eq!(
        step(&paused, &sound(), &after(999)),
        Transition::Hold(vec![Wait::Person(PauseCause::Operator)])
    );
    assert_eq!(
        step(&paused, &harm(50.0), &after(30)),
        Transition::Hold(vec![Wait::Person(PauseCause::Operator)])
    );
    assert_eq!(
        step(&paused, &harm(101.0), &after(30)),
        Transition::Go(Move::Abort(AbortCause::Harm(Metric::Abandon)))
    );
}

#[test]
fn nothing_moves_a_rollout_that_is_over() {
    for over in [
        in_last_step().finish().unwrap(),
        canary().abort(AbortCause::Operator).unwrap(),
    ] {
        assert_eq!(
            step(&over, &harm(1e9), &after(30)),
            Transition::Hold(vec![Wait::Over])
        );
    }
}

#[test]
fn alarms_other_than_harm_pause() {
    let cases = [
        (
            Verdict {
                decisions: finding(21.0),
                ..sound()
            },
            PauseCause::Split,
        ),
        (
            Verdict {
                reports: finding(21.0),
                ..sound()
            },
            PauseCause::Reports,
        ),
    ];
    for (verdict, cause) in cases {
        assert_eq!(
            step(&canary(), &verdict, &after(30)),
            Transition::Go(Move::Pause(cause))
        );
    }
    let mut late = sound();
    late.metrics[0].late = finding(21.0);
    assert_eq!(
        step(&canary(), &late, &after(30)),
        Transition::Go(Move::Pause(PauseCause::Late(Metric::Abandon)))
    );
}

#[test]
fn the_fast_lane_aborts_or_pauses_as_planned() {
    let alarm = |pause_line, abort_line| Verdict {
        fast_lane: Some(Finding {
            e: EValue::from_ln(5.0),
            pause_line,
            abort_line,
        }),
        ..sound()
    };
    assert_eq!(
        step(&canary(), &alarm(None, line(1)), &after(1)),
        Transition::Go(Move::Abort(AbortCause::FastLane))
    );
    assert_eq!(
        step(&canary(), &alarm(line(1), None), &after(1)),
        Transition::Go(Move::Pause(PauseCause::FastLane))
    );
}

#[test]
fn of_two_pauses_the_one_that_takes_callers_back_wins() {
    let mut verdict = harm(25.0);
    let error = MetricFinding {
        metric: Metric::Error,
        on_pause: OnPause::Zero,
        ..verdict.metrics[0].clone()
    };
    verdict.metrics.push(error);
    assert_eq!(
        step(&canary(), &verdict, &after(1)),
        Transition::Go(Move::Pause(PauseCause::Harm(Metric::Error)))
    );
}

#[test]
fn a_certificate_is_waited_for() {
    let mut verdict = sound();
    verdict.metrics[0].certificate = Some(CertificateFinding {
        e: EValue::ONE,
        line: line(5).unwrap(),
    });
    assert!(matches!(
        step(&canary(), &verdict, &after(30)),
        Transition::Hold(_)
    ));
    verdict.metrics[0].certificate = Some(CertificateFinding {
        e: EValue::from_ln(3.0),
        line: line(5).unwrap(),
    });
    assert_eq!(
        step(&canary(), &verdict, &after(30)),
        Transition::Go(Move::Advance)
    );
}

#[test]
fn at_full_weight_only_time_and_harm_count() {
    let nothing = Verdict {
        calls: StepCalls {
            usable: 0,
            ..sound().calls
        },
        data: Data::NoCalls(Slot::Blue),
        ..sound()
    };
    assert!(matches!(
        step(&in_last_step(), &nothing, &after(29)),
        Transition::Hold(_)
    ));
    assert_eq!(
        step(&in_last_step(), &nothing, &after(30)),
        Transition::Go(Move::Finish)
    );
    assert_eq!(
        step(&in_last_step(), &harm(25.0), &after(30)),
        Transition::Go(Move::Pause(PauseCause::Harm(Metric::Abandon)))
    );
    assert_eq!(
        step(&in_last_step(), &harm(101.0), &after(30)),
        Transition::Go(Move::Abort(AbortCause::Harm(Metric::Abandon)))
    );
}

#[test]
fn calls_exposed_before_full_weight_are_always_waited_for() {
    let cutover = Rollout::start(Plan::built_in("cutover").unwrap(), Slot::Green, at(1, 0));
    for rollout in [cutover.clone(), cutover.promote(Promotion::Now).unwrap()] {
        assert!(matches!(
            step(&rollout, &sound(), &after(10)),
            Transition::Hold(_)
        ));
        assert_eq!(
            step(&rollout, &sound(), &after(11)),
            Transition::Go(Move::Finish)
        );
    }
}

#[test]
fn a_held_back_last_step_is_judged_like_any_other() {
    let held_back = with_terms(r#"{"steps": [{"weight": 100}], "hold_back_percent": 5}"#);
    let few = Verdict {
        calls: StepCalls {
            usable: 49,
            ..sound().calls
        },
        ..sound()
    };
    assert!(matches!(
        step(&held_back, &few, &after(30)),
        Transition::Hold(_)
    ));
    assert_eq!(
        step(&held_back, &sound(), &after(30)),
        Transition::Go(Move::Finish)
    );
}

#[test]
fn a_manual_gate_opens_by_consent_and_everything_else_still_has_to_hold() {
    let gated = with_terms(r#"{"steps": [{"weight": 5, "gate": "manual"}, {"weight": 100}]}"#);
    assert_eq!(
        step(&gated, &sound(), &after(30)),
        Transition::Hold(vec![Wait::Gate])
    );
    let open = gated.promote(Promotion::WhenReady).unwrap();
    assert!(matches!(
        step(&open, &sound(), &after(29)),
        Transition::Hold(_)
    ));
    assert_eq!(
        step(&open, &sound(), &after(30)),
        Transition::Go(Move::Advance)
    );
}

#[test]
fn a_person_may_waive_waiting_but_not_harm() {
    let waived = canary().promote(Promotion::Now).unwrap();
    let silence = Verdict {
        calls: StepCalls {
            usable: 0,
            ..sound().calls
        },
        data: Data::NoCalls(Slot::Blue),
        ..sound()
    };
    assert_eq!(
        step(&waived, &silence, &after(0)),
        Transition::Go(Move::Advance)
    );
    assert_eq!(
        step(&waived, &harm(25.0), &after(0)),
        Transition::Go(Move::Pause(PauseCause::Harm(Metric::Abandon)))
    );
    let unsound = Verdict {
        decisions: finding(21.0),
        ..sound()
    };
    assert_eq!(
        step(&waived, &unsound, &after(0)),
        Transition::Go(Move::Pause(PauseCause::Split))
    );
}

#[test]
fn stale_data_holds_or_rolls_back_as_planned() {
    let stale = Verdict {
        data: Data::Stale(61),
        ..sound()
    };
    let timing = Timing {
        without_data: Duration::from_secs(61 * 60),
        ..after(61)
    };
    assert_eq!(
        step(&canary(), &stale, &timing),
        Transition::Hold(vec![Wait::Data(Data::Stale(61))])
    );
    let impatient = with_terms(r#"{"data": {"when_stale": "rollback"}}"#);
    assert_eq!(
        step(&impatient, &stale, &timing),
        Transition::Go(Move::Abort(AbortCause::Stale))
    );
    let short = Timing {
        without_data: Duration::from_secs(60 * 60),
        ..timing
    };
    assert!(matches!(
        step(&impatient, &stale, &short),
        Transition::Hold(_)
    ));
}

#[test]
fn the_maximum_duration_asks_or_aborts_and_counts_anew_after_a_resumption() {
    let few = Verdict {
        calls: StepCalls {
            usable: 1,
            ..sound().calls
        },
        ..sound()
    };
    assert_eq!(
        step(&canary(), &few, &after(1_441)),
        Transition::Go(Move::Pause(PauseCause::Maximum))
    );
    let aborting = with_terms(r#"{"after_maximum": "abort"}"#);
    assert_eq!(
        step(&aborting, &few, &after(1_441)),
        Transition::Go(Move::Abort(AbortCause::Maximum))
    );
    let resumed = canary()
        .pause(PauseCause::Maximum)
        .unwrap()
        .resume(at(3, 1_441))
        .unwrap();
    assert!(matches!(
        step(&resumed, &few, &after(1_500)),
        Transition::Hold(_)
    ));
    assert_eq!(
        step(&canary(), &sound(), &after(1_441)),
        Transition::Go(Move::Advance)
    );
}

#[test]
fn a_move_chosen_for_another_state_is_refused() {
    let aborted = canary().abort(AbortCause::Operator).unwrap();
    assert_eq!(
        aborted.after(Move::Advance, at(3, 3)),
        Err(Refusal::Over(End::Aborted))
    );
}
