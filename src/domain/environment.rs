//! The environment: two slots, which of them is active, and the share of new calls that goes to the other.

mod commands;
mod difference;
mod freezes;
mod interfaces;
mod overrides;
mod ramp;
#[cfg(test)]
pub(crate) mod strategy;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::command::Flow;
use super::freeze::Freezes;
use super::ids::{InterfaceNumber, Owner, PublishedVersion, VariableName, VersionLabel};
use super::interface::{Interface, VariableValue};
use super::rollout::Rollout;
use super::slot::{BySlot, Slot};
use super::test_calls::TestCalls;
use super::weight::Weight;
use commands::Applied;

pub use overrides::{MAX_OVERRIDE_MINUTES, MAX_OVERRIDES};

/// How many retired flow versions an environment remembers.
pub const REMEMBERED_VERSIONS: usize = 16;

/// Random bytes that make an environment's hash of conversation ids its own. Drawn at creation, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// The state of one environment.
///
/// [`Environment::inconsistency`] names what must hold between the members; [`Aggregate::apply`](super::Aggregate::apply)
/// keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Key of the hash that spreads conversations over the slots.
    pub salt: Salt,
    /// The two slots.
    pub slots: BySlot<SlotState>,
    /// The slot that takes new calls by default; the other is the candidate.
    pub active: Slot,
    /// Share of new calls that goes to the candidate.
    pub weight: Weight,
    /// The version that was active before the present one.
    pub previously_active: Option<VersionLabel>,
    /// Versions that no slot holds any more, oldest first, at most [`REMEMBERED_VERSIONS`].
    pub retired: VecDeque<RetiredVersion>,
    /// Smoke-test overrides, the last added last, at most [`MAX_OVERRIDES`] and one for the same calls. Some may have expired.
    pub overrides: Vec<Override>,
    /// Times in which nobody moves callers towards the candidate.
    pub freezes: Freezes,
    /// The rollout under way, or the last one of the version that it was about.
    pub rollout: Option<Box<Rollout>>,
    /// The interfaces that versions can name.
    pub interfaces: BTreeMap<InterfaceNumber, Interface>,
    /// The values of variables that do not have their default.
    pub values: BTreeMap<VariableName, VariableValue>,
}

/// What is known of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// The Architect flow that it is bound to.
    pub flow: Flow,
    /// The flow version last registered.
    pub version: Option<FlowVersion>,
    /// The claim of a pipeline that is about to publish, or was.
    pub claim: Option<SlotClaim>,
    /// When it last stopped taking a share of new calls; `None` if it takes one now or never did.
    pub share_ended_at: Option<Timestamp>,
}

/// A flow version in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowVersion {
    /// Its label.
    pub label: VersionLabel,
    /// What Genesys Cloud calls the version of the flow that was published for it, if that was said.
    pub published: Option<PublishedVersion>,
    /// Its interface.
    pub interface: InterfaceNumber,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// Whether it was rolled back.
    pub standing: Standing,
    /// An interface that its own is not compatible with, which somebody knew and wanted all the same.
    pub breaks: Option<InterfaceNumber>,
}

/// Whether a version was rolled back, and what that means for calls that are inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was not: it admits its own calls.
    Good,
    /// It was.
    RolledBack {
        /// Whether calls inside it may still return to it.
        keep_calls: bool,
    },
}

/// A reservation of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotClaim {
    /// The version to be registered.
    pub flow_version: VersionLabel,
    /// When the reservation ends; what the slot holds is unknown from then on.
    pub expires_at: Timestamp,
}

/// A flow version that no slot holds any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredVersion {
    /// Its label.
    pub label: VersionLabel,
    /// Its interface, for calls that still name it.
    pub interface: InterfaceNumber,
}

/// A smoke-test override: calls known by a number go to one slot, until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The calls.
    pub calls: TestCalls,
    /// The slot that takes them, as long as nothing bars it ([`SlotState::bars_test_calls`]).
    pub to: Slot,
    /// Who answers for it.
    pub owner: Owner,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why a slot takes no test calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TestBar {
    /// It holds nothing.
    Empty,
    /// It is claimed, or was until the claim ended: what its flow is, or is about to become, nobody knows.
    Claimed,
}

/// Why a slot does not take back the calls inside its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnBar {
    /// It is claimed, or was until the claim ended.
    Claimed,
    /// The version was rolled back without keeping them.
    RolledBack,
}

impl FlowVersion {
    /// Whether a call that is inside this version may come back to it.
    #[must_use]
    pub fn admits_own_calls(&self) -> bool {
        match self.standing {
            Standing::Good => true,
            Standing::RolledBack { keep_calls } => keep_calls,
        }
    }

    /// Whether this version carries the mark of a rollback.
    #[must_use]
    pub fn is_rolled_back(&self) -> bool {
        matches!(self.standing, Standing::RolledBack { .. })
    }
}

impl SlotState {
    /// What the slot holds, as far as anyone can say at `now`.
    #[must_use]
    pub fn content(&self, now: Timestamp) -> Content<'_> {
        match (&self.claim, &self.version) {
            (Some(claim), _) if claim.expires_at > now => Content::Claimed(claim),
            (Some(claim), _) => Content::Unknown(claim),
            (None, Some(version)) => Content::Version(version),
            (None, None) => Content::Empty,
        }
    }

    /// Why no smoke-test override leads here, if none does.
    ///
    /// Not for a rollback: to look again at a version that was rolled back is what a test call is for. But for a claim,
    /// whether it has expired or not, so the time does not matter: nobody could say what the test has tested, and a dialled
    /// number may be one that customers know.
    #[must_use]
    pub fn bars_test_calls(&self) -> Option<TestBar> {
        match (&self.claim, &self.version) {
            (Some(_), _) => Some(TestBar::Claimed),
            (None, None) => Some(TestBar::Empty),
            (None, Some(_)) => None,
        }
    }

    /// Why the calls inside the slot's version do not come back here, if they do not. Nothing is inside an empty slot.
    #[must_use]
    pub fn bars_own_calls(&self) -> Option<ReturnBar> {
        match (&self.claim, &self.version) {
            (Some(_), _) => Some(ReturnBar::Claimed),
            (None, Some(version)) if !version.admits_own_calls() => Some(ReturnBar::RolledBack),
            (None, _) => None,
        }
    }
}

/// What a slot holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// Nothing was ever registered, or the slot was bound to another flow since.
    Empty,
    /// This version.
    Version(&'a FlowVersion),
    /// Something is being published; no call may be sent there.
    Claimed(&'a SlotClaim),
    /// Something may have been published under a claim that ended; no call may be sent there either.
    Unknown(&'a SlotClaim),
}

impl Environment {
    /// The slot that is not active.
    #[must_use]
    pub fn candidate(&self) -> Slot {
        self.active.other()
    }

    /// Share of new calls that goes to `slot`.
    #[must_use]
    pub fn share(&self, slot: Slot) -> Weight {
        if slot == self.active {
            // Both are at most 10,000, so the difference is a weight.
            Weight::from_bps(Weight::FULL.bps() - self.weight.bps()).unwrap_or(Weight::ZERO)
        } else {
            self.weight
        }
    }

    /// Whether `slot` takes new calls: it is active, or the candidate with a share of them.
    #[must_use]
    pub fn takes_new_calls(&self, slot: Slot) -> bool {
        slot == self.active || !self.weight.is_zero()
    }

    /// The rollout that has not come to an end.
    #[must_use]
    pub fn rollout_under_way(&self) -> Option<&Rollout> {
        self.rollout
            .as_deref()
            .filter(|rollout| rollout.end().is_none())
    }

    /// The interface of the version called `label`, in a slot or retired, if the environment remembers it.
    #[must_use]
    pub fn interface_of(&self, label: &str) -> Option<InterfaceNumber> {
        self.versions()
            .find_map(|(known, interface)| (known.as_str() == label).then_some(interface))
    }

    /// The label and the interface of every version that a slot holds, and then of every retired one.
    fn versions(&self) -> impl Iterator<Item = (&VersionLabel, InterfaceNumber)> {
        let held = self
            .slots
            .iter()
            .filter_map(|(_, slot)| slot.version.as_ref());
        let retired = self.retired.iter();
        held.map(|version| (&version.label, version.interface))
            .chain(retired.map(|version| (&version.label, version.interface)))
    }

    /// What is wrong between the members, if anything is: a state read from outside is checked with this before any call is
    /// routed by it.
    #[must_use]
    pub fn inconsistency(&self) -> Option<&'static str> {
        let (active, candidate) = (&self.slots[self.active], &self.slots[self.candidate()]);
        if active.version.is_none() {
            return Some("the active slot holds no flow version");
        }
        if active.claim.is_some() {
            return Some("the active slot is claimed");
        }
        if !self.weight.is_zero() && (candidate.version.is_none() || candidate.claim.is_some()) {
            return Some("the candidate takes calls but holds no known flow version");
        }
        if active.flow.id == candidate.flow.id {
            return Some("both slots are bound to one flow");
        }
        if let Some(rollout) = self.rollout_under_way()
            && (rollout.candidate != self.candidate() || rollout.weight() != self.weight)
        {
            return Some("the rollout calls for another weight or candidate");
        }
        if self.retired.len() > REMEMBERED_VERSIONS {
            return Some("too many retired versions");
        }
        if self.overrides.len() > MAX_OVERRIDES {
            return Some("too many overrides");
        }
        let calls: BTreeSet<_> = self.overrides.iter().map(|one| one.calls).collect();
        if calls.len() < self.overrides.len() {
            return Some("two overrides are for the same calls");
        }
        self.freezes.inconsistency()
    }
}
