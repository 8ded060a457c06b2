//! TLS of the real binary: certificates that change while it runs, and the command line as a client.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, ClientBuilder, Identity, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::certificates::{Authority, Issued};
use crate::client::MAIN;
use crate::world::{PATIENCE, Service, failure_of, run, traffic_cop, until};

/// Calls of each kind between two changes of the certificate.
const SOME: usize = 20;

/// A service with the embedded store whose listeners speak TLS.
struct Encrypted {
    service: Service,
    authority: Authority,
    directory: TempDir,
}

fn path(directory: &Path, name: &str) -> String {
    directory
        .join(name)
        .to_str()
        .expect("a readable path")
        .to_owned()
}

impl Encrypted {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        authority.issue().write_to(directory.path());
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("a file");
        let file = |name| path(directory.path(), name);
        let (certificate, key, data) = (file("certificate.pem"), file("key.pem"), file("data"));
        let mut all = vec!["--data-dir", &data];
        all.extend([
            "--decisions-certificate",
            &certificate,
            "--decisions-key",
            &key,
        ]);
        all.extend(["--admin-certificate", &certificate, "--admin-key", &key]);
        all.extend(arguments);
        Self {
            service: Service::start(&all),
            authority,
            directory,
        }
    }

    fn file(&self, name: &str) -> String {
        path(self.directory.path(), name)
    }

    /// A client that trusts the authority.
    fn client(&self) -> ClientBuilder {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = Certificate::from_pem(self.authority.pem().as_bytes());
        let builder = reqwest::Client::builder().tls_info(true).timeout(PATIENCE);
        builder.tls_certs_only([root.expect("a certificate")])
    }

    fn decisions_url(&self) -> String {
        format!(
            "https://{}/v1/environments/{MAIN}/decisions",
            self.service.decisions
        )
    }

    /// The certificate that a new connection is shown, in DER.
    async fn shown(&self) -> Vec<u8> {
        let client = self.client().build().expect("a client");
        let url = format!("https://{}/v1/health/live", self.service.decisions);
        let answer = client.get(url).send().await.expect("an answer");
        let info = answer.extensions().get::<TlsInfo>().expect("TLS");
        info.peer_certificate().expect("a certificate").to_vec()
    }

    async fn shows(&self, issued: &Issued) -> bool {
        let certificate = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
        self.shown().await == certificate.expect("a certificate").as_ref()
    }

    /// Puts a certificate in its place and tells the service.
    fn put(&self, issued: &Issued) {
        issued.write_to(self.directory.path());
        self.service.process.send(Signal::SIGHUP);
    }

    /// Waits until new connections are shown this.
    async fn until_shown(&self, issued: &Issued) {
        until("the new certificate", async || {
            self.shows(issued).await.then_some(())
        })
        .await;
    }

    /// Waits until the alarm about refused files is raised, or not.
    async fn until_refused(&self, is_refused: bool) {
        let client = self.client().build().expect("a client");
        let url = format!("https://{}/metrics", self.service.admin);
        let line = format!(
            "traffic_cop_alarm{{condition=\"tls_files_refused\"}} {}\n",
            u8::from(is_refused)
        );
        until(&line, async || {
            let answer = client.get(&url).send().await.expect("an answer");
            let metrics = answer.text().await.expect("the metrics");
            metrics.contains(&line).then_some(())
        })
        .await;
    }

    /// The command line as an operator uses it from elsewhere.
    fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = traffic_cop();
        command
            .args(arguments)
            .env(
                "TRAFFIC_COP_SERVER",
                format!("https://{}", self.service.admin),
            )
            .env(
                "TRAFFIC_COP_DECISIONS_SERVER",
                format!("https://{}", self.service.decisions),
            )
            .env("TRAFFIC_COP_DATA_DIR", self.file("data"));
        command
    }
}

/// Calls without end; each has to be answered.
async fn call(
    client: reqwest::Client,
    url: String,
    calls: Arc<watch::Sender<usize>>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let call = client
            .post(&url)
            .json(&json!({ "Conversation_ID": "a-conversation" }));
        let answer = call.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.expect("a whole answer");
        calls.send_modify(|calls| *calls += 1);
    }
}

/// Waits for more calls.
async fn goes_on(calls: &watch::Sender<usize>) {
    let wanted = *calls.borrow() + SOME;
    let mut seen = calls.subscribe();
    let enough = timeout(PATIENCE, seen.wait_for(|calls| *calls >= wanted)).await;
    enough.expect("calls go on").expect("callers");
}

#[tokio::test]
async fn no_call_is_lost_while_certificates_change() {
    let world = Encrypted::start(&[]);
    // Some callers keep their connections, the others make one per call.
    let [mut kept, mut new] = [Arc::default(), Arc::default()];
    let (stop, mut callers) = (CancellationToken::new(), JoinSet::new());
    for _ in 0..2 {
        for (calls, idle) in [(&mut kept, 1), (&mut new, 0)] {
            let client = world
                .client()
                .pool_max_idle_per_host(idle)
                .build()
                .expect("a client");
            callers.spawn(call(
                client,
                world.decisions_url(),
                Arc::clone(calls),
                stop.clone(),
            ));
        }
    }
    for _ in 0..5 {
        let issued = world.authority.issue();
        world.put(&issued);
        world.until_shown(&issued).await;
        goes_on(&kept).await;
        goes_on(&new).await;
    }
    stop.cancel();
    callers.join_all().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_and_raise_an_alarm() {
    let world = Encrypted::start(&[]);
    let good = world.authority.issue();
    world.put(&good);
    world.until_shown(&good).await;
    let other_key = Issued {
        key: world.authority.issue().key,
        ..good.clone()
    };
    let garbage = Issued {
        certificate: "no certificate".to_owned(),
        ..good.clone()
    };
    for bad in [other_key, garbage, world.authority.issue_expired()] {
        world.put(&bad);
        world.until_refused(true).await;
        assert!(world.shows(&good).await);
        world.put(&good);
        world.until_refused(false).await;
    }
    let better = world.authority.issue();
    world.put(&better);
    world.until_shown(&better).await;
}

#[tokio::test]
async fn a_service_without_a_usable_certificate_does_not_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let mismatched = Issued {
        key: authority.issue().key,
        ..authority.issue()
    };
    mismatched.write_to(directory.path());
    let file = |name| path(directory.path(), name);
    let mut serve = traffic_cop();
    serve.args([
        "serve",
        "--decisions",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    serve.args(["--data-dir", &file("data"), "--admin-key", &file("key.pem")]);
    serve.args(["--admin-certificate", &file("certificate.pem")]);
    let errors = failure_of(&mut serve).await;
    assert!(errors.contains("TLS on the admin listener"), "{errors}");
    assert!(errors.contains("cannot be used together"), "{errors}");
}

#[tokio::test]
async fn the_command_line_speaks_tls_with_whom_it_is_told_to_trust() {
    let world = Encrypted::start(&[]);
    let ca = world.file("ca.pem");
    let show = ["env", "show", MAIN];
    let shown = run(world.operator(&show).args(["--ca-certificate", &ca])).await;
    assert!(shown.contains(MAIN), "{shown}");
    let decided = run(world
        .operator(&["decide", MAIN])
        .args(["--ca-certificate", &ca]))
    .await;
    assert!(decided.contains("blue"), "{decided}");

    let stranger = world.file("stranger.pem");
    std::fs::write(&stranger, Authority::new().pem()).expect("a file");
    let errors = failure_of(world.operator(&show).args(["--ca-certificate", &stranger])).await;
    assert!(errors.contains("did not answer"), "{errors}");
    let errors = failure_of(
        world
            .operator(&show)
            .args(["--ca-certificate", &world.file("key.pem")]),
    )
    .await;
    assert!(errors.contains("no certificate"), "{errors}");
}

#[tokio::test]
async fn a_client_certificate_does_not_take_the_place_of_a_token() {
    let clients = Authority::new();
    let directory = tempfile::tempdir().expect("a directory");
    let client_ca = path(directory.path(), "client-ca.pem");
    std::fs::write(&client_ca, clients.pem()).expect("a file");
    let names = "operator.example,ci.*.example";
    let world = Encrypted::start(&[
        "--admin-client-ca",
        &client_ca,
        "--admin-client-names",
        names,
    ]);
    let ca = world.file("ca.pem");
    let identity = |name: &str| {
        let Issued { certificate, key } = clients.issue_for(name);
        certificate + &key
    };

    let known = path(directory.path(), "known.pem");
    std::fs::write(&known, identity("ci.main.example")).expect("a file");
    let arguments = [
        "env",
        "list",
        "--ca-certificate",
        &ca,
        "--client-certificate",
        &known,
    ];
    let listed = run(&mut world.operator(&arguments)).await;
    assert!(listed.contains(MAIN), "{listed}");

    let Issued { certificate, key } = clients.issue_for_common_name("operator.example");
    let identity_alone = Identity::from_pem((certificate + &key).as_bytes()).expect("an identity");
    let client = world
        .client()
        .identity(identity_alone)
        .build()
        .expect("a client");
    let url = format!("https://{}/v1/environments", world.service.admin);
    let answer = client.get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);

    let unknown = path(directory.path(), "unknown.pem");
    std::fs::write(&unknown, identity("main.example")).expect("a file");
    for arguments in [
        &[
            "env",
            "list",
            "--ca-certificate",
            &ca,
            "--client-certificate",
            &unknown,
        ][..],
        &["env", "list", "--ca-certificate", &ca],
    ] {
        let errors = failure_of(&mut world.operator(arguments)).await;
        assert!(errors.contains("did not answer"), "{errors}");
    }
}
