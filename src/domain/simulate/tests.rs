//! Imagined rollouts. The tests marked as proof are those of the plan's promises at full size:
//! `cargo test --release simulate::tests -- --ignored --nocapture`.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::report::Quantiles;
use super::*;
use crate::domain::judge::metric::ByMetric;
use crate::domain::rollout::PauseCause;
use crate::domain::rollout::plan::Terms;

const SEED: u64 = 20_261_123;

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(SEED)
}

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

fn scenario(plan: Plan, blue: &str, green: &str, calls_per_hour: u32) -> Scenario {
    let (blue, green) = (
        Callers::with_bad(percent(blue)),
        Callers::with_bad(percent(green)),
    );
    Scenario::new(plan, Metric::Abandon, calls_per_hour, blue, green).unwrap()
}

fn canary(blue: &str, green: &str, calls_per_hour: u32) -> Scenario {
    scenario(Plan::default(), blue, green, calls_per_hour)
}

fn report(scenario: &Scenario, runs: u32) -> Report {
    simulate(scenario, runs, &mut rng(), |_| ())
}

/// The canary with so many minutes per step and no minimum to speak of.
fn hasty(minutes: u32) -> Plan {
    let mut terms = Plan::default().into_terms();
    for step in &mut terms.steps {
        step.bake_minutes = minutes;
        step.minimum_calls = 1;
    }
    Plan::new(terms).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let scenario = canary("5", "10", 600);
    assert_eq!(report(&scenario, 3), report(&scenario, 3));
    let other = simulate(
        &scenario,
        3,
        &mut Xoshiro256PlusPlus::seed_from_u64(SEED + 1),
        |_| (),
    );
    assert_ne!(report(&scenario, 3), other);
}

#[test]
fn progress_is_told_after_each_run() {
    let mut told = Vec::new();
    simulate(&canary("5", "100", 600), 4, &mut rng(), |done| {
        told.push(done);
    });
    assert_eq!(told, [1, 2, 3, 4]);
}

#[test]
fn a_green_as_good_as_blue_is_promoted() {
    let report = report(&canary("5", "5", 1_000), 12);
    assert!(report.endings.promoted >= 0.8, "{report}");
    assert!(!report.is_harmful);
    assert_eq!(
        report
            .steps
            .iter()
            .map(|step| step.extra_bad_calls)
            .sum::<f64>(),
        0.0
    );
    assert!(
        report.minutes_to_promotion.unwrap().median >= 120.0,
        "{report}"
    );
}

#[test]
fn a_dead_green_is_aborted_by_the_fast_lane_at_a_handful_of_calls() {
    let mut scenario = canary("2", "100", 200);
    scenario.candidate.bad_after = Duration::from_secs(5);
    let report = report(&scenario, 60);
    assert!(
        report.endings.aborted_for_harm >= 0.7 && report.endings.promoted == 0.0,
        "{report}"
    );
    // At 200 calls an hour hardly any call comes between the one that decides and its judgement.
    assert!(
        report.detection.unwrap().candidate_calls.median <= 5.0,
        "{report}"
    );
}

#[test]
fn flows_that_report_nothing_never_promote() {
    let mut scenario = canary("5", "5", 300);
    scenario.active.reported = Percent::ZERO;
    scenario.candidate.reported = Percent::ZERO;
    let report = report(&scenario, 2);
    assert_eq!(report.endings.out_of_time, 1.0, "{report}");
}

#[test]
fn a_green_that_reports_less_than_blue_is_not_promoted() {
    let mut scenario = canary("5", "5", 2_000);
    scenario.candidate.reported = percent("50");
    let trial = trial::run(&scenario, &mut rng(), Trace::Dropped);
    assert_eq!(trial.ending, Ending::Paused(PauseCause::Reports));
}

#[test]
fn too_few_calls_are_warned_about_and_the_advice_holds() {
    let scenario = scenario(hasty(10), "5", "30", 240);
    let mut rng = rng();
    let mut report = simulate(&scenario, 60, &mut rng, |_| ());
    assert!(report.endings.promoted > 0.01, "{report}");
    report.advice = advice::advise(&scenario, &report, &mut rng, |_| ());
    let advice = report.advice.clone().unwrap();
    let longer = advice.longer_steps.unwrap();
    assert!(
        longer.bake_minutes > 10 && longer.promoted <= 0.01,
        "{advice}"
    );
    let text = report.to_string();
    assert!(
        text.contains("Warning: this plan promotes such a green in "),
        "{text}"
    );
    assert!(
        text.contains(&format!("With steps of {} minutes", longer.bake_minutes)),
        "{text}"
    );
}

#[test]
fn a_plan_that_keeps_its_promise_needs_no_advice() {
    let scenario = canary("5", "100", 600);
    let report = report(&scenario, 5);
    assert_eq!(advice::advise(&scenario, &report, &mut rng(), |_| ()), None);
}

#[test]
fn what_cannot_be_noticed_cannot_be_simulated() {
    let callers = Callers::with_bad(percent("5"));
    let scenario =
        |metric, calls| Scenario::new(Plan::default(), metric, calls, callers, callers).map(|_| ());
    assert_eq!(
        scenario(Metric::Error, 100),
        Err(InvalidScenario::Unlimited(Metric::Error))
    );
    assert_eq!(
        scenario(Metric::Abandon, 0),
        Err(InvalidScenario::CallsPerHour)
    );
}

#[test]
fn departures_from_the_plan_are_noted() {
    let mut terms: Terms = Plan::default().into_terms();
    terms.steps[1].gate = Gate::Manual;
    terms.limits = ByMetric {
        abandon: Some(HarmLimit {
            source: Source::Analytics,
            ..HarmLimit::default()
        }),
        ..ByMetric::default()
    };
    let scenario = scenario(Plan::new(terms).unwrap(), "5", "100", 600);
    assert_eq!(scenario.notes.len(), 2);
    assert!(
        report(&scenario, 1)
            .to_string()
            .contains("Note: manual gates")
    );
}

#[test]
fn the_picture_is_well_formed_and_shows_every_traced_run() {
    let scenario = canary("5", "100", 600);
    let report = report(&scenario, 3);
    let svg = picture::svg(&scenario, &report);
    assert!(
        svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    assert_eq!(svg.matches("<polyline").count(), 3);
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert!(
        svg.contains("pause, E = 20") && svg.contains("abort, E = 100"),
        "{svg}"
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn quantiles_are_values_that_occurred() {
    let quantiles = Quantiles::of((0..=10).map(f64::from)).unwrap();
    assert_eq!(
        quantiles,
        Quantiles {
            p10: 1.0,
            median: 5.0,
            p90: 9.0
        }
    );
    assert_eq!(Quantiles::of([]), None);
}

#[test]
#[ignore = "proof: 10,000 rollouts"]
fn triple_harm_at_a_thousand_calls_per_step_is_promoted_in_at_most_one_rollout_in_a_hundred() {
    for (name, plan, blue, green, calls_per_hour) in [
        (
            "canary, 1,000 calls per step",
            Plan::default(),
            "5",
            "15",
            2_000,
        ),
        ("hasty, 1,000 calls per step", hasty(30), "5", "15", 2_000),
    ] {
        let report = report(&scenario(plan, blue, green, calls_per_hour), 10_000);
        println!("{name}: promoted {:.2} %", 100.0 * report.endings.promoted);
        assert!(report.endings.promoted <= 0.01, "{report}");
    }
}

#[test]
#[ignore = "proof: what too few calls cost, 2,000 rollouts each"]
fn below_that_volume_harm_slips_through() {
    for (base, harm, expected) in [("5", "15", 7.0), ("2", "6", 52.0)] {
        let report = report(&scenario(hasty(30), base, harm, 400), 2_000);
        println!(
            "200 calls per step, {base} -> {harm} %: promoted {:.1} % (expected {expected} %)",
            100.0 * report.endings.promoted
        );
        assert!(report.endings.promoted > 0.01);
    }
}

#[test]
#[ignore = "proof: 2,000 rollouts of a harmless and of a dead candidate"]
fn the_default_plan_keeps_its_promises() {
    let harmless = report(&canary("5", "5", 2_000), 2_000);
    println!("harmless:\n{harmless}");
    assert!(
        harmless.endings.aborted_for_harm <= 0.02 && harmless.stopped_for_harm() <= 0.06,
        "{harmless}"
    );
    for (share, own) in [("100", 3.0), ("60", 5.0)] {
        let mut scenario = canary("2", share, 200);
        scenario.candidate.bad_after = Duration::from_secs(5);
        let report = report(&scenario, 2_000);
        let calls = report.detection.unwrap().candidate_calls.median;
        println!(
            "{share} % killed: stopped after {calls} of its own calls (expected: {own} matured)"
        );
        assert!(calls <= own + 2.0, "{report}");
    }
}
