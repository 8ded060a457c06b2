use super::*;
use crate::domain::judge::metric::ByMetric;
use crate::domain::rollout::limits::{HarmLimit, Source};
use crate::domain::rollout::percent::Percent;
use crate::domain::rollout::plan::Terms;

fn refused(json: &str) -> String {
    serde_json::from_str::<Plan>(json)
        .expect_err(json)
        .to_string()
}

#[test]
fn an_empty_plan_is_the_canary() {
    let plan: Plan = serde_json::from_str("{}").unwrap();
    assert_eq!(plan, Plan::built_in("canary").unwrap());
    let weights: Vec<String> = plan
        .steps
        .iter()
        .map(|step| step.weight.to_string())
        .collect();
    assert_eq!(weights, ["5", "25", "50", "100"]);
    assert!(
        plan.steps
            .iter()
            .all(|step| step.bake_minutes == 30 && step.minimum_calls == 50)
    );
    assert_eq!(
        plan.limits,
        ByMetric {
            abandon: Some(HarmLimit::default()),
            ..ByMetric::default()
        }
    );
}

#[test]
fn built_in_plans_are_valid_and_survive_storage() {
    for name in Plan::BUILT_IN {
        let plan = Plan::built_in(name).unwrap();
        assert_eq!(
            Plan::new(plan.clone().into_terms()),
            Ok(plan.clone()),
            "{name}"
        );
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{json}");
    }
    assert_eq!(Plan::built_in("other"), None);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (json, field) in [
        (r#"{"steps": []}"#, "steps: expected 1 to 20 steps"),
        (
            r#"{"steps": [{"weight": 0}, {"weight": 100}]}"#,
            "steps[0].weight: expected more than 0",
        ),
        (
            r#"{"steps": [{"weight": 25}, {"weight": 25}, {"weight": 100}]}"#,
            "steps[1].weight: expected more than 25, ",
        ),
        (
            r#"{"steps": [{"weight": 5}]}"#,
            "steps[0].weight: expected 100, as it is the last step",
        ),
        (
            r#"{"steps": [{"weight": 100, "minimum_calls": 0}]}"#,
            "steps[0].minimum_calls: expected 1 to",
        ),
        (
            r#"{"steps": [{"weight": 100, "bake_minutes": 99999}]}"#,
            "steps[0].bake_minutes: expected 0 to 10080",
        ),
        (
            r#"{"hold_back_percent": 50}"#,
            "hold_back_percent: expected less than what the step before the last, at 50 %",
        ),
        (
            r#"{"hold_back_percent": 51}"#,
            "hold_back_percent: expected 0 to 50",
        ),
        (r#"{"limits": {}}"#, "limits: expected at least one metric"),
        (
            r#"{"limits": {"error": {"pause_alpha_percent": 0}}}"#,
            "limits.error.pause_alpha_percent: expected 0.01 to 50",
        ),
        (
            r#"{"limits": {"error": {"abort_alpha_percent": 6}}}"#,
            "limits.error.abort_alpha_percent: expected 0.01 to 5,",
        ),
        (
            r#"{"limits": {"error": {"tolerance_points": 51}}}"#,
            "limits.error.tolerance_points: expected 0 to 50",
        ),
        (
            r#"{"limits": {"error": {"certificate": {"margin_points": 0}}}}"#,
            "limits.error.certificate.margin_points: expected 0.01 to 50",
        ),
        (
            r#"{"limits": {"error": {"source": "analytics", "fast_lane": true}}}"#,
            "limits.error.fast_lane: expected false",
        ),
        (
            r#"{"data": {"horizon_minutes": 0}}"#,
            "data.horizon_minutes: expected 1 to 240",
        ),
        (
            r#"{"data": {"reported_percent": 0}}"#,
            "data.reported_percent: expected 1 to 100",
        ),
        (
            r#"{"data": {"max_stale_minutes": 11}}"#,
            "data.max_stale_minutes: expected 12 to",
        ),
        (
            r#"{"data": {"split_alpha_percent": 51}}"#,
            "data.split_alpha_percent: expected 0.01 to 50",
        ),
        (
            r#"{"fast_lane": {"within_seconds": 601}}"#,
            "fast_lane.within_seconds: expected 1 to 600",
        ),
        (
            r#"{"fast_lane": {"grace_seconds": 601}}"#,
            "fast_lane.grace_seconds: expected 0 to 600",
        ),
        (
            r#"{"fast_lane": {"alpha_percent": 0}}"#,
            "fast_lane.alpha_percent: expected 0.01 to 50",
        ),
        (
            r#"{"maximum_minutes": 119}"#,
            "maximum_minutes: expected 120 to",
        ),
    ] {
        let message = refused(json);
        assert!(message.starts_with(field), "{json}: {message}");
    }
}

#[test]
fn unknown_and_mistyped_members_are_refused() {
    for json in [
        r#"{"step": []}"#,
        r#"{"steps": [{"weight": 100, "bake": 5}]}"#,
        r#"{"limits": {"abandoned": {}}}"#,
        r#"{"limits": {"abandon": {"alpha": 5}}}"#,
        r#"{"data": {"horizon": 5}}"#,
        r#"{"on_pause": "stop"}"#,
        r#"{"maximum_minutes": 12.5}"#,
        r#"{"hold_back_percent": "5"}"#,
    ] {
        refused(json);
    }
}

#[test]
fn errors_and_the_fast_lane_take_callers_back_when_they_pause() {
    let plan: Plan = serde_json::from_str(
        r#"{"limits": {"abandon": {}, "error": {}, "transfer": {"on_pause": "zero"}}}"#,
    )
    .unwrap();
    let on_pause =
        [Metric::Abandon, Metric::Error, Metric::Transfer].map(|metric| plan.on_pause_for(metric));
    assert_eq!(on_pause, [OnPause::Hold, OnPause::Zero, OnPause::Zero]);
    assert_eq!(plan.fast_lane.on_pause, OnPause::Zero);
    let watched: Vec<Metric> = plan.fast_metrics().iter().collect();
    assert_eq!(watched, [Metric::Abandon, Metric::Error]);
}

#[test]
fn analytics_can_be_kept_from_aborting() {
    let line = |source| {
        HarmLimit {
            source,
            ..HarmLimit::default()
        }
        .abort_line()
    };
    assert!(line(Source::Analytics).is_some());
    assert!(line(Source::AnalyticsPauseOnly).is_none());
}

#[test]
fn a_plan_may_compare_nothing_only_if_it_never_splits() {
    let step = Step::at(Weight::FULL);
    let terms = Terms {
        steps: vec![step],
        limits: ByMetric::default(),
        ..Terms::default()
    };
    assert!(Plan::new(terms.clone()).is_ok());
    let held_back = Terms {
        hold_back_percent: Percent::whole(5),
        ..terms
    };
    assert_eq!(Plan::new(held_back).unwrap_err().field, "limits");
}
