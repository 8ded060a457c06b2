//! Whether a JSON document keeps a contract: as much of JSON Schema (draft 4) as exported contracts use. A keyword that is not
//! known here is refused, so that none is passed over. `.ci/genesys_kit.py` asks a whole validator besides.

use serde_json::Value;

/// Keywords that say nothing about documents.
const ANNOTATIONS: [&str; 3] = ["$schema", "title", "description"];

/// What `document` has against `schema`; nothing if it keeps it.
pub(crate) fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, wanted) in schema.as_object().expect("a schema") {
        match keyword.as_str() {
            "type" => {
                let kind = wanted.as_str().expect("a type");
                if !is_of(document, kind) {
                    found.push(format!("{document} is no {kind}"));
                }
            }
            "required" => {
                let names = wanted.as_array().expect("names").iter();
                let names = names.map(|name| name.as_str().expect("a name"));
                let missing = names.filter(|name| document.get(name).is_none());
                found.extend(missing.map(|name| format!("{name} is missing")));
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("properties") {
                    let inner = document.get(name).map(|inner| violations(schema, inner));
                    let inner = inner.into_iter().flatten();
                    found.extend(inner.map(|violation| format!("{name}: {violation}")));
                }
            }
            "additionalProperties" => {
                assert_eq!(wanted, true, "flows ignore what they do not know");
            }
            annotation if ANNOTATIONS.contains(&annotation) => {}
            other => panic!("a contract of ours has no {other}"),
        }
    }
    found
}

fn is_of(document: &Value, kind: &str) -> bool {
    match kind {
        "object" => document.is_object(),
        "string" => document.is_string(),
        "boolean" => document.is_boolean(),
        "number" => document.is_number(),
        "integer" => document.is_i64() || document.is_u64(),
        other => panic!("a contract of ours has no {other}"),
    }
}

#[test]
fn what_breaks_a_contract_is_named() {
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": true,
        "properties": { "a": { "type": "integer" }, "b": { "type": "string" } },
    });
    let violations = |document: &str| {
        violations(&schema, &serde_json::from_str(document).expect("JSON")).join("; ")
    };
    assert_eq!(violations(r#"{"a":1,"b":"","c":[]}"#), "");
    assert_eq!(
        violations(r#"{"a":1.5,"b":null}"#),
        "a: 1.5 is no integer; b: null is no string"
    );
    assert_eq!(violations(r#"{"b":""}"#), "a is missing");
    assert_eq!(violations("[]"), "a is missing; [] is no object");
}
