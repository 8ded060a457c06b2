//! What each command does to an environment.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::interfaces::first_interface;
use super::{
    Content, Environment, FlowVersion, REMEMBERED_VERSIONS, RetiredVersion, Salt, SlotClaim,
    SlotState, Standing,
};
use crate::domain::command::{
    Claim, Command, Create, Cutover, Rebind, Register, Release, Rollback, SetWeight,
};
use crate::domain::drain::{Cause, Drain};
use crate::domain::freeze::Freezes;
use crate::domain::ids::{InterfaceNumber, VersionLabel};
use crate::domain::refusal::{MAX_ENVIRONMENTS, Refusal, RollbackObstacle};
use crate::domain::slot::{BySlot, Slot};
use crate::domain::weight::Weight;
use crate::domain::{Aggregate, Change, Context, Unchanged};

/// The state after a command, or that nothing changes, or why not.
pub(super) type Applied = Result<Change<Environment>, Refusal>;

impl Aggregate for Environment {
    type Command = Command;

    fn apply(state: Option<&Self>, command: &Command, context: &Context) -> Applied {
        if let Command::Create(create) = command {
            return match state {
                Some(_) => Err(Refusal::EnvironmentExists),
                None => create_environment(create, context),
            };
        }
        let before = state.ok_or(Refusal::EnvironmentMissing)?;
        let mut current = before.clone();
        // What is over matters no more, so the next change takes it along, and it stands in no one's way.
        current.overrides.retain(|one| one.expires_at > context.now);
        current.freezes.drop_ended(context.now);
        let change = current.after(command, context)?;
        Ok(match change {
            Change::To(Some(mut after)) => {
                after.note_ended_shares(before, context.now);
                debug_assert_eq!(after.inconsistency(), None, "after {command:?}");
                Change::To(Some(after))
            }
            other => other,
        })
    }

    fn breaks_with(&self, earlier: &Self) -> Option<&'static str> {
        (self.salt != earlier.salt)
            .then_some("it has another salt, by which every conversation would be decided anew")
    }
}

fn create_environment(create: &Create, context: &Context) -> Applied {
    if context.others >= MAX_ENVIRONMENTS {
        return Err(Refusal::TooManyEnvironments);
    }
    if create.flows.blue.id == create.flows.green.id {
        return Err(Refusal::SameFlowTwice(create.flows.blue.id.clone()));
    }
    let interfaces = first_interface(create)?;
    let mut slots = BySlot::from_fn(|slot| SlotState {
        flow: create.flows[slot].clone(),
        version: None,
        claim: None,
        share_ended_at: None,
    });
    slots[create.active].version = Some(registered(
        &create.flow_version,
        create.interface,
        context.now,
    ));
    Ok(Change::To(Some(Environment {
        salt: Salt(context.draw),
        slots,
        active: create.active,
        weight: Weight::ZERO,
        previously_active: None,
        retired: VecDeque::new(),
        overrides: Vec::new(),
        freezes: Freezes::default(),
        rollout: None,
        interfaces,
        values: BTreeMap::new(),
    })))
}

fn registered(label: &VersionLabel, interface: InterfaceNumber, now: Timestamp) -> FlowVersion {
    FlowVersion {
        label: label.clone(),
        published: None,
        interface,
        registered_at: now,
        standing: Standing::Good,
        breaks: None,
    }
}

impl Environment {
    fn after(self, command: &Command, context: &Context) -> Applied {
        let now = context.now;
        match command {
            Command::Create(_) => Err(Refusal::EnvironmentExists),
            Command::Register(register) => self.register(register, now),
            Command::Claim(claim) => self.claim(claim, context),
            Command::Release(release) => self.release(release, now),
            Command::Rebind(rebind) => self.rebind(rebind, now),
            Command::Cutover(cutover) => self.cutover(cutover, context),
            Command::Rollback(rollback) => self.roll_back(rollback, now),
            Command::SetWeight(set_weight) => self.set_weight(set_weight, context),
            Command::AddOverride(add) => self.add_override(add, now),
            Command::RemoveOverride(remove) => self.remove_override(remove),
            Command::AddFreeze(add) => self.add_freeze(add, context),
            Command::RemoveFreeze(remove) => self.remove_freeze(remove),
            Command::Delete(_) => {
                self.refuse_during_rollout()?;
                Ok(Change::To(None))
            }
            Command::StartRollout(start) => self.start_rollout(start, context),
            Command::PauseRollout(_) => self.pause_rollout(),
            Command::ResumeRollout(_) => self.resume_rollout(context),
            Command::PromoteRollout(promote) => self.promote_rollout(promote, context),
            Command::AbortRollout(abort) => self.abort_rollout(abort),
            Command::StepRollout(step) => self.step_rollout(step, context),
            Command::DefineInterface(define) => self.define_interface(define),
            Command::RemoveInterface(remove) => self.remove_interface(remove),
            Command::SetVariables(set) => self.set_variables(set),
        }
    }

    fn register(mut self, register: &Register, now: Timestamp) -> Applied {
        self.refuse_during_rollout()?;
        let slot = register.slot.unwrap_or(self.candidate());
        if self.takes_new_calls(slot) {
            return Err(Refusal::SlotTakesCalls(slot));
        }
        if let Content::Claimed(claim) = self.slots[slot].content(now)
            && claim.flow_version != register.flow_version
        {
            return Err(claimed(slot, claim));
        }
        if self.interface_of(register.flow_version.as_str()).is_some() {
            return Err(Refusal::LabelInUse(register.flow_version.clone()));
        }
        self.require_interface(register.interface)?;
        let mut version = registered(&register.flow_version, register.interface, now);
        version.published.clone_from(&register.published_version);
        version.breaks = self.accept_interface(&version, register.force_incompatible)?;
        self.retire(slot);
        self.slots[slot].claim = None;
        self.slots[slot].version = Some(version);
        Ok(Change::To(Some(self)))
    }

    fn claim(mut self, claim: &Claim, context: &Context) -> Applied {
        self.refuse_during_rollout()?;
        let slot = claim.slot.unwrap_or(self.candidate());
        if !(1..=1440).contains(&claim.expires_in_minutes) {
            return Err(Refusal::ClaimLength);
        }
        if self.takes_new_calls(slot) {
            return Err(Refusal::SlotTakesCalls(slot));
        }
        if let Content::Claimed(held) = self.slots[slot].content(context.now) {
            return Err(claimed(slot, held));
        }
        self.require_drained(slot, context)?;
        if self.interface_of(claim.flow_version.as_str()).is_some() {
            return Err(Refusal::LabelInUse(claim.flow_version.clone()));
        }
        self.slots[slot].claim = Some(SlotClaim {
            flow_version: claim.flow_version.clone(),
            expires_at: later(
                context.now,
                SignedDuration::from_mins(i64::from(claim.expires_in_minutes)),
            ),
        });
        Ok(Change::To(Some(self)))
    }

    /// Refuses a slot that calls may still be inside. What is not known counts as calls: publishing cannot be taken back.
    fn require_drained(&self, slot: Slot, context: &Context) -> Result<(), Refusal> {
        let last_calls = context.last_calls.as_ref();
        let last_calls = last_calls.ok_or(Refusal::LastCallsUnknown(slot))?;
        match self.drain(slot, last_calls, context.drain_time, context.now) {
            Drain::Drained => Ok(()),
            Drain::TakesNewCalls => Err(Refusal::SlotTakesCalls(slot)),
            Drain::Until {
                since,
                cause: Cause::Share,
                drained_at,
            } => Err(Refusal::SlotNotDrained {
                slot,
                since,
                drained_at,
            }),
            Drain::Until {
                since: last_call,
                cause: Cause::Call,
                drained_at,
            } => Err(Refusal::SlotCalled {
                slot,
                last_call,
                drained_at,
            }),
        }
    }

    fn release(mut self, release: &Release, now: Timestamp) -> Applied {
        let slot = release.slot.unwrap_or(self.candidate());
        let claim = self.slots[slot]
            .claim
            .as_mut()
            .ok_or(Refusal::NotClaimed(slot))?;
        if release.nothing_published {
            self.slots[slot].claim = None;
        } else if claim.expires_at > now {
            claim.expires_at = now;
        } else {
            return Err(Refusal::SlotUnknown {
                slot,
                flow_version: claim.flow_version.clone(),
            });
        }
        Ok(Change::To(Some(self)))
    }

    fn rebind(mut self, rebind: &Rebind, now: Timestamp) -> Applied {
        let slot = rebind.slot;
        if self.slots[slot].flow == rebind.flow {
            return Ok(Change::Nothing(Unchanged::SameFlow));
        }
        self.refuse_during_rollout()?;
        if self.takes_new_calls(slot) {
            return Err(Refusal::SlotTakesCalls(slot));
        }
        if let Content::Claimed(claim) = self.slots[slot].content(now) {
            return Err(claimed(slot, claim));
        }
        if self.slots[slot.other()].flow.id == rebind.flow.id {
            return Err(Refusal::SameFlowTwice(rebind.flow.id.clone()));
        }
        self.retire(slot);
        self.slots[slot].claim = None;
        self.slots[slot].flow = rebind.flow.clone();
        Ok(Change::To(Some(self)))
    }

    fn cutover(mut self, cutover: &Cutover, context: &Context) -> Applied {
        self.refuse_during_rollout()?;
        let target = cutover.to.unwrap_or(self.candidate());
        if target == self.active {
            if self.weight.is_zero() {
                return Ok(Change::Nothing(Unchanged::AlreadyActive));
            }
            self.weight = Weight::ZERO;
            return Ok(Change::To(Some(self)));
        }
        self.refuse_while_frozen(context)?;
        self.admit(target, cutover.force_incompatible, context.now)?;
        self.activate(target);
        Ok(Change::To(Some(self)))
    }

    /// A candidate with calls, or on its way to some, loses them; otherwise the version that was active before becomes active again, unless it was
    /// rolled back itself: then rolling back is done already.
    fn roll_back(mut self, rollback: &Rollback, now: Timestamp) -> Applied {
        let other = self.candidate();
        let left = Standing::RolledBack {
            keep_calls: rollback.keep_calls,
        };
        if self.absorb_rollout() || !self.weight.is_zero() {
            self.weight = Weight::ZERO;
            self.mark(other, left);
            return Ok(Change::To(Some(self)));
        }
        let obstacle = match self.slots[other].content(now) {
            Content::Version(version) if version.is_rolled_back() => {
                // Its calls were kept, and now they are not to be: the one thing a second rollback can still take away.
                if version.admits_own_calls() && !rollback.keep_calls {
                    self.mark(other, left);
                    return Ok(Change::To(Some(self)));
                }
                return Ok(Change::Nothing(Unchanged::AlreadyRolledBack));
            }
            Content::Version(version)
                if Some(&version.label) == self.previously_active.as_ref() =>
            {
                self.mark(self.active, left);
                self.activate(other);
                return Ok(Change::To(Some(self)));
            }
            Content::Version(version) => {
                RollbackObstacle::NeverActive(other, version.label.clone())
            }
            Content::Empty => RollbackObstacle::Empty(other),
            Content::Claimed(claim) => RollbackObstacle::Claimed(other, claim.flow_version.clone()),
            Content::Unknown(claim) => RollbackObstacle::Unknown(other, claim.flow_version.clone()),
        };
        Err(Refusal::NoRollbackTarget(obstacle))
    }

    fn set_weight(mut self, set_weight: &SetWeight, context: &Context) -> Applied {
        self.refuse_during_rollout()?;
        if set_weight.weight > self.weight {
            self.refuse_while_frozen(context)?;
        }
        if !set_weight.weight.is_zero() {
            self.admit(self.candidate(), set_weight.force_incompatible, context.now)?;
        }
        if set_weight.weight == self.weight {
            return Ok(Change::Nothing(Unchanged::SameWeight));
        }
        self.weight = set_weight.weight;
        Ok(Change::To(Some(self)))
    }

    /// Makes the version in `slot`, the candidate, fit to take calls, clearing the mark of an earlier rollback, or says why it
    /// is not.
    pub(super) fn admit(
        &mut self,
        slot: Slot,
        force_incompatible: bool,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let version = self.known_version(slot, now)?;
        let breaks = self.accept_interface(version, force_incompatible)?;
        if let Some(version) = &mut self.slots[slot].version {
            version.breaks = breaks;
        }
        self.mark(slot, Standing::Good);
        Ok(())
    }

    /// The version in `slot`, or why nobody can say which one that is.
    pub(super) fn known_version(
        &self,
        slot: Slot,
        now: Timestamp,
    ) -> Result<&FlowVersion, Refusal> {
        match self.slots[slot].content(now) {
            Content::Version(version) => Ok(version),
            Content::Empty => Err(Refusal::SlotEmpty(slot)),
            Content::Claimed(claim) => Err(claimed(slot, claim)),
            Content::Unknown(claim) => Err(Refusal::SlotUnknown {
                slot,
                flow_version: claim.flow_version.clone(),
            }),
        }
    }

    pub(super) fn activate(&mut self, slot: Slot) {
        self.previously_active = self.slots[self.active]
            .version
            .as_ref()
            .map(|version| version.label.clone());
        self.active = slot;
        self.weight = Weight::ZERO;
    }

    pub(super) fn mark(&mut self, slot: Slot, standing: Standing) {
        if let Some(version) = &mut self.slots[slot].version {
            version.standing = standing;
        }
    }

    /// Empties `slot` and remembers the version it held.
    fn retire(&mut self, slot: Slot) {
        // What was found out about the version that leaves says nothing about the next.
        self.rollout.take_if(|rollout| rollout.candidate == slot);
        if let Some(version) = self.slots[slot].version.take() {
            // Its label may be used again once it is forgotten: by then it must not look like the version to go back to.
            self.previously_active
                .take_if(|label| *label == version.label);
            self.retired.push_back(RetiredVersion {
                label: version.label,
                interface: version.interface,
            });
            if self.retired.len() > REMEMBERED_VERSIONS {
                self.retired.pop_front();
            }
        }
    }

    /// Keeps, for each slot, since when it has had no share of new calls.
    fn note_ended_shares(&mut self, before: &Self, now: Timestamp) {
        for slot in Slot::BOTH {
            if !self.share(slot).is_zero() {
                self.slots[slot].share_ended_at = None;
            } else if !before.share(slot).is_zero() {
                self.slots[slot].share_ended_at = Some(now);
            }
        }
    }
}

fn claimed(slot: Slot, claim: &SlotClaim) -> Refusal {
    Refusal::SlotClaimed {
        slot,
        flow_version: claim.flow_version.clone(),
        expires_at: claim.expires_at,
    }
}

/// `duration` after `time`, or the end of time.
pub(super) fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}
