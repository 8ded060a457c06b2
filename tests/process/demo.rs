//! The demonstration: everything but its callers is real, so its rollouts end by evidence.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::client::{Client, MAIN};
use crate::world::{Process, failure_of, traffic_cop, until};

/// As fast as it gets: a call counts after three seconds, and the healthy version is promoted after two times that and so many
/// calls that the harmful one has given itself away by then.
const PLAN: &str = "
steps:
  - {weight: 50, bake_minutes: 0, minimum_calls: 600}
  - {weight: 100, bake_minutes: 0}
limits: {abandon: {pause_alpha_percent: 1, abort_alpha_percent: 1}}
data: {horizon_minutes: 10, grace_minutes: 2, max_stale_minutes: 120, split_alpha_percent: 0.01}
fast_lane: {within_seconds: 240, grace_seconds: 240, alpha_percent: 0.1}
";

/// A demonstration that keeps its things in `home`, with settings of another service around it.
fn demo(home: &Path) -> Command {
    let mut demo = traffic_cop();
    demo.arg("demo").env("TMPDIR", home);
    // Those of a service that is no demonstration: none of them may matter.
    demo.env("TRAFFIC_COP_REGION", "eu-nowhere-1")
        .env("TRAFFIC_COP_ADMIN", "192.0.2.1:1")
        .env("TRAFFIC_COP_DATA_DIR", home.join("data"))
        .env("TRAFFIC_COP_TOKEN", "tc_of-another");
    let ports = ["--decisions", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    demo.args(ports).args(["--output", "json"]);
    demo
}

/// The first thing it says: where it is.
fn introduction(demo: &mut Process) -> Value {
    demo.wait_for("where it is", |line| serde_json::from_str(line).ok())
}

fn left_behind(home: &Path) -> usize {
    std::fs::read_dir(home).expect("a directory").count()
}

#[tokio::test]
async fn the_healthy_version_is_promoted_the_harmful_one_stopped_and_nothing_is_left() {
    let (home, plans) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let plan = plans.path().join("plan.yaml");
    std::fs::write(&plan, PLAN).expect("a plan");
    let mut demo = demo(home.path());
    demo.arg("--plan").arg(plan);
    demo.args([
        "--speed",
        "240",
        "--calls-per-second",
        "100",
        "--until-done",
    ]);

    let mut demo = Process::start(&mut demo);
    let seed = introduction(&mut demo)["seed"].clone();
    println!("seed {seed}");
    let mut told = String::new();
    for _ in 0..2 {
        told += &demo.wait_for("an end of a rollout", |line| {
            let is_one = line.contains("PROMOTED") || line.contains("STOPPED");
            is_one.then(|| line.to_owned())
        });
    }
    let status = demo.end().await;

    told += &demo.rest();
    assert!(status.success(), "{status}: {told}{}", demo.errors());
    for text in [
        "Main_IVR: PROMOTED. Every new call goes to green 2.0",
        "Payments_IVR: STOPPED. Every new call goes back to blue 1.0. aborted: evidence of harm",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert_eq!(left_behind(home.path()), 0);
}

#[tokio::test]
async fn a_visitor_has_the_token_and_ends_it_in_good_order() {
    let home = tempfile::tempdir().expect("a directory");
    let mut demo = Process::start(&mut demo(home.path()));
    let said = introduction(&mut demo);
    let text = |member: &str| said[member].as_str().expect("a text").to_owned();
    let address = |member: &str| {
        let url = text(member);
        let address = url.strip_prefix("http://").expect("an address");
        address.parse().expect("an address")
    };
    let client = Client::new(address("decisions"), address("dashboard"), &text("token"));
    let kept = std::fs::read_to_string(text("token_file")).expect("the token's file");
    assert_eq!(kept.trim(), text("token"));
    until("callers", async || {
        let drain = client.get(&format!("/v1/environments/{MAIN}/drain")).await;
        (drain["slots"]["blue"]["calls"].as_u64()? > 0).then_some(())
    })
    .await;

    demo.send(Signal::SIGINT);
    let status = demo.end().await;

    assert!(status.success(), "{status}: {}", demo.errors());
    assert!(demo.rest().contains("nothing of it is left"));
    assert_eq!(left_behind(home.path()), 0);
    assert_eq!(demo.errors(), "");
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    let said = failure_of(traffic_cop().env("TMPDIR", home.path()).args([
        "demo",
        "--decisions",
        "127.0.0.1:0",
        "--admin",
        &taken,
    ]))
    .await;
    let expected = format!("cannot listen for admin on {taken}; choose another address");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(left_behind(home.path()), 0);
}
