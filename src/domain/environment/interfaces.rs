//! Interfaces and values of variables: what defines them, and what a version's interface has to offer.

use std::collections::{BTreeMap, BTreeSet};

use super::{Environment, FlowVersion};
use crate::domain::command::{Create, DefineInterface, RemoveInterface, SetVariables};
use crate::domain::ids::{InterfaceNumber, VariableName, VersionLabel};
use crate::domain::interface::{Interface, MAX_VARIABLES, VariableType, VariableValue};
use crate::domain::refusal::{Incompatibility, MistypedValue, Refusal};
use crate::domain::{Change, Unchanged};

/// What stands for a number that nobody has defined.
static UNDEFINED: Interface = Interface::EMPTY;

type Applied = Result<Change<Environment>, Refusal>;

/// The interfaces of a new environment: that of its first version, if it has one.
pub(super) fn first_interface(
    create: &Create,
) -> Result<BTreeMap<InterfaceNumber, Interface>, Refusal> {
    match (create.interface, &create.variables) {
        (InterfaceNumber::NONE, None) => Ok(BTreeMap::new()),
        (number, None) => Err(Refusal::InterfaceUndefined(number)),
        (number, Some(variables)) => {
            check(number, variables)?;
            Ok(BTreeMap::from([(number, variables.clone())]))
        }
    }
}

/// Refuses what no interface may be. A state that was read may exceed limits that have changed since.
fn check(number: InterfaceNumber, interface: &Interface) -> Result<(), Refusal> {
    if number == InterfaceNumber::NONE {
        return Err(Refusal::InterfaceZero);
    }
    if interface.variables().len() > MAX_VARIABLES {
        return Err(Refusal::TooManyVariables);
    }
    let mut variables = interface.variables().iter();
    match variables.find(|variable| variable.default_value().is_too_long()) {
        Some(variable) => Err(Refusal::TextTooLong(variable.name().clone())),
        None => Ok(()),
    }
}

impl Environment {
    /// The interface with this number; one without variables if nobody has defined it.
    #[must_use]
    pub fn interface(&self, number: InterfaceNumber) -> &Interface {
        self.interfaces.get(&number).unwrap_or(&UNDEFINED)
    }

    /// A version that names the interface `number`, in a slot or among the retired.
    #[must_use]
    pub fn version_with_interface(&self, number: InterfaceNumber) -> Option<&VersionLabel> {
        self.versions()
            .find_map(|(label, interface)| (interface == number).then_some(label))
    }

    pub(super) fn define_interface(mut self, define: &DefineInterface) -> Applied {
        let number = define.number;
        check(number, &define.variables)?;
        if let Some(defined) = self.interfaces.get(&number) {
            if *defined == define.variables {
                return Ok(Change::Nothing(Unchanged::SameInterface));
            }
            self.require_unused(number)?;
        }
        self.interfaces.insert(number, define.variables.clone());
        self.forget_undeclared_values();
        Ok(Change::To(Some(self)))
    }

    pub(super) fn remove_interface(mut self, remove: &RemoveInterface) -> Applied {
        let number = remove.number;
        if !self.interfaces.contains_key(&number) {
            return Err(Refusal::InterfaceMissing(number));
        }
        self.require_unused(number)?;
        self.interfaces.remove(&number);
        self.forget_undeclared_values();
        Ok(Change::To(Some(self)))
    }

    pub(super) fn set_variables(mut self, set: &SetVariables) -> Applied {
        let (mut undeclared, mut mistyped) = (Vec::new(), Vec::new());
        let mut values = self.values.clone();
        for (name, value) in set.values.iter() {
            let declared = self.declared_types(name);
            let Some(value) = value else {
                values.remove(name);
                undeclared.extend(declared.is_empty().then(|| name.clone()));
                continue;
            };
            match value.settle(&declared) {
                Some(value) if value.is_too_long() => {
                    return Err(Refusal::TextTooLong(name.clone()));
                }
                Some(value) => {
                    values.insert(name.clone(), value);
                }
                None if declared.is_empty() => undeclared.push(name.clone()),
                None => mistyped.push(MistypedValue {
                    variable: name.clone(),
                    declared,
                }),
            }
        }
        if !undeclared.is_empty() {
            return Err(Refusal::UndeclaredVariables(undeclared));
        }
        if !mistyped.is_empty() {
            return Err(Refusal::MistypedValues(mistyped));
        }
        if values == self.values {
            return Ok(Change::Nothing(Unchanged::SameVariables));
        }
        self.values = values;
        Ok(Change::To(Some(self)))
    }

    /// Refuses to register a version of an interface that nobody has defined: its calls would get no variables.
    pub(super) fn require_interface(&self, number: InterfaceNumber) -> Result<(), Refusal> {
        if number == InterfaceNumber::NONE || self.interfaces.contains_key(&number) {
            Ok(())
        } else {
            Err(Refusal::InterfaceUndefined(number))
        }
    }

    /// Whether calls may be sent to a version of the candidate as far as its interface is concerned: it offers whatever that of
    /// the active version does, or somebody wants it all the same. Gives what its [`FlowVersion::breaks`] has to be, which keeps
    /// the next step of a ramp from asking again, but not the first one after another version has become active.
    ///
    /// Asked wherever a version gets on its way to calls, but by a rollback, which must never be held up.
    pub(super) fn accept_interface(
        &self,
        version: &FlowVersion,
        force_incompatible: bool,
    ) -> Result<Option<InterfaceNumber>, Refusal> {
        let active = self.slots[self.active].version.as_ref();
        let held = active.map_or(InterfaceNumber::NONE, |version| version.interface);
        let offered = version.interface;
        let breaks = self.interface(offered).breaks(self.interface(held));
        if breaks.is_empty() {
            Ok(None)
        } else if force_incompatible || version.breaks == Some(held) {
            Ok(Some(held))
        } else {
            Err(Refusal::IncompatibleInterface(Incompatibility {
                slot: self.active,
                held,
                offered,
                breaks,
            }))
        }
    }

    fn require_unused(&self, number: InterfaceNumber) -> Result<(), Refusal> {
        match self.version_with_interface(number) {
            None => Ok(()),
            Some(label) => Err(Refusal::InterfaceInUse {
                number,
                flow_version: label.clone(),
            }),
        }
    }

    /// The types with which interfaces declare a variable: more than one after a change of type was forced.
    fn declared_types(&self, name: &VariableName) -> BTreeSet<VariableType> {
        let interfaces = self.interfaces.values();
        interfaces
            .filter_map(|interface| interface.variable(name))
            .map(|variable| variable.kind())
            .collect()
    }

    /// Drops values that no interface has a place for: one that gets a place again later has to be set again.
    fn forget_undeclared_values(&mut self) {
        let mut values: BTreeMap<VariableName, VariableValue> = std::mem::take(&mut self.values);
        values.retain(|name, value| {
            let declared = self.declared_types(name);
            declared.iter().any(|kind| value.is_of(*kind))
        });
        self.values = values;
    }
}
