//! An environment as a person reads it: first what callers get, then why.

use super::api::{Environment, Environments, RolloutGlance, SlotState};
use super::freeze;
use super::output::table;
use super::overrides;
use crate::domain::slot::Slot;

/// One environment, both slots side by side.
pub(super) fn environment(environment: &Environment) -> String {
    let mut lines = warnings(
        environment.stale.then(|| staleness(environment.age_ms)),
        environment.fault.as_deref(),
    );
    lines.push(format!(
        "{} at revision {}: {}",
        environment.environment,
        environment.revision,
        new_calls(environment)
    ));
    lines.extend(environment.rollout.as_ref().map(rollout));
    lines.push(String::new());
    lines.push(slots(environment));
    if let Some(label) = &environment.previously_active {
        lines.push(format!("\nactive before: {label}"));
    }
    if !environment.retired.is_empty() {
        let labels: Vec<_> = environment
            .retired
            .iter()
            .map(|retired| retired.label.as_str())
            .collect();
        lines.push(format!("retired: {}", labels.join(", ")));
    }
    if !environment.overrides.is_empty() {
        lines.push(format!(
            "\nsmoke tests\n\n{}",
            overrides::describe(&environment.overrides)
        ));
    }
    if !environment.freezes.is_empty() {
        lines.push(format!(
            "\nfreeze windows\n\n{}",
            freeze::describe(&environment.freezes)
        ));
    }
    lines.join("\n")
}

/// Where a rollout stands, in short.
pub(super) fn rollout(rollout: &RolloutGlance) -> String {
    let (step, steps) = (rollout.step, rollout.steps);
    match &rollout.paused {
        Some(cause) => format!("rollout: paused in step {step} of {steps} ({cause})"),
        None => format!("rollout: step {step} of {steps}"),
    }
}

/// The environments that the token may read, one a line.
pub(super) fn environments(all: &Environments) -> String {
    let rows = all.environments.iter().map(|environment| {
        let slot = |slot| {
            let state = &environment.slots[slot];
            format!("{} % {}", state.share, content(state))
        };
        [
            environment.environment.clone(),
            environment.revision.to_string(),
            environment.active.to_string(),
            slot(Slot::Blue),
            slot(Slot::Green),
            environment.fault.clone().unwrap_or_else(dash),
        ]
    });
    let header = [
        "environment",
        "revision",
        "active",
        "blue",
        "green",
        "fault",
    ];
    let list = if all.environments.is_empty() {
        "no environment that this token may read".to_owned()
    } else {
        table(header, rows)
    };
    let stale = all.stale.then(|| staleness(all.age_ms));
    let lines: Vec<_> = stale.into_iter().chain([list]).collect();
    lines.join("\n")
}

/// The share of new calls per slot, in short.
pub(super) fn shares(environment: &Environment) -> String {
    let shares = environment.slots.iter();
    let shares: Vec<_> = shares
        .map(|(slot, state)| format!("{slot} {} %", state.share))
        .collect();
    shares.join(", ")
}

/// What comes before everything else: that an answer is old, as [`staleness`] says it, and that something is wrong.
pub(super) fn warnings(stale: Option<String>, fault: Option<&str>) -> Vec<String> {
    let fault = fault.map(|fault| format!("FAULT: {fault}"));
    stale.into_iter().chain(fault).collect()
}

/// How old an answer is, if it is not the latest for certain.
pub(super) fn staleness(age_ms: Option<u64>) -> String {
    let confirmed = match age_ms {
        Some(age_ms) => format!("{} s ago", age_ms / 1_000),
        None => "before the server started".to_owned(),
    };
    format!("STALE: the store does not answer; this was confirmed {confirmed}")
}

/// Who takes new calls, as a sentence.
fn new_calls(environment: &Environment) -> String {
    let taking: Vec<_> = environment
        .slots
        .iter()
        .filter(|(_, state)| takes_new_calls(state))
        .collect();
    match taking.as_slice() {
        [(slot, state)] => format!("all new calls go to {slot} ({})", content(state)),
        [(first, first_state), (second, second_state)] => format!(
            "{} % of new calls go to {first} ({}), {} % to {second} ({})",
            first_state.share,
            content(first_state),
            second_state.share,
            content(second_state)
        ),
        _ => "no slot takes new calls".to_owned(),
    }
}

fn slots(environment: &Environment) -> String {
    let row = |name: &str, cell: fn(&SlotState) -> String| {
        let slots = &environment.slots;
        [name.to_owned(), cell(&slots.blue), cell(&slots.green)]
    };
    let rows = [
        row("new calls", |slot| format!("{} %", slot.share)),
        row("flow version", content),
        row("status", status),
        row("claim", claim),
        row("drained", drained),
        row("calls inside", calls_inside),
        row("interface", interface),
        row("registered", registered),
        row("flow", |slot| slot.flow.name.clone()),
        row("flow id", |slot| slot.flow.id.clone()),
    ];
    let title = |slot: Slot| {
        let role = if slot == environment.active {
            "active"
        } else {
            "candidate"
        };
        format!("{slot} ({role})")
    };
    let (blue, green) = (title(Slot::Blue), title(Slot::Green));
    table(["", blue.as_str(), green.as_str()], rows)
}

fn takes_new_calls(slot: &SlotState) -> bool {
    slot.share.as_f64().is_some_and(|share| share > 0.0)
}

fn content(slot: &SlotState) -> String {
    match &slot.flow_version {
        Some(version) if version.rolled_back => format!("{}, rolled back", version.label),
        Some(version) => version.label.clone(),
        None => slot.status.clone(),
    }
}

fn status(slot: &SlotState) -> String {
    match slot.status.as_str() {
        "version" => "holds a version",
        "unknown" => "unknown: register what was published",
        status => status,
    }
    .to_owned()
}

fn claim(slot: &SlotState) -> String {
    slot.claim.as_ref().map_or_else(dash, |claim| {
        format!("for {} until {}", claim.flow_version, claim.expires_at)
    })
}

fn drained(slot: &SlotState) -> String {
    match &slot.share_ended_at {
        _ if takes_new_calls(slot) => "takes new calls".to_owned(),
        Some(ended_at) => format!("no new calls since {ended_at}"),
        None => "never took calls".to_owned(),
    }
}

/// What becomes of calls that are inside the flow already when they ask again.
fn calls_inside(slot: &SlotState) -> String {
    slot.flow_version.as_ref().map_or_else(dash, |version| {
        if version.admits_own_calls {
            "may return"
        } else {
            "are sent elsewhere"
        }
        .to_owned()
    })
}

fn interface(slot: &SlotState) -> String {
    slot.flow_version.as_ref().map_or_else(dash, |version| {
        let number = match version.interface {
            0 => "none".to_owned(),
            number => number.to_string(),
        };
        match version.breaks {
            Some(broken) => format!("{number}, incompatible with {broken}"),
            None => number,
        }
    })
}

fn registered(slot: &SlotState) -> String {
    slot.flow_version
        .as_ref()
        .map_or_else(dash, |version| match &version.published_version {
            Some(published) => format!("{}, as {published}", version.registered_at),
            None => version.registered_at.clone(),
        })
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests;
