//! The Traffic Cop flow, as Archy publishes it: ask the service, or else the data table, or else take the default; transfer.
//!
//! Only spellings that an official export shows are used, since nothing but Archy itself can tell what Archy takes. What is
//! marked `UNCONFIRMED` was seen in one public file; `docs/genesys.md` says how to check it.

use super::action::What;
use super::yaml::{Yaml, list, map, number, one, text};
use super::{File, Kit, PlatformName, TROUBLE_ATTRIBUTE, VERSION_ATTRIBUTE};
use crate::domain::ids::FlowName;
use crate::domain::slot::Slot;
use crate::genesys::data_table::ACTIVE_SLOT;

/// Its file.
pub(super) const FILE: &str = "traffic-cop.yaml";

/// Above what one public file shows.
const TRANSFER_NOTE: &str = "UNCONFIRMED: transferToFlow and targetFlow.name are spelled like this in public exports, none of them Genesys' own.\n\
     If the transfer fails, the next action is the way out.";

pub(super) fn file(kit: &Kit) -> File {
    let heading = format!(
        "The Traffic Cop flow of {}. Export it again rather than editing it, and after `slot rebind`.",
        kit.environment
    );
    let flow = inbound_call(
        kit,
        text(kit.names.traffic_cop.as_str()),
        "Asks traffic-cop which flow takes the call, and transfers there",
        // Where the attribute is read to: participant data goes to variables of the flow.
        Some(list([variable(
            "stringVariable",
            "Flow.TC_version",
            no_value(),
        )])),
        task("Route", variables(), actions(kit)),
    );
    File {
        name: FILE,
        text: flow.document(&heading),
    }
}

/// A flow of one task, which begins at once and in silence.
pub(super) fn inbound_call(
    kit: &Kit,
    name: Yaml,
    description: &str,
    variables: Option<Yaml>,
    task: Yaml,
) -> Yaml {
    let mut members = vec![
        ("name", name),
        ("description", text(description)),
        ("startUpRef", text("/inboundCall/tasks/task[Start_10]")),
        ("defaultLanguage", text(&kit.language.0)),
        ("initialGreeting", exp("ToAudioBlank(1)")),
    ];
    members.extend(variables.map(|variables| ("variables", variables)));
    members.push(("tasks", list([one("task", task)])));
    one("inboundCall", map(members))
}

/// The task that a flow begins with.
pub(super) fn task(name: &str, variables: Vec<Yaml>, actions: Vec<Yaml>) -> Yaml {
    map([
        ("name", text(name)),
        ("refId", text("Start_10")),
        ("variables", list(variables)),
        ("actions", list(actions)),
    ])
}

fn variables() -> Vec<Yaml> {
    let names = [
        "Task.TC_conversation",
        "Task.TC_ani",
        "Task.TC_dnis",
        "Task.TC_version",
        "Task.TC_slot",
    ];
    let unset = names.map(|name| variable("stringVariable", name, no_value()));
    let trouble = variable(
        "stringVariable",
        "Task.TC_trouble",
        lit(text("the answer names no slot")),
    );
    unset.into_iter().chain([trouble]).collect()
}

fn actions(kit: &Kit) -> Vec<Yaml> {
    let default = kit.default_slot;
    let other = default.other();
    let mut actions = vec![
        get_version().noted("1. What the call says about itself."),
        coalesce().noted(
            "An input that is not set would end the call: the step would go to error handling, not to its failure path.",
        ),
        ask(kit).noted("2. Ask the service. Both bad ends lead to the same place, since nobody says which one a late answer takes."),
        look_up(kit).noted("3. No slot: ask the data table."),
        decision(
            &format!("Is it {other}?"),
            &format!("If(IsSet(Task.TC_slot), Task.TC_slot == \"{other}\", false)"),
            Some(vec![transfer(other, &kit.flows[other])]),
            None,
        )
        .noted("4. Transfer. Whatever is not the other slot is the default one. A switch would do, too, if its spelling were confirmed."),
        transfer(default, &kit.flows[default]),
    ];
    if let Some(queue) = &kit.names.last_resort {
        actions.push(to_queue(queue).noted("5. No flow takes the call: people do."));
    }
    actions.push(one("disconnect", one("name", text("Nobody is there"))));
    actions
}

fn get_version() -> Yaml {
    let attribute = map([
        ("name", lit(text(VERSION_ATTRIBUTE))),
        ("variable", text("Flow.TC_version")),
    ]);
    action(
        "getParticipantData",
        "Which version was it in",
        [("attributes", list([one("attribute", attribute)]))],
    )
}

fn coalesce() -> Yaml {
    let inputs = [
        ("Task.TC_conversation", "Call.ConversationId"),
        ("Task.TC_ani", "Call.Ani"),
        ("Task.TC_dnis", "Call.CalledAddressOriginal"),
        ("Task.TC_version", "Flow.TC_version"),
    ];
    let statements = inputs
        .map(|(variable, from)| set(variable, exp(&format!("If(IsSet({from}), {from}, \"\")"))));
    action(
        "updateData",
        "Nothing stays unset",
        [("statements", list(statements))],
    )
}

fn ask(kit: &Kit) -> Yaml {
    let inputs = [
        ("Conversation_ID", "Task.TC_conversation"),
        ("Flow_Version", "Task.TC_version"),
        ("ANI", "Task.TC_ani"),
        ("DNIS", "Task.TC_dnis"),
    ];
    let call = CallData {
        name: "Which slot takes the call",
        action: What::Decide,
        inputs: inputs.map(|(name, from)| (name, var(from))).to_vec(),
        outputs: vec![("Slot".to_owned(), var("Task.TC_slot"))],
        bad_ends: Some([
            vec![trouble("It could not say", lit(text("failure")))],
            vec![trouble("It did not say in time", lit(text("timeout")))],
        ]),
    };
    call.of(kit)
}

fn trouble(name: &str, what: Yaml) -> Yaml {
    let statement = set("Task.TC_trouble", what);
    action("updateData", name, [("statements", list([statement]))])
}

fn look_up(kit: &Kit) -> Yaml {
    let more = |name, what| {
        let both = format!("Append(Task.TC_trouble, \", {what}\")");
        one("actions", list([trouble(name, exp(&both))]))
    };
    let found = one("foundOutputs", one(ACTIVE_SLOT, var("Task.TC_slot")));
    let look_up = action(
        "dataTableLookup",
        "Which slot is active",
        [
            ("lookupValue", lit(text(kit.environment.as_str()))),
            ("dataTable", one(kit.names.table.as_str(), found)),
            (
                "outputs",
                map([
                    ("notFound", more("No row either", "no row")),
                    ("failure", more("No table either", "no table")),
                ]),
            ),
        ],
    );
    let leave_word = set_participant_data(
        "Leave word of it",
        TROUBLE_ATTRIBUTE,
        exp("Task.TC_trouble"),
    );
    decision(
        "Is there a slot?",
        "If(IsSet(Task.TC_slot), Task.TC_slot == \"blue\" or Task.TC_slot == \"green\", false)",
        None,
        Some(vec![look_up, leave_word]),
    )
}

fn transfer(slot: Slot, flow: &FlowName) -> Yaml {
    let name = format!("To {slot}");
    let target = one("name", text(flow.as_str()));
    action("transferToFlow", &name, [("targetFlow", target)]).noted(TRANSFER_NOTE)
}

fn to_queue(queue: &PlatformName) -> Yaml {
    let queue = lit(one("name", text(queue.as_str())));
    action("transferToAcd", "To people", [("targetQueue", queue)])
}

/// A call of one of the kit's actions.
pub(super) struct CallData {
    pub(super) name: &'static str,
    pub(super) action: What,
    pub(super) inputs: Vec<(&'static str, Yaml)>,
    pub(super) outputs: Vec<(String, Yaml)>,
    /// What happens if it fails, and if it takes too long. The flow goes on behind it in any case.
    pub(super) bad_ends: Option<[Vec<Yaml>; 2]>,
}

impl CallData {
    pub(super) fn of(self, kit: &Kit) -> Yaml {
        let mut contract = vec![("inputs", map(self.inputs))];
        if !self.outputs.is_empty() {
            contract.push(("successOutputs", map(self.outputs)));
        }
        let data_action = one(kit.action_name(self.action), map(contract));
        let category = one(
            kit.names.integration.as_str(),
            one("dataAction", data_action),
        );
        let seconds = one("seconds", number(kit.timeout_seconds));
        let mut members = vec![
            ("processingPrompt", no_value()),
            ("timeout", lit(seconds)),
            ("category", category),
        ];
        if let Some([failure, timeout]) = self.bad_ends {
            let paths = [("failure", failure), ("timeout", timeout)];
            let paths = paths.map(|(path, actions)| (path, one("actions", list(actions))));
            members.push(("outputs", map(paths)));
        }
        action("callData", self.name, members)
    }
}

/// An action with a name and more.
pub(super) fn action<K: Into<String>>(
    kind: &str,
    name: &str,
    members: impl IntoIterator<Item = (K, Yaml)>,
) -> Yaml {
    let members = members.into_iter().map(|(key, value)| (key.into(), value));
    let named = std::iter::once(("name".to_owned(), text(name)));
    one(kind, map(named.chain(members)))
}

/// A decision whose paths that do nothing go on behind it.
fn decision(name: &str, condition: &str, yes: Option<Vec<Yaml>>, no: Option<Vec<Yaml>>) -> Yaml {
    let paths = [("yes", yes), ("no", no)];
    let outputs = paths
        .into_iter()
        .filter_map(|(path, actions)| Some((path, one("actions", list(actions?)))));
    action(
        "decision",
        name,
        [("condition", exp(condition)), ("outputs", map(outputs))],
    )
}

/// Sets an attribute of the call.
pub(super) fn set_participant_data(name: &str, attribute: &str, value: Yaml) -> Yaml {
    let attribute = map([("name", lit(text(attribute))), ("value", value)]);
    let attributes = list([one("attribute", attribute)]);
    action("setParticipantData", name, [("attributes", attributes)])
}

/// A statement that sets a text.
fn set(variable: &str, value: Yaml) -> Yaml {
    one(
        "string",
        map([("variable", text(variable)), ("value", value)]),
    )
}

/// A declaration of a variable.
pub(super) fn variable(kind: &str, name: &str, initial: Yaml) -> Yaml {
    one(kind, map([("name", text(name)), ("initialValue", initial)]))
}

/// An expression.
pub(super) fn exp(expression: &str) -> Yaml {
    one("exp", text(expression))
}

/// A value as it stands.
pub(super) fn lit(value: Yaml) -> Yaml {
    one("lit", value)
}

/// A variable.
pub(super) fn var(name: &str) -> Yaml {
    one("var", text(name))
}

/// Nothing.
pub(super) fn no_value() -> Yaml {
    one("noValue", Yaml::Bare("true".to_owned()))
}
