//! Freeze windows in format 1.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::freeze::{Freeze, Freezes};
use crate::domain::ids::{FreezeNumber, Reason};

/// The windows by their numbers.
pub(super) type WireFreezes = BTreeMap<FreezeNumber, WireFreeze>;

#[derive(Serialize, Deserialize)]
pub(super) struct WireFreeze {
    start: Timestamp,
    end: Timestamp,
    reason: Reason,
}

pub(super) fn to_wire(freezes: &Freezes) -> WireFreezes {
    let wire = freezes.iter().map(|(number, freeze)| {
        let wire = WireFreeze {
            start: freeze.start,
            end: freeze.end,
            reason: freeze.reason.clone(),
        };
        (number, wire)
    });
    wire.collect()
}

pub(super) fn from_wire(wire: WireFreezes) -> Freezes {
    let freezes = wire.into_iter().map(|(number, wire)| {
        let freeze = Freeze {
            start: wire.start,
            end: wire.end,
            reason: wire.reason,
        };
        (number, freeze)
    });
    freezes.collect()
}
