//! Interfaces prepared for answers: what an answer says of its variables is written once, when the environment changes.

use std::fmt::Write as _;

use crate::domain::environment::Environment;
use crate::domain::ids::InterfaceNumber;

/// The interfaces of an environment with the present values of their variables.
#[derive(Debug, Clone)]
pub(super) struct CompiledInterfaces(Vec<CompiledInterface>);

#[derive(Debug, Clone)]
struct CompiledInterface {
    number: InterfaceNumber,
    /// Each variable as one more member of an object: `,"Callback_Offered":true`.
    members: Box<str>,
}

impl CompiledInterfaces {
    pub(super) fn new(environment: &Environment) -> Self {
        let interfaces = environment.interfaces.iter();
        let compiled = interfaces.map(|(number, interface)| {
            let mut members = String::new();
            for (name, value) in interface.project(&environment.values) {
                // A value is a text, a number or a truth value, which JSON can say; and writing to a text cannot fail.
                let value = serde_json::to_string(value).expect("a value as JSON");
                let _ = write!(members, ",\"{name}\":{value}");
            }
            CompiledInterface {
                number: *number,
                members: members.into(),
            }
        });
        Self(compiled.collect())
    }

    /// `number`, if an interface has it; else the number that stands for none.
    pub(super) fn defined(&self, number: InterfaceNumber) -> InterfaceNumber {
        self.find(number)
            .map_or(InterfaceNumber::NONE, |interface| interface.number)
    }

    /// The members of an answer that the interface `number` asks for.
    pub(super) fn members(&self, number: InterfaceNumber) -> &str {
        self.find(number).map_or("", |interface| &interface.members)
    }

    fn find(&self, number: InterfaceNumber) -> Option<&CompiledInterface> {
        self.0.iter().find(|interface| interface.number == number)
    }
}
