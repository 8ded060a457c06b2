//! The contracts of data actions: JSON schemas in the style of draft 4, flat, with every member that a flow may ever read.

use serde_json::{Map, Value, json};

use crate::domain::interface::{Interface, VariableType};

/// What a data action takes: texts.
pub(super) struct Input {
    /// Name of the member.
    pub(super) name: &'static str,
    /// What it is, for the author of a flow.
    pub(super) description: &'static str,
}

/// What every decision is asked with.
pub(super) const CALL: [Input; 4] = [
    Input {
        name: "Conversation_ID",
        description: "Call.ConversationId",
    },
    Input {
        name: "Flow_Version",
        description: "Participant attribute Traffic_Cop_Flow_Version; empty if the call was in no flow yet",
    },
    Input {
        name: "ANI",
        description: "Call.Ani; empty for anonymous callers",
    },
    Input {
        name: "DNIS",
        description: "Call.CalledAddressOriginal",
    },
];

/// What a report tells.
pub(super) const OUTCOME: [Input; 5] = [
    Input {
        name: "Conversation_ID",
        description: "Call.ConversationId",
    },
    Input {
        name: "Abandon",
        description: "Whether the caller hung up in the flow: true, false, or empty",
    },
    Input {
        name: "Error",
        description: "Whether the flow failed: true, false, or empty",
    },
    Input {
        name: "Transfer",
        description: "Whether the call went to a person: true, false, or empty",
    },
    Input {
        name: "Containment",
        description: "Whether the flow settled what the caller came for: true, false, or empty",
    },
];

/// The members of every decision.
const DECISION: [(&str, VariableType); 10] = [
    ("Active_Flow_ID", VariableType::String),
    ("Active_Flow_Name", VariableType::String),
    ("Flow_Version", VariableType::String),
    ("Flow_Version_Known", VariableType::Boolean),
    ("Reason", VariableType::String),
    ("Revision", VariableType::Integer),
    ("Schema_Version", VariableType::Integer),
    ("Slot", VariableType::String),
    ("Source", VariableType::String),
    ("Traffic_Weight", VariableType::Number),
];

/// The members of every look at variables.
const LOOK_UP: [(&str, VariableType); 4] = [
    ("Flow_Version_Known", VariableType::Boolean),
    ("Revision", VariableType::Integer),
    ("Schema_Version", VariableType::Integer),
    ("Source", VariableType::String),
];

/// The members of the answer to a report.
const STORED: [(&str, VariableType); 2] = [
    ("Ignored", VariableType::Integer),
    ("Stored", VariableType::Integer),
];

/// A contract for these texts. Only the conversation is required: a flow that leaves another one out still has its call decided.
pub(super) fn input(title: &str, inputs: &[Input]) -> Value {
    let properties = inputs.iter().map(|input| {
        let schema = json!({ "type": "string", "description": input.description });
        (input.name.to_owned(), schema)
    });
    json!({
        "$schema": SCHEMA,
        "title": title,
        "type": "object",
        "required": ["Conversation_ID"],
        "properties": properties.collect::<Map<_, _>>(),
        "additionalProperties": true,
    })
}

/// The contract of a decision with these variables.
pub(super) fn decision(variables: &Interface) -> Value {
    output("Decision", &DECISION, variables)
}

/// The contract of a look at these variables.
pub(super) fn look_up(variables: &Interface) -> Value {
    output("Variables", &LOOK_UP, variables)
}

/// The contract of the answer to a report.
pub(super) fn stored() -> Value {
    output("Stored", &STORED, &Interface::EMPTY)
}

const SCHEMA: &str = "http://json-schema.org/draft-04/schema#";

/// Members that are always there, and variables. Those are not required: should somebody remove the interface, calls are
/// decided all the same.
fn output(title: &str, members: &[(&str, VariableType)], variables: &Interface) -> Value {
    let schema = |kind: VariableType| json!({ "type": kind.to_string() });
    let fixed = members
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), schema(*kind)));
    let own = variables
        .variables()
        .iter()
        .map(|variable| (variable.name().to_string(), schema(variable.kind())));
    let required: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    json!({
        "$schema": SCHEMA,
        "title": title,
        "type": "object",
        "required": required,
        "properties": fixed.chain(own).collect::<Map<_, _>>(),
        "additionalProperties": true,
    })
}
