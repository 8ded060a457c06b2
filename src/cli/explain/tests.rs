//! What a person sees at two in the morning.

use serde_json::{Value, json};

use super::*;

fn answer() -> Value {
    json!({
        "environment": "Main_IVR", "revision": 7, "at": "2026-11-23T02:00:00Z",
        "decision": {
            "slot": "green", "reason": "weighted", "flow": {"id": "2222-g", "name": "Main IVR Green"},
            "flow_version": "2.0", "flow_version_known": true, "interface": 0,
        },
        "override": {"applies": false, "slot": null, "ani": "absent", "dnis": "absent", "overrides": []},
        "affinity": {"applies": false, "slot": null, "outcome": "no_version"},
        "weighted": {"applies": true, "slot": "green", "bucket": 123, "drawn": false, "weight": 5},
        "active": {"applies": false, "slot": "blue"},
        "fault": null, "stale": false, "age_ms": 0, "of_tomorrow": [1],
    })
}

fn described(answer: Value) -> String {
    describe(&serde_json::from_value(answer).unwrap())
}

#[test]
fn the_rule_that_decides_is_marked() {
    insta::assert_snapshot!(described(answer()), @"
    Main_IVR at revision 7, 2026-11-23T02:00:00Z: green takes this call: Main IVR Green (2222-g), flow version 2.0

         rule       says
    ────────────────────────────────────────────────────────────────────
         override   there is no override
         affinity   the call was in no version yet
     →   weighted   green: bucket 123 is below 500, the candidate's 5 %
         active     the weight is 5 %
    ");
}

#[test]
fn each_override_is_listed_with_what_it_comes_to() {
    let mut tested = answer();
    tested["decision"]["reason"] = json!("active");
    tested["override"]["ani"] = json!("no_number");
    tested["override"]["overrides"] = json!([
        {
            "calls": {"ani": "+4930123456"}, "to": "green", "owner": "anna", "outcome": "other_number",
            "expires_at": "2026-11-23T12:30:00Z",
        },
        {
            "calls": {"dnis": "0800"}, "to": "green", "owner": "night shift", "outcome": "expired",
            "expires_at": "2026-11-23T01:30:00Z",
        },
    ]);
    tested["affinity"] = json!({"applies": false, "slot": "green", "outcome": "rolled_back"});
    tested["weighted"] =
        json!({"applies": false, "slot": "blue", "bucket": 9999, "drawn": true, "weight": 0});
    tested["active"] = json!({"applies": true, "slot": "blue"});
    tested["stale"] = json!(true);
    tested["age_ms"] = json!(12_000);
    tested["fault"] = json!("the state of record 9 cannot be read");
    insta::assert_snapshot!(described(tested), @"
    STALE: the store does not answer; this was confirmed 12 s ago
    FAULT: the state of record 9 cannot be read
    Main_IVR at revision 7, 2026-11-23T02:00:00Z: green takes this call: Main IVR Green (2222-g), flow version 2.0

         rule       says
    ────────────────────────────────────────────────────────────────────────────────────────────────
         override   none of 2 overrides applies, see below; the ANI is no number
         affinity   not green: the version that the call was in was rolled back
         weighted   the weight is 0 (bucket 9999, drawn at random: the call has no conversation id)
     →   active     blue: no new call goes to the candidate

     calls              to      for this call   expires                owner
    ───────────────────────────────────────────────────────────────────────────────
     from +4930123456   green   other number    2026-11-23T12:30:00Z   anna
     to 0800            green   expired         2026-11-23T01:30:00Z   night shift
    ");
}

#[test]
fn a_bucket_is_compared_with_the_weight() {
    let sentences = [(499, "green", false), (1250, "blue", false), (1249, "green", true)].map(
        |(bucket, slot, drawn)| {
            let rule = json!({"applies": true, "slot": slot, "bucket": bucket, "drawn": drawn, "weight": 12.5});
            weighted(&serde_json::from_value(rule).unwrap())
        },
    );
    insta::assert_snapshot!(sentences.join("\n"), @"
    green: bucket 499 is below 1250, the candidate's 12.5 %
    blue: bucket 1250 is not below 1250, the candidate's 12.5 %
    green: bucket 1249 is below 1250, the candidate's 12.5 %, drawn at random: the call has no conversation id
    ");
}

#[test]
fn each_outcome_of_affinity_is_a_sentence() {
    let outcomes = [
        "applies",
        "no_version",
        "unknown_version",
        "retired_version",
        "rolled_back",
        "slot_claimed",
        "of_tomorrow",
    ];
    let sentences = outcomes.map(|outcome| {
        let rule = json!({"applies": false, "slot": "green", "outcome": outcome});
        affinity(&serde_json::from_value(rule).unwrap())
    });
    insta::assert_snapshot!(sentences.join("\n"), @"
    green: it holds the version that the call was in
    the call was in no version yet
    nobody here knows the version that the call was in
    no slot holds the version that the call was in any more
    not green: the version that the call was in was rolled back
    not green: it is claimed, or was, so what it holds is not known
    of tomorrow
    ");
}
