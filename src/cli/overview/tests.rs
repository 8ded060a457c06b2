//! What people read of a deployment, and what counts as news.

use super::*;

fn environment(name: &str, rollout: Value, freezes: Value) -> Value {
    let slot = |label: &str, share: u8| {
        json!({
            "flow": { "id": "f", "name": "F" }, "status": "version", "share": share, "claim": null, "share_ended_at": null,
            "flow_version": { "label": label, "interface": 0, "registered_at": "x" },
        })
    };
    json!({
        "environment": name, "revision": 7, "active": "blue", "previously_active": null, "rollout": rollout,
        "slots": { "blue": slot("1.0", 95), "green": slot("2.0", 5) }, "freezes": freezes, "fault": null,
    })
}

/// Two environments and two replicas, in a deployment with these alarms.
fn overview(rollout: Value, alarms: Value) -> Overview {
    let freeze =
        json!([{ "number": 1, "start": "a", "end": "b", "reason": "r", "status": "in_force" }]);
    let read = |value: Value| serde_json::from_value(value).expect("an answer");
    let replicas = json!({ "head": 9, "replicas": [
        { "replica": "a", "live": true, "lag": 0, "age_ms": 10, "version": "0.1.0" },
        { "replica": "b", "live": true, "lag": 2, "age_ms": 10, "version": "0.1.0" },
        { "replica": "c", "live": false, "lag": 2, "age_ms": 61_000, "version": "0.1.0" },
    ]});
    Overview {
        environments: serde_json::from_value(json!({
            "environments": [
                environment("Main_IVR", rollout, json!([])),
                environment("Other_IVR", Value::Null, freeze),
            ],
            "stale": false, "age_ms": 0,
        }))
        .expect("an answer"),
        replicas: Some(serde_json::from_value(replicas).expect("an answer")),
        alarms: Some(read(json!({ "replica": "a", "alarms": alarms }))),
        raw: Value::Null,
    }
}

fn step() -> Value {
    json!({ "step": 1, "steps": 4, "paused": null })
}

#[test]
fn everything_is_seen_at_a_glance() {
    insta::assert_snapshot!(overview(step(), json!([])).describe(), @"
     environment   revision   active       new calls              rollout       note
    ───────────────────────────────────────────────────────────────────────────────────
     Main_IVR      7          blue (1.0)   blue 95 %, green 5 %   step 1 of 4
     Other_IVR     7          blue (1.0)   blue 95 %, green 5 %   –             frozen

     replica   standing                 version
    ────────────────────────────────────────────
     a         live, has every change   0.1.0
     b         live, 2 changes behind   0.1.0
     c         silent for 61 s          0.1.0
    ");
}

#[test]
fn details_stand_where_they_belong_and_alarms_come_first() {
    let alarm = json!([{ "condition": "last_good_file", "why": "the disk is full" }]);
    let details = [
        (
            "Main_IVR",
            Some(1_250),
            Some(vec![
                "7 minutes of bake time left".to_owned(),
                "x".to_owned(),
            ]),
        ),
        ("Other_IVR", Some(7), None),
    ];
    let details = details.map(|(name, calls, waits)| (name.to_owned(), Detail { calls, waits }));
    let told = overview(step(), alarm).describe_with(&details.into());
    assert!(
        told.starts_with("ALARM last_good_file: the disk is full\n\n"),
        "{told}"
    );
    let row =
        "blue 95 %, green 5 %; 250 a minute   step 1 of 4; 7 minutes of bake time left, and 1 more";
    assert!(told.contains(row), "{told}");
    assert!(
        told.contains("blue 95 %, green 5 %; 1.4 a minute"),
        "{told}"
    );
}

#[test]
fn alarms_of_replicas_that_did_not_answer_are_told_too() {
    let alarm = json!([{ "condition": "last_good_file", "why": "the disk is full" }]);
    let mut overview = overview(step(), alarm);
    let before = overview.facts();
    let replicas = &mut overview.replicas.as_mut().expect("replicas").replicas;
    for (replica, alarm) in replicas
        .iter_mut()
        .zip(["last_good_file", "webhooks", "old"])
    {
        replica.alarms = vec![alarm.to_owned()];
    }
    let told = overview.describe();
    let alarms = "ALARM last_good_file: the disk is full\nALARM webhooks: at replica b, whose log says why\n\n";
    assert!(told.starts_with(alarms), "{told}");
    assert_eq!(
        news(&before, &overview.facts()),
        ["alarm webhooks at replica b: its log says why"]
    );
}

#[test]
fn what_is_new_is_a_line_each_and_what_is_not_is_none() {
    let before = overview(step(), json!([])).facts();
    assert_eq!(news(&before, &before), Vec::<String>::new());
    let paused = json!({ "step": 1, "steps": 4, "paused": "asked for" });
    let alarm = json!([{ "condition": "last_good_file", "why": "the disk is full" }]);
    let after = overview(paused, alarm).facts();
    insta::assert_snapshot!(news(&before, &after).join("\n"), @"
    Main_IVR revision 7: active blue (1.0); blue 95 %, green 5 %; rollout paused in step 1 of 4 (asked for)
    alarm last_good_file: the disk is full
    ");
    assert_eq!(
        news(&after, &before),
        [
            "alarm last_good_file: over",
            "Main_IVR revision 7: active blue (1.0); blue 95 %, green 5 %; rollout step 1 of 4"
        ]
    );
    let all = news(&BTreeMap::new(), &before);
    assert_eq!(all.len(), 5, "{all:?}");
}
