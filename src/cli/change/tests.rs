//! Commands as requests, and what is said about their outcome.

use super::*;
use crate::domain::command::{
    Assignments, Cutover, DefineInterface, Delete, Register, RemoveInterface, SetVariables,
    SetWeight,
};
use crate::domain::ids::InterfaceNumber;
use crate::domain::interface::Interface;

#[test]
fn a_body_is_the_members_of_the_command_and_the_reason() {
    let reason: Reason = "canary".parse().unwrap();
    let weight = SetWeight {
        weight: "12.5".parse().unwrap(),
        force_incompatible: false,
    };
    let register = Register {
        published_version: None,
        slot: None,
        flow_version: "2".parse().unwrap(),
        interface: InterfaceNumber(4),
        force_incompatible: false,
    };
    let forced = Cutover {
        to: None,
        force_incompatible: true,
    };
    let define = DefineInterface {
        number: InterfaceNumber(4),
        variables: Interface::EMPTY,
    };
    let set = SetVariables {
        values: [("A".parse().unwrap(), None)].into_iter().collect(),
    };
    let bodies = [
        (weight.into(), r#"{"reason":"canary","weight":12.5}"#),
        (
            register.into(),
            r#"{"flow_version":"2","interface":4,"reason":"canary"}"#,
        ),
        (Cutover::default().into(), r#"{"reason":"canary"}"#),
        (
            forced.into(),
            r#"{"force_incompatible":true,"reason":"canary"}"#,
        ),
        // Its number is in the path.
        (define.into(), r#"{"reason":"canary","variables":[]}"#),
        (set.into(), r#"{"reason":"canary","values":{"A":null}}"#),
    ];
    for (command, expected) in bodies {
        assert_eq!(body(&command, &reason).to_string(), expected);
    }
}

#[test]
fn creating_and_deleting_are_methods_and_the_rest_are_actions() {
    assert_eq!(route(&Delete {}.into()), (Method::DELETE, "".into()));
    assert_eq!(
        route(&Cutover::default().into()),
        (Method::POST, "cutover".into())
    );
}

#[test]
fn an_interface_is_a_resource_of_its_own() {
    let remove = RemoveInterface {
        number: InterfaceNumber(4),
    };
    assert_eq!(
        route(&remove.into()),
        (Method::DELETE, "interfaces/4".into())
    );
    let set = SetVariables {
        values: Assignments::default(),
    };
    assert_eq!(route(&set.into()), (Method::PATCH, "variables".into()));
}

fn described(members: &str) -> String {
    let written = format!(r#"{{"sequence":null,"revision":4,"state":null,{members}}}"#);
    describe(
        &"Main_IVR".parse().unwrap(),
        &serde_json::from_str(&written).unwrap(),
    )
}

#[test]
fn each_outcome_is_a_sentence() {
    let sentences = [
        (
            r#""outcome":"committed","because":null,"notice":"export again""#,
            "done: Main_IVR is deleted (revision 4)\nnote: export again",
        ),
        (
            r#""outcome":"unchanged","because":"already-rolled-back","notice":null"#,
            "nothing to change: already rolled back",
        ),
        (
            r#""outcome":"repeated","because":null,"notice":null"#,
            "done before under this idempotency key, as revision 4; what it led to then may have changed since",
        ),
        (
            r#""outcome":"scheduled","because":null"#,
            "scheduled: Main_IVR is at revision 4",
        ),
    ];
    for (members, sentence) in sentences {
        assert_eq!(described(members), sentence);
    }
}
