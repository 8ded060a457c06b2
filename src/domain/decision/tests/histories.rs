//! Decisions in the course of an environment's life: what each command does to calls that are inside a version, and what
//! holds whatever the commands and the calls were.

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::prop_assume;
use proptest::sample;

use super::*;
use crate::domain::command::{
    Claim, Command, Create, Cutover, Rebind, Register, Release, Rollback, SetWeight,
};
use crate::domain::environment::strategy::Reached;
use crate::domain::ids::VersionLabel;
use crate::domain::rollout::command::{AbortRollout, StartRollout};
use crate::domain::{Aggregate, Change, Context};

// ---- what each command does to the calls inside a version ----

fn command(step: &str) -> Command {
    match step.split_once(' ').unwrap_or((step, "")) {
        ("register", label) => Register {
            published_version: None,
            slot: None,
            flow_version: label.parse().unwrap(),
            interface: InterfaceNumber(0),
            force_incompatible: false,
        }
        .into(),
        ("weight", percent) => SetWeight {
            weight: percent.parse().unwrap(),
            force_incompatible: false,
        }
        .into(),
        ("cutover", "") => Cutover::default().into(),
        ("rollback", how) => Rollback {
            keep_calls: how == "keeping calls",
        }
        .into(),
        ("claim", label) => Claim {
            slot: None,
            flow_version: label.parse().unwrap(),
            expires_in_minutes: 90,
        }
        .into(),
        ("release", how) => Release {
            slot: None,
            nothing_published: how == "nothing published",
        }
        .into(),
        ("rebind", id) => Rebind {
            slot: Green,
            flow: flow(id),
        }
        .into(),
        ("start", "") => StartRollout::default().into(),
        ("abort", how) => AbortRollout {
            keep_calls: how == "keeping calls",
        }
        .into(),
        other => panic!("no step is called {other:?}"),
    }
}

fn flow(id: &str) -> Flow {
    Flow {
        id: id.parse().unwrap(),
        name: id.parse().unwrap(),
    }
}

/// The environment after `steps`, an hour apart, from blue with v1 on.
fn after(steps: &str) -> Environment {
    let mut context = Context {
        frozen: None,
        now: Timestamp::UNIX_EPOCH,
        revision: Revision(1),
        sequence: Default::default(),
        draw: [7; 16],
        drain_time: strategy::DRAIN_TIME,
        last_calls: Some(Default::default()),
        others: 0,
    };
    let create = Create {
        flows: BySlot {
            blue: flow("b"),
            green: flow("g"),
        },
        active: Blue,
        flow_version: "v1".parse().unwrap(),
        interface: InterfaceNumber(0),
        variables: None,
    };
    let mut state = None;
    let steps_after = steps
        .split("; ")
        .filter(|step| !step.is_empty())
        .map(command);
    for command in std::iter::once(create.into()).chain(steps_after) {
        match Environment::apply(state.as_ref(), &command, &context) {
            Ok(Change::To(after)) => state = after,
            other => panic!("{command:?} after {steps:?}: {other:?}"),
        }
        context.now += SignedDuration::from_hours(1);
        context.revision = context.revision.next();
    }
    state.unwrap()
}

/// Where a call goes, and by which rule.
type Place = (Slot, Reason);

/// What happened, and where a call inside v1 and one inside v2 goes then. Their bucket is the last of all, so as new calls
/// they go to the active slot below full weight.
#[rustfmt::skip]
const CALLS_INSIDE: &[(&str, Place, Place)] = {
    use Reason::{Active, Affinity, Weighted};
    &[
        // A version that no slot has held yet has no calls: whoever names it is a new one.
        ("",                                                                (Blue, Affinity),  (Blue, Active)),
        ("register v2",                                                     (Blue, Affinity),  (Green, Affinity)),
        // Moving new calls leaves alone those that are inside, in either direction.
        ("register v2; weight 5",                                           (Blue, Affinity),  (Green, Affinity)),
        ("register v2; weight 100",                                         (Blue, Affinity),  (Green, Affinity)),
        ("register v2; weight 5; weight 0",                                 (Blue, Affinity),  (Green, Affinity)),
        ("register v2; cutover",                                            (Blue, Affinity),  (Green, Affinity)),
        ("register v2; cutover; cutover",                                   (Blue, Affinity),  (Green, Affinity)),
        ("register v2; start",                                              (Blue, Affinity),  (Green, Affinity)),
        // A rollback takes them away from the version left, and from that alone.
        ("register v2; weight 5; rollback",                                 (Blue, Affinity),  (Blue, Active)),
        ("register v2; cutover; rollback",                                  (Blue, Affinity),  (Blue, Active)),
        ("register v2; cutover; weight 5; rollback",                        (Green, Active),   (Green, Affinity)),
        ("register v2; start; abort",                                       (Blue, Affinity),  (Blue, Active)),
        ("register v2; start; rollback",                                    (Blue, Affinity),  (Blue, Active)),
        // Unless it is told to keep them, until one is not.
        ("register v2; weight 5; rollback keeping calls",                   (Blue, Affinity),  (Green, Affinity)),
        ("register v2; cutover; rollback keeping calls",                    (Blue, Affinity),  (Green, Affinity)),
        ("register v2; start; abort keeping calls",                         (Blue, Affinity),  (Green, Affinity)),
        ("register v2; cutover; rollback keeping calls; rollback",          (Blue, Affinity),  (Blue, Active)),
        // Giving the version calls again takes its own back.
        ("register v2; weight 5; rollback; weight 5",                       (Blue, Affinity),  (Green, Affinity)),
        ("register v2; weight 5; rollback; cutover",                        (Blue, Affinity),  (Green, Affinity)),
        ("register v2; weight 5; rollback; start",                          (Blue, Affinity),  (Green, Affinity)),
        // A claim bars the slot for as long as nobody knows what it holds, and a version that it restores is as good as it was.
        ("register v2; claim v3",                                           (Blue, Affinity),  (Blue, Active)),
        ("register v2; claim v3; release",                                  (Blue, Affinity),  (Blue, Active)),
        ("register v2; claim v3; release nothing published",                (Blue, Affinity),  (Green, Affinity)),
        ("register v2; weight 5; rollback; claim v3; release nothing published", (Blue, Affinity), (Blue, Active)),
        // A version that is gone has no slot to return to: its calls are new ones.
        ("register v2; register v3",                                        (Blue, Affinity),  (Blue, Active)),
        ("register v2; rebind g2",                                          (Blue, Affinity),  (Blue, Active)),
        ("register v2; cutover; register v3; weight 5",                     (Green, Weighted), (Green, Affinity)),
        ("register v2; cutover; register v3; weight 100",                   (Blue, Weighted),  (Green, Affinity)),
    ]
};

#[test]
fn each_command_does_to_the_calls_inside_a_version_what_it_says() {
    for (steps, in_v1, in_v2) in CALLS_INSIDE {
        let environment = compiled(&after(steps));
        for (flow_version, expected) in [("v1", in_v1), ("v2", in_v2)] {
            let request = Request {
                flow_version,
                ..Request::default()
            };
            let last = || Bucket::of(u64::MAX);
            let decision = decide(&environment, &request, no_clock, last);
            assert_eq!(
                (decision.slot, decision.reason),
                *expected,
                "{flow_version} after {steps:?}"
            );
        }
    }
}

// ---- whatever the commands and the calls were ----

/// A call, and what it would draw.
#[derive(Debug, Clone)]
struct Call {
    conversation_id: String,
    flow_version: sample::Index,
    ani: &'static str,
    dnis: &'static str,
    draw: u64,
}

fn calls() -> impl Strategy<Value = Call> {
    // The numbers are those of the generated overrides, and some that none is for.
    let numbers = || {
        sample::select(vec![
            "",
            "+490",
            "tel:+49-1",
            "sip:+492@trunk.example.com",
            "+493",
            "+494",
            "sip:anna@example.com",
        ])
    };
    let ids = prop_oneof![1 => Just(String::new()), 4 => conversation_ids()];
    (
        ids,
        any::<sample::Index>(),
        numbers(),
        numbers(),
        any::<u64>(),
    )
        .prop_map(|(conversation_id, flow_version, ani, dnis, draw)| Call {
            conversation_id,
            flow_version,
            ani,
            dnis,
            draw,
        })
}

impl Call {
    /// The call as one of `environment`: the versions that it may have been in are those that it remembers, none and another.
    fn in_environment<'a>(&'a self, environment: &'a Environment) -> Request<'a> {
        let held = environment.slots.iter();
        let held = held.filter_map(|(_, slot)| Some(&slot.version.as_ref()?.label));
        let retired = environment.retired.iter().map(|version| &version.label);
        let labels: Vec<_> = held
            .chain(retired)
            .map(VersionLabel::as_str)
            .chain(["", "never heard of"])
            .collect();
        Request {
            conversation_id: &self.conversation_id,
            flow_version: labels[self.flow_version.index(labels.len())],
            ani: self.ani,
            dnis: self.dnis,
        }
    }

    fn draw(&self) -> Bucket {
        Bucket::of(self.draw)
    }

    fn decided(&self, state: &Reached) -> Decision {
        let request = self.in_environment(&state.environment);
        let now = || state.context.now;
        decide(&compiled(&state.environment), &request, now, || self.draw())
    }
}

proptest! {
    #[test]
    fn an_explanation_agrees_with_the_decision(
        state in strategy::reached(),
        call in calls(),
    ) {
        let compiled = compiled(&state.environment);
        let request = call.in_environment(&state.environment);
        let explanation = explain(&compiled, &request, state.context.now, call.draw());
        prop_assert_eq!(explanation.decision, call.decided(&state));
        let first = Reason::ALL
            .into_iter()
            .find_map(|rule| Some((rule, explanation.slot_by(rule)?)));
        prop_assert_eq!(first, Some((explanation.decision.reason, explanation.decision.slot)));
        let leading = explanation.overrides.iter().filter(|one| one.outcome == OverrideOutcome::Applies);
        prop_assert!(leading.count() <= 1);
    }

    #[test]
    fn a_version_that_was_rolled_back_is_reached_only_by_an_override_or_where_its_calls_were_kept(
        state in strategy::reached(),
        keep_calls in any::<bool>(),
        others in vec((strategy::pauses(), strategy::changes()), 0..12),
        calls in vec(calls(), 8),
    ) {
        let mut now = state.clone().after(&Rollback { keep_calls }.into());
        prop_assume!(now.environment != state.environment);
        let left = now.environment.slots[now.environment.candidate()].version.clone().unwrap().label;
        for (minutes, command) in [(0, Command::from(Rollback { keep_calls }))].into_iter().chain(others) {
            // What gives the version calls again, on purpose, and a new version of the same name.
            let begins_anew = match &command {
                Command::Cutover(_) | Command::StartRollout(_) => true,
                Command::SetWeight(set_weight) => !set_weight.weight.is_zero(),
                Command::Register(register) => register.flow_version == left,
                _ => false,
            };
            if begins_anew {
                continue;
            }
            now = now.later(minutes).after(&command);
            for call in &calls {
                let decision = call.decided(&now);
                let Some(version) = &now.environment.slots[decision.slot].version else { continue };
                if version.label == left {
                    let kept = Standing::RolledBack { keep_calls: true };
                    prop_assert!(
                        decision.reason == Reason::Override
                            || (decision.reason == Reason::Affinity && version.standing == kept),
                        "{:?} after {:?}", decision, command
                    );
                }
            }
        }
    }

    #[test]
    fn no_call_that_the_candidate_has_is_lost_by_raising_its_weight(
        history in strategy::histories(),
        raised in strategy::weights(),
        calls in vec(calls(), 8),
    ) {
        let mut states = history.states();
        let last = states.last().unwrap().clone();
        states.push(last.after(&SetWeight { weight: raised, force_incompatible: false }.into()));
        for pair in states.windows(2) {
            let [before, after] = pair else { unreachable!() };
            let label = |state: &Reached| {
                let environment = &state.environment;
                let version = environment.slots[environment.candidate()].version.as_ref();
                version.map(|version| version.label.clone())
            };
            let is_same_candidate = before.environment.active == after.environment.active
                && label(before) == label(after);
            if !is_same_candidate || after.environment.weight < before.environment.weight {
                continue;
            }
            let candidate = after.environment.candidate();
            for call in &calls {
                let (earlier, later) = (call.decided(before), call.decided(after));
                // What is inside a version or under test goes by other rules than the weight.
                if earlier.reason == Reason::Weighted && later.reason == Reason::Weighted {
                    prop_assert!(
                        earlier.slot != candidate || later.slot == candidate,
                        "{:?} from {} to {}", call, before.environment.weight, after.environment.weight
                    );
                }
            }
        }
    }

    #[test]
    fn a_call_under_test_goes_to_its_slot_or_as_if_there_were_no_override(
        state in strategy::reached(),
        call in calls(),
    ) {
        let decision = call.decided(&state);
        let mut without = state.clone();
        without.environment.overrides.clear();
        if decision.reason == Reason::Override {
            let request = call.in_environment(&state.environment);
            let numbers = [request.ani, request.dnis].map(|text| text.parse().ok());
            let leads = state.environment.overrides.iter().any(|one| {
                let number = match one.calls {
                    TestCalls::Ani(number) => numbers[0] == Some(number),
                    TestCalls::Dnis(number) => numbers[1] == Some(number),
                };
                number && one.to == decision.slot && one.expires_at > state.context.now
            });
            prop_assert!(leads, "none is for this call");
            let slot = &state.environment.slots[decision.slot];
            prop_assert!(slot.version.is_some() && slot.claim.is_none());
        } else {
            prop_assert_eq!(decision, call.decided(&without));
        }
    }
}
