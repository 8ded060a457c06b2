//! Interfaces in format 1: each says what it adds to an earlier one.
//!
//! A deployment that adds a variable now and then has a number for each time, and every record and row holds the whole state:
//! written out in full, the interfaces of the versions that are remembered would fill it before long.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FormatError;
use crate::domain::ids::{InterfaceNumber, VariableName};
use crate::domain::interface::{Interface, Variable, VariableType, VariableValue};

#[derive(Serialize, Deserialize)]
pub(super) struct WireInterface {
    /// The interface of a lower number whose variables belong to this one too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extends: Option<InterfaceNumber>,
    /// The other ones.
    variables: Vec<WireVariable>,
}

#[derive(Serialize, Deserialize)]
struct WireVariable {
    name: VariableName,
    #[serde(rename = "type")]
    kind: VariableType,
    default: VariableValue,
}

/// Each interface with what it adds to the nearest one below that it has the whole of.
pub(super) fn to_wire(
    interfaces: &BTreeMap<InterfaceNumber, Interface>,
) -> BTreeMap<InterfaceNumber, WireInterface> {
    let wire = interfaces.iter().map(|(number, interface)| {
        let mut lower = interfaces.range(..number).rev();
        let base = lower.find(|(_, lower)| !lower.is_empty() && interface.contains(lower));
        let is_added = |variable: &&Variable| {
            base.is_none_or(|(_, base)| base.variable(variable.name()).is_none())
        };
        let added = interface.variables().iter().filter(is_added);
        let wire = WireInterface {
            extends: base.map(|(number, _)| *number),
            variables: added.map(WireVariable::from).collect(),
        };
        (*number, wire)
    });
    wire.collect()
}

/// The interfaces written out.
pub(super) fn from_wire(
    wire: BTreeMap<InterfaceNumber, WireInterface>,
) -> Result<BTreeMap<InterfaceNumber, Interface>, FormatError> {
    let mut interfaces: BTreeMap<_, Interface> = BTreeMap::new();
    for (number, interface) in wire {
        if number == InterfaceNumber::NONE {
            return Err(FormatError::Inconsistent("interface 0 has variables"));
        }
        let mut variables = match interface.extends {
            None => Vec::new(),
            // In the order of their numbers, so what is not there yet is not below.
            Some(base) => match interfaces.get(&base) {
                Some(base) => base.variables().to_vec(),
                None => {
                    return Err(FormatError::Inconsistent(
                        "an interface extends one that is not there",
                    ));
                }
            },
        };
        for variable in interface.variables {
            let variable = Variable::new(variable.name, variable.kind, variable.default);
            variables.push(variable.map_err(|_| {
                FormatError::Inconsistent("the default of a variable is of another type")
            })?);
        }
        let interface = Interface::try_from(variables)
            .map_err(|_| FormatError::Inconsistent("an interface has a variable twice"))?;
        interfaces.insert(number, interface);
    }
    Ok(interfaces)
}

impl From<&Variable> for WireVariable {
    fn from(variable: &Variable) -> Self {
        Self {
            name: variable.name().clone(),
            kind: variable.kind(),
            default: variable.default_value().clone(),
        }
    }
}
