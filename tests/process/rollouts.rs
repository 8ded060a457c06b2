//! Rollouts of real processes: callers who call, flows that tell how calls end, controllers that do the rest.
//!
//! Time is that of the machine, so the plan is as short as plans get: a call counts after a minute.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::{Change, Client};
use crate::world::{Cluster, Process, Service, until};

/// Two steps of any length, and a call counts as soon as a plan allows. Calls are drawn, and a split that is uneven by chance is
/// not what is looked at here: it stops one rollout in ten thousand.
fn plan() -> Value {
    json!({
        "steps": [
            { "weight": 50, "bake_minutes": 0, "minimum_calls": 15 },
            { "weight": 100, "bake_minutes": 0 },
        ],
        "data": { "horizon_minutes": 1, "grace_minutes": 0, "max_stale_minutes": 2, "split_alpha_percent": 0.01 },
        "fast_lane": { "within_seconds": 1, "grace_seconds": 1 },
    })
}

/// How a flow's calls end: the calls so far, and then whether this one ends badly; `None` is a flow that says nothing.
type Ending = fn(slot: &str, calls: u64) -> Option<bool>;

/// Between two calls of an environment.
const PAUSE: Duration = Duration::from_millis(80);
/// A minute and another, and all that a busy machine needs beside them.
const LONG: Duration = Duration::from_secs(240);

/// What callers of an environment have seen.
#[derive(Debug, Default)]
struct Seen {
    blue: u64,
    green: u64,
}

impl Seen {
    /// One more call to `slot`: how many there were before it.
    fn count(&mut self, slot: &str) -> u64 {
        let calls = if slot == "green" {
            &mut self.green
        } else {
            &mut self.blue
        };
        *calls += 1;
        *calls - 1
    }
}

/// Calls until the rollout is as `is_reached` says, or for `most`: how it stands then, and the calls.
async fn call(
    clients: &[Client],
    name: &str,
    ending: Ending,
    most: Duration,
    is_reached: impl Fn(&Value) -> bool,
) -> (Value, Seen) {
    let deadline = Instant::now() + most;
    let mut seen = Seen::default();
    for number in 0_u64.. {
        let mut rollout = Value::Null;
        for client in clients {
            // One of them may have been killed.
            let Some(answer) = client.try_rollout(name).await else {
                continue;
            };
            rollout = answer;
            let id = format!("{name}-{number}");
            let decision = json!({ "Conversation_ID": id });
            let Some(decision) = client.try_decide(name, decision).await else {
                continue;
            };
            let slot = decision["Slot"].as_str().expect("a slot");
            if let Some(is_bad) = ending(slot, seen.count(slot)) {
                client.report(name, &id, is_bad).await;
            }
            break;
        }
        if is_reached(&rollout) || Instant::now() > deadline {
            return (rollout, seen);
        }
        sleep(PAUSE).await;
    }
    unreachable!("there is a deadline")
}

async fn start(client: &Client, name: &str) {
    client.create_with_candidate(name).await;
    client.change(name, Change::rollout(plan())).await;
}

/// Waits until the controller of `client`'s service leads.
async fn until_leading(client: &Client) {
    until("a controller that leads", async || {
        let metrics = client.metrics().await;
        metrics
            .lines()
            .any(|line| line == "traffic_cop_controller_leads 1")
            .then_some(())
    })
    .await;
}

/// How `rollout wait` ends for somebody at a terminal.
async fn exit_code_of_wait(cluster: &Cluster, service: &Service, name: &str) -> Option<i32> {
    let mut wait = cluster.operator(service);
    wait.args(["rollout", "wait", name, "--timeout", "20"]);
    Process::start(&mut wait).end().await.code()
}

#[tokio::test]
async fn a_dead_green_is_aborted_within_its_first_dozens_of_calls() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    start(&client, "Dead").await;
    let dead: Ending = |slot, calls| Some(slot == "green" || calls % 20 == 0);
    let (rollout, seen) = call(
        std::slice::from_ref(&client),
        "Dead",
        dead,
        LONG,
        |rollout| rollout["status"] == "aborted",
    )
    .await;
    assert_eq!(rollout["status"], "aborted", "{rollout:#}");
    assert_eq!(rollout["cause"], "evidence of harm right after assignment");
    assert_eq!(rollout["weight"], 0);
    assert!(seen.green < 100, "{seen:?}");
    // From here on nobody gets there, and its version is marked.
    let (_, after) = call(
        std::slice::from_ref(&client),
        "Dead",
        dead,
        Duration::from_secs(1),
        |_| false,
    )
    .await;
    assert_eq!(after.green, 0);
    let slots = client.show("Dead").await["slots"].clone();
    assert_eq!(slots["green"]["flow_version"]["rolled_back"], true);
    let last = client.history("Dead").await[0].clone();
    assert_eq!(
        (&last["actor"], &last["action"]),
        (&"traffic-cop".into(), &"abort_rollout".into())
    );
    assert_eq!(exit_code_of_wait(&cluster, &service, "Dead").await, Some(2));
    client.assert_journal_is_sound().await;
}

#[tokio::test]
async fn doubled_abandons_are_rolled_back() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    start(&client, "Harmful").await;
    let doubled: Ending = |slot, calls| {
        let bad_of_ten = if slot == "green" { 6 } else { 3 };
        Some(calls % 10 < bad_of_ten)
    };
    let (rollout, _) = call(
        std::slice::from_ref(&client),
        "Harmful",
        doubled,
        LONG,
        |rollout| rollout["status"] != "running",
    )
    .await;
    // At once if the moment after assignment shows it, else as soon as calls count.
    assert_eq!(rollout["status"], "aborted", "{rollout:#}");
    assert!(
        rollout["cause"]
            .as_str()
            .expect("a cause")
            .starts_with("evidence of harm")
    );
    assert_eq!(client.show("Harmful").await["weight"], 0);
}

#[tokio::test]
async fn a_healthy_green_is_promoted_though_its_controller_is_killed_and_a_silent_one_is_not() {
    let cluster = Cluster::start().await;
    let first = cluster.join("a");
    let leader = first.client(&cluster.token);
    start(&leader, "Healthy").await;
    start(&leader, "Silent").await;
    until_leading(&leader).await;
    let second = cluster.join("b");
    let follower = second.client(&cluster.token);
    until("the follower to know them", async || {
        follower.try_rollout("Silent").await
    })
    .await;

    let mut calls = JoinSet::new();
    let clients = [leader.clone(), follower.clone()];
    let healthy: Ending = |_, calls| Some(calls % 20 == 0);
    calls.spawn({
        let clients = clients.clone();
        async move {
            let (rollout, _) = call(&clients, "Healthy", healthy, LONG, |rollout| {
                rollout["status"] == "finished" || rollout["status"] == "paused"
            })
            .await;
            assert_eq!(rollout["status"], "finished", "{rollout:#}");
        }
    });
    calls.spawn(async move {
        let silent: Ending = |_, _| None;
        let most = Duration::from_secs(100);
        let (rollout, seen) = call(&clients, "Silent", silent, most, |rollout| {
            !rollout.is_null() && rollout["status"] != "running"
        })
        .await;
        assert!(seen.green > 100, "{seen:?}");
        assert_eq!(
            (&rollout["status"], &rollout["step"]),
            (&"running".into(), &1.into())
        );
    });
    until("calls of the first step to be reported", async || {
        let evidence = leader.rollout_evidence("Healthy").await;
        let candidate = &evidence["observation"]["calls"]["abandon"]["candidate"];
        (candidate["calls"].as_u64() >= Some(10)).then_some(())
    })
    .await;
    assert_eq!(
        leader.try_rollout("Healthy").await.expect("it is there")["step"],
        1
    );
    first.kill().await;
    until_leading(&follower).await;
    while let Some(ended) = calls.join_next().await {
        ended.expect("as it should end");
    }

    let shown = follower.show("Healthy").await;
    assert_eq!(
        (&shown["active"], &shown["weight"]),
        (&"green".into(), &0.into())
    );
    let actions: Vec<_> = follower
        .history("Healthy")
        .await
        .iter()
        .rev()
        .map(|entry| entry["action"].as_str().expect("an action").to_owned())
        .collect();
    assert_eq!(
        actions[2..],
        ["start_rollout", "advance_rollout", "finish_rollout"]
    );
    assert_eq!(
        exit_code_of_wait(&cluster, &second, "Healthy").await,
        Some(0)
    );
    let paused = follower.change("Silent", Change::pause_rollout()).await;
    assert_eq!(paused["outcome"], "committed");
    assert_eq!(
        exit_code_of_wait(&cluster, &second, "Silent").await,
        Some(3)
    );
    follower.assert_journal_is_sound().await;
}
