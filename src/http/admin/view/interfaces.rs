//! How interfaces are shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::environment::Environment;
use crate::domain::ids::{InterfaceNumber, VariableName};
use crate::domain::interface::{VariableType, VariableValue};

/// An interface.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InterfaceView {
    /// Its number.
    number: InterfaceNumber,
    /// Its variables, in the order of their names.
    variables: Vec<VariableView>,
    /// Whether a flow version names it, in a slot or among the retired: then it stays as it is.
    in_use: bool,
}

/// A variable of an interface.
#[derive(Debug, Serialize, ToSchema)]
struct VariableView {
    /// Its name.
    name: VariableName,
    /// What kind of values it holds.
    r#type: VariableType,
    /// What it holds where the environment has no value for it.
    default: VariableValue,
    /// What flows written for this interface get now: the environment's value if it is of the type, or the default.
    value: VariableValue,
}

impl InterfaceView {
    /// Every interface of `environment`, in the order of their numbers.
    pub(super) fn all(environment: &Environment) -> Vec<Self> {
        let interfaces = environment.interfaces.iter();
        let views = interfaces.map(|(number, interface)| {
            let values = interface.project(&environment.values);
            let variables = interface.variables().iter().zip(values);
            Self {
                number: *number,
                variables: variables
                    .map(|(variable, (_, value))| VariableView {
                        name: variable.name().clone(),
                        r#type: variable.kind(),
                        default: variable.default_value().clone(),
                        value: value.clone(),
                    })
                    .collect(),
                in_use: environment.version_with_interface(*number).is_some(),
            }
        });
        views.collect()
    }
}
