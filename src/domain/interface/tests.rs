//! What an interface is, what it breaks, and what it makes of values.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::*;
use crate::domain::environment::strategy::{definitions, values, variable_names};

const TYPES: [VariableType; 4] = [
    VariableType::String,
    VariableType::Integer,
    VariableType::Number,
    VariableType::Boolean,
];

fn value(json: serde_json::Value) -> VariableValue {
    serde_json::from_value(json).unwrap()
}

fn interface(variables: serde_json::Value) -> Interface {
    serde_json::from_value(variables).unwrap()
}

fn error(variables: serde_json::Value) -> String {
    serde_json::from_value::<Interface>(variables)
        .unwrap_err()
        .to_string()
}

/// Whether the JSON that stands for `value` is of the type that the contract promises.
fn is_promised(value: &serde_json::Value, kind: VariableType) -> bool {
    match kind {
        VariableType::String => value.is_string(),
        VariableType::Integer => value.is_i64() || value.is_u64(),
        VariableType::Number => value.is_number(),
        VariableType::Boolean => value.is_boolean(),
    }
}

#[test]
fn each_value_is_of_the_types_that_can_hold_it() {
    let of = |value: &VariableValue| TYPES.map(|kind| value.is_of(kind));
    let cases = [
        (json!("5"), [true, false, false, false]),
        (json!(5), [false, true, true, false]),
        (
            json!(-9_007_199_254_740_991_i64),
            [false, true, true, false],
        ),
        (
            json!(9_007_199_254_740_992_i64),
            [false, false, true, false],
        ),
        (json!(u64::MAX), [false, false, true, false]),
        (json!(5.0), [false, false, true, false]),
        (json!(true), [false, false, false, true]),
    ];
    for (json, expected) in cases {
        assert_eq!(of(&value(json.clone())), expected, "{json}");
    }
    for none in [json!(null), json!([]), json!({})] {
        assert!(serde_json::from_value::<VariableValue>(none).is_err());
    }
}

#[test]
fn a_text_stands_for_what_it_spells_where_no_text_can_stand() {
    let settle = |text: &str, kinds: &[VariableType]| {
        VariableValue::Text(text.to_owned()).settle(&kinds.iter().copied().collect())
    };
    let [string, integer, number, boolean] = TYPES;
    assert_eq!(settle("5", &[integer]), Some(value(json!(5))));
    assert_eq!(settle("-0.5", &[number]), Some(value(json!(-0.5))));
    assert_eq!(settle("false", &[boolean]), Some(value(json!(false))));
    assert_eq!(settle("5", &[integer, string]), Some(value(json!("5"))));
    for text in [
        "",
        "five",
        "5.5",
        "05",
        "5x",
        "\"5\"",
        "9007199254740992",
        "true",
    ] {
        assert_eq!(settle(text, &[integer]), None, "{text}");
    }
    for text in ["", "True", "yes", "1"] {
        assert_eq!(settle(text, &[boolean]), None, "{text}");
    }
    assert_eq!(settle("5", &[]), None);
    let whole = value(json!(5.0)).settle(&BTreeSet::from([integer]));
    assert_eq!(whole, Some(value(json!(5))), "a fraction of zero is none");
    let kinds = BTreeSet::from([string]);
    assert_eq!(
        value(json!(5)).settle(&kinds),
        None,
        "nothing becomes a text"
    );
}

#[test]
fn a_definition_is_read_whole_or_refused() {
    let variable =
        |name: &str, kind: &str, default| json!({"name": name, "type": kind, "default": default});
    let read = interface(json!([
        variable("b", "string", json!("")),
        variable("A", "integer", json!(0)),
    ]));
    let names: Vec<_> = read
        .variables()
        .iter()
        .map(|variable| variable.name().as_str())
        .collect();
    assert_eq!(names, ["A", "b"], "in the order of their names");
    assert_eq!(
        error(json!([variable("a", "integer", json!("0"))])),
        "the default is not of the type integer"
    );
    assert_eq!(
        error(json!([
            variable("Prompt", "string", json!("")),
            variable("prompt", "integer", json!(0)),
        ])),
        "variable prompt stands twice; names that differ in nothing but case count as one"
    );
    for bad in [
        json!([variable("Slot", "string", json!(""))]),
        json!([variable("a", "text", json!(""))]),
        json!([variable("a", "string", json!(null))]),
        json!([{"name": "a", "type": "string"}]),
        json!([{"name": "a", "type": "string", "default": "", "title": ""}]),
        json!({"a": "string"}),
    ] {
        error(bad);
    }
}

#[test]
fn what_is_gone_or_has_another_type_breaks_flows_and_nothing_else_does() {
    let earlier = interface(json!([
        {"name": "Closed", "type": "boolean", "default": false},
        {"name": "Prompt", "type": "string", "default": "Hello"},
        {"name": "Retries", "type": "integer", "default": 3},
    ]));
    let later = interface(json!([
        {"name": "Prompt", "type": "string", "default": "Good morning"},
        {"name": "Retries", "type": "number", "default": 3},
        {"name": "closed", "type": "boolean", "default": false},
    ]));
    let breaks: Vec<_> = later
        .breaks(&earlier)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        breaks,
        ["Closed is gone", "Retries was integer and is number"]
    );
    assert_eq!(earlier.breaks(&Interface::EMPTY), []);
    assert_eq!(Interface::EMPTY.breaks(&earlier).len(), 3);
}

#[test]
fn a_value_of_another_type_gives_way_to_the_default() {
    let interface = interface(json!([
        {"name": "Closed", "type": "boolean", "default": false},
        {"name": "Prompt", "type": "string", "default": "Hello"},
        {"name": "Retries", "type": "integer", "default": 3},
    ]));
    let values = [
        ("Closed", json!(true)),
        ("Retries", json!("4")),
        ("Other", json!(1)),
    ];
    let values = values.map(|(name, json)| (name.parse().unwrap(), value(json)));
    let values = BTreeMap::from(values);
    let projected: Vec<_> = interface
        .project(&values)
        .map(|(name, value)| format!("{name}={}", serde_json::to_string(value).unwrap()))
        .collect();
    assert_eq!(projected, ["Closed=true", "Prompt=\"Hello\"", "Retries=3"]);
}

proptest! {
    /// Whatever is added, and whatever defaults become: flows written for the earlier interface miss nothing.
    #[test]
    fn additions_are_always_compatible(earlier in definitions(), other in definitions(), defaults in any::<bool>()) {
        let kept = earlier.variables().iter().map(|variable| {
            let same_type = other.variable(variable.name()).filter(|other| other.kind() == variable.kind());
            if defaults { same_type.unwrap_or(variable) } else { variable }
        });
        let added = other.variables().iter().filter(|variable| earlier.variable(variable.name()).is_none());
        let later = Interface::try_from(kept.chain(added).cloned().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(later.breaks(&earlier), []);
        if !defaults {
            prop_assert!(later.contains(&earlier));
        }
    }

    #[test]
    fn every_variable_that_a_flow_would_miss_is_named_once(earlier in definitions(), later in definitions()) {
        let breaks = later.breaks(&earlier);
        for variable in earlier.variables() {
            let is = later.variable(variable.name()).map(Variable::kind);
            let named: Vec<_> = breaks.iter().filter(|lost| lost.variable == *variable.name()).collect();
            match is {
                Some(kind) if kind == variable.kind() => prop_assert!(named.is_empty()),
                _ => {
                    prop_assert_eq!(named.len(), 1);
                    prop_assert_eq!((named[0].was, named[0].is), (variable.kind(), is));
                }
            }
        }
        prop_assert!(breaks.iter().all(|lost| earlier.variable(&lost.variable).is_some()));
    }

    /// Compatible with compatible is compatible: a ramp over several releases needs no look at the first one.
    #[test]
    fn compatibility_carries_over(one in definitions(), two in definitions(), three in definitions()) {
        prop_assert_eq!(one.breaks(&one), []);
        if two.breaks(&one).is_empty() && three.breaks(&two).is_empty() {
            prop_assert_eq!(three.breaks(&one), []);
        }
    }

    #[test]
    fn a_projection_has_the_interfaces_variables_with_values_of_their_types(
        interface in definitions(),
        values in proptest::collection::btree_map(variable_names(), values(), 0..6),
    ) {
        let projected: Vec<_> = interface.project(&values).collect();
        let names: Vec<_> = interface.variables().iter().map(Variable::name).collect();
        prop_assert_eq!(projected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
        for (variable, (name, value)) in interface.variables().iter().zip(projected) {
            prop_assert!(is_promised(&serde_json::to_value(value).unwrap(), variable.kind()));
            match values.get(name) {
                Some(set) if set.is_of(variable.kind()) => prop_assert_eq!(value, set),
                _ => prop_assert_eq!(value, variable.default_value()),
            }
        }
    }

    #[test]
    fn interfaces_and_values_read_back_from_their_json(interface in definitions(), value in values()) {
        let json = serde_json::to_string(&interface).unwrap();
        prop_assert_eq!(serde_json::from_str::<Interface>(&json).unwrap(), interface);
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<VariableValue>(&json).unwrap(), value);
    }

    #[test]
    fn what_a_value_settles_as_is_of_a_type_that_was_asked_for(
        value in values(),
        kinds in proptest::collection::btree_set(proptest::sample::select(TYPES.to_vec()), 0..4),
    ) {
        let is_of_one = |value: &VariableValue| kinds.iter().any(|kind| value.is_of(*kind));
        match value.settle(&kinds) {
            Some(settled) => prop_assert!(is_of_one(&settled)),
            None => prop_assert!(!is_of_one(&value)),
        }
        if is_of_one(&value) {
            prop_assert_eq!(value.settle(&kinds), Some(value));
        }
    }
}
