//! Replicas that are replaced one after the other while calls come in, as a new release is rolled out.

use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{Change, Client, MAIN};
use crate::world::{Cluster, Service, until};

/// Calls a second, due whether or not those before were answered.
const RATE: u32 = 300;
/// Restarts that the proof has without being told.
const RESTARTS: usize = 100;
/// Says how many restarts there are.
const HOW_MANY: &str = "TRAFFIC_COP_TEST_RESTARTS";
/// The binary of another release, which takes turns with this one.
const OTHER: &str = "TRAFFIC_COP_TEST_OTHER_RELEASE";
/// Between two looks of the balancer at who is ready. A process that ends answers for [`DELAY_MS`] more.
const LOOK: Duration = Duration::from_millis(100);
const DELAY_MS: &str = "500";

/// A balancer: who is sent calls, as of its last look.
#[derive(Debug, Default)]
struct Balancer {
    /// All that run.
    targets: Mutex<Vec<Option<Client>>>,
    ready: Mutex<Vec<Client>>,
    turn: AtomicUsize,
}

impl Balancer {
    fn set(&self, seat: usize, client: Option<Client>) {
        self.targets.lock().expect("no holder panics")[seat] = client;
    }

    fn next(&self) -> Client {
        let ready = self.ready.lock().expect("no holder panics");
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ready[turn % ready.len()].clone()
    }

    fn ready(&self) -> usize {
        self.ready.lock().expect("no holder panics").len()
    }

    /// Looks who is ready.
    async fn look(&self) {
        let targets = self.targets.lock().expect("no holder panics").clone();
        let mut ready = Vec::new();
        for client in targets.into_iter().flatten() {
            if client.is_ready().await == Some(true) {
                ready.push(client);
            }
        }
        *self.ready.lock().expect("no holder panics") = ready;
    }
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Calls {
    answered: AtomicU64,
    failed: AtomicU64,
    slowest_us: AtomicU64,
}

impl Calls {
    async fn make(self: Arc<Self>, client: Client, number: u64) {
        let call = json!({ "Conversation_ID": format!("call-{number}") });
        let due = Instant::now();
        match client.try_decide(MAIN, call).await {
            Some(_) => self.answered.fetch_add(1, Ordering::Relaxed),
            None => self.failed.fetch_add(1, Ordering::Relaxed),
        };
        let took = u64::try_from(due.elapsed().as_micros()).expect("a moment");
        self.slowest_us.fetch_max(took, Ordering::Relaxed);
    }

    /// A call whose answer is no decision has panicked, and said why.
    fn note(&self, ended: Result<(), JoinError>) {
        if ended.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts a replica of one of the releases.
fn start(cluster: &Cluster, seat: usize, other: Option<&str>) -> Service {
    let name = ["a", "b", "c"][seat];
    let own = cluster.service(name);
    let mut command = Command::new(other.map_or(own.get_program(), |other| other.as_ref()));
    command
        .args(own.get_args())
        .args(["--shutdown-delay-ms", DELAY_MS]);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Service::of(&mut command)
}

/// What whoever runs the proof has set.
#[expect(
    clippy::disallowed_methods,
    reason = "a test binary has no other settings"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn no_call_fails_while_replicas_are_replaced_one_after_the_other() {
    let restarts = setting(HOW_MANY);
    let restarts = restarts.map_or(RESTARTS, |count| count.parse().expect("a number"));
    let other = setting(OTHER);
    let cluster = Cluster::start().await;
    let balancer = Arc::new(Balancer::default());
    let mut services: Vec<_> = (0..3)
        .map(|seat| Some(start(&cluster, seat, None)))
        .collect();
    *balancer.targets.lock().expect("no holder panics") = vec![None; 3];
    for (seat, service) in services.iter().enumerate() {
        let service = service.as_ref().expect("it runs");
        balancer.set(seat, Some(service.client(&cluster.token)));
    }
    let first = services[0]
        .as_ref()
        .expect("it runs")
        .client(&cluster.token);
    until("all to be ready", async || {
        balancer.look().await;
        (balancer.ready() == 3).then_some(())
    })
    .await;
    first.create_with_candidate(MAIN).await;
    let everybody = first
        .change(MAIN, Change::weight(6_000).waiting(5_000))
        .await;
    assert_eq!(everybody["receipt"]["status"], "all", "{everybody:#}");

    let (calls, stop) = (Arc::new(Calls::default()), CancellationToken::new());
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let (balancer, stop) = (balancer.clone(), stop.clone());
        async move {
            while !stop.is_cancelled() {
                balancer.look().await;
                sleep(LOOK).await;
            }
        }
    });
    tasks.spawn({
        let (balancer, calls, stop) = (balancer.clone(), calls.clone(), stop.clone());
        async move {
            let mut due = interval(Duration::from_secs(1) / RATE);
            due.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut under_way = JoinSet::new();
            for number in 0.. {
                if stop.is_cancelled() {
                    break;
                }
                due.tick().await;
                under_way.spawn(calls.clone().make(balancer.next(), number));
                while let Some(ended) = under_way.try_join_next() {
                    calls.note(ended);
                }
            }
            while let Some(ended) = under_way.join_next().await {
                calls.note(ended);
            }
        }
    });

    let mut revision = 3;
    for restart in 0..restarts {
        let seat = restart % 3;
        let service = services[seat].take().expect("it runs");
        // Seen by the balancer while it still answers, and gone before its successor comes.
        service.stop().await;
        balancer.set(seat, None);
        let is_other = other.is_some() && !restart.is_multiple_of(2);
        let service = start(&cluster, seat, other.as_deref().filter(|_| is_other));
        let client = service.client(&cluster.token);
        balancer.set(seat, Some(client.clone()));
        services[seat] = Some(service);
        until("three that are ready", async || {
            (balancer.ready() == 3).then_some(())
        })
        .await;
        // The newcomer writes, and everybody follows.
        let bps = 1 + u64::try_from(restart).expect("a small number") % 5_000;
        let written = client
            .change(MAIN, Change::weight(bps).waiting(5_000))
            .await;
        assert_eq!(written["receipt"]["status"], "all", "{written:#}");
        revision += 1;
        assert_eq!(written["revision"].as_u64(), Some(revision));
    }
    stop.cancel();
    tasks.join_all().await;
    let answered = calls.answered.load(Ordering::Relaxed);
    let failed = calls.failed.load(Ordering::Relaxed);
    let slowest = Duration::from_micros(calls.slowest_us.load(Ordering::Relaxed));
    println!(
        "{restarts} restarts{}: {answered} calls answered, {failed} failed, the slowest in {slowest:?}",
        if other.is_some() {
            " between two releases"
        } else {
            ""
        }
    );
    assert_eq!(failed, 0);
    let last = services[0]
        .as_ref()
        .expect("it runs")
        .client(&cluster.token);
    last.assert_journal_is_sound().await;
}
