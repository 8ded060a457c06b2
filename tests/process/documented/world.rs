//! The machine of somebody who reads a page, and the deployment that they have.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use traffic_cop::clock::{Clock, SystemClock};

use crate::certificates::Authority;
use crate::client::{Client, MAIN};
use crate::issuer::Issuer;
use crate::world::{Cluster, Process, Service, admin_token, traffic_cop, until};

/// How this machine differs from the one that a page is written for.
const READER: &str = include_str!("reader.sh");

/// Pages for who has more than the quick start.
const DEPLOYED: [&str; 2] = ["docs/genesys.md", "docs/operations.md"];

/// What one page is tried with.
pub(super) struct World {
    home: TempDir,
    /// What stands for DynamoDB.
    cluster: Cluster,
    service: Service,
    client: Client,
    admin_token: String,
    /// The last token that was made.
    token: Option<String>,
    issuer: Option<Issuer>,
}

impl World {
    /// What the reader of this page has: the quick start with its sample, or a deployment, before the first call without an
    /// environment.
    pub(super) async fn of(page: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::start().await;
        let (service, admin_token) = if DEPLOYED.contains(&page) {
            (cluster.join("main"), cluster.token.clone())
        } else {
            let data = home.path().join("data");
            let service = Service::embedded(&data);
            (service, admin_token(&data))
        };
        let world = Self {
            client: service.client(&admin_token),
            home,
            cluster,
            service,
            admin_token,
            token: None,
            issuer: None,
        };
        world.furnish(page);
        if page == "docs/operations.md" {
            world.client.create_with_candidate(MAIN).await;
            world.put_files_by().await;
        }
        world
    }

    /// Puts this program and certificates where a page takes them for granted.
    fn furnish(&self, page: &str) {
        let home = self.home.path();
        let binaries = home.join("bin");
        fs::create_dir(&binaries).expect("a directory");
        symlink(traffic_cop().get_program(), binaries.join("traffic-cop")).expect("a link");
        if page == "README.md" {
            let authority = Authority::new();
            let issued = authority.issue();
            self.keep("our-ca.pem", &authority.pem());
            for listener in ["", "admin-"] {
                self.keep(&format!("{listener}chain.pem"), &issued.certificate);
                self.keep(&format!("{listener}key.pem"), &issued.key);
            }
        }
        fs::create_dir(home.join("secrets")).expect("a directory");
        self.keep("secrets/genesys", "a secret");
    }

    /// What somebody with a journal to recover has kept.
    async fn put_files_by(&self) {
        let last_good = until("a last-good file", async || {
            fs::read_to_string(self.cluster.path("main/last-good.json")).ok()
        })
        .await;
        for replica in ["a", "b"] {
            fs::create_dir(self.home.path().join(replica)).expect("a directory");
            self.keep(&format!("{replica}/last-good.json"), &last_good);
        }
        self.shell_once(
            "before the page",
            "traffic-cop snapshot export last-week.snapshot",
        )
        .await;
    }

    pub(super) fn keep(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(name), text).expect("a file");
    }

    /// Has the service trust an issuer of this machine as the page has it trust GitHub's, and what a job asks for a token answer with one.
    pub(super) async fn trust_an_issuer(&mut self) {
        let issuer = Issuer::start().await;
        let entry = json!({
            "name": "this-machine", "url": issuer.url(), "audience": "traffic-cop",
            "claims": { "repository": "octo-org/ivr" }, "scopes": ["operate"], "environments": [MAIN], "reason": "a test",
        });
        self.client
            .send(Method::POST, "/v1/issuers", &entry)
            .await
            .ok();
        until("the keys of the issuer", async || {
            let issuers = self.client.get("/v1/issuers").await;
            let mut entries = issuers["issuers"].as_array().expect("issuers").iter();
            entries.any(|entry| entry["keys"] == 1).then_some(())
        })
        .await;
        let now = SystemClock::start().now().as_second();
        let claims = json!({ "sub": "repo:octo-org/ivr:environment:production", "repository": "octo-org/ivr" });
        let answer = json!({ "value": issuer.token(now, claims) });
        self.keep("id-token.json", &answer.to_string());
        self.issuer = Some(issuer);
    }

    /// Runs what stands at `place` of the documentation, which must succeed: what it prints.
    pub(super) async fn shell(&mut self, place: &str, script: &str) -> String {
        let printed = self.shell_once(place, script).await;
        let mut words = printed.split_whitespace();
        let token = words.rfind(|word| word.starts_with("tc_"));
        self.token = token.map(str::to_owned).or(self.token.take());
        printed
    }

    async fn shell_once(&self, place: &str, script: &str) -> String {
        let mut bash = self.bash();
        bash.args(["-c", &format!("{READER}\n{script}\nstop")]);
        self.fill_in(script, &mut bash).await;
        let mut process = Process::start(&mut bash);
        let status = process.end().await;
        let printed = process.rest();
        assert!(
            status.success(),
            "{place}: {status}\n{script}\n{}\n{printed}",
            process.errors()
        );
        printed
    }

    /// Where the reader is.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    fn bash(&self) -> Command {
        let mut bash = Command::new("bash");
        // As `traffic_cop`, without the settings of this process.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRAFFIC_COP_") {
                bash.env_remove(name);
            }
        }
        let home = self.home.path();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = vec![home.join("bin")];
        paths.extend(std::env::split_paths(&path));
        bash.current_dir(home)
            .env("PATH", std::env::join_paths(paths).expect("a path"))
            .env(
                "TRAFFIC_COP_SERVER",
                format!("http://{}", self.service.admin),
            )
            .env(
                "TRAFFIC_COP_DECISIONS_SERVER",
                format!("http://{}", self.service.decisions),
            )
            // Services of the page: ports that are free, what stands for DynamoDB, and an end without a pause for balancers.
            .env("TRAFFIC_COP_ADMIN", "127.0.0.1:0")
            .env("TRAFFIC_COP_DECISIONS", "127.0.0.1:0")
            .env("TRAFFIC_COP_ENDPOINT_URL", &self.cluster.url)
            .env("TRAFFIC_COP_ADMIN_TOKEN", &self.cluster.token)
            .env("TRAFFIC_COP_SHUTDOWN_DELAY_MS", "0")
            // What a page has its reader know.
            .env("BLUE", "11111111-1111-4111-8111-111111111111")
            .env("GREEN", "22222222-2222-4222-8222-222222222222")
            // What GitHub gives a job.
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "a token")
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                format!("file://{}?a=b", home.join("id-token.json").display()),
            )
            .env("GITHUB_RUN_ID", "4711");
        // The CLI finds the token of the quick start by itself.
        if !self.home.path().join("data/admin-token").exists() {
            bash.env("TRAFFIC_COP_TOKEN", &self.admin_token);
        }
        bash
    }

    /// Sets what a page calls by a name, since it is another one for everybody, in so far as `script` asks for it.
    async fn fill_in(&self, script: &str, bash: &mut Command) {
        bash.env("READER_TOKEN", &self.admin_token);
        if let Some(token) = &self.token {
            bash.env("TOKEN", token);
        }
        if script.contains("\"$ID\"") {
            let tokens = self.client.get("/v1/tokens").await;
            let first = tokens["tokens"][0]["id"].as_str().expect("a token");
            bash.env("ID", first);
        }
        if script.contains("\"$HEAD\"") {
            let verification = self.client.get("/v1/journal/verification").await;
            bash.env("HEAD", verification["head_hash"].as_str().expect("a hash"));
        }
    }

    /// The reader goes; what was changed is in the journal, and in order.
    pub(super) async fn end(self) {
        self.client.assert_journal_is_sound().await;
    }
}
