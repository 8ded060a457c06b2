//! Flows for Archy.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::genesys::export::{Kit, fill};

use super::{HOSTILE, files, kit, text, variables};

/// Every key that an official export or example of Archy shows, and where.
const CONFIRMED: [(&str, &str); 50] = [
    (
        "actions",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("attribute", "switch-voice-to-web-messaging"),
    ("attributes", "switch-voice-to-web-messaging"),
    (
        "booleanVariable",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("callData", "set-emergency-group-lambda-blueprint"),
    ("category", "set-emergency-group-lambda-blueprint"),
    ("condition", "set-emergency-group-lambda-blueprint"),
    ("dataAction", "set-emergency-group-lambda-blueprint"),
    (
        "dataTable",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    (
        "dataTableLookup",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("decision", "set-emergency-group-lambda-blueprint"),
    ("defaultLanguage", "set-emergency-group-lambda-blueprint"),
    ("description", "dr-fallback-ivr"),
    ("disconnect", "set-emergency-group-lambda-blueprint"),
    ("exp", "switch-voice-to-web-messaging"),
    ("failure", "set-emergency-group-lambda-blueprint"),
    (
        "foundOutputs",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("getParticipantData", "switch-voice-to-web-messaging"),
    ("inboundCall", "set-emergency-group-lambda-blueprint"),
    (
        "initialGreeting",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    (
        "initialValue",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("inputs", "set-emergency-group-lambda-blueprint"),
    (
        "integerVariable",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("lit", "set-emergency-group-lambda-blueprint"),
    (
        "lookupValue",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("name", "set-emergency-group-lambda-blueprint"),
    ("no", "set-emergency-group-lambda-blueprint"),
    ("noValue", "set-emergency-group-lambda-blueprint"),
    (
        "notFound",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("outputs", "set-emergency-group-lambda-blueprint"),
    ("processingPrompt", "set-emergency-group-lambda-blueprint"),
    ("refId", "set-emergency-group-lambda-blueprint"),
    ("seconds", "set-emergency-group-lambda-blueprint"),
    ("setParticipantData", "switch-voice-to-web-messaging"),
    ("startUpRef", "set-emergency-group-lambda-blueprint"),
    (
        "statements",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    (
        "string",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    (
        "stringVariable",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("successOutputs", "set-emergency-group-lambda-blueprint"),
    ("targetQueue", "dr-fallback-ivr"),
    ("task", "set-emergency-group-lambda-blueprint"),
    ("tasks", "set-emergency-group-lambda-blueprint"),
    ("timeout", "set-emergency-group-lambda-blueprint"),
    ("transferToAcd", "dr-fallback-ivr"),
    (
        "updateData",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("value", "design-architect-flow-data-actions-for-resiliency"),
    ("var", "design-architect-flow-data-actions-for-resiliency"),
    (
        "variable",
        "design-architect-flow-data-actions-for-resiliency",
    ),
    ("yes", "set-emergency-group-lambda-blueprint"),
    (
        "variables",
        "design-architect-flow-data-actions-for-resiliency",
    ),
];

/// The rest, each marked wherever it is used.
const UNCONFIRMED: [&str; 2] = ["decimalVariable", "transferToFlow"];
/// Functions of expressions that Genesys' own exports and pages show.
const FUNCTIONS: [&str; 4] = ["Append", "If", "IsSet", "ToAudioBlank"];
/// Built-in variables that Genesys' own pages list.
const BUILT_IN: [&str; 3] = [
    "Call.Ani",
    "Call.CalledAddressOriginal",
    "Call.ConversationId",
];
/// What stands below these is named by the organisation, or by us.
const NAMED_BELOW: [&str; 6] = [
    "category",
    "dataAction",
    "dataTable",
    "foundOutputs",
    "inputs",
    "successOutputs",
];

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Every flow of a kit, with its text.
fn flows(kit: &Kit) -> Vec<(&'static str, String)> {
    let flows = files(kit).into_iter();
    flows
        .filter(|file| file.name.ends_with(".yaml"))
        .map(|file| (file.name, file.text))
        .collect()
}

/// The members below `value` with the key that they stand under.
fn walk<'a>(value: &'a Value, above: &'a str, see: &mut impl FnMut(&'a str, &'a str, &'a Value)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                see(above, key, value);
                walk(value, key, see);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, above, see)),
        _ => {}
    }
}

/// Every value under a key of this name.
fn under(flow: &Value, wanted: &str) -> Vec<Value> {
    let mut found = Vec::new();
    walk(flow, "", &mut |_, key, value| {
        if key == wanted {
            found.push(value.clone());
        }
    });
    found
}

#[test]
fn only_confirmed_spellings_are_used_and_what_is_not_is_marked() {
    let confirmed: BTreeSet<_> = CONFIRMED.iter().map(|(key, _)| *key).collect();
    let mut seen = BTreeSet::new();
    for (name, text) in flows(&kit(1, variables())) {
        let flow = read(&text);
        walk(&flow, "", &mut |above, key, _| {
            if NAMED_BELOW.contains(&above) {
                return;
            }
            let is_marked = UNCONFIRMED.contains(&key) || UNCONFIRMED.contains(&above);
            let is_known = confirmed.contains(key) || is_marked;
            assert!(is_known, "{name}: nobody has seen `{key}`");
            seen.insert(key.to_owned());
        });
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let key = line.trim_start_matches("- ").trim_end_matches(':');
            if UNCONFIRMED.contains(&key) {
                let mut above = lines[..at]
                    .iter()
                    .rev()
                    .take_while(|line| line.starts_with('#'));
                let is_marked = above.any(|line| line.contains("UNCONFIRMED"));
                assert!(is_marked, "{name}, line {}: {line} is not marked", at + 1);
            }
        }
    }
    for key in UNCONFIRMED {
        assert!(seen.contains(key), "{key} is not used");
    }
    let unused: Vec<_> = confirmed
        .iter()
        .filter(|key| !seen.contains(**key))
        .collect();
    assert!(unused.is_empty(), "not used: {unused:?}");
}

#[test]
fn expressions_use_what_architect_has() {
    for (name, text) in flows(&kit(1, variables())) {
        for expression in under(&read(&text), "exp") {
            let expression = expression.as_str().expect("an expression");
            // Texts in quotes are no words.
            let code: String = expression.split('"').step_by(2).collect();
            let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
            for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())) {
                let is_known = FUNCTIONS.contains(&word)
                    || BUILT_IN.contains(&word)
                    || ["or", "false"].contains(&word)
                    || text.contains(&format!("name: {word}\n"));
                assert!(is_known, "{name}: {word} in {expression}");
            }
        }
    }
}

/// What is not set ends a call, so each input is a variable that was given a value before.
#[test]
fn no_input_can_be_unset() {
    for (name, text) in flows(&kit(1, variables())) {
        let flow = read(&text);
        let mut set: BTreeSet<String> = BTreeSet::new();
        for statement in under(&flow, "string") {
            set.insert(statement["variable"].as_str().expect("a name").to_owned());
        }
        for inputs in under(&flow, "inputs") {
            for (input, value) in inputs.as_object().expect("inputs") {
                match value.get("var") {
                    Some(variable) => {
                        let variable = variable.as_str().expect("a name");
                        assert!(set.contains(variable), "{name}: {input} is {variable}");
                    }
                    None => assert!(
                        value.get("lit").is_some() || value == &json!({ "exp": "\"\"" }),
                        "{name}: {input} is {value}"
                    ),
                }
            }
        }
        for statement in under(&flow, "string") {
            let from = statement["value"]["exp"].as_str().unwrap_or_default();
            let is_guarded = !from.contains("Call.") || from.starts_with("If(IsSet(");
            assert!(is_guarded, "{name}: {statement}");
        }
    }
}

#[test]
fn the_flow_asks_the_service_then_the_table_then_takes_the_default() {
    for default in Slot::BOTH {
        let kit = Kit {
            default_slot: default,
            ..kit(1, variables())
        };
        let flow = read(&text(&kit, "traffic-cop.yaml"));
        let actions = flow["inboundCall"]["tasks"][0]["task"]["actions"].clone();
        let kinds: Vec<_> = actions
            .as_array()
            .expect("actions")
            .iter()
            .map(|action| {
                action
                    .as_object()
                    .expect("one")
                    .keys()
                    .next()
                    .expect("a kind")
                    .clone()
            })
            .collect();
        assert_eq!(
            kinds,
            [
                "getParticipantData",
                "updateData",
                "callData",
                "decision",
                "decision",
                "transferToFlow",
                "transferToAcd",
                "disconnect"
            ]
        );
        let ask = &actions[2]["callData"];
        let contract = &ask["category"]["Traffic Cop"]["dataAction"]["Traffic Cop Main_IVR decide interface 1"];
        assert_eq!(
            contract["successOutputs"],
            json!({ "Slot": { "var": "Task.TC_slot" } })
        );
        assert_eq!(ask["timeout"], json!({ "lit": { "seconds": 3 } }));
        let paths: Vec<_> = ask["outputs"].as_object().expect("paths").keys().collect();
        assert_eq!(paths, ["failure", "timeout"]);
        let table = &actions[3]["decision"]["outputs"]["no"]["actions"][0]["dataTableLookup"];
        assert_eq!(table["lookupValue"], json!({ "lit": "Main_IVR" }));
        assert_eq!(
            table["dataTable"],
            json!({ "Deployment_Control": { "foundOutputs": { "Active_Slot": { "var": "Task.TC_slot" } } } })
        );
        let target = |slot: Slot| json!({ "name": kit.flows[slot] });
        let other = &actions[4]["decision"];
        let condition = other["condition"]["exp"].as_str().expect("a condition");
        assert!(
            condition.contains(&format!("== \"{}\"", default.other())),
            "{condition}"
        );
        let transfer = &other["outputs"]["yes"]["actions"][0]["transferToFlow"];
        assert_eq!(transfer["targetFlow"], target(default.other()));
        assert_eq!(actions[5]["transferToFlow"]["targetFlow"], target(default));
        let mut transfers = 0;
        walk(&flow, "", &mut |_, key, _| {
            transfers += usize::from(key == "transferToFlow");
        });
        assert_eq!(transfers, 2, "one for each slot");
    }
}

#[test]
fn the_flows_of_the_slots_say_first_which_version_they_are_and_report_last() {
    let kit = kit(1, variables());
    for (file, slot) in [("blue.yaml", Slot::Blue), ("green.yaml", Slot::Green)] {
        let flow = read(&text(&kit, file));
        assert_eq!(flow["inboundCall"]["name"], json!(kit.flows[slot]));
        let task = &flow["inboundCall"]["tasks"][0]["task"];
        let actions = task["actions"].as_array().expect("actions");
        assert_eq!(
            actions[0]["setParticipantData"]["attributes"],
            json!([{ "attribute": {
                "name": { "lit": "Traffic_Cop_Flow_Version" },
                "value": { "lit": kit.flow_versions[slot] },
            } }])
        );
        let reported =
            &actions[actions.len() - 2]["callData"]["category"]["Traffic Cop"]["dataAction"];
        assert!(
            reported.get("Traffic Cop Main_IVR report").is_some(),
            "{reported}"
        );
        let defaults: Vec<_> = task["variables"].as_array().expect("variables")[1..].to_vec();
        let name =
            |name: &str, value: Value| json!({ "name": name, "initialValue": { "lit": value } });
        assert_eq!(
            defaults,
            [
                json!({ "booleanVariable": name("Task.Callback_Offered", json!(false)) }),
                json!({ "integerVariable": name("Task.Limit", json!(-7)) }),
                json!({ "stringVariable": name("Task.Prompt", json!("Good \"morning\"\n{{x}} ${y}: #z")) }),
                json!({ "decimalVariable": name("Task.Rate", json!(0.25)) }),
            ]
        );
    }
}

#[test]
fn the_template_filled_is_the_flow_of_the_slot() {
    for hostile in HOSTILE {
        let mut kit = kit(1, variables());
        kit.flows.green = hostile.parse().expect("a name");
        kit.flow_versions.green = hostile.parse().expect("a label");
        let template = text(&kit, "ivr.template.yaml");
        let filled = fill(&template, &kit.flows.green, &kit.flow_versions.green).expect("a flow");
        assert_eq!(read(&filled), read(&text(&kit, "green.yaml")));
    }
}

#[test]
fn hostile_names_survive_everywhere() {
    for (at, hostile) in HOSTILE.into_iter().enumerate() {
        let other = HOSTILE[(at + 1) % HOSTILE.len()];
        let mut kit = kit(1, variables());
        kit.flows = BySlot {
            blue: hostile.parse().expect("a name"),
            green: other.parse().expect("a name"),
        };
        kit.flow_versions.blue = hostile.parse().expect("a label");
        kit.names.traffic_cop = format!("Cop {hostile}").parse().expect("a name");
        kit.names.integration = hostile.parse().expect("a name");
        kit.names.table = hostile.parse().expect("a name");
        kit.names.last_resort = Some(hostile.parse().expect("a name"));
        let text = text(&kit, "traffic-cop.yaml");
        let flow = read(&text);
        assert_eq!(flow["inboundCall"]["name"], format!("Cop {hostile}"));
        assert_eq!(
            under(&flow, "targetFlow"),
            [json!({ "name": other }), json!({ "name": hostile })]
        );
        assert_eq!(
            under(&flow, "targetQueue"),
            [json!({ "lit": { "name": hostile } })]
        );
        for place in ["category", "dataTable"] {
            let named = under(&flow, place);
            assert!(named[0].get(hostile).is_some(), "{place}: {}", named[0]);
        }
        // What replaces tokens without reading YAML finds none.
        assert!(!text.contains("{{"), "{text}");
        let blue = read(&super::text(&kit, "blue.yaml"));
        assert_eq!(blue["inboundCall"]["name"], hostile);
        assert_eq!(
            under(&blue, "attribute")[0]["value"],
            json!({ "lit": hostile })
        );
        let manifest: Value = serde_json::from_str(&super::text(&kit, "kit.json")).expect("JSON");
        assert_eq!(manifest["flows"]["slots"]["blue"]["name"], hostile);
        assert_eq!(manifest["table"]["name"], hostile);
    }
}
