//! What a change did, in words: the differences between two states that people look for in a history.

use super::{Environment, SlotState};
use crate::domain::freeze::Freezes;
use crate::domain::ids::FreezeNumber;
use crate::domain::interface::VariableValue;
use crate::domain::rollout::{Rollout, Status};
use crate::domain::slot::Slot;

impl Environment {
    /// What is other than in `before`, a line each; everything that matters to callers if there was nothing before.
    #[must_use]
    pub fn differences(&self, before: Option<&Self>) -> Vec<String> {
        let Some(before) = before else {
            return vec![format!(
                "{} takes every call with flow version {}",
                self.active,
                label(&self.slots[self.active])
            )];
        };
        let mut lines = Vec::new();
        if before.active != self.active {
            lines.push(format!("active: {} → {}", before.active, self.active));
        }
        if before.weight != self.weight {
            lines.push(format!("weight: {} % → {} %", before.weight, self.weight));
        }
        for slot in Slot::BOTH {
            let (old, new) = (&before.slots[slot], &self.slots[slot]);
            lines.extend(slot_differences(slot, old, new));
        }
        lines.extend(rollout_difference(
            before.rollout.as_deref(),
            self.rollout.as_deref(),
        ));
        lines.extend(freeze_differences(&before.freezes, &self.freezes));
        self.add_override_differences(before, &mut lines);
        self.add_variable_differences(before, &mut lines);
        lines
    }

    fn add_override_differences(&self, before: &Self, lines: &mut Vec<String>) {
        let is_new = |one: &&super::Override| !before.overrides.contains(one);
        lines.extend(self.overrides.iter().filter(is_new).map(|one| {
            format!(
                "override: calls of {} go to {} until {}",
                one.owner, one.to, one.expires_at
            )
        }));
        let is_gone =
            |one: &&super::Override| self.overrides.iter().all(|now| now.calls != one.calls);
        let gone = before.overrides.iter().filter(is_gone);
        lines.extend(gone.map(|one| format!("override of {} ended", one.owner)));
    }

    fn add_variable_differences(&self, before: &Self, lines: &mut Vec<String>) {
        for (number, interface) in &self.interfaces {
            if before.interfaces.get(number) != Some(interface) {
                let variables = interface.variables().len();
                lines.push(format!("interface {number} has {variables} variables"));
            }
        }
        for number in before.interfaces.keys() {
            if !self.interfaces.contains_key(number) {
                lines.push(format!("interface {number} removed"));
            }
        }
        for (name, value) in &self.values {
            if before.values.get(name) != Some(value) {
                lines.push(format!("variable {name} = {}", in_words(value)));
            }
        }
        for name in before.values.keys() {
            if !self.values.contains_key(name) {
                lines.push(format!("variable {name} has its default again"));
            }
        }
    }
}

fn in_words(value: &VariableValue) -> String {
    match value {
        VariableValue::Boolean(value) => value.to_string(),
        VariableValue::Number(number) => number.to_string(),
        VariableValue::Text(text) => format!("“{text}”"),
    }
}

fn label(slot: &SlotState) -> &str {
    slot.version
        .as_ref()
        .map_or("none", |version| version.label.as_str())
}

fn slot_differences(slot: Slot, before: &SlotState, now: &SlotState) -> Vec<String> {
    let mut lines = Vec::new();
    if before.flow != now.flow {
        lines.push(format!(
            "{slot} is bound to flow {} ({})",
            now.flow.name, now.flow.id
        ));
    }
    if label(before) != label(now) {
        lines.push(format!(
            "{slot} holds flow version: {} → {}",
            label(before),
            label(now)
        ));
    } else if let (Some(before), Some(now)) = (&before.version, &now.version)
        && before.standing != now.standing
    {
        lines.push(match (now.is_rolled_back(), now.admits_own_calls()) {
            (true, true) => format!("{slot} {} is rolled back, calls inside stay", now.label),
            (true, false) => format!("{slot} {} is rolled back", now.label),
            (false, _) => format!("{slot} {} is no longer marked as rolled back", now.label),
        });
    }
    match (&before.claim, &now.claim) {
        (old, Some(claim)) if old.as_ref() != Some(claim) => lines.push(format!(
            "{slot} is claimed for flow version {} until {}",
            claim.flow_version, claim.expires_at
        )),
        (Some(_), None) => lines.push(format!("{slot} is no longer claimed")),
        _ => {}
    }
    lines
}

fn rollout_difference(before: Option<&Rollout>, now: Option<&Rollout>) -> Option<String> {
    let tell = |rollout: Option<&Rollout>| match rollout {
        None => "none".to_owned(),
        Some(rollout) => status(rollout),
    };
    let (before, now) = (tell(before), tell(now));
    (before != now).then(|| format!("rollout: {before} → {now}"))
}

/// Where a rollout stands, in few words.
fn status(rollout: &Rollout) -> String {
    let steps = rollout.plan.steps.len();
    match &rollout.status {
        Status::Running { step, promotion } => {
            let agreed = if promotion.is_some() {
                ", a person agreed to go on"
            } else {
                ""
            };
            format!("step {} of {steps}{agreed}", step + 1)
        }
        Status::Paused { step, cause, .. } => {
            format!("paused in step {} of {steps} ({cause})", step + 1)
        }
        Status::Finished => "finished".to_owned(),
        Status::Aborted(cause) => format!("aborted ({cause})"),
    }
}

fn freeze_differences(before: &Freezes, now: &Freezes) -> Vec<String> {
    let has = |freezes: &Freezes, number: FreezeNumber| {
        let mut numbers = freezes.iter().map(|(number, _)| number);
        numbers.any(|known| known == number)
    };
    let added = now
        .iter()
        .filter(|(number, _)| !has(before, *number))
        .map(|(number, freeze)| {
            format!("freeze window {number}: {} to {}", freeze.start, freeze.end)
        });
    let removed = before
        .iter()
        .filter(|(number, _)| !has(now, *number))
        .map(|(number, _)| format!("freeze window {number} is gone"));
    added.chain(removed).collect()
}
