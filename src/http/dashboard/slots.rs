//! The two slots: what each holds, and whether calls may still be inside.

use jiff::Timestamp;

use super::words::{Moment, count};
use crate::domain::Environment;
use crate::domain::drain::Drain;
use crate::domain::environment::Content;
use crate::domain::slot::Slot;
use crate::replica::meter::Reported;

/// A slot.
#[derive(Debug)]
pub(super) struct SlotCard {
    pub(super) slot: Slot,
    pub(super) is_active: bool,
    /// The flow version, if one is known to be there.
    pub(super) version: Option<String>,
    /// What stands beside it: a claim, a rollback.
    pub(super) remarks: Vec<String>,
    pub(super) registered: Option<Moment>,
    pub(super) flow_name: String,
    pub(super) flow_id: String,
    pub(super) drain: DrainMeter,
}

/// Whether calls may still be inside a slot.
#[derive(Debug)]
pub(super) struct DrainMeter {
    pub(super) text: String,
    /// Calls of all replicas in the drain time.
    pub(super) calls: String,
    pub(super) last_call: Option<Moment>,
    /// How much of the drain time has passed, in percent, while it drains.
    pub(super) progress: Option<u8>,
}

impl SlotCard {
    pub(super) fn both(
        environment: &Environment,
        reported: &Reported,
        drain_time: std::time::Duration,
        now: Timestamp,
    ) -> [Self; 2] {
        Slot::BOTH.map(|slot| {
            let state = &environment.slots[slot];
            let content = state.content(now);
            let version = state.version.as_ref();
            Self {
                slot,
                is_active: slot == environment.active,
                version: match content {
                    Content::Version(version) => Some(version.label.to_string()),
                    Content::Empty | Content::Claimed(_) | Content::Unknown(_) => None,
                },
                remarks: remarks(environment, slot, now),
                registered: version.map(|version| Moment::new(version.registered_at, now)),
                flow_name: state.flow.name.to_string(),
                flow_id: state.flow.id.to_string(),
                drain: DrainMeter::of(environment, slot, reported, drain_time, now),
            }
        })
    }
}

fn remarks(environment: &Environment, slot: Slot, now: Timestamp) -> Vec<String> {
    let state = &environment.slots[slot];
    let mut remarks = Vec::new();
    match state.content(now) {
        Content::Empty => remarks.push("Holds nothing yet.".to_owned()),
        Content::Claimed(claim) => remarks.push(format!(
            "Claimed for flow version {} until {} UTC: a pipeline is publishing there, so it takes no calls.",
            claim.flow_version,
            Moment::new(claim.expires_at, now).text
        )),
        Content::Unknown(claim) => remarks.push(format!(
            "What it holds is unknown: the claim for flow version {} has ended, and nobody said what was published. It takes no \
             calls until a version is registered.",
            claim.flow_version
        )),
        Content::Version(version) => {
            if version.is_rolled_back() {
                remarks.push(if version.admits_own_calls() {
                    "Was rolled back; calls inside it may come back to it.".to_owned()
                } else {
                    "Was rolled back.".to_owned()
                });
            }
            if let Some(interface) = version.breaks {
                remarks.push(format!(
                    "Lacks variables of interface {interface}, which somebody accepted."
                ));
            }
        }
    }
    remarks
}

impl DrainMeter {
    fn of(
        environment: &Environment,
        slot: Slot,
        reported: &Reported,
        drain_time: std::time::Duration,
        now: Timestamp,
    ) -> Self {
        let drain = environment.drain(slot, &reported.last, drain_time, now);
        let (text, progress) = match drain {
            Drain::TakesNewCalls => ("takes new calls".to_owned(), None),
            Drain::Drained => ("drained: no call can be inside".to_owned(), None),
            Drain::Until { drained_at, .. } => {
                let left = drained_at.duration_since(now).as_secs_f64().max(0.0);
                let passed = 1.0 - left / drain_time.as_secs_f64().max(1.0);
                let at = Moment::new(drained_at, now);
                (
                    format!("draining until {} UTC ({})", at.text, at.distance),
                    Some((passed.clamp(0.0, 1.0) * 100.0) as u8),
                )
            }
        };
        Self {
            text,
            calls: count(reported.calls[slot]),
            last_call: reported.last[slot].map(|at| Moment::new(at, now)),
            progress,
        }
    }
}
