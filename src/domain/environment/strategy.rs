//! Proptest strategies for what an environment is made of, for the commands that change it, and for environments that
//! commands really lead to.

mod interfaces;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::string::string_regex;
use proptest::{option, prop_oneof};

pub(crate) use self::interfaces::{definitions, interface_changes, values, variable_names};
use self::interfaces::{first_interfaces, interface_numbers};
use super::Environment;
use crate::domain::command::{
    AddFreeze, AddOverride, Claim, Command, Create, Cutover, Delete, Flow, Rebind, Register,
    Release, RemoveFreeze, RemoveOverride, Rollback, SetWeight,
};
use crate::domain::ids::{EnvironmentName, FlowId, FlowName, FreezeNumber, Revision, VersionLabel};
use crate::domain::judge::record::Record;
use crate::domain::rollout::command::{
    AbortRollout, PauseRollout, PromoteRollout, ResumeRollout, StartRollout, StepRollout,
};
use crate::domain::rollout::plan::Plan;
use crate::domain::rollout::{AbortCause, Move, PauseCause, Promotion};
use crate::domain::slot::{BySlot, Slot};
use crate::domain::test_calls::TestCalls;
use crate::domain::weight::Weight;
use crate::domain::{Aggregate, Change, Context, Refusal};

/// How long a slot takes to drain in every generated context.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(30 * 60);

/// Any valid environment name.
pub(crate) fn environment_names() -> impl Strategy<Value = EnvironmentName> {
    parsed("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
}

/// Any valid label, in any script.
pub(crate) fn labels() -> impl Strategy<Value = VersionLabel> {
    parsed(r"[^\s\pC]([^\pC]{0,62}[^\s\pC])?")
}

/// Labels as pipelines count them: often one that the environment does not know, sometimes one that it does.
fn release_labels() -> impl Strategy<Value = VersionLabel> {
    let number = prop_oneof![2 => 0..12_u32, 3 => 12..10_000_u32];
    // A number after a letter follows the grammar.
    let counted = number.prop_map(|n| format!("v{n}").parse().expect("a valid label"));
    prop_oneof![9 => counted, 1 => labels()]
}

/// Any valid flow.
pub(crate) fn flows() -> impl Strategy<Value = Flow> {
    let names = parsed::<FlowName>(r"[^\s\pC]([^\pC]{0,126}[^\s\pC])?");
    (parsed::<FlowId>("[A-Za-z0-9-]{1,64}"), names).prop_map(|(id, name)| Flow { id, name })
}

/// One of few flows, so that two slots come to name the same one.
fn few_flows() -> impl Strategy<Value = Flow> {
    (parsed("flow-[a-e]"), parsed("Flow [AB]")).prop_map(|(id, name)| Flow { id, name })
}

/// Either slot.
pub(crate) fn slots() -> impl Strategy<Value = Slot> {
    prop_oneof![Just(Slot::Blue), Just(Slot::Green)]
}

/// Any weight, the ends more often than by chance.
pub(crate) fn weights() -> impl Strategy<Value = Weight> {
    prop_oneof![2 => Just(0), 1 => Just(Weight::FULL.bps()), 5 => 0..=Weight::FULL.bps()]
        .prop_map(|bps| Weight::from_bps(bps).expect("at most 10,000"))
}

/// A creation that is not refused.
pub(crate) fn creates() -> impl Strategy<Value = Create> {
    let flows = (flows(), flows()).prop_filter("blue and green are two flows", |(blue, green)| {
        blue.id != green.id
    });
    (flows, slots(), release_labels(), first_interfaces()).prop_map(
        |((blue, green), active, flow_version, (interface, variables))| Create {
            flows: BySlot { blue, green },
            active,
            flow_version,
            interface,
            variables,
        },
    )
}

/// A new version in the candidate.
fn releases() -> impl Strategy<Value = Register> {
    let published = option::weighted(0.3, parsed("[1-9][0-9]?\\.0"));
    (
        release_labels(),
        published,
        interface_numbers(),
        weighted(0.7),
    )
        .prop_map(
            |(flow_version, published_version, interface, force_incompatible)| Register {
                slot: None,
                flow_version,
                published_version,
                interface,
                force_incompatible,
            },
        )
}

/// One of few kinds of calls, so that overrides meet each other and the calls that are decided.
pub(crate) fn test_calls() -> impl Strategy<Value = TestCalls> {
    prop_oneof![
        parsed(r"\+49[0-3]").prop_map(TestCalls::Ani),
        parsed(r"\+49[0-3]").prop_map(TestCalls::Dnis),
    ]
}

/// An override that may still be refused.
fn overrides() -> impl Strategy<Value = AddOverride> {
    let minutes = prop_oneof![9 => 1..=120_u16, 1 => any::<u16>()];
    (test_calls(), slots(), minutes, parsed("[a-z]{1,8}")).prop_map(
        |(calls, to, expires_in_minutes, owner)| AddOverride {
            calls,
            to,
            expires_in_minutes,
            owner,
        },
    )
}

/// A freeze window that may still be refused, from the beginning of time on: [`informed`] counts it from the present.
fn freezes() -> impl Strategy<Value = AddFreeze> {
    let at = |minutes| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
    (option::of(0..60_i64), 0..60_i64).prop_map(move |(start, end)| AddFreeze {
        start: start.map(at),
        end: at(end),
        reason: "generated".parse().expect("a reason"),
    })
}

/// Any command but creation and deletion. Many are refused by most states.
pub(crate) fn changes() -> impl Strategy<Value = Command> {
    // Mostly the candidate: the active slot refuses nearly everything.
    let slot = || prop_oneof![4 => Just(None), 1 => slots().prop_map(Some)];
    let register = (slot(), releases()).prop_map(|(slot, register)| Register { slot, ..register });
    let claim = (
        slot(),
        release_labels(),
        prop_oneof![9 => 1..=120_u16, 1 => any::<u16>()],
    )
        .prop_map(|(slot, flow_version, expires_in_minutes)| Claim {
            slot,
            flow_version,
            expires_in_minutes,
        });
    let release = (slot(), any::<bool>()).prop_map(|(slot, nothing_published)| Release {
        slot,
        nothing_published,
    });
    let rebind = (slots(), few_flows()).prop_map(|(slot, flow)| Rebind { slot, flow });
    let cutover =
        (option::weighted(0.3, slots()), weighted(0.7)).prop_map(|(to, force_incompatible)| {
            Cutover {
                to,
                force_incompatible,
            }
        });
    let set_weight =
        (weights(), weighted(0.7)).prop_map(|(weight, force_incompatible)| SetWeight {
            weight,
            force_incompatible,
        });
    prop_oneof![
        6 => register.prop_map(Command::from),
        2 => claim.prop_map(Command::from),
        2 => release.prop_map(Command::from),
        1 => rebind.prop_map(Command::from),
        2 => cutover.prop_map(Command::from),
        2 => any::<bool>().prop_map(|keep_calls| Rollback { keep_calls }.into()),
        3 => overrides().prop_map(Command::from),
        1 => test_calls().prop_map(|calls| RemoveOverride { calls }.into()),
        1 => freezes().prop_map(Command::from),
        1 => (0..64_u64).prop_map(|number| RemoveFreeze { number: FreezeNumber(number) }.into()),
        6 => rollout_changes(),
        3 => set_weight.prop_map(Command::from),
        3 => interface_changes(),
    ]
}

/// Any command of a rollout.
fn rollout_changes() -> impl Strategy<Value = Command> {
    let promotions = prop_oneof![Just(Promotion::WhenReady), Just(Promotion::Now)];
    prop_oneof![
        3 => (plans(), weighted(0.7)).prop_map(|(plan, force_incompatible)| {
            StartRollout { plan, force_incompatible }.into()
        }),
        2 => Just(PauseRollout {}.into()),
        1 => Just(ResumeRollout {}.into()),
        1 => promotions.prop_map(|when| PromoteRollout { when }.into()),
        1 => any::<bool>().prop_map(|keep_calls| AbortRollout { keep_calls }.into()),
        4 => (moves(), any::<u64>(), plans()).prop_map(|(chosen, revision, plan)| {
            let entered = Revision(revision);
            let record = Record::new(&plan, entered, Timestamp::UNIX_EPOCH);
            StepRollout { entered, chosen, record }.into()
        }),
    ]
}

/// The default plan, one with a hold-back and a gate, and one that takes the weight away in a pause.
fn plans() -> impl Strategy<Value = Plan> {
    let plans = [
        "{}",
        r#"{"steps": [{"weight": 50, "gate": "manual"}, {"weight": 100}], "hold_back_percent": 5}"#,
        r#"{"steps": [{"weight": 0.01}, {"weight": 100}], "on_pause": "zero"}"#,
    ];
    proptest::sample::select(plans.to_vec())
        .prop_map(|json| serde_json::from_str(json).expect("a plan"))
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => Just(Move::Advance),
        2 => Just(Move::Finish),
        1 => Just(Move::Pause(PauseCause::FastLane)),
        1 => Just(Move::Abort(AbortCause::Stale)),
    ]
}

/// `command` as somebody gives it who has seen `environment` at `now`: a controller's move is one for the step that it is in.
fn informed(command: &Command, environment: &Environment, now: Timestamp) -> Command {
    match (command, environment.rollout_under_way()) {
        (Command::AddFreeze(add), _) => {
            let from_now = |at: Timestamp| now + at.duration_since(Timestamp::UNIX_EPOCH);
            AddFreeze {
                start: add.start.map(from_now),
                end: from_now(add.end),
                reason: add.reason.clone(),
            }
            .into()
        }
        (Command::StepRollout(step), Some(rollout)) => {
            StepRollout::of(rollout, step.chosen, rollout.record.clone()).into()
        }
        _ => command.clone(),
    }
}

/// Any command.
pub(crate) fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        1 => creates().prop_map(Command::from),
        12 => changes(),
        1 => Just(Command::from(Delete {})),
    ]
}

/// Any context in which one more environment may be created.
pub(crate) fn contexts() -> impl Strategy<Value = Context> {
    (0..1_000_000_i64, any::<[u8; 16]>(), 0..256_usize).prop_map(|(minutes, draw, others)| {
        Context {
            frozen: None,
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes),
            revision: Revision(1),
            sequence: Default::default(),
            draw,
            drain_time: DRAIN_TIME,
            last_calls: Some(Default::default()),
            others,
        }
    })
}

/// Commands one after the other, from a creation on.
#[derive(Debug, Clone)]
pub(crate) struct History {
    create: Create,
    context: Context,
    /// The commands, each with the minutes since the one before.
    steps: Vec<(u16, Command)>,
}

impl History {
    /// The environment after its creation and after each command that changed it.
    pub(crate) fn states(&self) -> Vec<Reached> {
        let mut context = self.context.clone();
        let Ok(Change::To(Some(environment))) =
            Environment::apply(None, &self.create.clone().into(), &context)
        else {
            panic!("{:?} is refused", self.create)
        };
        let mut states = vec![Reached {
            environment,
            context: context.clone(),
        }];
        for (minutes, command) in &self.steps {
            context.now += SignedDuration::from_mins((*minutes).into());
            context.revision = context.revision.next();
            let before = &states[states.len() - 1].environment;
            if let Ok(Change::To(Some(environment))) = Environment::apply(
                Some(before),
                &informed(command, before, context.now),
                &context,
            ) {
                states.push(Reached {
                    environment,
                    context: context.clone(),
                });
            }
        }
        states
    }
}

/// Any history of at most 60 commands, refused ones among them.
pub(crate) fn histories() -> impl Strategy<Value = History> {
    // Some environments look back on more versions than they remember.
    let releases = prop_oneof![
        4 => vec((pauses(), changes()), 0..20),
        1 => vec((pauses(), releases().prop_map(Command::from)), 20..40),
    ];
    (
        creates(),
        contexts(),
        releases,
        vec((pauses(), changes()), 0..20),
    )
        .prop_map(|(create, context, mut steps, more)| {
            steps.extend(more);
            History {
                create,
                context,
                steps,
            }
        })
}

/// An environment that commands led to, and a context for the next one.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub(crate) environment: Environment,
    pub(crate) context: Context,
}

impl Reached {
    /// What `command` comes to at that very moment.
    pub(crate) fn apply(&self, command: &Command) -> Result<Change<Environment>, Refusal> {
        Environment::apply(Some(&self.environment), command, &self.context)
    }

    /// The same environment `minutes` later.
    pub(crate) fn later(mut self, minutes: u16) -> Self {
        self.context.now += SignedDuration::from_mins(minutes.into());
        self
    }

    /// Where `command` leads; here, if it changes nothing, is refused, or deletes.
    pub(crate) fn after(self, command: &Command) -> Self {
        match self.apply(command) {
            Ok(Change::To(Some(environment))) => Self {
                environment,
                ..self
            },
            _ => self,
        }
    }
}

/// Any environment that a history leads to, some time after.
pub(crate) fn reached() -> impl Strategy<Value = Reached> {
    let last = histories().prop_map(|history| {
        history
            .states()
            .pop()
            .expect("a history begins with a creation")
    });
    (last, pauses()).prop_map(|(state, minutes)| state.later(minutes))
}

/// Minutes between two commands: often none, often enough for a claim to end or a slot to drain.
pub(crate) fn pauses() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), 0..60_u16, Just(30), 60..3000_u16]
}

/// The texts that `pattern` matches, read as what they name.
fn parsed<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>(
    pattern: &str,
) -> impl Strategy<Value = T> {
    string_regex(pattern)
        .expect("a valid pattern")
        .prop_map(|text| text.parse().expect("a valid text"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::domain::environment::{Content, REMEMBERED_VERSIONS};
    use crate::domain::rollout::Status;

    fn kind(
        Reached {
            environment,
            context,
        }: &Reached,
    ) -> &'static str {
        if let Some(rollout) = environment.rollout_under_way() {
            return match rollout.status {
                Status::Paused { .. } => "a paused rollout",
                _ => "a running rollout",
            };
        }
        match environment.slots[environment.candidate()].content(context.now) {
            Content::Empty => "an empty candidate",
            Content::Claimed(_) => "a claimed candidate",
            Content::Unknown(_) => "a candidate of unknown content",
            Content::Version(_) if !environment.weight.is_zero() => "a candidate with calls",
            Content::Version(version) if version.is_rolled_back() => "a rolled-back candidate",
            Content::Version(version) => match &environment.previously_active {
                Some(label) if *label == version.label => "a version to roll back to",
                _ => "a version that was never active",
            },
        }
    }

    #[test]
    fn histories_reach_every_kind_of_state() {
        let mut runner = TestRunner::deterministic();
        let strategy = reached();
        let mut counts = BTreeMap::new();
        for _ in 0..500 {
            let state = strategy
                .new_tree(&mut runner)
                .expect("few are filtered out")
                .current();
            *counts.entry(kind(&state)).or_insert(0) += 1;
            if state.environment.retired.len() == REMEMBERED_VERSIONS {
                *counts.entry("a full memory").or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 10, "{counts:?}");
        assert!(counts.values().all(|states| *states >= 10), "{counts:?}");
    }
}
