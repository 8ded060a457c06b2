//! An organisation of Genesys Cloud with a data table, and who mirrors there.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use traffic_cop::followers::mirror::{Mirror, Settings};
use traffic_cop::followers::{Follower, Tick};
use traffic_cop::genesys::client::Client;
use traffic_cop::store::StoreError;
use traffic_cop::telemetry::Metrics;

use super::{NAME, leads};
use crate::support::genesys::data_tables::COLUMNS;
use crate::support::genesys::{CLIENT_SECRET, Genesys};
use crate::support::{Process, World};

/// The table.
pub(super) const TABLE: &str = "0c7d2b1e-6a55-4a0c-9a43-5d2f8f1b7e60";
const LOGIN: &str = "POST /oauth/token";

/// An organisation with a table, and what it takes to ask there.
pub(super) struct Office {
    pub(super) genesys: Genesys,
    pub(super) directory: TempDir,
}

impl Office {
    /// One with the kit's table, and a column of somebody else's in it.
    pub(super) async fn open() -> Self {
        let genesys = Genesys::start().await;
        genesys.has_table(TABLE, &[&COLUMNS[..], &[("Note", "string")]].concat());
        Self {
            genesys,
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// One with a row for the environment.
    pub(super) async fn with_row() -> Self {
        let office = Self::open().await;
        let note = json!({ "Note": "ask Anna" });
        office.genesys.edits_row(TABLE, NAME, &note);
        office
    }

    pub(super) fn client(&self, process: &Process, requests_per_minute: u32) -> Arc<Client> {
        let file = self.directory.path().join("secret");
        let settings = self
            .genesys
            .settings(CLIENT_SECRET, &file, requests_per_minute);
        Arc::new(Client::new(settings, process.clock.clone()).expect("a client"))
    }

    /// Who mirrors here, beside `process`.
    pub(super) fn mirror(&self, process: &Process) -> Mirroring {
        mirror(process, self.client(process, 100_000), false)
    }

    pub(super) fn mirror_that_may_add(&self, process: &Process) -> Mirroring {
        mirror(process, self.client(process, 100_000), true)
    }

    /// What the row says, whether or not there is one.
    pub(super) fn row(&self, name: &str) -> Value {
        self.genesys.row(TABLE, name).unwrap_or_default()
    }

    /// What was asked since the last look, but for logins: the methods and the last segments of the paths.
    pub(super) fn asked(&self) -> Vec<String> {
        let asked = self.genesys.take_asked().into_iter();
        let asked = asked.filter(|asked| asked != LOGIN);
        asked
            .map(|asked| {
                let method = asked.split(' ').next().unwrap_or_default();
                let place = asked.rsplit('/').next().unwrap_or_default();
                let place = if place == TABLE { "table" } else { place };
                format!("{method} {place}")
            })
            .collect()
    }

    pub(super) fn assert_mirrors(&self, process: &Process, name: &str) {
        let row = self.row(name);
        for (column, value) in expected(process, name).as_object().expect("members") {
            assert_eq!(row[column], *value, "{column} of {row}");
        }
    }

    /// Looks, and lets time pass while there is nothing to wait for, until the row is known to be as it should be.
    pub(super) async fn until_right(
        &self,
        process: &Process,
        mirror: &mut Mirroring,
        world: &World,
        name: &str,
    ) {
        let moment = Duration::from_millis(50);
        for _ in 0..1_000 {
            leads(mirror).await;
            let lag = &process.metrics.followers.rows()[name];
            if (lag.behind, &lag.obstacle) == (Duration::ZERO, &None)
                && self.row(name)["Revision"] == expected(process, name)["Revision"]
            {
                return self.assert_mirrors(process, name);
            }
            if tokio::time::timeout(moment, mirror.progress())
                .await
                .is_err()
            {
                world.clock.advance(Duration::from_secs(10));
            }
        }
        panic!("it never is: {}", self.row(name));
    }
}

/// Who mirrors, beside a process.
pub(super) struct Mirroring {
    follower: Follower<Mirror>,
    metrics: Metrics,
}

impl Mirroring {
    pub(super) async fn tick(&mut self) -> Result<Tick, StoreError> {
        self.follower.tick().await
    }

    pub(super) async fn progress(&mut self) {
        self.follower.progress().await;
    }

    /// How many requests have come back and were taken in.
    pub(super) fn taken(&self) -> u64 {
        let metrics = self.metrics.exposition();
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("traffic_cop_mirror_requests_total{"));
        let counts = lines.map(|line| {
            let (_, count) = line.rsplit_once(' ').expect("a number");
            count.parse::<u64>().expect("a number")
        });
        counts.sum()
    }
}

pub(super) fn mirror(process: &Process, client: Arc<Client>, may_add_rows: bool) -> Mirroring {
    let (clock, metrics) = (process.clock.clone(), process.metrics.clone());
    let settings = Settings {
        table: TABLE.parse().expect("an id"),
        may_add_rows,
    };
    let replica = process.replica.clone();
    let mirror = Mirror::new(
        replica.clone(),
        clock.clone(),
        metrics.clone(),
        client,
        settings,
    );
    Mirroring {
        metrics: metrics.clone(),
        follower: Follower::new(replica, clock, metrics, mirror),
    }
}

/// What the row of an environment should say, as `process` knows it.
pub(super) fn expected(process: &Process, name: &str) -> Value {
    let name = name.parse().expect("a name");
    let found = process.replica.look(|follower| {
        let tracked = follower.environment(&name).expect("an environment");
        let state = tracked.state().expect("a state");
        let percent = f64::from(state.weight.bps()) / 100.0;
        let weight = if percent.fract() == 0.0 {
            json!(percent as u64)
        } else {
            json!(percent)
        };
        json!({
            "key": name,
            "Active_Flow_ID": format!("flow-{}", state.active),
            "Active_Slot": state.active.to_string(),
            "Revision": tracked.revision.0,
            "Traffic_Weight": weight,
        })
    });
    found.expect("a state")
}
