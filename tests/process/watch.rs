//! `watch`: the deployment, live, for pipes and for people.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::client::{Change, MAIN};
use crate::world::{Cluster, Process, Service, traffic_cop, until};

fn watch(cluster: &Cluster, service: &Service, arguments: &[&str]) -> Command {
    let mut watch = cluster.operator(service);
    watch.arg("watch").args(arguments);
    watch
}

#[tokio::test]
async fn a_pipe_gets_a_line_per_change_and_hears_of_a_server_that_goes_and_comes() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let mut lines = Process::start(&mut watch(&cluster, &service, &[]));
    let mut objects = Process::start(&mut watch(&cluster, &service, &[MAIN, "--output", "json"]));
    lines.wait_for("how it is", |line| {
        line.contains("Main_IVR revision 2: active blue (v1); blue 100 %, green 0 %")
            .then_some(())
    });

    client.change(MAIN, Change::cutover()).await;
    lines.wait_for("the change", |line| {
        line.ends_with("Main_IVR revision 3: active green (v2); blue 0 %, green 100 %")
            .then_some(())
    });
    objects.wait_for("the change", |line| {
        let seen: Value = serde_json::from_str(line).expect("an object a line");
        let environments = &seen["environments"]["environments"];
        (environments[0]["revision"] == 3).then_some(())
    });

    let admin = service.admin.to_string();
    service.kill().await;
    lines.wait_for("that it is gone", |line| {
        line.contains("  no answer: ").then_some(())
    });
    let again = Service::of(traffic_cop().args([
        "serve",
        "--decisions",
        "127.0.0.1:0",
        "--admin",
        &admin,
        "--endpoint-url",
        &cluster.url,
        "--admin-token-file",
        &cluster.path("token"),
        "--data-dir",
        &cluster.path("a"),
    ]));
    lines.wait_for("that it is back", |line| {
        line.ends_with("  the server answers again").then_some(())
    });
    again
        .client(&cluster.token)
        .change(MAIN, Change::cutover())
        .await;
    lines.wait_for("the next change", |line| {
        line.contains("Main_IVR revision 4: active blue (v1)")
            .then_some(())
    });
    lines.send(Signal::SIGINT);
    let status = lines.end().await;
    assert!(status.success(), "{status}: {}", lines.errors());
}

#[tokio::test]
async fn a_server_that_is_not_there_at_first_is_an_error() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let mut watch = traffic_cop();
    watch.args(["watch", "--server", &format!("http://{address}")]);
    let mut watch = Process::start(&mut watch);
    assert_eq!(watch.end().await.code(), Some(1));
    assert!(watch.errors().contains("did not answer"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_gets_a_picture_and_is_given_back_as_it_was() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    let inside = watch(&cluster, &service, &[]);
    let (log, id) = (cluster.path("log"), cluster.path("id"));
    let program = inside.get_program().to_str().expect("a readable path");
    let mut terminal = Command::new("script");
    let settings = inside.get_envs();
    terminal.envs(settings.filter_map(|(name, value)| Some((name, value?))));
    let line = format!("echo $$ >'{id}'; exec '{program}' watch");
    terminal.args(["--quiet", "--flush", "--return", "--command", &line, &log]);
    let mut terminal = Process::start(&mut terminal);
    let shown = || std::fs::read_to_string(&log).unwrap_or_default();
    let until_shown = async |text: &str| {
        until(text, async || shown().contains(text).then_some(())).await;
    };
    until_shown("\u{1b}[1;1H").await;
    until_shown("blue 100 %, green 0 %").await;
    client.change(MAIN, Change::cutover()).await;
    until_shown("blue 0 %, green 100 %").await;
    assert!(!shown().contains("\u{1b}[?1049l"));

    let id = std::fs::read_to_string(id).expect("a process id");
    let id = id.trim().parse().expect("a number");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("a signal sent");
    let status = terminal.end().await;
    assert!(status.success(), "{status}: {}", terminal.errors());
    assert!(shown().contains("\u{1b}[?1049l"), "{:?}", shown());
}
