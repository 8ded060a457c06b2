//! The Genesys kit, put to use: requests are made from the exported templates, and what the service answers is held against the
//! exported contracts.

mod actions;
mod flows;

use serde_json::{Value, json};
use traffic_cop::domain::ids::{EnvironmentName, InterfaceNumber};
use traffic_cop::domain::interface::Interface;
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::genesys::export::{Credential, File, Kit, Names};

use crate::world::MAIN;

/// Names that mean something to YAML, Velocity, Archy, Terraform, JSON or a shell.
const HOSTILE: [&str; 16] = [
    "+49 30 \"Blau\"",
    "back\\slash \\x41 \\n",
    "ü 🚦 \u{202e}rtl",
    "${input.ANI} $!{x}",
    "#set($a = 1) #[[x]]# ##",
    "$esc.jsonString(x)",
    "{{flow_name}} {{{x}}}",
    "key: value # comment",
    "- item",
    "'single' `tick`",
    "*alias &anchor !tag %x @y",
    "yes",
    "null",
    "1e3",
    "%{ if x } ${var.y}",
    "[a] {b} <c> | > ?",
];

/// Three variables more than an interface without any.
fn variables() -> Value {
    json!([
        { "name": "Callback_Offered", "type": "boolean", "default": false },
        { "name": "Limit", "type": "integer", "default": -7 },
        { "name": "Prompt", "type": "string", "default": "Good \"morning\"\n{{x}} ${y}: #z" },
        { "name": "Rate", "type": "number", "default": 0.25 },
    ])
}

fn kit(interface: u32, variables: Value) -> Kit {
    let name = |text: &str| text.parse().expect("a name");
    Kit {
        environment: MAIN.parse::<EnvironmentName>().expect("a name"),
        address: "https://decide.example/cop".parse().expect("an address"),
        interface: InterfaceNumber(interface),
        variables: serde_json::from_value::<Interface>(variables).expect("variables"),
        flows: BySlot {
            blue: name("Main IVR Blue"),
            green: name("Main IVR Green"),
        },
        flow_versions: BySlot {
            blue: "1.0".parse().expect("a label"),
            green: "1.1".parse().expect("a label"),
        },
        default_slot: Slot::Blue,
        credential: Credential::Bearer,
        names: Names {
            traffic_cop: name("Traffic Cop Main_IVR"),
            integration: "Traffic Cop".parse().expect("a name"),
            table: "Deployment_Control".parse().expect("a name"),
            last_resort: Some("People".parse().expect("a name")),
        },
        timeout_seconds: 3,
        language: "en-us".parse().expect("a language"),
    }
}

/// The files of a kit that can be exported.
fn files(kit: &Kit) -> Vec<File> {
    kit.files().expect("a kit")
}

/// The text of one of them.
fn text(kit: &Kit, name: &str) -> String {
    let file = files(kit).into_iter().find(|file| file.name == name);
    file.unwrap_or_else(|| panic!("no {name}")).text
}

#[test]
fn the_same_input_makes_the_same_bytes() {
    for credential in Credential::ALL {
        let kit = Kit {
            credential,
            ..kit(1, variables())
        };
        let files = files(&kit);
        assert_eq!(files, kit.clone().files().expect("a kit"));
        let names: Vec<_> = files.iter().map(|file| file.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let has_custom_auth = names.contains(&"oauth.custom-auth.json");
        assert_eq!(has_custom_auth, credential == Credential::Oauth);
        assert!(files.iter().all(|file| file.text.ends_with('\n')));
    }
}

#[test]
fn what_could_not_work_is_refused() {
    let refusal = |kit: Kit| kit.files().expect_err("a refusal").to_string();
    let mut same = kit(0, json!([]));
    same.flows.green = "main ivr BLUE".parse().expect("a name");
    assert!(refusal(same).contains("could not tell them apart"));
    let mut same = kit(0, json!([]));
    same.names.traffic_cop = same.flows.green.clone();
    assert!(refusal(same).contains("Main IVR Green"));
    let mut same = kit(0, json!([]));
    same.flow_versions.green = same.flow_versions.blue.clone();
    assert!(refusal(same).contains("labels are unique"));
    for timeout_seconds in [0, 11] {
        let kit = Kit {
            timeout_seconds,
            ..kit(0, json!([]))
        };
        assert!(refusal(kit).contains("1 to 10 seconds"));
    }
}
