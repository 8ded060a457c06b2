//! A rollout over three processes, one of which is cut off from the store and goes on deciding by an older weight.
//!
//! The two flows are equal, so there is nothing that the judge may find: neither harm, nor a split of the calls that does not
//! fit their weight, nor reports that one flow owes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{Change, Client};
use crate::fault_proxy::{Fault, FaultProxy};
use crate::world::{Cluster, Service, until};

const NAME: &str = "Equal";
/// Between two calls.
const PAUSE: Duration = Duration::from_millis(80);
/// Three minutes of calls that mature, and all that a busy machine needs beside them.
const LONG: Duration = Duration::from_secs(290);
/// Calls that the lost one has to decide by the old weight while a new one is in force.
const BY_THE_OLD_WEIGHT: u64 = 100;

/// Calls are drawn, and what is looked at is no chance: each thing that stops a rollout stops one of equals in ten thousand.
fn plan() -> Value {
    json!({
        "steps": [
            { "weight": 20, "bake_minutes": 0, "minimum_calls": 15 },
            { "weight": 60, "bake_minutes": 0, "minimum_calls": 15 },
            { "weight": 100, "bake_minutes": 0 },
        ],
        "limits": { "abandon": { "pause_alpha_percent": 0.01, "abort_alpha_percent": 0.01 } },
        "data": { "horizon_minutes": 1, "grace_minutes": 0, "max_stale_minutes": 2, "split_alpha_percent": 0.01 },
        "fast_lane": { "within_seconds": 1, "grace_seconds": 1, "alpha_percent": 0.01 },
    })
}

/// Callers who ask each process in turn, and flows whose calls end badly one time in ten, whichever slot they are in.
struct Callers {
    clients: [Client; 3],
    calls: u64,
    deadline: Instant,
}

impl Callers {
    /// One more call: who decided it, and how. The process that is asked may be cut off, so another hears how it ended.
    async fn call(&mut self) -> (usize, Value) {
        assert!(Instant::now() < self.deadline, "{:#}", self.rollout().await);
        let number = self.calls;
        self.calls += 1;
        let asked = usize::try_from(number % 3).expect("below 3");
        let id = format!("{NAME}-{number}");
        let call = json!({ "Conversation_ID": id });
        let decision = self.clients[asked].decide_about(NAME, call).await;
        self.clients[0]
            .report(NAME, &id, (number / 3).is_multiple_of(10))
            .await;
        sleep(PAUSE).await;
        (asked, decision)
    }

    /// The rollout, which nobody may have paused or given up.
    async fn rollout(&self) -> Value {
        let rollout = self.clients[0].try_rollout(NAME).await.expect("an answer");
        assert!(
            ["running", "finished"]
                .map(Value::from)
                .contains(&rollout["status"]),
            "{rollout:#}"
        );
        rollout
    }

    /// Calls until the rollout is as `is_reached` says.
    async fn call_until(&mut self, is_reached: impl Fn(&Value) -> bool) {
        while !is_reached(&self.rollout().await) {
            self.call().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_cut_off_at_the_old_weight_causes_no_false_abort() {
    let cluster = Cluster::start().await;
    let proxy = FaultProxy::before(&cluster.url).await;
    let services = [
        cluster.join("a"),
        cluster.join("b"),
        Service::of(&mut cluster.service_at(&proxy.url(), "c")),
    ];
    let clients = services
        .each_ref()
        .map(|service| service.client(&cluster.token));
    clients[0].create_with_candidate(NAME).await;
    until("all three replicas", async || {
        (clients[0].live_replicas().await.len() == 3).then_some(())
    })
    .await;
    let started = clients[0]
        .change(NAME, Change::rollout(plan()).waiting(10_000))
        .await;
    assert_eq!(started["receipt"]["status"], "all", "{started:#}");
    let mut callers = Callers {
        clients,
        calls: 0,
        deadline: Instant::now() + LONG,
    };
    for _ in 0..60 {
        callers.call().await;
    }

    proxy.fail_all(Fault::Refuse);
    callers.call_until(|rollout| rollout["step"] == 2).await;
    let mut by_the_old_weight = 0;
    while by_the_old_weight < BY_THE_OLD_WEIGHT {
        let (asked, decision) = callers.call().await;
        if asked == 2 {
            assert_eq!(decision["Traffic_Weight"], 20, "{decision:#}");
            by_the_old_weight += 1;
        }
        callers.rollout().await;
    }
    // Judged by then or not: the others go on without it.
    let by_the_others = callers.clients[1].decide(NAME).await["Traffic_Weight"].as_u64();
    assert!(by_the_others >= Some(60), "{by_the_others:?}");

    // What it could not tell meanwhile comes in now, of calls that are judged already and of others that are not.
    proxy.heal();
    callers
        .call_until(|rollout| rollout["status"] == "finished")
        .await;
    until("the lost one to decide as the others do", async || {
        (callers.clients[2].decide(NAME).await["Slot"] == "green").then_some(())
    })
    .await;
    callers.clients[0].assert_journal_is_sound().await;
}
