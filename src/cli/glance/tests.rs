//! What a person sees.

use serde_json::{Value, json};

use super::*;

fn canary() -> Value {
    json!({
        "environment": "Main_IVR", "revision": 3, "active": "blue", "candidate": "green", "weight": 5,
        "slots": {
            "blue": {
                "flow": {"id": "1111-b", "name": "Main IVR Blue"}, "status": "version", "share": 95,
                "flow_version": {
                    "label": "1.0", "interface": 0, "registered_at": "2026-11-20T08:00:00Z",
                    "rolled_back": false, "admits_own_calls": true,
                },
                "claim": null, "share_ended_at": null,
            },
            "green": {
                "flow": {"id": "2222-g", "name": "Main IVR Grün"}, "status": "version", "share": 5,
                "flow_version": {
                    "label": "2.0", "interface": 4, "registered_at": "2026-11-23T08:00:00Z",
                    "rolled_back": false, "admits_own_calls": true,
                },
                "claim": null, "share_ended_at": null,
            },
        },
        "previously_active": null, "retired": [], "fault": null, "stale": false, "age_ms": 0, "of_tomorrow": [1],
    })
}

fn parse(value: Value) -> Environment {
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_first_line_says_what_callers_get() {
    insta::assert_snapshot!(environment(&parse(canary())), @"
    Main_IVR at revision 3: 95 % of new calls go to blue (1.0), 5 % to green (2.0)

                    blue (active)          green (candidate)
    ────────────────────────────────────────────────────────────
     new calls      95 %                   5 %
     flow version   1.0                    2.0
     status         holds a version        holds a version
     claim          –                      –
     drained        takes new calls        takes new calls
     calls inside   may return             may return
     interface      none                   4
     registered     2026-11-20T08:00:00Z   2026-11-23T08:00:00Z
     flow           Main IVR Blue          Main IVR Grün
     flow id        1111-b                 2222-g
    ");
}

#[test]
fn a_rolled_back_a_claimed_and_an_empty_slot_show_as_such() {
    let mut rolled_back = canary();
    rolled_back["slots"]["blue"]["share"] = json!(100);
    rolled_back["slots"]["green"]["share"] = json!(0);
    rolled_back["slots"]["green"]["share_ended_at"] = json!("2026-11-23T02:00:00Z");
    rolled_back["slots"]["green"]["flow_version"]["rolled_back"] = json!(true);
    rolled_back["slots"]["green"]["flow_version"]["admits_own_calls"] = json!(false);
    rolled_back["slots"]["green"]["claim"] =
        json!({"flow_version": "2.1", "expires_at": "2026-11-23T03:00:00Z"});
    rolled_back["previously_active"] = json!("2.0");
    rolled_back["retired"] =
        json!([{"label": "0.8", "interface": 0}, {"label": "0.9", "interface": 1}]);
    insta::assert_snapshot!(environment(&parse(rolled_back)), @"
    Main_IVR at revision 3: all new calls go to blue (1.0)

                    blue (active)          green (candidate)
    ───────────────────────────────────────────────────────────────────────────────
     new calls      100 %                  0 %
     flow version   1.0                    2.0, rolled back
     status         holds a version        holds a version
     claim          –                      for 2.1 until 2026-11-23T03:00:00Z
     drained        takes new calls        no new calls since 2026-11-23T02:00:00Z
     calls inside   may return             are sent elsewhere
     interface      none                   4
     registered     2026-11-20T08:00:00Z   2026-11-23T08:00:00Z
     flow           Main IVR Blue          Main IVR Grün
     flow id        1111-b                 2222-g

    active before: 2.0
    retired: 0.8, 0.9
    ");

    let mut fresh = canary();
    fresh["slots"]["blue"]["share"] = json!(100);
    fresh["slots"]["green"]["share"] = json!(0);
    fresh["slots"]["green"]["status"] = json!("empty");
    fresh["slots"]["green"]["flow_version"] = json!(null);
    insta::assert_snapshot!(environment(&parse(fresh)), @"
    Main_IVR at revision 3: all new calls go to blue (1.0)

                    blue (active)          green (candidate)
    ─────────────────────────────────────────────────────────
     new calls      100 %                  0 %
     flow version   1.0                    empty
     status         holds a version        empty
     claim          –                      –
     drained        takes new calls        never took calls
     calls inside   may return             –
     interface      none                   –
     registered     2026-11-20T08:00:00Z   –
     flow           Main IVR Blue          Main IVR Grün
     flow id        1111-b                 2222-g
    ");
}

#[test]
fn overrides_stand_below_with_whoever_answers_for_them() {
    let mut tested = canary();
    tested["overrides"] = json!([
        {
            "calls": {"ani": "+4930123456"}, "to": "green", "owner": "anna", "status": "in_force",
            "expires_at": "2026-11-23T12:30:00Z",
        },
        {
            "calls": {"dnis": "0800"}, "to": "blue", "owner": "night shift", "status": "expired",
            "expires_at": "2026-11-23T11:30:00Z",
        },
    ]);
    let text = environment(&parse(tested));
    let (_, below) = text.split_once("\n\nsmoke tests\n\n").unwrap();
    insta::assert_snapshot!(below, @"
     calls              to      status     expires                owner
    ──────────────────────────────────────────────────────────────────────────
     from +4930123456   green   in force   2026-11-23T12:30:00Z   anna
     to 0800            blue    expired    2026-11-23T11:30:00Z   night shift
    ");
}

#[test]
fn a_rollout_under_way_and_freeze_windows_are_mentioned() {
    let mut ramping = canary();
    ramping["rollout"] = json!({"step": 2, "steps": 4, "paused": null});
    ramping["freezes"] = json!([
        {
            "number": 7, "start": "2026-12-23T17:00:00Z", "end": "2026-12-27T00:00:00Z", "status": "scheduled",
            "reason": "Christmas",
        },
    ]);
    let text = environment(&parse(ramping.clone()));
    assert_eq!(text.lines().nth(1), Some("rollout: step 2 of 4"));
    let (_, below) = text.split_once("\n\nfreeze windows\n\n").unwrap();
    insta::assert_snapshot!(below, @"
     number   start                  end                    status      reason
    ──────────────────────────────────────────────────────────────────────────────
     7        2026-12-23T17:00:00Z   2026-12-27T00:00:00Z   scheduled   Christmas
    ");
    ramping["rollout"]["paused"] = json!("asked for");
    let text = environment(&parse(ramping));
    assert_eq!(
        text.lines().nth(1),
        Some("rollout: paused in step 2 of 4 (asked for)")
    );
}

#[test]
fn what_cannot_be_trusted_comes_before_what_it_says() {
    let mut stale = canary();
    stale["stale"] = json!(true);
    stale["age_ms"] = json!(12_345);
    stale["fault"] = json!("the state of record 9 cannot be read");
    let text = environment(&parse(stale.clone()));
    let first_lines: Vec<_> = text.lines().take(2).collect();
    assert_eq!(
        first_lines,
        [
            "STALE: the store does not answer; this was confirmed 12 s ago",
            "FAULT: the state of record 9 cannot be read",
        ]
    );
    stale["age_ms"] = json!(null);
    let text = environment(&parse(stale));
    assert!(text.starts_with(
        "STALE: the store does not answer; this was confirmed before the server started\n"
    ));
}

#[test]
fn a_list_has_one_line_per_environment() {
    let all = json!({"environments": [canary()], "stale": false, "age_ms": 0});
    insta::assert_snapshot!(environments(&serde_json::from_value(all).unwrap()), @"
     environment   revision   active   blue       green     fault
    ──────────────────────────────────────────────────────────────
     Main_IVR      3          blue     95 % 1.0   5 % 2.0   –
    ");
}
