//! TLS on the listeners: who gets in, who is let go, and changing certificates.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use traffic_cop::http::listener::ConnectionLimits;
use traffic_cop::http::listener::tls::{Certificates, TlsFiles};
use traffic_cop::reload::Reload as _;

use crate::edge::{Edge, decision, unlimited};
use crate::support::certificates::{Authority, Issued};
use crate::support::raw::Raw;
use crate::world::TestApp;

/// The beginning of a handshake, and no more of it (RFC 8446, section 5.1).
const HALF_A_HELLO: [u8; 6] = [22, 3, 1, 2, 0, 1];
const REPLICAS: &str = "GET /v1/replicas HTTP/1.1\r\nHost: x\r\n\r\n";

/// An app whose listeners speak TLS.
struct Encrypted {
    edge: Edge,
    authority: Authority,
    certificates: Certificates,
    directory: TempDir,
}

/// What a client brings along.
#[derive(Default)]
struct Client {
    certificate: Option<Issued>,
    /// Protocols that it offers.
    alpn: &'static [&'static str],
}

fn files(directory: &Path, names: &[&str], client_ca: Option<&Authority>) -> TlsFiles {
    TlsFiles {
        certificate: directory.join("certificate.pem"),
        key: directory.join("key.pem"),
        client_ca: client_ca.map(|authority| {
            let file = directory.join("client-ca.pem");
            std::fs::write(&file, authority.pem()).expect("a file");
            file
        }),
        client_names: names
            .iter()
            .map(|name| name.parse().expect("a name"))
            .collect(),
    }
}

impl Encrypted {
    async fn start(limits: ConnectionLimits) -> Self {
        Self::with_clients(limits, None, &[]).await
    }

    /// One whose admin listener wants certificates of its clients.
    async fn with_clients(
        limits: ConnectionLimits,
        client_ca: Option<&Authority>,
        names: &[&str],
    ) -> Self {
        let app = TestApp::start().await;
        let authority = Authority::new();
        let directory = tempfile::tempdir().expect("a directory");
        authority.issue().write_to(directory.path());
        let alarms = app.process.metrics.alarms.clone();
        let mut certificates = Certificates::none(app.world.clock.clone(), alarms);
        let mut show = |listener, files| certificates.show(listener, files).expect("TLS");
        let decisions = show("decisions", files(directory.path(), &[], None));
        let admin = show("admin", files(directory.path(), names, client_ca));
        Self {
            edge: Edge::of(app, limits, Some(decisions), Some(admin)).await,
            authority,
            certificates,
            directory,
        }
    }

    async fn connect(
        &self,
        address: std::net::SocketAddr,
        client: &Client,
    ) -> std::io::Result<Raw<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.pem().as_bytes());
        roots.add(root.expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match &client.certificate {
            None => builder.with_no_client_auth(),
            Some(Issued { certificate, key }) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                let chain = vec![certificate.expect("a certificate")];
                builder
                    .with_client_auth_cert(chain, key)
                    .expect("an identity")
            }
        };
        config.alpn_protocols = client
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        Ok(Raw::over(stream))
    }

    /// A connection for calls.
    async fn call(&self) -> Raw<TlsStream<TcpStream>> {
        let stream = self.connect(self.edge.decisions, &Client::default()).await;
        stream.expect("a connection")
    }

    /// The status that a client with this certificate gets from the admin listener without a token; `None` if it does not get
    /// in. Which of both is known only after the handshake, in which the client has the last word.
    async fn status_for(&self, certificate: Option<Issued>) -> Option<u16> {
        let client = Client {
            certificate,
            ..Client::default()
        };
        let mut admin = self.connect(self.edge.admin, &client).await.ok()?;
        admin.send(REPLICAS).await;
        Some(admin.answer().await?.status)
    }
}

#[tokio::test]
async fn calls_are_answered_over_tls() {
    let world = Encrypted::start(unlimited()).await;
    let client = Client {
        alpn: &["h2", "http/1.1"],
        ..Client::default()
    };
    let mut call = world
        .connect(world.edge.decisions, &client)
        .await
        .expect("a connection");
    assert_eq!(
        call.stream().get_ref().1.alpn_protocol(),
        Some(&b"http/1.1"[..])
    );
    for _ in 0..2 {
        assert_eq!(
            call.ask(decision("{}")).await.status,
            200,
            "one connection is as good as two"
        );
    }
}

#[tokio::test]
async fn who_offers_another_protocol_alone_is_refused() {
    let world = Encrypted::start(unlimited()).await;
    let client = Client {
        alpn: &["h2"],
        ..Client::default()
    };
    assert!(world.connect(world.edge.decisions, &client).await.is_err());
    world
        .edge
        .until_refused("decisions", "handshake_failed")
        .await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut() {
    let limits = ConnectionLimits {
        handshake: Duration::from_millis(200),
        ..unlimited()
    };
    let world = Encrypted::start(limits).await;
    let mut connections = [world.edge.call().await, world.edge.call().await];
    connections[1].send(HALF_A_HELLO).await;
    for connection in &mut connections {
        assert_eq!(connection.answer().await, None);
    }
    world
        .edge
        .until_refused("decisions", "handshake_timeout")
        .await;
    assert_eq!(world.call().await.ask(decision("{}")).await.status, 200);
}

#[tokio::test]
async fn who_is_slow_to_shake_hands_has_a_place_that_others_can_get() {
    let limits = ConnectionLimits {
        connections: 1,
        ..unlimited()
    };
    let world = Encrypted::start(limits).await;
    let mut slow = world.edge.call().await;
    slow.send(HALF_A_HELLO).await;
    assert_eq!(world.call().await.ask(decision("{}")).await.status, 200);
    world.edge.until_refused("decisions", "evicted").await;
    assert_eq!(slow.answer().await, None);
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_what_is_spoken() {
    let world = Encrypted::start(unlimited()).await;
    let mut plain = world.edge.call().await;
    let answers = {
        plain.send(decision("{}")).await;
        plain.answers().await
    };
    let [answer] = answers.as_slice() else {
        panic!("{answers:?}")
    };
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "bad-request")
    );
    assert!(answer.body.contains("https"), "{answer:?}");
    world.edge.until_refused("decisions", "plain_http").await;
}

#[tokio::test]
async fn a_client_certificate_opens_the_door_and_nothing_else() {
    let known = Authority::new();
    let names = ["dataactions.*.*.mypurecloud.com"];
    let world = Encrypted::with_clients(unlimited(), Some(&known), &names).await;
    let genesys = "dataactions.prod.us-east-1.mypurecloud.com";
    for certificate in [
        known.issue_for(genesys),
        known.issue_for_common_name(genesys),
    ] {
        assert_eq!(
            world.status_for(Some(certificate)).await,
            Some(401),
            "a token is needed too"
        );
    }
    for (why, certificate) in [
        ("none", None),
        (
            "of another authority",
            Some(Authority::new().issue_for(genesys)),
        ),
        (
            "for another name",
            Some(known.issue_for("dataactions.example.com")),
        ),
        (
            "for a name within another",
            Some(known.issue_for_common_name(&format!("x.{genesys}"))),
        ),
        ("expired", Some(known.issue_expired())),
    ] {
        assert_eq!(world.status_for(certificate).await, None, "{why}");
    }
}

#[tokio::test]
async fn a_connection_goes_on_while_the_next_one_sees_another_certificate() {
    let mut world = Encrypted::start(unlimited()).await;
    let mut before = world.call().await;
    assert_eq!(before.ask(decision("{}")).await.status, 200);
    let shown = |call: &Raw<TlsStream<TcpStream>>| {
        let (_, session) = call.stream().get_ref();
        session.peer_certificates().expect("a certificate")[0].to_vec()
    };
    world.authority.issue().write_to(world.directory.path());
    world.certificates.look();
    let after = world.call().await;
    assert_ne!(shown(&before), shown(&after));
    assert_eq!(before.ask(decision("{}")).await.status, 200);
}
