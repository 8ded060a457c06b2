//! Interfaces and variables: what may be defined and set, and which versions calls may be led to.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::*;
use crate::domain::interface::{MAX_TEXT_BYTES, MAX_VARIABLES};

/// Blue is active and holds v1 of interface 1, with the variables A and B.
fn with_interface() -> World {
    World::empty().after(Create {
        interface: InterfaceNumber(1),
        variables: Some(define(1, &["A", "B"]).variables),
        ..create()
    })
}

/// The same, and interface 2 lacks B.
fn with_two_interfaces() -> World {
    with_interface().after(define(2, &["A", "C"]))
}

fn register_with(label: &str, interface: u32) -> Register {
    Register {
        interface: InterfaceNumber(interface),
        ..register(label)
    }
}

fn forced(label: &str, interface: u32) -> Register {
    Register {
        force_incompatible: true,
        ..register_with(label, interface)
    }
}

fn remove(number: u32) -> RemoveInterface {
    RemoveInterface {
        number: InterfaceNumber(number),
    }
}

/// Each of these variables with its value, as JSON has it.
fn set<const N: usize>(values: [(&str, serde_json::Value); N]) -> SetVariables {
    let values = values.map(|(name, value)| {
        let value = serde_json::from_value(value).unwrap();
        (name.parse().unwrap(), value)
    });
    SetVariables {
        values: values.into_iter().collect(),
    }
}

fn values(world: &World) -> serde_json::Value {
    serde_json::to_value(&world.environment().values).unwrap()
}

/// Which variables are missed, as a refusal names them.
#[track_caller]
fn missed(world: &World, command: impl Into<Command>) -> Vec<String> {
    match world.refusal(command) {
        Refusal::IncompatibleInterface(incompatibility) => {
            let breaks = incompatibility.breaks.iter();
            breaks.map(ToString::to_string).collect()
        }
        other => panic!("{other:?}"),
    }
}

// ---- defining ----

#[test]
fn an_environment_can_be_born_with_an_interface() {
    let world = with_interface();
    let interface = world.environment().interface(InterfaceNumber(1));
    assert_eq!(*interface, define(1, &["B", "A"]).variables);
    assert_eq!(world.version(Blue).interface, InterfaceNumber(1));
}

#[test]
fn no_version_names_an_interface_that_is_not_defined() {
    let create = Create {
        interface: InterfaceNumber(1),
        ..create()
    };
    assert_eq!(
        World::empty().refusal(create.clone()),
        Refusal::InterfaceUndefined(InterfaceNumber(1))
    );
    assert_eq!(
        World::created().refusal(register_with("v2", 1)),
        Refusal::InterfaceUndefined(InterfaceNumber(1))
    );
    let zero = Create {
        interface: InterfaceNumber::NONE,
        variables: Some(Interface::EMPTY),
        ..create
    };
    assert_eq!(World::empty().refusal(zero), Refusal::InterfaceZero);
}

#[test]
fn an_interface_changes_until_a_version_names_it() {
    let world = World::created().after(define(1, &["A"]));
    assert_eq!(world.unchanged(define(1, &["A"])), Unchanged::SameInterface);
    let world = world.after(define(1, &["B"]));
    let held = world.after(register_with("v2", 1));
    let refused = Refusal::InterfaceInUse {
        number: InterfaceNumber(1),
        flow_version: label("v2"),
    };
    assert_eq!(held.refusal(define(1, &["B", "C"])), refused);
    assert_eq!(held.unchanged(define(1, &["B"])), Unchanged::SameInterface);
    assert_eq!(held.refusal(remove(1)), refused);
    // Calls may still name the version when no slot holds it any more.
    let retired = held.after(register("v3"));
    assert_eq!(retired.retired(), ["v2"]);
    assert_eq!(retired.refusal(define(1, &["C"])), refused);
    assert_eq!(retired.refusal(remove(1)), refused);
}

#[test]
fn an_interface_that_no_version_names_can_be_removed() {
    let world = World::created().after(define(1, &["A"])).after(remove(1));
    assert_eq!(world.environment().interfaces.len(), 0);
    assert_eq!(
        world.refusal(remove(1)),
        Refusal::InterfaceMissing(InterfaceNumber(1))
    );
}

#[test]
fn interfaces_have_numbers_and_bounds() {
    let world = World::created();
    assert_eq!(world.refusal(define(0, &["A"])), Refusal::InterfaceZero);
    let names: Vec<_> = (0..=MAX_VARIABLES).map(|n| format!("V{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(world.refusal(define(1, &names)), Refusal::TooManyVariables);
    let with_text = |length| {
        let text = VariableValue::Text("x".repeat(length));
        let variable = Variable::new("A".parse().unwrap(), VariableType::String, text).unwrap();
        DefineInterface {
            variables: Interface::try_from(vec![variable]).unwrap(),
            ..define(1, &[])
        }
    };
    let too_long = Refusal::TextTooLong("A".parse().unwrap());
    assert_eq!(world.refusal(with_text(MAX_TEXT_BYTES + 1)), too_long);
    let world = world
        .after(define(1, &names[1..]))
        .after(with_text(MAX_TEXT_BYTES));
    let long = json!("x".repeat(MAX_TEXT_BYTES + 1));
    assert_eq!(world.refusal(set([("A", long)])), too_long);
    world.after(set([("A", json!("x".repeat(MAX_TEXT_BYTES)))]));
}

// ---- values ----

#[test]
fn values_are_set_changed_and_taken_back() {
    let world = with_interface().after(set([("A", json!("x")), ("B", json!(""))]));
    assert_eq!(values(&world), json!({"A": "x", "B": ""}));
    assert_eq!(
        world.unchanged(set([("A", json!("x"))])),
        Unchanged::SameVariables
    );
    let world = world.after(set([("A", json!(null))]));
    assert_eq!(values(&world), json!({"B": ""}));
    assert_eq!(
        world.unchanged(set([("A", json!(null))])),
        Unchanged::SameVariables
    );
    assert_eq!(world.unchanged(set([])), Unchanged::SameVariables);
}

#[test]
fn a_value_is_for_a_variable_that_some_interface_has_with_its_type() {
    let world = with_two_interfaces();
    let undeclared = |names: &[&str]| {
        let names = names.iter().map(|name| name.parse().unwrap());
        Refusal::UndeclaredVariables(names.collect())
    };
    assert_eq!(
        world.refusal(set([
            ("A", json!("x")),
            ("X", json!(1)),
            ("Y", json!(null))
        ])),
        undeclared(&["X", "Y"])
    );
    let mistyped = Refusal::MistypedValues(vec![MistypedValue {
        variable: "A".parse().unwrap(),
        declared: [VariableType::String].into(),
    }]);
    assert_eq!(world.refusal(set([("A", json!(1))])), mistyped);
    // It need not be the interface of a version.
    let world = world.after(set([("C", json!("x"))]));
    assert_eq!(values(&world), json!({"C": "x"}));
}

#[test]
fn a_value_that_no_interface_has_a_place_for_is_forgotten() {
    let world = with_two_interfaces().after(set([("A", json!("a")), ("C", json!("c"))]));
    let removed = world.clone().after(remove(2));
    assert_eq!(values(&removed), json!({"A": "a"}));
    let back = removed.after(define(2, &["C"]));
    assert_eq!(values(&back), json!({"A": "a"}));
    let retyped = Variable::new(
        "C".parse().unwrap(),
        VariableType::Boolean,
        VariableValue::Boolean(true),
    );
    let world = world.after(DefineInterface {
        number: InterfaceNumber(2),
        variables: Interface::try_from(vec![retyped.unwrap()]).unwrap(),
    });
    assert_eq!(values(&world), json!({"A": "a"}));
}

// ---- compatibility ----

#[test]
fn a_version_that_only_adds_goes_its_way() {
    let world = with_interface()
        .after(define(2, &["A", "B", "C"]))
        .after(register_with("v2", 2))
        .after(weight("5"))
        .after(cutover());
    assert_eq!(world.version(Green).breaks, None);
}

#[test]
fn a_version_that_lacks_variables_is_not_registered() {
    let world = with_two_interfaces();
    assert_eq!(missed(&world, register_with("v2", 2)), ["B is gone"]);
    assert_eq!(
        missed(&world, register("v2")),
        ["A is gone", "B is gone"],
        "a version without an interface reads no variables"
    );
}

#[test]
fn forcing_it_once_is_enough_for_the_whole_way() {
    let world = with_two_interfaces().after(forced("v2", 2));
    assert_eq!(world.version(Green).breaks, Some(InterfaceNumber(1)));
    let world = world
        .after(weight("5"))
        .after(weight("50"))
        .after(rollback())
        .after(weight("5"))
        .after(cutover());
    assert_eq!(world.version(Green).interface, InterfaceNumber(2));
}

#[test]
fn it_is_asked_again_once_another_interface_holds_the_calls() {
    // Green was registered beside v1 of interface 1, which it adds to; then v3 of interface 3 became active in blue.
    let world = with_interface()
        .after(define(2, &["A", "B", "C"]))
        .after(define(3, &["A", "B", "C", "D"]))
        .after(register_with("v2", 2))
        .after(cutover())
        .after(register_with("v3", 3))
        .after(cutover());
    assert_eq!(world.environment().active, Blue);
    for command in [Command::from(weight("0.01")), cutover().into()] {
        assert_eq!(missed(&world, command), ["D is gone"]);
    }
    let share = SetWeight {
        force_incompatible: true,
        ..weight("5")
    };
    let world = world.after(share);
    assert_eq!(world.version(Green).breaks, Some(InterfaceNumber(3)));
    world.after(weight("6")).after(cutover());
}

#[test]
fn a_cutover_can_be_forced_too() {
    let world = with_two_interfaces()
        .after(forced("v2", 2))
        .after(cutover());
    // Back to v1, which lacks C: not by rolling back, so it counts as any other move.
    assert_eq!(missed(&world, cutover()), ["C is gone"]);
    let world = world.after(Cutover {
        force_incompatible: true,
        ..cutover()
    });
    assert_eq!(world.environment().active, Blue);
}

#[test]
fn no_rollback_is_held_up_by_an_interface() {
    let moved = with_two_interfaces()
        .after(forced("v2", 2))
        .after(cutover());
    let back = moved.after(rollback());
    assert_eq!(back.environment().active, Blue);
    let share = with_two_interfaces()
        .after(forced("v2", 2))
        .after(weight("5"));
    assert_eq!(share.after(rollback()).environment().weight, Weight::ZERO);
}

#[test]
fn taking_calls_away_is_never_asked_about() {
    let world = with_two_interfaces()
        .after(forced("v2", 2))
        .after(weight("50"));
    let world = world.after(weight("0")).after(weight("50"));
    let world = world.after(cutover_to(Blue));
    assert_eq!(world.environment().weight, Weight::ZERO);
}

/// States from before interfaces had definitions name numbers that nobody has defined.
#[test]
fn an_interface_that_was_never_defined_has_no_variables() {
    let mut world = World::released();
    let state = world.state.as_mut().unwrap();
    for slot in [&mut state.slots.blue, &mut state.slots.green] {
        slot.version.as_mut().unwrap().interface = InterfaceNumber(9);
    }
    assert_eq!(
        *world.environment().interface(InterfaceNumber(9)),
        Interface::EMPTY
    );
    let world = world.after(weight("5")).after(cutover());
    // Whoever knows what it is can still say so, once.
    let world = world.after(define(9, &["A"]));
    assert!(matches!(
        world.refusal(define(9, &["B"])),
        Refusal::InterfaceInUse { .. }
    ));
}

#[test]
fn refusals_name_each_variable_and_what_to_do() {
    let world = with_two_interfaces();
    let messages = [
        (
            world.refusal(register("v2")),
            "interface 0 is not compatible with interface 1 of the version in slot blue, which holds the calls: \
             A is gone, B is gone; define one that only adds, say force_incompatible, or, to go back, roll back",
        ),
        (
            world.refusal(register_with("v2", 7)),
            "interface 7 is not defined in this environment; define it first",
        ),
        (
            world.refusal(define(1, &["A"])),
            "interface 1 is that of flow version v1, so it stays as it is; define another number instead",
        ),
        (
            world.refusal(set([("X", json!(1)), ("Y", json!(1))])),
            "no interface of this environment has variables X, Y; define one that does first",
        ),
        (
            world.refusal(set([("A", json!(1)), ("B", json!(true))])),
            "the value of variable A has to be of type string, the value of variable B has to be of type string",
        ),
    ];
    for (refusal, expected) in messages {
        assert_eq!(refusal.to_string(), expected);
    }
}

// ---- whatever commands were given ----

/// The variables that a flow in the candidate would miss beside the active one.
fn breaks(environment: &Environment) -> bool {
    let interface = |slot: Slot| {
        let version = environment.slots[slot].version.as_ref();
        let number = version.map_or(InterfaceNumber::NONE, |version| version.interface);
        environment.interface(number)
    };
    let (active, candidate) = (environment.active, environment.candidate());
    !interface(candidate).breaks(interface(active)).is_empty()
}

proptest! {
    /// Calls are led to a version whose flow lacks variables only where somebody has said that they should be.
    #[test]
    fn no_command_leads_calls_past_an_interface_unnoticed(history in strategy::histories()) {
        for state in history.states() {
            let environment = &state.environment;
            if !environment.weight.is_zero() && breaks(environment) {
                let held = environment.slots[environment.active].version.as_ref().unwrap().interface;
                let candidate = environment.slots[environment.candidate()].version.as_ref().unwrap();
                prop_assert_eq!(candidate.breaks, Some(held));
            }
        }
    }

    #[test]
    fn a_move_that_is_refused_for_its_interface_goes_through_when_forced_and_needs_no_second_push(
        state in strategy::reached(),
        share in strategy::weights(),
        is_cutover in any::<bool>(),
    ) {
        let command = |force_incompatible| if is_cutover {
            Command::from(Cutover { to: None, force_incompatible })
        } else {
            SetWeight { weight: share, force_incompatible }.into()
        };
        let refused = state.apply(&command(false));
        if matches!(refused, Err(Refusal::IncompatibleInterface(_))) {
            prop_assert!(breaks(&state.environment));
            let forced = state.apply(&command(true));
            prop_assert!(matches!(forced, Ok(Change::To(Some(_)))), "{:?}", forced);
            if !is_cutover {
                let after = state.after(&command(true));
                prop_assert!(after.apply(&weight("0.01").into()).is_ok());
                prop_assert!(after.apply(&cutover().into()).is_ok());
            }
        } else {
            prop_assert_eq!(state.apply(&command(true)), refused, "nothing to force");
        }
    }

    #[test]
    fn an_interface_stays_the_same_as_long_as_a_version_names_it(
        state in strategy::reached(),
        command in strategy::changes(),
    ) {
        let before = &state.environment;
        let Ok(Change::To(Some(after))) = state.apply(&command) else { return Ok(()) };
        for (number, interface) in &before.interfaces {
            if before.version_with_interface(*number).is_some() {
                prop_assert_eq!(after.interfaces.get(number), Some(interface));
            }
        }
        for (_, slot) in after.slots.iter() {
            if let Some(version) = &slot.version {
                prop_assert!(version.interface == InterfaceNumber::NONE || after.interfaces.contains_key(&version.interface));
            }
        }
    }

    #[test]
    fn every_value_has_a_place_and_every_answer_the_interfaces_variables(state in strategy::reached()) {
        let environment = &state.environment;
        for (name, value) in &environment.values {
            let mut declared = environment.interfaces.values().filter_map(|interface| interface.variable(name));
            prop_assert!(declared.any(|variable| value.is_of(variable.kind())), "{}", name);
        }
        let compiled = Compiled::new("Main_IVR".parse().unwrap(), Revision(1), environment);
        for (number, interface) in &environment.interfaces {
            prop_assert!(compiled.has_interface(*number));
            let members = compiled.variables(*number);
            let object = format!("{{{}}}", members.strip_prefix(',').unwrap_or(members));
            let object: serde_json::Map<_, _> = serde_json::from_str(&object).unwrap();
            let expected: Vec<_> = interface
                .project(&environment.values)
                .map(|(name, value)| (name.to_string(), serde_json::to_value(value).unwrap()))
                .collect();
            prop_assert_eq!(object.into_iter().collect::<Vec<_>>(), expected);
        }
    }
}
