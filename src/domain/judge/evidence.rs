//! What the judge is told: who was drawn where, and what became of them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::arm::{ByArm, Tally};
use super::metric::{Metric, MetricSet};
use crate::domain::ids::Revision;
use crate::domain::slot::Slot;
use crate::domain::weight::Weight;

/// Keyed hash of a conversation id. The judge needs to tell conversations apart, never to know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationHash(pub u128);

/// One decision about a conversation, as the replica that took it wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// The conversation.
    pub conversation: ConversationHash,
    /// When it was decided, by the replica's clock.
    pub assigned_at: Timestamp,
    /// The revision that the replica decided by. A replica that is cut off keeps drawing with an old one.
    pub revision: Revision,
    /// The traffic weight of *that* revision, hence the probability with which the candidate was drawn; not the weight that
    /// the journal had by then.
    pub weight: Weight,
    /// The slot that took the call.
    pub slot: Slot,
    /// Whether chance decided. Overrides, affinity and calls without an id are not randomised, and teach nothing.
    pub is_randomised: bool,
}

impl Exposure {
    /// Whether this is the earlier of two decisions about one conversation. Ties are broken by content, so that the order of
    /// arrival never matters.
    #[must_use]
    pub(super) fn is_before(&self, other: &Self) -> bool {
        let key = |e: &Self| (e.assigned_at, e.revision, e.is_randomised, e.slot, e.weight);
        key(self) < key(other)
    }
}

/// What a flow, or the platform, said about a conversation. Any outcome, good or bad, counts as a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The conversation.
    pub conversation: ConversationHash,
    /// When it happened, by the reporter's clock.
    pub at: Timestamp,
    /// In which ways it ended badly; none if it ended well.
    pub bad: MetricSet,
}

/// Counts of a closed interval in which one weight was in force, for a metric that is not reported per call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The metric.
    pub metric: Metric,
    /// Start, included. It lies at least one horizon after the last change of the weight, or calls of the old one are in it.
    pub from: Timestamp,
    /// End, excluded.
    pub until: Timestamp,
    /// The revision in force.
    pub revision: Revision,
    /// Its traffic weight.
    pub weight: Weight,
    /// The calls.
    pub seen: ByArm<Tally>,
}

/// Everything that became known since the last time, in any order and with any repeats.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Decisions.
    pub exposures: Vec<Exposure>,
    /// Outcomes.
    pub outcomes: Vec<Outcome>,
    /// Interval counts, oldest first.
    pub intervals: Vec<Interval>,
}

/// Digest of all evidence consumed, in order: the same digest means that the same calls made the verdict.
///
/// A chain of XXH3-128. It finds evidence that was lost, doubled or changed by mistake. It is not meant to stop a forger: the
/// journal's own chain is SHA-256 and covers this value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvidenceDigest(u128);

impl EvidenceDigest {
    /// Takes in one consumed call.
    pub(super) fn add_call(&mut self, exposure: &Exposure, is_reported: bool, bad: MetricSet) {
        let flags = u8::from(is_reported)
            | u8::from(exposure.is_randomised) << 1
            | (exposure.slot as u8) << 2;
        self.add(&[
            &exposure.conversation.0.to_be_bytes(),
            &exposure.assigned_at.as_nanosecond().to_be_bytes(),
            &exposure.revision.0.to_be_bytes(),
            &exposure.weight.bps().to_be_bytes(),
            &[flags, bad.bits()],
        ]);
    }

    /// Takes in one consumed interval.
    pub(super) fn add_interval(&mut self, interval: &Interval) {
        let Interval {
            metric,
            from,
            until,
            revision,
            weight,
            seen,
        } = interval;
        let counts = [
            seen.active.calls,
            seen.active.bad,
            seen.candidate.calls,
            seen.candidate.bad,
        ];
        self.add(&[
            &[*metric as u8],
            &from.as_nanosecond().to_be_bytes(),
            &until.as_nanosecond().to_be_bytes(),
            &revision.0.to_be_bytes(),
            &weight.bps().to_be_bytes(),
            counts.map(u64::to_be_bytes).as_flattened(),
        ]);
    }

    fn add(&mut self, parts: &[&[u8]]) {
        // The longest record is 91 bytes: 16 of the chain, then an interval.
        let mut bytes = [0; 96];
        let mut length = 16;
        bytes[..length].copy_from_slice(&self.0.to_be_bytes());
        for part in parts {
            bytes[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        self.0 = xxhash_rust::xxh3::xxh3_128(&bytes[..length]);
    }
}

impl fmt::Display for EvidenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for EvidenceDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EvidenceDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| D::Error::custom("expected 32 hexadecimal digits"))
    }
}
