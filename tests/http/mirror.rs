//! What the admin API tells of the mirror.

use std::sync::Arc;

use insta::assert_json_snapshot;
use serde_json::Value;
use traffic_cop::domain::ids::Sequence;
use traffic_cop::followers::mirror::{KIND, cursor_name};
use traffic_cop::store::cursors::{Cursor, Obstacle};

use crate::support::{Ask, Fault};
use crate::world::{MAIN, TestApp};

const TABLE: &str = "0c7d";

async fn shown(app: &TestApp) -> Value {
    app.admin("GET", "/v1/mirror").send().await.ok().json()
}

/// How the row of an environment was found.
async fn was_found(app: &TestApp, name: &str, cursor: Cursor) {
    let cursor_name = cursor_name(
        &TABLE.parse().expect("an id"),
        &name.parse().expect("a name"),
    );
    let (store, now) = (&app.world.store, app.process.clock.now());
    let put = store.put_cursor(KIND, &cursor_name, &cursor, now).await;
    assert!(put.expect("a cursor"));
}

#[tokio::test]
async fn without_a_data_table_there_are_no_rows() {
    let app = TestApp::start().await;
    app.create(MAIN).await;
    assert_json_snapshot!(shown(&app).await, @r#"
    {
      "age_ms": 0,
      "data_table": null,
      "rows": [],
      "stale": false
    }
    "#);
}

#[tokio::test]
async fn every_replica_tells_how_far_each_row_has_come() {
    let (mut app, proxy) = TestApp::start_behind_a_proxy().await;
    let listener = Arc::get_mut(&mut app.listener).expect("nobody has it yet");
    listener.data_table = Some(TABLE.parse().expect("an id"));
    app.process.join().await;
    for name in ["A", "B", "C"] {
        app.create(name).await;
    }
    let now = app.process.clock.now();
    let current = Cursor {
        sequence: Sequence(1),
        taken_at: Some(now),
        obstacle: None,
    };
    was_found(&app, "A", current).await;
    let why = "there is no row B".to_owned();
    let held_up = Cursor {
        obstacle: Some(Obstacle { since: now, why }),
        ..Cursor::default()
    };
    was_found(&app, "B", held_up).await;
    assert_json_snapshot!(shown(&app).await, @r#"
    {
      "age_ms": 0,
      "data_table": "0c7d",
      "rows": [
        {
          "environment": "A",
          "row": {
            "current": true,
            "held_up": null,
            "seen_at": "2026-01-05T08:00:00Z",
            "sequence": 1
          },
          "sequence": 1
        },
        {
          "environment": "B",
          "row": {
            "current": false,
            "held_up": {
              "since": "2026-01-05T08:00:00Z",
              "why": "there is no row B"
            },
            "seen_at": null,
            "sequence": 0
          },
          "sequence": 2
        },
        {
          "environment": "C",
          "row": null,
          "sequence": 3
        }
      ],
      "stale": false
    }
    "#);
    proxy.fail(Ask::Cursor, Fault::Refuse, usize::MAX);
    let untold = shown(&app).await;
    assert!(untold["rows"][0]["row"].is_null(), "{untold:#}");
    assert_eq!(untold["rows"][0]["environment"], "A");
}
