//! States as bytes: nothing is lost on the way, not even what this binary does not know, and nothing malformed gets through.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::{Just, Strategy, any, proptest};
use proptest::{option, prop_assert, prop_assert_eq, prop_oneof};
use serde_json::json;

use super::*;
use crate::domain::Change;
use crate::domain::Environment;
use crate::domain::access::{Access, Grant, Issuer, Reach, RetiringText, Scope, Token, TokenHash};
use crate::domain::command::{Command, Rebind, Rollback};
use crate::domain::environment::strategy::{commands, environment_names, labels, reached, slots};
use crate::domain::slot::Slot;
use jiff::Timestamp;

fn operations() -> impl Strategy<Value = Operations> {
    let operation = (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<u64>(),
        any::<u64>(),
    );
    let operation = operation.prop_map(|(id, request, revision, sequence)| Operation {
        id: Digest128(id),
        request: Digest128(request),
        revision: Revision(revision),
        sequence: Sequence(sequence),
    });
    vec(operation, 0..70).prop_map(Operations::from_iter)
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond();
    range.prop_map(|millis| Timestamp::from_millisecond(millis).unwrap())
}

fn retiring_texts() -> impl Strategy<Value = RetiringText> {
    (any::<[u8; 32]>(), timestamps()).prop_map(|(hash, until)| RetiringText {
        hash: TokenHash(hash),
        until,
    })
}

fn tokens() -> impl Strategy<Value = Token> {
    let scopes = btree_set(proptest::sample::select(Scope::ALL.to_vec()), 1..=5);
    let names = btree_set(environment_names(), 0..4);
    let reach =
        option::of(names).prop_map(|names| names.map_or(Reach::Everywhere, Reach::Environments));
    let name = labels().prop_map(|label| label.as_str().parse().unwrap());
    (
        name,
        any::<[u8; 32]>(),
        scopes,
        reach,
        timestamps(),
        option::of(timestamps()),
        vec(retiring_texts(), 0..4),
    )
        .prop_map(
            |(name, hash, scopes, reach, created_at, expires_at, retiring)| Token {
                name,
                hash: TokenHash(hash),
                grant: Grant { scopes, reach },
                created_at,
                expires_at,
                retiring,
            },
        )
}

fn issuers() -> impl Strategy<Value = (crate::domain::ids::IssuerName, Issuer)> {
    let claims = btree_map("[a-z_]{1,8}", "[a-z/]{1,8}[*]?", 1..4).prop_map(|claims| {
        let claims = claims.into_iter();
        claims
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    });
    ("[a-z]{1,8}", "[a-z]{1,8}", "[a-z]{1,8}", claims, tokens()).prop_map(
        |(name, host, audience, claims, token)| {
            let issuer = Issuer {
                url: format!("https://{host}").parse().unwrap(),
                audience: audience.parse().unwrap(),
                claims,
                grant: token.grant,
            };
            (name.parse().unwrap(), issuer)
        },
    )
}

fn accesses() -> impl Strategy<Value = Access> {
    let accesses =
        (vec(tokens(), 0..6), vec(issuers(), 0..3)).prop_map(|(tokens, issuers)| Access {
            tokens: tokens
                .into_iter()
                .map(|token| (token.hash.id(), token))
                .collect(),
            issuers: issuers.into_iter().collect(),
        });
    accesses.prop_filter("tokens that contradict each other", |access| {
        access.inconsistency().is_none()
    })
}

/// What a newer binary may say in a member of its own.
fn members_of_others() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn written<S: Stored>(operations: &Operations, state: Option<&S>) -> Vec<u8> {
    let (format, bytes) = Document::next(None, operations, state, NEWEST);
    assert_eq!(format, NEWEST);
    bytes
}

fn read(bytes: &[u8]) -> Result<Document<Environment>, FormatError> {
    Document::read(NEWEST, bytes)
}

/// An environment with everything in it, as JSON.
fn example() -> Value {
    json!({
        "operations": [{
            "id": "00112233445566778899aabbccddeeff",
            "request": "ffeeddccbbaa99887766554433221100",
            "revision": 4,
            "sequence": 17,
        }],
        "environment": {
            "salt": "000102030405060708090a0b0c0d0e0f",
            "active": "blue",
            "weight_bps": 500,
            "previously_active": "v2",
            "slots": {
                "blue": {
                    "flow": {"id": "flow-blue", "name": "Main IVR blue"},
                    "version": {"label": "v1", "interface": 1, "registered_at": "2026-01-05T08:00:00Z"},
                },
                "green": {
                    "flow": {"id": "flow-green", "name": "Main IVR green"},
                    "version": {
                        "label": "v2",
                        "interface": 2,
                        "registered_at": "2026-01-05T09:00:00Z",
                        "rolled_back": {"keep_calls": true},
                    },
                },
            },
            "retired": [{"label": "v0", "interface": 0}],
        },
    })
}

fn changed(path: &str, value: Value) -> Vec<u8> {
    let mut example = example();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = example.pointer_mut(parent).unwrap();
    parent
        .as_object_mut()
        .unwrap()
        .insert(name.to_owned(), value);
    example.to_string().into_bytes()
}

proptest! {
    #[test]
    fn environments_round_trip(reached in reached(), operations in operations()) {
        let state = reached.environment;
        let document = read(&written(&operations, Some(&state))).unwrap();
        prop_assert_eq!(document.state, Some(state));
        prop_assert_eq!(document.operations, operations);
    }

    #[test]
    fn access_round_trips(access in accesses(), operations in operations()) {
        let bytes = written(&operations, Some(&access));
        let document = Document::<Access>::read(NEWEST, &bytes).unwrap();
        prop_assert_eq!(document.state, Some(access));
        prop_assert_eq!(document.operations, operations);
    }

    #[test]
    fn deleted_aggregates_round_trip(operations in operations()) {
        let document = read(&written::<Environment>(&operations, None)).unwrap();
        prop_assert_eq!(document.state, None);
        prop_assert_eq!(document.operations, operations);
    }

    /// Whatever a newer writer has added anywhere is there after any command of this one, unless the thing it is about is gone.
    #[test]
    fn unknown_members_survive_every_command(
        reached in reached(),
        command in commands(),
        format in 1..4_u32,
        others in vec(members_of_others(), 6),
    ) {
        let before = reached.environment.clone();
        let mut raw: Value = serde_json::from_slice(&written(&Operations::default(), Some(&before))).unwrap();
        let places = ["", "/environment", "/environment/slots", "/environment/slots/blue", "/environment/slots/green"];
        for (place, other) in places.iter().zip(&others) {
            raw.pointer_mut(place).unwrap()["another"] = other.clone();
        }
        let versions = ["/environment/slots/blue/version", "/environment/slots/green/version"];
        for place in versions {
            if let Some(version) = raw.pointer_mut(place).filter(|version| version.is_object()) {
                version["another"] = others[5].clone();
            }
        }
        let document = Document::<Environment>::read(format, raw.to_string().as_bytes()).unwrap();
        prop_assert_eq!(document.state.as_ref(), Some(&before));
        let Ok(Change::To(after)) = reached.apply(&command) else { return Ok(()) };
        let (next_format, bytes) = Document::next(Some(&document), &document.operations, after.as_ref(), NEWEST);
        prop_assert_eq!(next_format, format.max(NEWEST));
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&written["another"], &others[0]);
        let Some(after) = after else { return Ok(()) };
        for (place, other) in places.iter().zip(&others) {
            prop_assert_eq!(&written.pointer(place).unwrap()["another"], other);
        }
        for slot in Slot::BOTH {
            let label = |state: &Environment| state.slots[slot].version.as_ref().map(|version| version.label.clone());
            let another = &written["environment"]["slots"][slot.as_str()]["version"]["another"];
            if label(&after).is_some() && label(&after) == label(&before) {
                prop_assert_eq!(another, &others[5]);
            } else {
                prop_assert!(another.is_null(), "{} is of a version that is gone", another);
            }
        }
        // What is read from it is what was written.
        let again = Document::<Environment>::read(next_format, &bytes).unwrap();
        prop_assert_eq!(again.state, Some(after));
    }

    /// A number that a newer binary has written must not change by its last digit.
    #[test]
    fn numbers_of_others_are_kept_to_the_last_digit(number in any::<f64>()) {
        let number = if number.is_finite() { number } else { 0.1 };
        let mut raw = example();
        raw["another"] = json!(number);
        let document = read(raw.to_string().as_bytes()).unwrap();
        let (_, bytes) = Document::next(Some(&document), &document.operations, document.state.as_ref(), NEWEST);
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(written["another"].to_string(), json!(number).to_string());
    }

    /// Nothing panics, and what reads is fit to route calls by.
    #[test]
    fn changed_bytes_are_read_as_a_sound_state_or_not_at_all(
        reached in reached(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = written(&Operations::default(), Some(&reached.environment));
        for (place, byte, kind) in changes {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        if let Ok(document) = read(&bytes) && let Some(state) = document.state {
            prop_assert_eq!(state.inconsistency(), None);
            let (format, bytes) = Document::next(None, &document.operations, Some(&state), NEWEST);
            prop_assert_eq!(Document::read(format, &bytes).unwrap().state, Some(state));
        }
        let _ = Document::<Access>::read(NEWEST, &bytes);
    }

    #[test]
    fn any_bytes_and_any_json_are_refused_or_read(bytes in vec(any::<u8>(), 0..200), json in members_of_others()) {
        let _ = read(&bytes);
        let _ = read(json.to_string().as_bytes());
        let within = |member: &str| json!({"operations": [], member: json}).to_string();
        let _ = read(within("environment").as_bytes());
        let _ = Document::<Access>::read(NEWEST, within("access").as_bytes());
    }

    #[test]
    fn a_flow_bound_anew_inherits_nothing(slot in slots()) {
        let mut raw = example();
        raw["environment"]["weight_bps"] = json!(0);
        raw["environment"]["active"] = json!(slot.other().as_str());
        raw["environment"]["slots"][slot.as_str()]["flow"]["division"] = json!("Home");
        let document = read(raw.to_string().as_bytes()).unwrap();
        let before = document.state.clone().unwrap();
        let flow = crate::domain::command::Flow { id: "flow-new".parse().unwrap(), name: "New".parse().unwrap() };
        let after = applied(&before, &Rebind { slot, flow }.into());
        let (_, bytes) = Document::next(Some(&document), &document.operations, Some(&after), NEWEST);
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        let flow = &written["environment"]["slots"][slot.as_str()]["flow"];
        prop_assert_eq!(flow, &json!({"id": "flow-new", "name": "New"}));
    }
}

fn applied(state: &Environment, command: &Command) -> Environment {
    let context = crate::domain::Context {
        frozen: None,
        now: "2026-01-06T08:00:00Z".parse().unwrap(),
        revision: Revision(1),
        sequence: Default::default(),
        draw: [0; 16],
        drain_time: std::time::Duration::ZERO,
        last_calls: Some(Default::default()),
        others: 0,
    };
    match Environment::apply(Some(state), command, &context) {
        Ok(Change::To(Some(state))) => state,
        other => panic!("{command:?}: {other:?}"),
    }
}

#[test]
fn a_rollback_keeps_a_newer_format_and_all_it_says() {
    let mut raw = example();
    raw["environment"]["schedule"] = json!({"at": "noon"});
    raw["environment"]["retired"][0]["signed"] = json!(true);
    raw["operations"][0]["by"] = json!("somebody");
    let document = Document::<Environment>::read(7, raw.to_string().as_bytes()).unwrap();
    assert!(!document.is_understood());
    let before = document.state.clone().unwrap();
    let after = applied(&before, &Rollback { keep_calls: false }.into());
    let (format, bytes) =
        Document::next(Some(&document), &document.operations, Some(&after), NEWEST);
    assert_eq!(format, 7);
    let mut expected = raw;
    expected["environment"]["weight_bps"] = json!(0);
    let green = &mut expected["environment"]["slots"]["green"];
    green["version"]["rolled_back"] = json!({"keep_calls": false});
    green["share_ended_at"] = json!("2026-01-06T08:00:00Z");
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn the_example_reads() {
    let document = read(example().to_string().as_bytes()).unwrap();
    assert_eq!(document.state.unwrap().weight.bps(), 500);
    assert_eq!(document.operations.iter().count(), 1);
}

/// A state of something else must not read as one that was deleted.
#[test]
fn a_state_without_its_aggregate_is_malformed() {
    let operations = json!({"operations": []}).to_string();
    assert!(read(operations.as_bytes()).is_err());
    let access = written(&Operations::default(), Some(&Access::default()));
    assert!(read(&access).is_err());
    let environment = json!({"environment": null}).to_string();
    assert!(
        read(environment.as_bytes()).is_err(),
        "the operations are missing"
    );
    let deleted = json!({"operations": [], "environment": null}).to_string();
    assert_eq!(read(deleted.as_bytes()).unwrap().state, None);
}

#[test]
fn members_of_another_type_or_form_are_malformed() {
    let changes = [
        ("/operations", json!({})),
        ("/operations", json!([{"id": "00"}])),
        ("/environment", json!([])),
        ("/environment/active", json!("Blue")),
        ("/environment/active", json!("red")),
        ("/environment/weight_bps", json!(-1)),
        ("/environment/weight_bps", json!(5.0)),
        ("/environment/weight_bps", json!("500")),
        ("/environment/slots", json!({})),
        ("/environment/slots/blue/flow", json!(null)),
        ("/environment/slots/blue/flow/id", json!("not a flow id")),
        ("/environment/slots/blue/version/label", json!("")),
        ("/environment/slots/blue/version/interface", json!(-1)),
        (
            "/environment/slots/blue/version/registered_at",
            json!("yesterday"),
        ),
        ("/environment/retired", json!(null)),
    ];
    for (path, value) in changes {
        let error = read(&changed(path, value.clone())).expect_err(path);
        assert!(
            matches!(error, FormatError::Malformed { format: NEWEST, .. }),
            "{path} {value}: {error}"
        );
    }
}

#[test]
fn states_that_contradict_themselves_are_refused() {
    let many: Vec<_> = (0..17)
        .map(|n| json!({"label": format!("r{n}"), "interface": 0}))
        .collect();
    let claim = json!({"label": "v3", "expires_at": "2026-01-05T10:00:00Z"});
    let changes = [
        ("/environment/salt", json!("00")),
        ("/environment/salt", json!("x".repeat(32))),
        ("/environment/weight_bps", json!(10_001)),
        ("/environment/slots/blue/version", json!(null)),
        ("/environment/slots/blue/claim", claim.clone()),
        ("/environment/slots/green/version", json!(null)),
        ("/environment/slots/green/claim", claim),
        ("/environment/slots/green/flow/id", json!("flow-blue")),
        ("/environment/retired", json!(many)),
    ];
    for (path, value) in changes {
        let error = read(&changed(path, value.clone())).expect_err(path);
        assert!(
            matches!(error, FormatError::Inconsistent(_)),
            "{path} {value}: {error}"
        );
    }
    let token = json!({"name": "a", "sha256": "00", "scopes": ["admin"], "created_at": "2026-01-05T10:00:00Z"});
    let access = json!({"operations": [], "access": {"tokens": {"0011": token}}}).to_string();
    let error = Document::<Access>::read(NEWEST, access.as_bytes()).expect_err("a short hash");
    assert!(matches!(error, FormatError::Inconsistent(_)), "{error}");
}

#[test]
fn a_newer_format_is_written_once_every_live_replica_can_read_it() {
    let here = Formats {
        oldest: 2,
        newest: 3,
    };
    for (readable, agreed) in [
        (None, 2),
        (Some(1), 2),
        (Some(2), 2),
        (Some(3), 3),
        (Some(9), 3),
    ] {
        assert_eq!(here.agreed(readable), agreed, "{readable:?}");
    }
}

#[test]
fn a_state_keeps_the_format_that_it_has_where_an_older_one_is_agreed() {
    for (before, agreed, expected) in [(1, 1, 1), (1, 2, 2), (2, 1, 2)] {
        let before = Document::<Environment>::read(before, example().to_string().as_bytes());
        let before = before.unwrap();
        let (format, _) = Document::next(
            Some(&before),
            &before.operations,
            before.state.as_ref(),
            agreed,
        );
        assert_eq!(format, expected);
    }
}
