//! What must hold in a plan, each with the member it is about.

use std::fmt;
use std::ops::RangeInclusive;

use super::{Step, Terms};
use crate::domain::judge::metric::Metric;
use crate::domain::rollout::limits::{HarmLimit, Source};
use crate::domain::rollout::percent::Percent;
use crate::domain::weight::Weight;

/// A week: longer than anyone watches a release, short enough to catch a number given in seconds.
const LONGEST_MINUTES: u32 = 7 * 24 * 60;
/// More steps than anyone wants; a bound on the size of a state.
const MOST_STEPS: usize = 20;

/// A member of a plan makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct InvalidPlan {
    /// Path of the member, such as `steps[2].weight`.
    pub field: String,
    /// What it should be.
    pub expected: String,
}

type Checked = Result<(), InvalidPlan>;

fn invalid(field: impl Into<String>, expected: impl Into<String>) -> InvalidPlan {
    InvalidPlan {
        field: field.into(),
        expected: expected.into(),
    }
}

pub(super) fn check(terms: &Terms) -> Checked {
    check_steps(&terms.steps)?;
    check_hold_back(terms)?;
    for (metric, limit) in terms.limits.iter() {
        limit
            .as_ref()
            .map_or(Ok(()), |limit| check_limit(metric, limit))?;
    }
    let is_judged = terms.steps.len() > 1 || terms.hold_back_percent > Percent::ZERO;
    if is_judged && terms.limits.iter().all(|(_, limit)| limit.is_none()) {
        return Err(invalid(
            "limits",
            "at least one metric, since callers are compared below 100 %",
        ));
    }
    check_data(terms)?;
    check_fast_lane(terms)?;
    check_maximum(terms)
}

fn check_steps(steps: &[Step]) -> Checked {
    if !(1..=MOST_STEPS).contains(&steps.len()) {
        return Err(invalid("steps", format!("1 to {MOST_STEPS} steps")));
    }
    let mut before = Weight::ZERO;
    for (index, step) in steps.iter().enumerate() {
        let field = |member: &str| format!("steps[{index}].{member}");
        if step.weight <= before {
            let than = if index == 0 {
                "0".to_owned()
            } else {
                format!("{before}, the weight of the step before")
            };
            return Err(invalid(field("weight"), format!("more than {than}")));
        }
        in_range(
            field("bake_minutes"),
            step.bake_minutes,
            0..=LONGEST_MINUTES,
        )?;
        in_range(field("minimum_calls"), step.minimum_calls, 1..=1_000_000)?;
        before = step.weight;
    }
    if before != Weight::FULL {
        return Err(invalid(
            format!("steps[{}].weight", steps.len() - 1),
            "100, as it is the last step",
        ));
    }
    Ok(())
}

fn check_hold_back(terms: &Terms) -> Checked {
    let held_back = terms.hold_back_percent;
    in_range(
        "hold_back_percent".to_owned(),
        held_back,
        Percent::ZERO..=Percent::whole(50),
    )?;
    let left = Weight::FULL.bps() - held_back.bps();
    match terms.steps.iter().rev().nth(1) {
        Some(before) if before.weight.bps() >= left => Err(invalid(
            "hold_back_percent",
            format!(
                "less than what the step before the last, at {} %, leaves",
                before.weight
            ),
        )),
        _ => Ok(()),
    }
}

fn check_limit(metric: Metric, limit: &HarmLimit) -> Checked {
    let field = |member: &str| format!("limits.{metric}.{member}");
    in_range(
        field("pause_alpha_percent"),
        limit.pause_alpha_percent,
        Percent::LEAST..=Percent::whole(50),
    )?;
    if !(Percent::LEAST..=limit.pause_alpha_percent).contains(&limit.abort_alpha_percent) {
        let expected = format!(
            "0.01 to {}, the probability of a pause",
            limit.pause_alpha_percent
        );
        return Err(invalid(field("abort_alpha_percent"), expected));
    }
    in_range(
        field("tolerance_points"),
        limit.tolerance_points,
        Percent::ZERO..=Percent::whole(50),
    )?;
    if let Some(certificate) = limit.certificate {
        in_range(
            field("certificate.margin_points"),
            certificate.margin_points,
            Percent::LEAST..=Percent::whole(50),
        )?;
        in_range(
            field("certificate.alpha_percent"),
            certificate.alpha_percent,
            Percent::LEAST..=Percent::whole(50),
        )?;
    }
    if limit.fast_lane == Some(true) && limit.source != Source::Outcomes {
        return Err(invalid(
            field("fast_lane"),
            "false, as this source does not tell calls apart",
        ));
    }
    Ok(())
}

fn check_data(terms: &Terms) -> Checked {
    let data = &terms.data;
    in_range(
        "data.horizon_minutes".to_owned(),
        data.horizon_minutes,
        1..=240,
    )?;
    in_range("data.grace_minutes".to_owned(), data.grace_minutes, 0..=240)?;
    in_range(
        "data.reported_percent".to_owned(),
        data.reported_percent,
        Percent::whole(1)..=Percent::whole(100),
    )?;
    in_range(
        "data.split_alpha_percent".to_owned(),
        data.split_alpha_percent,
        Percent::LEAST..=Percent::whole(50),
    )?;
    let maturity = data.horizon_minutes + data.grace_minutes;
    // Before then no call of a step can have counted, so any step would be stale from the start.
    in_range(
        "data.max_stale_minutes".to_owned(),
        data.max_stale_minutes,
        maturity + 1..=LONGEST_MINUTES,
    )
}

fn check_fast_lane(terms: &Terms) -> Checked {
    let (lane, data) = (&terms.fast_lane, &terms.data);
    let within = 1..=60 * data.horizon_minutes;
    in_range(
        "fast_lane.within_seconds".to_owned(),
        lane.within_seconds,
        within,
    )?;
    // A lane that waits longer than the judge itself would not be fast.
    let grace = 0..=60 * (data.horizon_minutes + data.grace_minutes) - lane.within_seconds;
    in_range(
        "fast_lane.grace_seconds".to_owned(),
        lane.grace_seconds,
        grace,
    )?;
    in_range(
        "fast_lane.alpha_percent".to_owned(),
        lane.alpha_percent,
        Percent::LEAST..=Percent::whole(50),
    )
}

fn check_maximum(terms: &Terms) -> Checked {
    let maturity = terms.data.horizon_minutes + terms.data.grace_minutes;
    let bakes = terms.steps.iter().map(|step| step.bake_minutes);
    let last = bakes.clone().next_back().unwrap_or(0);
    // At most twenty weeks, in minutes: it fits.
    let least = bakes.sum::<u32>() - last + last.max(maturity);
    let most = LONGEST_MINUTES * (MOST_STEPS as u32 + 1);
    in_range(
        "maximum_minutes".to_owned(),
        terms.maximum_minutes,
        least..=most,
    )
}

fn in_range<T: PartialOrd + fmt::Display>(
    field: String,
    value: T,
    range: RangeInclusive<T>,
) -> Checked {
    if range.contains(&value) {
        return Ok(());
    }
    Err(invalid(
        field,
        format!("{} to {}", range.start(), range.end()),
    ))
}
