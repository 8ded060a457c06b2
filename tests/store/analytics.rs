//! One organisation that is asked about several environments, one question at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use traffic_cop::controller::{Controller, Tick};
use traffic_cop::domain::command::{Command, Create};
use traffic_cop::domain::ids::InterfaceNumber;
use traffic_cop::domain::rollout::command::{AbortRollout, StartRollout};
use traffic_cop::domain::rollout::limits::{HarmLimit, Source};
use traffic_cop::domain::rollout::plan::{Plan, Terms};
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::evidence::analytics::{Access, Analytics, Schedule};
use traffic_cop::genesys::client::Client;
use traffic_cop::genesys::flow_end::FlowEnds;

use crate::support::engine::cases;
use crate::support::genesys::{CLIENT_SECRET, Genesys};
use crate::support::{Ask, Fault, FaultProxy, Process, World, commands};

cases![
    a_rollout_that_asks_no_more_keeps_nobody_from_asking,
    evidence_that_cannot_be_read_keeps_nobody_else_from_asking,
    those_who_ask_take_turns,
];

/// The environment that stands first wherever they are sorted.
const FIRST: &str = "Claims";
const SECOND: &str = "Main";
/// Longer than a horizon, an interval and its lag.
const DUE: Duration = Duration::from_secs(60 * 60);
const SCHEDULE: Schedule = Schedule {
    interval: Duration::from_secs(300),
    lag: Duration::from_secs(120),
    pause: Duration::from_secs(60),
};

/// A controller with two rollouts that analytics has a say in, and whom it asks.
struct Lead {
    process: Process,
    proxy: FaultProxy,
    controller: Controller,
    genesys: Genesys,
    /// What was asked and nobody has looked at.
    asked: VecDeque<&'static str>,
    _directory: TempDir,
}

impl Lead {
    /// One that has seen both, and for which questions are due about both.
    async fn of_two(world: &World) -> Self {
        let proxy = world.proxy().await;
        let process = world.process_behind(&proxy).await;
        let (genesys, directory) = (Genesys::start().await, tempfile::tempdir());
        let directory = directory.expect("a directory");
        let settings = genesys.settings(CLIENT_SECRET, &directory.path().join("secret"), 100_000);
        let access = Access {
            client: Arc::new(Client::new(settings, process.clock.clone()).expect("a client")),
            schedule: SCHEDULE,
            ends: FlowEnds::default(),
        };
        let analytics = Analytics::new(Some(access), process.metrics.clone());
        let mut lead = Self {
            controller: process.controller().with_analytics(analytics),
            process,
            proxy,
            genesys,
            asked: VecDeque::new(),
            _directory: directory,
        };
        for name in [FIRST, SECOND] {
            lead.process.commits(name, create(name)).await;
            lead.process.register(name, "v2").await;
            lead.start(name, Source::Analytics).await;
        }
        lead.tick().await;
        world.clock.advance(DUE);
        lead
    }

    async fn start(&self, name: &str, source: Source) {
        let mut terms = Terms::default();
        let limit = terms.limits.abandon.get_or_insert_default();
        *limit = HarmLimit { source, ..*limit };
        let start = StartRollout {
            plan: Plan::new(terms).expect("a plan"),
            force_incompatible: false,
        };
        self.process.commits(name, start).await;
    }

    async fn tick(&mut self) {
        let ticked = self.controller.tick().await.expect("a look");
        assert_eq!(ticked, Tick::Led(0));
    }

    /// Goes on until somebody is asked, whatever fails meanwhile: about which environment.
    async fn next_question(&mut self) -> &'static str {
        loop {
            if let Some(name) = self.asked.pop_front() {
                return name;
            }
            let _ = self.controller.tick().await;
            let asked = self.genesys.take_requests().into_iter();
            let questions = asked.filter(|asked| asked.path.ends_with("/query"));
            self.asked.extend(questions.map(|question| {
                let body = question.body.expect("a question").to_string();
                let of = [FIRST, SECOND].map(|name| body.contains(&format!("\"{name}-blue\"")));
                assert_ne!(of[0], of[1], "{body}");
                if of[0] { FIRST } else { SECOND }
            }));
        }
    }
}

/// With flows that tell the environment.
fn create(name: &str) -> Command {
    Create {
        flows: BySlot::from_fn(|slot| commands::flow(&format!("{name}-{slot}"))),
        active: Slot::Blue,
        flow_version: "v1".parse().expect("a label"),
        interface: InterfaceNumber::NONE,
        variables: None,
    }
    .into()
}

async fn a_rollout_that_asks_no_more_keeps_nobody_from_asking(world: &mut World) {
    let mut lead = Lead::of_two(world).await;
    // Between two looks, so that the environment never was without a rollout.
    lead.process.commits(FIRST, AbortRollout::default()).await;
    lead.start(FIRST, Source::Outcomes).await;
    for _ in 0..3 {
        assert_eq!(lead.next_question().await, SECOND);
        world.clock.advance(SCHEDULE.pause);
    }
}

async fn evidence_that_cannot_be_read_keeps_nobody_else_from_asking(world: &mut World) {
    let mut lead = Lead::of_two(world).await;
    let exposures = format!("exposures/{FIRST}");
    lead.proxy
        .fail_about(Ask::Evidence, &exposures, Fault::ServerError);
    for _ in 0..3 {
        assert_eq!(lead.next_question().await, SECOND);
        world.clock.advance(SCHEDULE.pause);
    }
    lead.proxy.heal();
    assert_eq!(lead.next_question().await, FIRST);
}

async fn those_who_ask_take_turns(world: &mut World) {
    let mut lead = Lead::of_two(world).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(lead.next_question().await);
        asked.push(lead.next_question().await);
        world.clock.advance(SCHEDULE.pause);
    }
    assert_eq!(asked, [FIRST, SECOND].repeat(3));
}
