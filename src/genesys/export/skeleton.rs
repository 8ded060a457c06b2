//! The flows of the slots to begin with: they say first which version the call is in, look the variables up and report at last.

use super::action::What;
use super::fill::{FLOW_NAME, FLOW_VERSION};
use super::flow::{self, CallData, exp, lit, set_participant_data, var, variable};
use super::yaml::{Yaml, list, map, number, one, text};
use super::{File, Kit, VERSION_ATTRIBUTE};
use crate::domain::interface::{Variable, VariableType, VariableValue};
use crate::domain::slot::Slot;

/// File with the flow of either slot, its name and version left open.
pub(super) const TEMPLATE: &str = "ivr.template.yaml";

/// Above what no flow can report.
const ABANDON_NOTE: &str = "False in every report of a flow: a caller who hangs up ends the flow before this action.\n\
     Genesys Cloud itself tells of hang-ups: \"How calls end\" in docs/genesys.md of traffic-cop.";

/// File with the first flow of a slot.
pub(super) fn file_name(slot: Slot) -> &'static str {
    match slot {
        Slot::Blue => "blue.yaml",
        Slot::Green => "green.yaml",
    }
}

/// What a team begins with, and keeps.
pub(super) fn template(kit: &Kit) -> File {
    let heading = format!(
        "What blue and green of {} begin with, and where the team goes on. Keep this file; `traffic-cop genesys fill` makes the\n\
         flow of a slot of it: its name and the label of its version go where the tokens are.",
        kit.environment
    );
    let flow = skeleton(kit, Yaml::Token(FLOW_NAME), Yaml::Token(FLOW_VERSION));
    File {
        name: TEMPLATE,
        text: flow.document(&heading),
    }
}

/// The same, for one slot.
pub(super) fn of(kit: &Kit, slot: Slot) -> File {
    let heading = format!("The first flow of {slot} of {}.", kit.environment);
    let name = text(kit.flows[slot].as_str());
    let version = text(kit.flow_versions[slot].as_str());
    File {
        name: file_name(slot),
        text: skeleton(kit, name, version).document(&heading),
    }
}

fn skeleton(kit: &Kit, name: Yaml, version: Yaml) -> Yaml {
    let conversation = variable("stringVariable", "Task.TC_conversation", flow::no_value());
    let own = kit.variables.variables().iter().map(declaration);
    let variables = std::iter::once(conversation).chain(own).collect();
    flow::inbound_call(
        kit,
        name,
        "Takes the calls that traffic-cop decides to it",
        None,
        flow::task("Start", variables, actions(kit, version)),
    )
}

fn actions(kit: &Kit, version: Yaml) -> Vec<Yaml> {
    let mut actions = vec![
        set_participant_data("Say which version it is", VERSION_ATTRIBUTE, lit(version)).noted(
            "First of all: a call that comes by the Traffic Cop flow again goes back to the version that it was in.",
        ),
        conversation(),
    ];
    if !kit.variables.is_empty() {
        actions.push(look_up(kit).noted(
            "The variables, as people have set them. If they cannot be had, the defaults above stand.",
        ));
    }
    actions.push(
        report(kit).noted(
            "Your flow goes above this line. Report how the call ended as the last action on every way out, with what is true there.",
        ),
    );
    let name = ("name", text("The end"));
    actions.push(one("disconnect", map([name])));
    actions
}

/// The conversation's id, which is never blank in a call; and if it were, the report would not end the call.
fn conversation() -> Yaml {
    let value = exp("If(IsSet(Call.ConversationId), Call.ConversationId, \"\")");
    let statement = one(
        "string",
        map([("variable", text("Task.TC_conversation")), ("value", value)]),
    );
    flow::action(
        "updateData",
        "Which call it is",
        [("statements", list([statement]))],
    )
}

fn look_up(kit: &Kit) -> Yaml {
    let outputs = kit.variables.variables().iter().map(|variable| {
        let name = variable.name().to_string();
        let to = var(&format!("Task.{name}"));
        (name, to)
    });
    let empty = || exp("\"\"");
    let call = CallData {
        name: "What people have set",
        action: What::Variables,
        inputs: vec![
            ("Conversation_ID", var("Task.TC_conversation")),
            ("Flow_Version", empty()),
            ("ANI", empty()),
            ("DNIS", empty()),
        ],
        outputs: outputs.collect(),
        bad_ends: None,
    };
    call.of(kit)
}

fn report(kit: &Kit) -> Yaml {
    let said = |truth: &str| lit(text(truth));
    let call = CallData {
        name: "How the call ended",
        action: What::Report,
        inputs: vec![
            ("Conversation_ID", var("Task.TC_conversation")),
            ("Abandon", said("false").noted(ABANDON_NOTE)),
            ("Error", said("false")),
            ("Transfer", said("false")),
            ("Containment", said("true")),
        ],
        outputs: Vec::new(),
        bad_ends: None,
    };
    call.of(kit)
}

/// A variable of the interface, with its default.
fn declaration(of: &Variable) -> Yaml {
    let kind = match of.kind() {
        VariableType::String => "stringVariable",
        VariableType::Integer => "integerVariable",
        VariableType::Number => "decimalVariable",
        VariableType::Boolean => "booleanVariable",
    };
    let initial = match of.default_value() {
        VariableValue::Boolean(truth) => Yaml::Bare(truth.to_string()),
        VariableValue::Number(value) => number(decimal(value, of.kind())),
        VariableValue::Text(value) => text(value),
    };
    let declaration = variable(kind, &format!("Task.{}", of.name()), lit(initial));
    match of.kind() {
        VariableType::Number => declaration.noted(
            "UNCONFIRMED: decimalVariable is spelled like this in public exports, none of them Genesys' own.",
        ),
        VariableType::String | VariableType::Integer | VariableType::Boolean => declaration,
    }
}

/// A number without an exponent: readers of YAML disagree about those.
fn decimal(value: &serde_json::Number, kind: VariableType) -> String {
    match (kind, value.as_f64()) {
        (VariableType::Number, Some(float)) if float.fract() == 0.0 => format!("{float}.0"),
        (VariableType::Number, Some(float)) => float.to_string(),
        _ => value.to_string(),
    }
}
