//! Commands, by name or at random.

use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use traffic_cop::domain::access::{AccessCommand, Grant, TokenHash};
use traffic_cop::domain::command::{
    Claim, Command, Create, Cutover, DefineInterface, Delete, Flow, Rebind, Register, Release,
    RemoveInterface, Rollback, SetVariables, SetWeight,
};
use traffic_cop::domain::ids::InterfaceNumber;
use traffic_cop::domain::interface::{Interface, Variable, VariableType, VariableValue};
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::domain::weight::Weight;

pub(crate) fn flow(id: &str) -> Flow {
    Flow {
        id: id.parse().expect("a flow id"),
        name: format!("Flow {id}").parse().expect("a flow name"),
    }
}

/// Brings an environment into being, with version `v1` in blue, which is active.
pub(crate) fn create() -> Command {
    Create {
        flows: BySlot {
            blue: flow("flow-blue"),
            green: flow("flow-green"),
        },
        active: Slot::Blue,
        flow_version: "v1".parse().expect("a label"),
        interface: InterfaceNumber::NONE,
        variables: None,
    }
    .into()
}

/// Puts a version into the candidate.
pub(crate) fn register(label: &str) -> Command {
    Register {
        published_version: None,
        slot: None,
        flow_version: label.parse().expect("a label"),
        interface: InterfaceNumber::NONE,
        force_incompatible: false,
    }
    .into()
}

pub(crate) fn cutover() -> Command {
    Cutover::default().into()
}

pub(crate) fn cutover_to(slot: Slot) -> Command {
    Cutover {
        to: Some(slot),
        ..Cutover::default()
    }
    .into()
}

pub(crate) fn rollback() -> Command {
    Rollback { keep_calls: false }.into()
}

pub(crate) fn weight(percent: &str) -> Command {
    SetWeight {
        weight: percent.parse().expect("a percentage"),
        force_incompatible: false,
    }
    .into()
}

pub(crate) fn delete() -> Command {
    Delete {}.into()
}

/// The interface with these variables, all of them texts.
pub(crate) fn interface(names: &[&str]) -> Interface {
    let variables = names.iter().map(|name| {
        let name = name.parse().expect("a variable name");
        Variable::new(
            name,
            VariableType::String,
            VariableValue::Text(String::new()),
        )
        .expect("a text")
    });
    Interface::try_from(variables.collect::<Vec<_>>()).expect("one variable of each name")
}

/// Lets in a token of this name, made of nothing but `seed`.
pub(crate) fn create_token(name: &str, seed: u8) -> AccessCommand {
    AccessCommand::CreateToken {
        name: name.parse().expect("a token name"),
        hash: TokenHash([seed; 32]),
        grant: Grant::decisions(),
        expires_at: None,
    }
}

/// Any command, those most often that get somewhere.
pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    let slot = || prop_oneof![4 => Just(None), 1 => slots().prop_map(Some)];
    let label = || (0..12_u32).prop_map(|n| format!("v{n}").parse().expect("a label"));
    let number = prop_oneof![2 => Just(InterfaceNumber::NONE), 1 => interface_numbers()];
    let register = (slot(), label(), number, any::<bool>()).prop_map(
        |(slot, flow_version, interface, force_incompatible)| {
            Register {
                published_version: None,
                slot,
                flow_version,
                interface,
                force_incompatible,
            }
            .into()
        },
    );
    let claim =
        (slot(), label(), 0..90_u16).prop_map(|(slot, flow_version, expires_in_minutes)| {
            Claim {
                slot,
                flow_version,
                expires_in_minutes,
            }
            .into()
        });
    let release = (slot(), any::<bool>()).prop_map(|(slot, nothing_published)| {
        Release {
            slot,
            nothing_published,
        }
        .into()
    });
    let rebind = (slots(), "flow-(blue|green|other)").prop_map(|(slot, id)| {
        let flow = flow(&id);
        Rebind { slot, flow }.into()
    });
    let weight = prop_oneof![1 => Just(0), 3 => 0..=Weight::FULL.bps()].prop_map(|bps| {
        let weight = Weight::from_bps(bps).expect("at most 10,000");
        SetWeight {
            weight,
            force_incompatible: true,
        }
        .into()
    });
    let cutover =
        (option::weighted(0.3, slots()), any::<bool>()).prop_map(|(to, force_incompatible)| {
            Cutover {
                to,
                force_incompatible,
            }
            .into()
        });
    let define = (interface_numbers(), 0..4_usize).prop_map(|(number, count)| {
        let variables = interface(&["Prompt", "Closed", "Queue"][..count]);
        DefineInterface { number, variables }.into()
    });
    let remove = interface_numbers().prop_map(|number| RemoveInterface { number }.into());
    let set = ("Prompt|Closed|Queue", option::of("[a-z\"ß]{0,8}")).prop_map(|(name, value)| {
        let value = value.map(VariableValue::Text);
        let values = [(name.parse().expect("a variable name"), value)];
        let values = values.into_iter().collect();
        SetVariables { values }.into()
    });
    prop_oneof![
        2 => Just(create()),
        5 => register,
        2 => claim,
        2 => release,
        1 => rebind,
        4 => cutover,
        4 => any::<bool>().prop_map(|keep_calls| Rollback { keep_calls }.into()),
        5 => weight,
        2 => define,
        1 => remove,
        2 => set,
        1 => Just(delete()),
    ]
}

fn interface_numbers() -> impl Strategy<Value = InterfaceNumber> {
    (1..4_u32).prop_map(InterfaceNumber)
}

fn slots() -> impl Strategy<Value = Slot> {
    prop_oneof![Just(Slot::Blue), Just(Slot::Green)]
}
