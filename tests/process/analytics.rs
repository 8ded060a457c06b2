//! Rollouts of real processes that are judged by Genesys Cloud's analytics.
//!
//! Time is that of the machine: a horizon of a minute, and intervals of seconds.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{Change, Client};
use crate::genesys::{Counting, Fault, Genesys};
use crate::world::{Cluster, Service, until};

/// Two steps, judged by `minimum_calls` calls that analytics has counted. Calls are drawn, and a split that is uneven by chance is
/// not what is looked at here: it stops one rollout in ten thousand.
fn plan(minimum_calls: u32) -> Value {
    json!({
        "steps": [
            { "weight": 50, "bake_minutes": 0, "minimum_calls": minimum_calls },
            { "weight": 100, "bake_minutes": 0 },
        ],
        "limits": { "abandon": { "source": "analytics" } },
        "data": { "horizon_minutes": 1, "grace_minutes": 0, "max_stale_minutes": 2, "split_alpha_percent": 0.01 },
        "fast_lane": { "within_seconds": 1, "grace_seconds": 1 },
    })
}

/// Between two calls of an environment.
const PAUSE: Duration = Duration::from_millis(120);
/// A minute and another, intervals, and all that a busy machine needs beside them.
const LONG: Duration = Duration::from_secs(600);

/// A service that asks `genesys`.
async fn service_at(genesys: &Genesys, cluster: &Cluster) -> Service {
    let mut serve = cluster.service("a");
    serve
        .args(genesys.arguments(&cluster.path("genesys-secret")))
        .args(["--analytics-interval-seconds", "5"])
        .args(["--analytics-lag-seconds", "1"])
        .args(["--analytics-pause-seconds", "1"]);
    Service::of(&mut serve)
}

async fn start(client: &Client, name: &str, minimum_calls: u32) {
    client.create_with_candidate(name).await;
    let plan = plan(minimum_calls);
    client.change(name, Change::rollout(plan)).await;
}

/// Callers of one environment, whose flows are told of to nobody but Genesys Cloud.
struct Callers<'a> {
    genesys: &'a Genesys,
    client: &'a Client,
    name: &'static str,
    calls: u64,
}

impl Callers<'_> {
    /// One call; of ten to a slot so many hang up.
    async fn call(&mut self, blue_of_ten: u64, green_of_ten: u64) {
        let id = format!("{}-{}", self.name, self.calls);
        let call = json!({ "Conversation_ID": id });
        let decision = self.client.decide_about(self.name, call).await;
        let hang_up = if decision["Slot"] == "green" {
            green_of_ten
        } else {
            blue_of_ten
        };
        let text = |member: &str| decision[member].as_str().expect("a text");
        let exit_reason = if self.calls % 10 < hang_up {
            "DISCONNECT"
        } else {
            "FLOW_DISCONNECT"
        };
        self.genesys
            .ends_now(text("Active_Flow_ID"), text("Flow_Version"), exit_reason);
        self.calls += 1;
        sleep(PAUSE).await;
    }

    /// Calls until the rollout's evidence is as `is_reached` says: how it stands then.
    async fn until(
        &mut self,
        (blue_of_ten, green_of_ten): (u64, u64),
        is_reached: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + LONG;
        loop {
            self.call(blue_of_ten, green_of_ten).await;
            let evidence = self.client.rollout_evidence(self.name).await;
            if is_reached(&evidence) {
                return evidence;
            }
            assert!(Instant::now() < deadline, "{evidence:#}");
        }
    }
}

/// A rollout of one environment whose callers hang up like this, of ten to blue and to green: how it ends.
async fn end_of(minimum_calls: u32, hang_up_of_ten: (u64, u64)) -> Value {
    let cluster = Cluster::start().await;
    // Of its own: analytics knows flows, not environments.
    let genesys = Genesys::start().await;
    let service = service_at(&genesys, &cluster).await;
    let client = service.client(&cluster.token);
    start(&client, "Main", minimum_calls).await;
    let mut callers = Callers {
        genesys: &genesys,
        client: &client,
        name: "Main",
        calls: 0,
    };
    let is_over = |evidence: &Value| evidence["status"] != "running";
    let evidence = callers.until(hang_up_of_ten, is_over).await;
    client.assert_journal_is_sound().await;
    evidence
}

#[tokio::test]
async fn a_healthy_green_is_promoted_by_what_analytics_counts() {
    let evidence = end_of(60, (1, 1)).await;
    assert_eq!(evidence["status"], "finished", "{evidence:#}");
    let found = &evidence["verdict"]["metrics"][0];
    assert_eq!(found["source"], "analytics");
    assert!(found["seen"]["candidate"]["calls"].as_u64() >= Some(60));
}

#[tokio::test]
async fn doubled_abandons_that_analytics_counts_are_stopped() {
    let evidence = end_of(100_000, (3, 7)).await;
    let status = evidence["status"].as_str();
    assert!(matches!(status, Some("paused" | "aborted")), "{evidence:#}");
    assert_eq!(evidence["cause"], "evidence of harm: abandon");
    let summary = evidence["summary"].as_str().expect("a text");
    assert!(summary.contains("approximate"), "{summary}");
}

#[tokio::test]
async fn analytics_that_cannot_be_relied_on_holds_and_says_why() {
    let cluster = Cluster::start().await;
    let mut genesys = Genesys::start().await;
    let service = service_at(&genesys, &cluster).await;
    let client = service.client(&cluster.token);
    start(&client, "Main", 1).await;
    enum Wrong {
        Fails(Fault),
        Counts(Counting),
    }
    let cases = [
        (
            Wrong::Fails(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR)),
            "analytics answers with status 500",
        ),
        (
            Wrong::Fails(Fault::Status(StatusCode::UNAUTHORIZED)),
            "analytics refuses its own access tokens",
        ),
        (
            Wrong::Fails(Fault::Status(StatusCode::FORBIDDEN)),
            "analytics refuses its client; it needs analytics:flowAggregate:view",
        ),
        (
            Wrong::Fails(Fault::Redirect("http://127.0.0.1:9/".to_owned())),
            "analytics answers with status 302",
        ),
        (
            Wrong::Fails(Fault::Garbage("<html>")),
            "the answer of analytics cannot be read",
        ),
        (
            Wrong::Fails(Fault::Huge),
            "the answer of analytics is too large",
        ),
        (
            Wrong::Fails(Fault::TooMany(Some(2))),
            "analytics is asked too much; it wants 2 s of silence",
        ),
        (
            Wrong::Counts(Counting::Nothing),
            "analytics has no calls in the last interval",
        ),
        (
            Wrong::Counts(Counting::Without("flow-green".to_owned())),
            "analytics has no green calls in the last interval, only others",
        ),
        (
            Wrong::Counts(Counting::Unsplit),
            "analytics does not say how calls left the flows",
        ),
        (
            Wrong::Counts(Counting::Shrinking(0)),
            "analytics has lost calls of the last interval",
        ),
        (
            Wrong::Counts(Counting::Negative),
            "analytics counts what cannot be",
        ),
    ];
    for (wrong, expected) in cases {
        match wrong {
            Wrong::Fails(fault) => genesys.fails(fault),
            Wrong::Counts(counting) => {
                genesys.counts(counting);
                genesys.fails(None);
            }
        }
        says(&genesys, &client, expected).await;
    }
    genesys.go_away();
    says(&genesys, &client, "analytics does not answer").await;
    let metrics = client.metrics().await;
    assert!(
        metrics.contains("traffic_cop_analytics_questions_total{outcome=\"failed\"}"),
        "{metrics}"
    );
    // Nothing of all that moved anyone.
    let rollout = client.try_rollout("Main").await.expect("a rollout");
    assert_eq!(
        (&rollout["status"], &rollout["step"]),
        (&"running".into(), &1.into())
    );
    let actions = client.history("Main").await;
    assert_eq!(actions[0]["action"], "start_rollout");
}

/// Calls until the rollout waits for what `expected` begins with.
async fn says(genesys: &Genesys, client: &Client, expected: &str) {
    let mut callers = Callers {
        genesys,
        client,
        name: "Main",
        calls: 0,
    };
    callers.calls = u64::from(rand::random::<u32>());
    let waits = |evidence: &Value| {
        let waits = evidence["waits"].as_array().expect("waits");
        waits
            .iter()
            .any(|wait| wait.as_str().is_some_and(|wait| wait.starts_with(expected)))
    };
    let evidence = callers.until((1, 1), waits).await;
    assert_eq!(evidence["status"], "running", "{expected}: {evidence:#}");
}

#[tokio::test]
async fn a_controller_without_access_to_analytics_says_so() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    start(&client, "Main", 1).await;
    until("the controller to say so", async || {
        let evidence = client.rollout_evidence("Main").await;
        let waits = evidence["waits"].as_array().expect("waits").clone();
        waits
            .contains(&"the controller has no access to analytics".into())
            .then_some(())
    })
    .await;
}
