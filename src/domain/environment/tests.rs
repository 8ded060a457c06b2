//! What each command does, by example; then what holds in every state that commands can lead to.

mod differences;
mod freezes;
mod interfaces;
mod ramp;

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assert_ne, prop_assume, proptest};

use super::strategy::{self, DRAIN_TIME, Reached};
use super::*;
use crate::domain::command::{
    Claim, Command, Create, Cutover, DefineInterface, Delete, Rebind, Register, Release,
    RemoveInterface, Rollback, SetVariables, SetWeight,
};
use crate::domain::decision::{Bucket, Compiled, Request, decide};
use crate::domain::ids::Revision;
use crate::domain::interface::{Variable, VariableType};
use crate::domain::refusal::{MAX_ENVIRONMENTS, MistypedValue, RollbackObstacle};
use crate::domain::rollout::command::{AbortRollout, StartRollout};
use crate::domain::slot::Slot::{Blue, Green};
use crate::domain::{Aggregate, Change, Context, Refusal, Unchanged};

/// An environment, or none yet, and a clock.
#[derive(Clone)]
struct World {
    state: Option<Environment>,
    context: Context,
}

impl World {
    fn empty() -> Self {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        Self {
            state: None,
            context: Context {
                frozen: None,
                now,
                revision: Revision(1),
                sequence: Default::default(),
                draw: [7; 16],
                drain_time: DRAIN_TIME,
                last_calls: Some(Default::default()),
                others: 0,
            },
        }
    }

    /// Blue is active and holds v1, green is empty.
    fn created() -> Self {
        Self::empty().after(create())
    }

    /// Blue is active and holds v1, green holds v2.
    fn released() -> Self {
        Self::created().after(register("v2"))
    }

    fn apply(&self, command: impl Into<Command>) -> Result<Change<Environment>, Refusal> {
        Environment::apply(self.state.as_ref(), &command.into(), &self.context)
    }

    #[track_caller]
    fn after(mut self, command: impl Into<Command>) -> Self {
        match self.apply(command).unwrap() {
            Change::To(after) => self.state = after,
            Change::Nothing(unchanged) => panic!("nothing changes: {unchanged:?}"),
        }
        self
    }

    #[track_caller]
    fn refusal(&self, command: impl Into<Command>) -> Refusal {
        self.apply(command).unwrap_err()
    }

    #[track_caller]
    fn unchanged(&self, command: impl Into<Command>) -> Unchanged {
        match self.apply(command).unwrap() {
            Change::Nothing(unchanged) => unchanged,
            Change::To(after) => panic!("it changes to {after:?}"),
        }
    }

    fn minutes_later(mut self, minutes: i64) -> Self {
        self.context.now = self.in_minutes(minutes);
        self
    }

    fn in_minutes(&self, minutes: i64) -> Timestamp {
        self.context.now + SignedDuration::from_mins(minutes)
    }

    fn environment(&self) -> &Environment {
        self.state.as_ref().unwrap()
    }

    fn version(&self, slot: Slot) -> &FlowVersion {
        self.environment().slots[slot].version.as_ref().unwrap()
    }

    fn retired(&self) -> Vec<&str> {
        self.environment()
            .retired
            .iter()
            .map(|version| version.label.as_str())
            .collect()
    }
}

fn label(text: &str) -> VersionLabel {
    text.parse().unwrap()
}

fn flow(id: &str) -> Flow {
    Flow {
        id: id.parse().unwrap(),
        name: format!("Flow {id}").parse().unwrap(),
    }
}

fn create() -> Create {
    Create {
        flows: BySlot {
            blue: flow("b"),
            green: flow("g"),
        },
        active: Blue,
        flow_version: label("v1"),
        interface: InterfaceNumber::NONE,
        variables: None,
    }
}

fn register(flow_version: &str) -> Register {
    Register {
        published_version: None,
        slot: None,
        flow_version: label(flow_version),
        interface: InterfaceNumber::NONE,
        force_incompatible: false,
    }
}

fn claim(flow_version: &str) -> Claim {
    Claim {
        slot: None,
        flow_version: label(flow_version),
        expires_in_minutes: 60,
    }
}

fn release() -> Release {
    Release {
        slot: None,
        nothing_published: false,
    }
}

fn nothing_published() -> Release {
    Release {
        nothing_published: true,
        ..release()
    }
}

fn rebind(slot: Slot, id: &str) -> Rebind {
    Rebind {
        slot,
        flow: flow(id),
    }
}

fn cutover() -> Cutover {
    Cutover::default()
}

fn cutover_to(slot: Slot) -> Cutover {
    Cutover {
        to: Some(slot),
        ..cutover()
    }
}

fn rollback() -> Rollback {
    Rollback::default()
}

fn keeping_calls() -> Rollback {
    Rollback { keep_calls: true }
}

fn weight(percent: &str) -> SetWeight {
    SetWeight {
        weight: percent.parse().unwrap(),
        force_incompatible: false,
    }
}

fn weight_of(weight: Weight) -> SetWeight {
    SetWeight {
        weight,
        force_incompatible: false,
    }
}

/// The interface with these variables, all of them texts.
fn define(number: u32, names: &[&str]) -> DefineInterface {
    let variables = names.iter().map(|name| {
        let name = name.parse().unwrap();
        Variable::new(
            name,
            VariableType::String,
            VariableValue::Text("none".to_owned()),
        )
        .unwrap()
    });
    DefineInterface {
        number: InterfaceNumber(number),
        variables: Interface::try_from(variables.collect::<Vec<_>>()).unwrap(),
    }
}

const RECALLED: Standing = Standing::RolledBack { keep_calls: false };

// ---- create ----

#[test]
fn a_created_environment_sends_every_call_to_the_version_named() {
    let world = World::created();
    let environment = world.environment();
    assert_eq!(environment.active, Blue);
    assert_eq!(environment.weight, Weight::ZERO);
    assert_eq!(environment.salt, Salt([7; 16]));
    assert_eq!(environment.previously_active, None);
    let version = FlowVersion {
        published: None,
        label: label("v1"),
        interface: InterfaceNumber::NONE,
        registered_at: world.context.now,
        standing: Standing::Good,
        breaks: None,
    };
    assert_eq!(
        environment.slots.blue.content(world.context.now),
        Content::Version(&version)
    );
    assert_eq!(
        environment.slots.green.content(world.context.now),
        Content::Empty
    );
    assert_eq!(environment.slots.green.flow, flow("g"));
}

#[test]
fn green_can_be_active_from_the_start() {
    let world = World::empty().after(Create {
        active: Green,
        ..create()
    });
    assert_eq!(world.environment().active, Green);
    assert_eq!(world.version(Green).label, label("v1"));
    assert_eq!(world.environment().slots.blue.version, None);
}

#[test]
fn creation_is_refused_where_it_makes_no_sense() {
    assert_eq!(
        World::created().refusal(create()),
        Refusal::EnvironmentExists
    );
    let flows = BySlot {
        blue: flow("b"),
        green: Flow {
            name: "another name".parse().unwrap(),
            ..flow("b")
        },
    };
    assert_eq!(
        World::empty().refusal(Create { flows, ..create() }),
        Refusal::SameFlowTwice("b".parse().unwrap())
    );
}

#[test]
fn a_deployment_holds_256_environments() {
    let mut world = World::empty();
    world.context.others = MAX_ENVIRONMENTS - 1;
    let created = world.clone().after(create());
    world.context.others = MAX_ENVIRONMENTS;
    assert_eq!(world.refusal(create()), Refusal::TooManyEnvironments);
    assert_eq!(MAX_ENVIRONMENTS, 256);
    // The limit is one of creation: what exists can still be changed.
    World {
        context: world.context,
        ..created
    }
    .after(register("v2"));
}

#[test]
fn nothing_but_creation_is_possible_before_it() {
    let set = SetVariables {
        values: [("A".parse().unwrap(), None)].into_iter().collect(),
    };
    let remove = RemoveInterface {
        number: InterfaceNumber(1),
    };
    let commands: [Command; 11] = [
        define(1, &[]).into(),
        remove.into(),
        set.into(),
        register("v1").into(),
        claim("v1").into(),
        release().into(),
        rebind(Green, "x").into(),
        cutover().into(),
        rollback().into(),
        weight("0").into(),
        Delete {}.into(),
    ];
    for command in commands {
        assert_eq!(
            World::empty().refusal(command.clone()),
            Refusal::EnvironmentMissing,
            "{command:?}"
        );
    }
}

#[test]
fn a_deleted_environment_can_be_created_again_with_nothing_left_of_the_old() {
    let deleted = World::released()
        .after(cutover())
        .after(weight("5"))
        .after(Delete {});
    assert_eq!(deleted.state, None);
    assert_eq!(deleted.refusal(cutover()), Refusal::EnvironmentMissing);
    let mut deleted = deleted;
    deleted.context.draw = [8; 16];
    let again = deleted.after(create());
    let mut fresh = World::empty();
    fresh.context.draw = [8; 16];
    assert_eq!(again.state, fresh.after(create()).state);
}

// ---- register ----

#[test]
fn registering_fills_the_candidate_and_moves_no_call() {
    let world = World::created().after(define(4, &[])).minutes_later(5);
    let world = world.after(Register {
        interface: InterfaceNumber(4),
        ..register("v2")
    });
    assert_eq!(world.version(Green).label, label("v2"));
    assert_eq!(world.version(Green).interface, InterfaceNumber(4));
    assert_eq!(world.version(Green).registered_at, world.context.now);
    assert_eq!(
        (world.environment().active, world.environment().weight),
        (Blue, Weight::ZERO)
    );
    assert_eq!(world.retired(), [""; 0]);
}

#[test]
fn registering_retires_the_version_before() {
    let world = World::released().after(register("v3"));
    assert_eq!(world.version(Green).label, label("v3"));
    assert_eq!(world.retired(), ["v2"]);
    let world = World::created()
        .after(define(4, &[]))
        .after(Register {
            interface: InterfaceNumber(4),
            ..register("v2")
        })
        .after(register("v3"));
    assert_eq!(
        world.environment().interface_of("v2"),
        Some(InterfaceNumber(4))
    );
}

#[test]
fn nothing_is_registered_in_a_slot_that_takes_new_calls() {
    let active = Register {
        slot: Some(Blue),
        ..register("v3")
    };
    assert_eq!(
        World::released().refusal(active),
        Refusal::SlotTakesCalls(Blue)
    );
    let canary = World::released().after(weight("0.01"));
    assert_eq!(
        canary.refusal(register("v3")),
        Refusal::SlotTakesCalls(Green)
    );
    // All new calls go to the candidate, but by default still to the active slot: both are taken.
    let full = World::released().after(weight("100"));
    assert_eq!(
        full.refusal(Register {
            slot: Some(Blue),
            ..register("v3")
        }),
        Refusal::SlotTakesCalls(Blue)
    );
}

#[test]
fn a_label_is_used_once_in_either_slot_or_among_the_retired() {
    let world = World::released();
    for used in ["v1", "v2"] {
        assert_eq!(
            world.refusal(register(used)),
            Refusal::LabelInUse(label(used))
        );
        assert_eq!(world.refusal(claim(used)), Refusal::LabelInUse(label(used)));
    }
    let world = world.after(register("v3"));
    assert_eq!(
        world.refusal(register("v2")),
        Refusal::LabelInUse(label("v2"))
    );
    assert_eq!(world.refusal(claim("v2")), Refusal::LabelInUse(label("v2")));
    // Labels are compared as they are.
    world.after(register("V2"));
}

#[test]
fn sixteen_retired_versions_are_remembered_the_oldest_forgotten_first() {
    let mut world = World::released();
    for n in 3..=18 {
        world = world.after(register(&format!("v{n}")));
    }
    assert_eq!(world.retired().len(), 16);
    assert_eq!(
        world.refusal(register("v2")),
        Refusal::LabelInUse(label("v2"))
    );
    let world = world.after(register("v19"));
    assert_eq!(world.retired().len(), 16);
    assert_eq!(world.retired()[..2], ["v3", "v4"]);
    assert_eq!(world.environment().interface_of("v2"), None);
    world.after(register("v2"));
}

// ---- claim ----

#[test]
fn a_claim_bars_the_candidate_and_keeps_the_version_below_it() {
    let world = World::released().after(claim("v3"));
    let held = SlotClaim {
        flow_version: label("v3"),
        expires_at: world.in_minutes(60),
    };
    assert_eq!(
        world.environment().slots.green.content(world.context.now),
        Content::Claimed(&held)
    );
    assert_eq!(world.version(Green).label, label("v2"));
    let refused = Refusal::SlotClaimed {
        slot: Green,
        flow_version: label("v3"),
        expires_at: held.expires_at,
    };
    assert_eq!(world.refusal(cutover()), refused);
    assert_eq!(world.refusal(weight("5")), refused);
    assert_eq!(world.refusal(rebind(Green, "x")), refused);
    assert_eq!(world.refusal(claim("v4")), refused);
    assert_eq!(
        world.refusal(claim("v3")),
        refused,
        "not even by a second run of the same pipeline"
    );
    assert_eq!(world.refusal(register("v4")), refused);
    assert_eq!(world.unchanged(weight("0")), Unchanged::SameWeight);
    assert_eq!(world.unchanged(cutover_to(Blue)), Unchanged::AlreadyActive);
}

#[test]
fn an_empty_slot_can_be_claimed() {
    let world = World::created().after(claim("v2"));
    let Refusal::SlotClaimed { .. } = world.refusal(cutover()) else {
        panic!("the claim bars it")
    };
}

#[test]
fn a_slot_that_takes_new_calls_cannot_be_claimed() {
    let active = Claim {
        slot: Some(Blue),
        ..claim("v3")
    };
    assert_eq!(
        World::released().refusal(active),
        Refusal::SlotTakesCalls(Blue)
    );
    assert_eq!(
        World::released().after(weight("5")).refusal(claim("v3")),
        Refusal::SlotTakesCalls(Green)
    );
}

#[test]
fn a_claim_lasts_from_a_minute_to_a_day() {
    for minutes in [0, 1441, u16::MAX] {
        let claim = Claim {
            expires_in_minutes: minutes,
            ..claim("v3")
        };
        assert_eq!(World::released().refusal(claim), Refusal::ClaimLength);
    }
    for minutes in [1, 1440] {
        World::released().after(Claim {
            expires_in_minutes: minutes,
            ..claim("v3")
        });
    }
}

#[test]
fn registering_the_version_a_claim_named_releases_it() {
    let world = World::released().after(claim("v3")).after(register("v3"));
    assert_eq!(world.environment().slots.green.claim, None);
    assert_eq!(world.version(Green).label, label("v3"));
    assert_eq!(world.retired(), ["v2"]);
    world.after(cutover());
}

#[test]
fn a_slot_is_drained_thirty_minutes_after_its_share_of_new_calls_ended() {
    let canary = World::released()
        .after(weight("5"))
        .minutes_later(10)
        .after(weight("0"));
    let since = canary.context.now;
    let refused = Refusal::SlotNotDrained {
        slot: Green,
        since,
        drained_at: canary.in_minutes(30),
    };
    assert_eq!(canary.refusal(claim("v3")), refused);
    let nearly = canary.clone().minutes_later(29);
    assert_eq!(nearly.refusal(claim("v3")), refused);
    canary.minutes_later(30).after(claim("v3"));
}

#[test]
fn cutover_and_rollback_start_the_drained_clock_of_the_slot_left() {
    let left_by_cutover = World::released().minutes_later(5).after(cutover());
    let since = left_by_cutover.context.now;
    assert_eq!(
        left_by_cutover.environment().slots.blue.share_ended_at,
        Some(since)
    );
    assert!(matches!(
        left_by_cutover.refusal(claim("v3")),
        Refusal::SlotNotDrained { slot: Blue, .. }
    ));
    let left_by_rollback = left_by_cutover.minutes_later(5).after(rollback());
    assert_eq!(
        left_by_rollback.environment().slots.green.share_ended_at,
        Some(left_by_rollback.context.now)
    );
    assert_eq!(
        left_by_rollback.environment().slots.blue.share_ended_at,
        None,
        "it takes calls again"
    );
}

#[test]
fn the_drained_clock_runs_from_the_last_share_whatever_happens_after() {
    // At 100 % the active slot gets no new call: it drains from then on, not from the cutover that follows.
    let full = World::released().after(weight("100"));
    let since = full.context.now;
    let world = full.minutes_later(30).after(cutover());
    assert_eq!(world.environment().slots.blue.share_ended_at, Some(since));
    world.after(claim("v3"));

    // A share that returns restarts it.
    let world = World::released()
        .after(weight("5"))
        .after(weight("0"))
        .minutes_later(29)
        .after(weight("5"));
    assert_eq!(world.environment().slots.green.share_ended_at, None);
    let world = world.minutes_later(1).after(weight("0")).minutes_later(29);
    assert!(matches!(
        world.refusal(claim("v3")),
        Refusal::SlotNotDrained { .. }
    ));

    // Registering and rebinding change what the slot holds, not which calls are inside it.
    let world = World::released()
        .after(weight("5"))
        .after(weight("0"))
        .after(register("v3"))
        .after(rebind(Green, "x"));
    assert!(matches!(
        world.refusal(claim("v4")),
        Refusal::SlotNotDrained { .. }
    ));
}

#[test]
fn a_drain_time_beyond_the_calendar_never_ends() {
    let mut world = World::released().after(weight("5")).after(weight("0"));
    world.context.drain_time = std::time::Duration::MAX;
    let Refusal::SlotNotDrained { drained_at, .. } = world.refusal(claim("v3")) else {
        panic!("it is not drained")
    };
    assert_eq!(drained_at, Timestamp::MAX);
}

// ---- the end of a claim ----

#[test]
fn an_expired_claim_leaves_the_content_unknown_and_barred() {
    let world = World::released().after(claim("v3")).minutes_later(59);
    assert!(matches!(
        world.environment().slots.green.content(world.context.now),
        Content::Claimed(_)
    ));
    let world = world.minutes_later(1);
    assert!(matches!(
        world.environment().slots.green.content(world.context.now),
        Content::Unknown(_)
    ));
    let unknown = Refusal::SlotUnknown {
        slot: Green,
        flow_version: label("v3"),
    };
    assert_eq!(world.refusal(cutover()), unknown);
    assert_eq!(world.refusal(weight("5")), unknown);
    assert_eq!(
        world.refusal(release()),
        unknown,
        "it was given back by time already"
    );
    let no_target = RollbackObstacle::Unknown(Green, label("v3"));
    assert_eq!(
        world.refusal(rollback()),
        Refusal::NoRollbackTarget(no_target)
    );
}

#[test]
fn unknown_content_ends_with_a_registration_whatever_its_label() {
    let expired = World::released().after(claim("v3")).minutes_later(60);
    for version in ["v3", "v4"] {
        let world = expired.clone().after(register(version));
        assert_eq!(world.version(Green).label, label(version));
        world.after(cutover());
    }
}

#[test]
fn unknown_content_can_be_claimed_again_or_bound_away() {
    let expired = World::released().after(claim("v3")).minutes_later(60);
    expired
        .clone()
        .after(claim("v3"))
        .after(register("v3"))
        .after(cutover());
    let rebound = expired.after(rebind(Green, "x"));
    assert_eq!(
        rebound
            .environment()
            .slots
            .green
            .content(rebound.context.now),
        Content::Empty
    );
}

#[test]
fn releasing_a_claim_leaves_the_content_unknown() {
    let world = World::released().after(claim("v3")).after(release());
    assert_eq!(
        world.refusal(cutover()),
        Refusal::SlotUnknown {
            slot: Green,
            flow_version: label("v3")
        }
    );
}

#[test]
fn releasing_with_nothing_published_restores_the_version_before() {
    let claimed = World::released().after(claim("v3"));
    let expired = claimed.clone().minutes_later(60);
    let given_back = claimed.clone().after(release());
    for world in [claimed, expired, given_back] {
        let restored = world.after(nothing_published());
        assert_eq!(restored.state, World::released().state);
    }
    let empty = World::created()
        .after(claim("v2"))
        .after(nothing_published());
    assert_eq!(empty.state, World::created().state);
}

#[test]
fn what_is_not_claimed_cannot_be_released() {
    let world = World::released();
    assert_eq!(world.refusal(release()), Refusal::NotClaimed(Green));
    assert_eq!(
        world.refusal(nothing_published()),
        Refusal::NotClaimed(Green)
    );
    assert_eq!(
        world.refusal(Release {
            slot: Some(Blue),
            ..release()
        }),
        Refusal::NotClaimed(Blue)
    );
}

#[test]
fn a_restored_version_that_was_rolled_back_still_is() {
    let world = World::released()
        .after(weight("5"))
        .after(rollback())
        .minutes_later(30);
    let world = world.after(claim("v3")).after(nothing_published());
    assert_eq!(world.version(Green).standing, RECALLED);
    assert_eq!(world.unchanged(rollback()), Unchanged::AlreadyRolledBack);
}

// ---- rebind ----

#[test]
fn rebinding_empties_the_slot_and_remembers_its_version() {
    let world = World::released().after(rebind(Green, "x"));
    assert_eq!(world.environment().slots.green.flow, flow("x"));
    assert_eq!(
        world.environment().slots.green.content(world.context.now),
        Content::Empty
    );
    assert_eq!(world.retired(), ["v2"]);
    assert_eq!(world.refusal(cutover()), Refusal::SlotEmpty(Green));
}

#[test]
fn rebinding_is_refused_where_calls_would_be_lost_or_slots_coincide() {
    let world = World::released();
    assert_eq!(
        world.refusal(rebind(Blue, "x")),
        Refusal::SlotTakesCalls(Blue)
    );
    assert_eq!(
        world.clone().after(weight("5")).refusal(rebind(Green, "x")),
        Refusal::SlotTakesCalls(Green)
    );
    assert_eq!(
        world.refusal(rebind(Green, "b")),
        Refusal::SameFlowTwice("b".parse().unwrap())
    );
}

#[test]
fn rebinding_to_the_same_flow_changes_nothing() {
    let world = World::released();
    assert_eq!(world.unchanged(rebind(Green, "g")), Unchanged::SameFlow);
    assert_eq!(
        world.unchanged(rebind(Blue, "b")),
        Unchanged::SameFlow,
        "even where another would be refused"
    );
}

// ---- cutover ----

#[test]
fn cutover_makes_the_candidate_active_and_leaves_the_calls_where_they_are() {
    let world = World::released().after(cutover());
    assert_eq!(world.environment().active, Green);
    assert_eq!(world.environment().weight, Weight::ZERO);
    assert_eq!(world.environment().previously_active, Some(label("v1")));
    assert!(world.version(Blue).admits_own_calls());
}

#[test]
fn cutover_ends_a_canary_either_way() {
    let canary = World::released().after(weight("5"));
    let forward = canary.clone().after(cutover_to(Green));
    assert_eq!(
        (forward.environment().active, forward.environment().weight),
        (Green, Weight::ZERO)
    );
    let back = canary.after(cutover_to(Blue));
    assert_eq!(
        (back.environment().active, back.environment().weight),
        (Blue, Weight::ZERO)
    );
    assert!(
        back.version(Green).admits_own_calls(),
        "nobody rolled it back"
    );
    assert_eq!(back.environment().previously_active, None);
}

#[test]
fn a_cutover_that_names_its_slot_can_be_repeated() {
    let world = World::released().after(cutover_to(Green));
    assert_eq!(world.unchanged(cutover_to(Green)), Unchanged::AlreadyActive);
}

#[test]
fn cutover_to_an_empty_slot_is_refused() {
    assert_eq!(
        World::created().refusal(cutover()),
        Refusal::SlotEmpty(Green)
    );
}

#[test]
fn cutover_clears_the_mark_of_a_rollback() {
    let world = World::released()
        .after(weight("5"))
        .after(rollback())
        .after(cutover());
    assert_eq!(world.version(Green).standing, Standing::Good);
    // So the version before is one to go back to.
    assert_eq!(world.after(rollback()).environment().active, Blue);
}

// ---- weight ----

#[test]
fn a_weight_can_be_raised_and_lowered() {
    let world = World::released()
        .after(weight("5"))
        .after(weight("100"))
        .after(weight("33.33"));
    assert_eq!(world.environment().weight.bps(), 3333);
    assert_eq!(world.unchanged(weight("33.33")), Unchanged::SameWeight);
    let world = world.after(weight("0"));
    assert_eq!(
        world.version(Green).standing,
        Standing::Good,
        "lowering is no rollback"
    );
    assert_eq!(world.unchanged(weight("0")), Unchanged::SameWeight);
}

#[test]
fn an_empty_candidate_gets_no_weight() {
    assert_eq!(
        World::created().refusal(weight("5")),
        Refusal::SlotEmpty(Green)
    );
    assert_eq!(
        World::created().unchanged(weight("0")),
        Unchanged::SameWeight
    );
}

#[test]
fn only_a_weight_above_zero_clears_the_mark_of_a_rollback() {
    let world = World::released().after(weight("5")).after(rollback());
    assert_eq!(world.unchanged(weight("0")), Unchanged::SameWeight);
    assert_eq!(world.version(Green).standing, RECALLED);
    assert_eq!(
        world.after(weight("5")).version(Green).standing,
        Standing::Good
    );
}

// ---- rollback ----

#[test]
fn rollback_takes_the_calls_away_from_a_candidate() {
    let world = World::released().after(weight("25")).after(rollback());
    assert_eq!(
        (world.environment().active, world.environment().weight),
        (Blue, Weight::ZERO)
    );
    assert_eq!(world.version(Green).standing, RECALLED);
    assert_eq!(world.version(Blue).standing, Standing::Good);
    assert_eq!(world.unchanged(rollback()), Unchanged::AlreadyRolledBack);
}

#[test]
fn rollback_of_a_candidate_that_was_active_before_stays_with_the_active() {
    // v2 took over from v1, then v1 got a share again: it is v1 that is rolled back, and once.
    let world = World::released()
        .after(cutover())
        .after(weight("5"))
        .after(rollback());
    assert_eq!(
        (world.environment().active, world.environment().weight),
        (Green, Weight::ZERO)
    );
    assert_eq!(world.version(Blue).standing, RECALLED);
    assert_eq!(world.unchanged(rollback()), Unchanged::AlreadyRolledBack);
}

#[test]
fn rollback_returns_to_the_version_that_was_active_before() {
    let world = World::released().after(cutover()).after(rollback());
    assert_eq!(world.environment().active, Blue);
    assert_eq!(world.version(Green).standing, RECALLED);
    assert_eq!(world.version(Blue).standing, Standing::Good);
    assert_eq!(world.environment().previously_active, Some(label("v2")));
    assert_eq!(world.unchanged(rollback()), Unchanged::AlreadyRolledBack);
    assert_eq!(
        world.unchanged(keeping_calls()),
        Unchanged::AlreadyRolledBack
    );
}

#[test]
fn rollback_without_a_version_to_go_back_to_says_what_the_slot_holds() {
    let obstacle = |world: World| match world.refusal(rollback()) {
        Refusal::NoRollbackTarget(obstacle) => obstacle,
        refusal => panic!("{refusal:?}"),
    };
    assert_eq!(obstacle(World::created()), RollbackObstacle::Empty(Green));
    assert_eq!(
        obstacle(World::released()),
        RollbackObstacle::NeverActive(Green, label("v2"))
    );
    let cut_over = World::released().after(cutover()).minutes_later(30);
    let claimed = cut_over.clone().after(claim("v3"));
    assert_eq!(
        obstacle(claimed.clone()),
        RollbackObstacle::Claimed(Blue, label("v3"))
    );
    assert_eq!(
        obstacle(claimed.after(register("v3"))),
        RollbackObstacle::NeverActive(Blue, label("v3"))
    );
    assert_eq!(
        obstacle(cut_over.after(rebind(Blue, "x"))),
        RollbackObstacle::Empty(Blue)
    );
}

#[test]
fn the_version_to_go_back_to_is_forgotten_with_its_label() {
    // v1 was active before v2. Seventeen releases later its label is free again, for another version.
    let mut world = World::released().after(cutover());
    for n in 3..=19 {
        world = world.after(register(&format!("v{n}")));
        assert_eq!(world.environment().previously_active, None);
    }
    let world = world.after(register("v1"));
    let obstacle = RollbackObstacle::NeverActive(Blue, label("v1"));
    assert_eq!(
        world.refusal(rollback()),
        Refusal::NoRollbackTarget(obstacle)
    );
}

#[test]
fn rollback_withdraws_the_calls_inside_the_version_left_unless_told_to_keep_them() {
    for world in [
        World::released().after(weight("5")),
        World::released().after(cutover()),
    ] {
        assert!(
            !world
                .clone()
                .after(rollback())
                .version(Green)
                .admits_own_calls()
        );
        let kept = world.after(keeping_calls());
        assert!(kept.version(Green).is_rolled_back());
        assert!(kept.version(Green).admits_own_calls());
    }
}

#[test]
fn a_new_version_in_the_slot_carries_no_mark() {
    let world = World::released()
        .after(weight("5"))
        .after(rollback())
        .after(register("v3"));
    assert_eq!(world.version(Green).standing, Standing::Good);
    let obstacle = RollbackObstacle::NeverActive(Green, label("v3"));
    assert_eq!(
        world.refusal(rollback()),
        Refusal::NoRollbackTarget(obstacle)
    );
}

// ---- refusals ----

#[test]
fn every_refusal_says_what_to_do_instead() {
    let message = |refusal: Refusal| refusal.to_string();
    let claimed = World::released().after(claim("v3"));
    let expired = claimed.clone().minutes_later(60);
    let mut crowded = World::empty();
    crowded.context.others = MAX_ENVIRONMENTS;
    let messages = [
        (
            World::created().refusal(create()),
            "the environment exists already; choose another name",
        ),
        (
            World::empty().refusal(cutover()),
            "there is no such environment; create it first",
        ),
        (
            crowded.refusal(create()),
            "a deployment holds at most 256 environments; delete one first",
        ),
        (
            World::released().refusal(rebind(Green, "b")),
            "both slots name the flow b; blue and green are two flows",
        ),
        (
            World::created().refusal(cutover()),
            "slot green holds no flow version; register one first",
        ),
        (
            claimed.refusal(cutover()),
            "slot green is claimed for flow version v3 until 2026-11-23T13:00:00Z; register that version or release the slot first",
        ),
        (
            expired.refusal(cutover()),
            "what slot green holds is unknown since its claim for flow version v3 ended; register the version that was published, or release the slot with nothing_published",
        ),
        (
            World::released().after(weight("5")).refusal(register("v3")),
            "slot green takes new calls; use the other slot, or move its calls away first",
        ),
        (
            World::released().after(cutover()).refusal(claim("v3")),
            "slot blue took new calls until 2026-11-23T12:00:00Z; calls may still be inside it until 2026-11-23T12:30:00Z, try again then",
        ),
        (
            World::released().refusal(release()),
            "slot green is not claimed; there is nothing to release",
        ),
        (
            World::released().refusal(Claim {
                expires_in_minutes: 0,
                ..claim("v3")
            }),
            "a claim lasts 1 to 1440 minutes",
        ),
        (
            World::released().refusal(register("v1")),
            "the label v1 is or was in use in this environment; choose a new one",
        ),
        (
            World::released().refusal(rollback()),
            "slot green holds flow version v2, which was not active before; to give it calls, cut over",
        ),
    ];
    for (refusal, expected) in messages {
        assert_eq!(message(refusal), expected);
    }
}

// ---- a state from outside ----

#[test]
fn a_state_that_would_misroute_calls_is_found_out() {
    let with = |damage: fn(&mut Environment)| {
        let mut environment = World::released().after(weight("5")).environment().clone();
        damage(&mut environment);
        environment.inconsistency()
    };
    fn ended_claim() -> Option<SlotClaim> {
        Some(SlotClaim {
            flow_version: label("v3"),
            expires_at: Timestamp::UNIX_EPOCH,
        })
    }
    fn retired(n: usize) -> RetiredVersion {
        RetiredVersion {
            label: label(&format!("r{n}")),
            interface: InterfaceNumber(0),
        }
    }
    assert_eq!(with(|_| {}), None);
    assert_eq!(
        with(|e| e.slots.blue.version = None),
        Some("the active slot holds no flow version")
    );
    assert_eq!(
        with(|e| e.slots.blue.claim = ended_claim()),
        Some("the active slot is claimed")
    );
    let no_candidate = Some("the candidate takes calls but holds no known flow version");
    assert_eq!(with(|e| e.slots.green.version = None), no_candidate);
    assert_eq!(with(|e| e.slots.green.claim = ended_claim()), no_candidate);
    assert_eq!(
        with(|e| e.slots.green.flow.id = "b".parse().unwrap()),
        Some("both slots are bound to one flow")
    );
    assert_eq!(with(|e| e.retired = (0..16).map(retired).collect()), None);
    assert_eq!(
        with(|e| e.retired = (0..17).map(retired).collect()),
        Some("too many retired versions")
    );
}

// ---- whatever commands were given ----

/// What must hold between the members of an environment, beyond what [`Environment::inconsistency`] asks for.
fn flaw(environment: &Environment) -> Option<String> {
    let (active, candidate) = (
        &environment.slots[environment.active],
        &environment.slots[environment.candidate()],
    );
    let held = [active, candidate]
        .into_iter()
        .filter_map(|slot| slot.version.as_ref().map(|version| &version.label));
    let labels: Vec<_> = held
        .chain(environment.retired.iter().map(|version| &version.label))
        .collect();
    if labels.iter().collect::<BTreeSet<_>>().len() < labels.len() {
        return Some(format!("a label is used twice: {labels:?}"));
    }
    let below_the_claim = candidate.version.as_ref();
    if let Some(before) = &environment.previously_active
        && below_the_claim.is_none_or(|version| version.label != *before)
    {
        return Some(format!(
            "the candidate does not hold the previously active {before}"
        ));
    }
    if active
        .version
        .as_ref()
        .is_none_or(FlowVersion::is_rolled_back)
    {
        return Some("the active version is rolled back".to_owned());
    }
    if !environment.weight.is_zero() && below_the_claim.is_none_or(FlowVersion::is_rolled_back) {
        return Some("a rolled-back version takes calls".to_owned());
    }
    for (slot, state) in environment.slots.iter() {
        if !environment.share(slot).is_zero() && state.share_ended_at.is_some() {
            return Some(format!("the share of {slot} ended and did not"));
        }
    }
    environment.inconsistency().map(str::to_owned)
}

/// Every label that a caller of `environment` may name, an unknown one and none among them.
fn callers(environment: &Environment) -> Vec<String> {
    let held = environment
        .slots
        .iter()
        .filter_map(|(_, slot)| slot.version.as_ref().map(|version| &version.label));
    let known = held.chain(environment.retired.iter().map(|version| &version.label));
    known
        .map(ToString::to_string)
        .chain([String::new(), "never heard of".to_owned()])
        .collect()
}

/// The slots that decisions at both ends of the draw choose, for every label a caller may name.
fn chosen(environment: &Environment) -> Vec<Slot> {
    let compiled = Compiled::new("Main_IVR".parse().unwrap(), Revision(1), environment);
    let mut slots = Vec::new();
    for flow_version in &callers(environment) {
        for end in [0, u64::MAX] {
            let request = Request {
                flow_version,
                ..Request::default()
            };
            let now = || panic!("no override is for this call");
            slots.push(decide(&compiled, &request, now, || Bucket::of(end)).slot);
        }
    }
    slots
}

/// Whether the version in `slot` was rolled back and its calls may still return to it.
fn keeps_calls(environment: &Environment, slot: Slot) -> bool {
    let version = environment.slots[slot].version.as_ref();
    version.is_some_and(|version| version.standing == Standing::RolledBack { keep_calls: true })
}

/// What a rollback after a rollback comes to: nothing, but that it may take away the calls that the first one kept, and moves
/// none either way.
fn second_rollback(
    once: &strategy::Reached,
    second: &Rollback,
) -> Result<Change<Environment>, Refusal> {
    let before = &once.environment;
    let withdraws = keeps_calls(before, before.candidate()) && !second.keep_calls;
    match once.apply(&second.clone().into()) {
        Ok(Change::To(Some(mut after))) if withdraws => {
            let left = after.candidate();
            assert!(!keeps_calls(&after, left));
            if let Some(version) = &mut after.slots[left].version {
                version.standing = Standing::RolledBack { keep_calls: true };
            }
            let mut before = before.clone();
            before
                .overrides
                .retain(|known| known.expires_at > once.context.now);
            before.freezes.drop_ended(once.context.now);
            assert_eq!(after, before, "nothing else changes");
            Ok(Change::Nothing(Unchanged::AlreadyRolledBack))
        }
        answer => answer,
    }
}

proptest! {
    #[test]
    fn no_command_breaks_an_environment(
        state in strategy::reached(),
        command in strategy::commands(),
    ) {
        prop_assert_eq!(flaw(&state.environment), None);
        if let Ok(Change::To(Some(after))) = state.apply(&command) {
            prop_assert_eq!(flaw(&after), None);
            prop_assert_eq!(after.salt, state.environment.salt);
        }
    }

    #[test]
    fn a_command_is_refused_or_changes_something_or_says_that_it_does_not(
        state in strategy::reached(),
        command in strategy::commands(),
    ) {
        let before = state.environment.clone();
        if let Ok(Change::To(after)) = state.apply(&command) {
            prop_assert_ne!(after.as_ref(), Some(&before));
        }
        prop_assert_eq!(state.environment, before);
    }

    #[test]
    fn equal_commands_on_equal_states_come_to_the_same(
        history in strategy::histories(),
        command in strategy::commands(),
    ) {
        let (one, other) = (history.states().pop().unwrap(), history.states().pop().unwrap());
        prop_assert_eq!(&one.environment, &other.environment);
        prop_assert_eq!(one.apply(&command), other.apply(&command));
    }

    #[test]
    fn rolling_back_twice_is_rolling_back_once(
        state in strategy::reached(),
        keep_calls in any::<[bool; 2]>(),
        minutes in strategy::pauses(),
    ) {
        let [first, second] = keep_calls.map(|keep_calls| Rollback { keep_calls });
        let refused = state.apply(&first.clone().into()).err();
        let once = state.after(&first.into()).later(minutes);
        match refused {
            // What stands in the way may have gone from claimed to unknown meanwhile.
            Some(_) => prop_assert!(matches!(once.apply(&second.into()), Err(Refusal::NoRollbackTarget(_)))),
            None => prop_assert_eq!(second_rollback(&once, &second), Ok(Change::Nothing(Unchanged::AlreadyRolledBack))),
        }
    }

    #[test]
    fn rolling_back_twice_is_rolling_back_once_right_after_calls_were_moved(
        state in strategy::reached(),
        share in strategy::weights(),
        keep_calls in any::<[bool; 2]>(),
    ) {
        let [first, second] = keep_calls.map(|keep_calls| Rollback { keep_calls });
        for moved in [Command::from(cutover()), weight_of(share).into()] {
            let state = state.clone().after(&register("a new version").into()).after(&moved);
            if state.apply(&first.clone().into()).is_ok() {
                let once = state.after(&first.clone().into());
                prop_assert_eq!(second_rollback(&once, &second), Ok(Change::Nothing(Unchanged::AlreadyRolledBack)));
            }
        }
    }

    #[test]
    fn a_rollback_takes_the_calls_from_one_version_and_gives_them_to_no_third(
        state in strategy::reached(),
    ) {
        let before = &state.environment;
        let Ok(Change::To(Some(after))) = state.apply(&rollback().into()) else { return Ok(()) };
        prop_assert!(after.weight.is_zero());
        let left = after.candidate();
        // Calls that an earlier rollback has kept, and those that a paused rollout would bring, are all that a candidate without
        // new calls can still lose.
        prop_assert!(
            before.takes_new_calls(left) || keeps_calls(before, left) || before.rollout_under_way().is_some()
        );
        prop_assert!(after.rollout_under_way().is_none());
        prop_assert_eq!(after.slots[left].version.as_ref().unwrap().standing, RECALLED);
        if before.weight.is_zero() && before.takes_new_calls(left) {
            let version = after.slots[after.active].version.as_ref();
            prop_assert_eq!(version.map(|version| &version.label), before.previously_active.as_ref());
        } else {
            prop_assert_eq!(after.active, before.active);
        }
    }

    #[test]
    fn a_version_left_by_rollback_takes_no_call_until_calls_are_moved_again(
        state in strategy::reached(),
        others in vec((strategy::pauses(), strategy::changes()), 0..12),
    ) {
        let after = state.clone().after(&rollback().into());
        prop_assume!(after.environment != state.environment);
        let slot_left = after.environment.candidate();
        let left = after.environment.slots[slot_left].version.clone().unwrap().label;
        let mut state = after;
        for (minutes, command) in others {
            let moves_calls = match &command {
                Command::Cutover(_) | Command::StartRollout(_) => true,
                Command::SetWeight(set_weight) => !set_weight.weight.is_zero(),
                // Once it is forgotten, its label may become another version's.
                Command::Register(register) => register.flow_version == left,
                _ => false,
            };
            if moves_calls {
                continue;
            }
            state = state.later(minutes).after(&command);
            for slot in chosen(&state.environment) {
                let version = state.environment.slots[slot].version.as_ref();
                let label = version.map(|version| &version.label);
                prop_assert_ne!(label, Some(&left), "after {:?}", command);
            }
        }
    }

    #[test]
    fn a_claimed_slot_takes_no_call_and_cannot_be_given_any(
        state in strategy::reached(),
        minutes in strategy::pauses(),
        share in strategy::weights(),
    ) {
        let idle = state.later(60).after(&AbortRollout::default().into()).after(&weight("0").into());
        let drained = idle.later(30);
        let state = drained.after(&claim("a new version").into()).later(minutes);
        let claimed = state.environment.candidate();
        prop_assert!(state.environment.slots[claimed].claim.is_some());
        prop_assert!(!chosen(&state.environment).contains(&claimed));
        let commands: [Command; 5] = [
            cutover().into(),
            StartRollout::default().into(),
            weight_of(share).into(),
            rollback().into(),
            keeping_calls().into(),
        ];
        for command in commands {
            let after = state.clone().after(&command);
            prop_assert_eq!(after.environment, state.environment.clone(), "after {:?}", command);
        }
    }

    #[test]
    fn the_drained_clock_tells_when_a_slot_last_had_a_share_of_new_calls(
        history in strategy::histories(),
    ) {
        let states = history.states();
        for slot in Slot::BOTH {
            let had_a_share = |state: &Reached| !state.environment.share(slot).is_zero();
            let mut changes = states.windows(2);
            let ended = changes.rfind(|pair| had_a_share(&pair[0]) && !had_a_share(&pair[1]));
            let last = states.last().unwrap();
            let ended_at = ended.map(|pair| pair[1].context.now);
            let expected = if had_a_share(last) { None } else { ended_at };
            prop_assert_eq!(last.environment.slots[slot].share_ended_at, expected, "{}", slot);
        }
    }

    #[test]
    fn a_valid_text_is_a_name(
        name in strategy::environment_names(),
        label in strategy::labels(),
        flow in strategy::flows(),
    ) {
        prop_assert_eq!(name.to_string().parse(), Ok(name));
        prop_assert_eq!(label.to_string().parse(), Ok(label));
        prop_assert_eq!(flow.id.to_string().parse(), Ok(flow.id));
        prop_assert_eq!(flow.name.to_string().parse(), Ok(flow.name));
    }

    #[test]
    fn a_command_reads_back_from_its_json(command in strategy::commands()) {
        let json = serde_json::to_string(&command).unwrap();
        prop_assert_eq!(serde_json::from_str::<Command>(&json).unwrap(), command, "{}", json);
    }
}
