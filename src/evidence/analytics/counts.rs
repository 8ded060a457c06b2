//! What an answer counts, by interval and slot.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::ids::FlowId;
use crate::domain::judge::arm::{Arm, ByArm};
use crate::domain::judge::metric::{ByMetric, Metric};
use crate::domain::judge::trouble::Trouble;
use crate::domain::slot::{BySlot, Slot};
use crate::genesys::flow_aggregates::Row;
use crate::genesys::flow_end::{FlowEnd, FlowEnds};

/// With fewer decided calls than this an interval says nothing about whether all of them are counted: calls are decided in
/// one interval and end in another.
const FEW: u64 = 20;

/// The calls of one interval.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Counts(pub(super) BySlot<Calls>);

/// The calls that left one flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Calls {
    pub(super) all: u64,
    /// Those that ended badly.
    pub(super) bad: ByMetric<u64>,
    /// Those of which it is not known how they ended.
    without_exit: u64,
    versions: BTreeSet<String>,
}

/// Sorts the rows of an answer into `intervals`, each of which is named by its start and has an end. All of them are there
/// afterwards.
///
/// # Errors
/// A row is of another flow or interval, or there twice.
pub(super) fn sort(
    rows: &[Row],
    flows: &BySlot<FlowId>,
    intervals: &BTreeMap<Timestamp, Timestamp>,
    ends: &FlowEnds,
) -> Result<BTreeMap<Timestamp, Counts>, Trouble> {
    let mut sorted: BTreeMap<_, _> = intervals
        .keys()
        .map(|from| (*from, Counts::default()))
        .collect();
    let mut known = BTreeSet::new();
    for row in rows {
        let is_of = |slot: &Slot| flows[*slot].as_str().eq_ignore_ascii_case(&row.flow);
        let slot = Slot::BOTH.into_iter().find(is_of).ok_or(Trouble::Absurd)?;
        let is_asked_for = intervals.get(&row.from) == Some(&row.until);
        let (version, exit, transfer) = (&row.version, &row.exit_reason, &row.transfer_type);
        let is_new = known.insert((slot as u8, row.from, version, exit, transfer));
        if !is_asked_for || !is_new {
            return Err(Trouble::Absurd);
        }
        if let Some(counts) = sorted.get_mut(&row.from) {
            counts.0[slot].add(row, ends);
        }
    }
    Ok(sorted)
}

impl Calls {
    fn add(&mut self, row: &Row, ends: &FlowEnds) {
        self.all += row.calls;
        self.versions.extend(row.version.clone());
        if row.exit_reason.is_none() {
            self.without_exit += row.calls;
        }
        let end = FlowEnd {
            conversation_id: String::new(),
            flow_id: None,
            at: row.until,
            exit_reason: row.exit_reason.clone(),
            transfer_type: row.transfer_type.clone(),
        };
        for metric in ends.bad(&end).iter() {
            self.bad[metric] += row.calls;
        }
    }

    fn has_lost(&self, before: &Self) -> bool {
        let is_less = |metric: &Metric| self.bad[*metric] < before.bad[*metric];
        self.all < before.all || Metric::ALL.iter().any(is_less)
    }
}

impl Counts {
    /// What is wrong with them, if they were `before` when they were looked at the last time: an interval is over, so nothing
    /// should change any more.
    pub(super) fn unsettled(&self, before: &Self) -> Option<Trouble> {
        if self == before {
            return None;
        }
        let has_lost = Slot::BOTH
            .iter()
            .any(|slot| self.0[*slot].has_lost(&before.0[*slot]));
        Some(if has_lost {
            Trouble::Shrinking
        } else {
            Trouble::Growing
        })
    }

    /// What is wrong with them as they are, if `decided` calls were decided in the same time.
    pub(super) fn unusable(&self, candidate: Slot, decided: ByArm<u64>) -> Option<Trouble> {
        let calls = |arm: Arm| &self.0[arm.slot(candidate)];
        let [active, tried] = Arm::BOTH.map(|arm| calls(arm).all);
        let counted = active + tried;
        if counted == 0 {
            return Some(Trouble::NoCalls);
        }
        if Slot::BOTH.iter().any(|slot| self.0[*slot].without_exit > 0) {
            return Some(Trouble::WithoutExits);
        }
        let has_several = |slot: &Slot| self.0[*slot].versions.len() > 1;
        if let Some(slot) = Slot::BOTH.into_iter().find(has_several) {
            return Some(Trouble::SeveralVersions(slot));
        }
        for arm in [Arm::Candidate, Arm::Active] {
            let (counted, decided) = (calls(arm).all, decided[arm]);
            // Calls of one side alone would pass for evidence about the other.
            if counted == 0 {
                return Some(Trouble::OneSided(arm.slot(candidate)));
            }
            if decided >= FEW && 2 * counted < decided {
                return Some(Trouble::Partial { counted, decided });
            }
        }
        let decided = decided.active + decided.candidate;
        if counted > 2 * decided + FEW {
            return Some(Trouble::Excess { counted, decided });
        }
        None
    }
}
