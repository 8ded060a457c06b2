//! Interfaces, values of variables, and the commands about them.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

use super::parsed;
use crate::domain::command::{Command, DefineInterface, RemoveInterface, SetVariables};
use crate::domain::ids::{InterfaceNumber, VariableName};
use crate::domain::interface::{Interface, Variable, VariableType, VariableValue};

/// One of few names, so that interfaces come to share variables.
pub(crate) fn variable_names() -> impl Strategy<Value = VariableName> {
    parsed("Var_[A-E]")
}

/// Any value of this type.
pub(crate) fn values_of(kind: VariableType) -> impl Strategy<Value = VariableValue> {
    let integers = -9_007_199_254_740_991..=9_007_199_254_740_991_i64;
    match kind {
        VariableType::String => prop_oneof![
            3 => ".{0,40}".prop_map(VariableValue::Text),
            1 => "[0-9]{1,3}|true|false".prop_map(VariableValue::Text),
        ]
        .boxed(),
        VariableType::Integer => integers
            .prop_map(|integer| VariableValue::Number(integer.into()))
            .boxed(),
        VariableType::Number => any::<f64>()
            .prop_filter_map("JSON has no infinity", serde_json::Number::from_f64)
            .prop_map(VariableValue::Number)
            .boxed(),
        VariableType::Boolean => any::<bool>().prop_map(VariableValue::Boolean).boxed(),
    }
}

/// Any value of any type.
pub(crate) fn values() -> impl Strategy<Value = VariableValue> {
    types().prop_flat_map(values_of)
}

fn types() -> impl Strategy<Value = VariableType> {
    prop_oneof![
        2 => Just(VariableType::String),
        1 => Just(VariableType::Integer),
        1 => Just(VariableType::Number),
        1 => Just(VariableType::Boolean),
    ]
}

/// Any interface of few variables.
pub(crate) fn definitions() -> impl Strategy<Value = Interface> {
    let declared = types().prop_flat_map(|kind| (Just(kind), values_of(kind)));
    btree_map(variable_names(), declared, 0..5).prop_map(|variables| {
        let variables = variables.into_iter().map(|(name, (kind, default))| {
            Variable::new(name, kind, default).expect("a default of its type")
        });
        Interface::try_from(variables.collect::<Vec<_>>()).expect("one variable of each name")
    })
}

/// The number of an interface that may be defined by then, or not.
pub(super) fn interface_numbers() -> impl Strategy<Value = InterfaceNumber> {
    prop_oneof![6 => Just(0), 5 => 1..4_u32, 1 => any::<u32>()].prop_map(InterfaceNumber)
}

/// The interface that an environment is created with, and its definition; often none.
pub(super) fn first_interfaces() -> impl Strategy<Value = (InterfaceNumber, Option<Interface>)> {
    let defined = ((1..4_u32).prop_map(InterfaceNumber), definitions())
        .prop_map(|(number, interface)| (number, Some(interface)));
    prop_oneof![Just((InterfaceNumber::NONE, None)), defined]
}

/// Any command about interfaces or variables. Some are refused by any state.
pub(crate) fn interface_changes() -> impl Strategy<Value = Command> {
    let numbers = || (0..4_u32).prop_map(InterfaceNumber);
    let define = (numbers(), definitions())
        .prop_map(|(number, variables)| DefineInterface { number, variables });
    let remove = numbers().prop_map(|number| RemoveInterface { number });
    let set = vec((variable_names(), option::weighted(0.8, values())), 0..4).prop_map(|values| {
        SetVariables {
            values: values.into_iter().collect(),
        }
    });
    prop_oneof![
        4 => define.prop_map(Command::from),
        1 => remove.prop_map(Command::from),
        3 => set.prop_map(Command::from),
    ]
}
