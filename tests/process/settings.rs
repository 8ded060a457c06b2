//! Settings that do not go together, and what is said about them.

use serde_json::json;

use crate::client::MAIN;
use crate::world::{Cluster, Service, admin_token, failure_of, traffic_cop};

#[tokio::test]
async fn a_service_whose_tables_are_missing_says_how_to_make_them() {
    let cluster = Cluster::empty();
    let data = tempfile::tempdir().expect("a directory");
    let mut serve = traffic_cop();
    serve.args([
        "serve",
        "--decisions",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--endpoint-url",
        &cluster.url,
    ]);
    serve
        .env("TRAFFIC_COP_ADMIN_TOKEN", &cluster.token)
        .arg("--data-dir")
        .arg(data.path());
    let errors = failure_of(&mut serve).await;
    assert!(errors.contains("traffic-cop table create"), "{errors}");
    assert!(
        errors.contains("Deployment_Control") && errors.contains("Deployment_Evidence"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_service_that_nobody_could_use_does_not_start() {
    let cluster = Cluster::start().await;
    let data = tempfile::tempdir().expect("a directory");
    let mut serve = traffic_cop();
    serve.args([
        "serve",
        "--decisions",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--endpoint-url",
        &cluster.url,
    ]);
    serve.arg("--data-dir").arg(data.path());
    let errors = failure_of(&mut serve).await;
    assert!(
        errors.contains("TRAFFIC_COP_ADMIN_TOKEN") && errors.contains("--admin-token-file"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_shared_store_gives_no_decisions_to_strangers() {
    let cluster = Cluster::start().await;
    let service = cluster.join("a");
    let client = service.client(&cluster.token);
    client.create_with_candidate(MAIN).await;
    assert_eq!(client.decide_as_stranger(MAIN).await.status, 401);
    assert_eq!(client.decide(MAIN).await["Slot"], "blue");
}

#[tokio::test]
async fn a_service_that_other_machines_can_reach_gives_no_decisions_to_strangers() {
    let data = tempfile::tempdir().expect("a directory");
    let mut serve = traffic_cop();
    serve
        .args([
            "serve",
            "--decisions",
            "0.0.0.0:0",
            "--admin",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(data.path());
    let mut service = Service::of(&mut serve);
    service.decisions.set_ip([127, 0, 0, 1].into());
    let client = service.client(&admin_token(data.path()));

    let refused = client.decide_as_stranger(MAIN).await;

    assert_eq!(
        (refused.status.as_u16(), &refused.json["type"]),
        (401, &json!("urn:traffic-cop:problem:unauthenticated"))
    );
    assert_eq!(client.decide(MAIN).await["Slot"], "blue");
    let output = service.stop().await;
    assert!(
        !output.contains("curl"),
        "no line is printed that would not work: {output}"
    );
}
