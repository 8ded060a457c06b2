//! Whole releases by the script that pipelines run, with the real binary, on a real service. Only Archy is none: nobody but
//! Genesys has one, and it would want an organisation.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use traffic_cop::clock::{Clock, SystemClock};

use crate::client::{Change, Client, MAIN};
use crate::genesys::Genesys;
use crate::issuer::Issuer;
use crate::world::{Process, Service, admin_token, run, traffic_cop, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Keeps what it was asked to publish, as Archy would be asked.
const ARCHY: &str = r#"#!/bin/sh
printf '%s\n' "$@" >"$PLACE/archy.arguments"
cp "$3" "$PLACE/archy.flow"
exit "$ARCHY_EXIT"
"#;

/// Steps of a release, each of which asks for a token: idle, drain, fill, claim, register, start, wait. A test call is one more.
const STEPS: usize = 7;
/// Whose call is the test.
const TESTER: &str = "+4930123456";

/// One step that somebody can end at once. A few callers are held back: after a step that takes all of them, those of the step
/// before would be waited for, a minute at the least, whoever is in a hurry.
const PLAN: &str = "steps: [{weight: 100, bake_minutes: 0}]\nhold_back_percent: 5\n";

/// A service with the sample environment, a pipeline's machine, and an issuer of tokens for its jobs.
struct World {
    service: Service,
    client: Client,
    issuer: Issuer,
    place: TempDir,
}

impl World {
    /// One without access to Genesys Cloud.
    async fn start() -> Self {
        Self::start_with(|_| Vec::new()).await
    }

    /// One whose service is given the arguments that are made in a place of its own.
    async fn start_with(arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let data = place.path().join("data");
        let mut given = arguments(place.path());
        given.extend(["--data-dir", data.to_str().expect("a readable path")].map(str::to_owned));
        let given: Vec<_> = given.iter().map(String::as_str).collect();
        let service = Service::start(&given);
        let client = service.client(&admin_token(&data));
        fs::write(place.path().join("plan.yaml"), PLAN).expect("a file");
        let binaries = place.path().join("bin");
        fs::create_dir(&binaries).expect("a directory");
        symlink(traffic_cop().get_program(), binaries.join("traffic-cop")).expect("a link");
        let archy = binaries.join("archy");
        fs::write(&archy, ARCHY).expect("a file");
        fs::set_permissions(&archy, fs::Permissions::from_mode(0o755)).expect("a program");
        let world = Self {
            service,
            client,
            issuer: Issuer::start().await,
            place,
        };
        world.trust("first").await;
        world
    }

    /// Lets in whoever has a token of `job`, and has such a token made from now on.
    async fn trust(&self, job: &str) {
        let entry = json!({
            "name": job, "url": self.issuer.url(), "audience": "traffic-cop", "claims": { "repository": "acme/ivr", "job": job },
            "scopes": ["operate"], "environments": [MAIN], "reason": "a test",
        });
        self.client
            .send(Method::POST, "/v1/issuers", &entry)
            .await
            .ok();
        until("the keys of the issuer", async || {
            let issuers = self.client.get("/v1/issuers").await;
            let mut issuers = issuers["issuers"].as_array()?.iter();
            issuers.all(|issuer| issuer["keys"] == 1).then_some(())
        })
        .await;
        let now = SystemClock::start().now().as_second();
        let claims = json!({ "sub": "repo:acme/ivr", "repository": "acme/ivr", "job": job });
        fs::write(self.path("id-token"), self.issuer.token(now, claims)).expect("a file");
    }

    /// Has the tokens of `job` end.
    async fn distrust(&self, job: &str) {
        let path = format!("/v1/issuers/{job}?reason=a%20test");
        let ended = self.client.send(Method::DELETE, &path, &json!({})).await;
        ended.ok();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A shell on the pipeline's machine, with the settings of the deployment and of releases, and no token.
    fn shell(&self, line: &str, archy_exit: u8) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("PATH=$PLACE/bin:$PATH; {line}")])
            .env("PLACE", self.place.path())
            .env(
                "TRAFFIC_COP_SERVER",
                format!("http://{}", self.service.admin),
            )
            .env(
                "TRAFFIC_COP_DECISIONS_SERVER",
                format!("http://{}", self.service.decisions),
            )
            .env("TRAFFIC_COP_DATA_DIR", self.path("nobody"))
            .env("SMOKE_CALLER", "none")
            .env("PLAN", "plan.yaml")
            .env("GENESYS_CLIENT_ID", "an id")
            .env("GENESYS_CLIENT_SECRET", "a secret")
            .env("GENESYS_LOCATION", "prod_eu_central_1")
            .env("ARCHY_EXIT", archy_exit.to_string())
            .current_dir(self.place.path());
        command
    }

    /// The exported kit: what a team begins with.
    async fn export(&self) {
        let token = admin_token(&self.path("data"));
        let mut export = traffic_cop();
        export
            .args([
                "genesys",
                "export",
                MAIN,
                "--address",
                "https://decide.example",
                "--out",
            ])
            .arg(self.path("kit"))
            .env(
                "TRAFFIC_COP_SERVER",
                format!("http://{}", self.service.admin),
            )
            .env("TRAFFIC_COP_TOKEN", token);
        run(&mut export).await;
    }

    /// Starts a release of `version` by the script, without a test call.
    fn release(&self, version: &str, archy_exit: u8) -> Process {
        self.release_tried_by("none", version, archy_exit)
    }

    /// The same, with a test call of `caller`.
    fn release_tried_by(&self, caller: &str, version: &str, archy_exit: u8) -> Process {
        let script = Path::new(ROOT).join("infra/pipelines/release.sh");
        let mut release = self.shell("exec \"$0\" \"$@\"", archy_exit);
        release
            .arg(script)
            .args([MAIN, "kit/ivr.template.yaml", version])
            .env(
                "TRAFFIC_COP_TOKEN_COMMAND",
                "echo one >>tokens && test ! -e no-tokens && cat id-token",
            )
            .env("SMOKE_CALLER", caller);
        Process::start(&mut release)
    }

    /// Calls from the number of the tester once the script waits for that, as the flows would: the slot that the call was given.
    async fn call_as_the_tester(&self) -> Value {
        until("the override of the test call", async || {
            let overrides = &self.client.show(MAIN).await["overrides"];
            overrides.get(0).map(|_| ())
        })
        .await;
        let call = json!({ "Conversation_ID": "the test call", "ANI": TESTER });
        let decision = self.client.decide_about(MAIN, call).await;
        self.client.report(MAIN, "the test call", false).await;
        decision["Slot"].clone()
    }

    /// How often a token was asked for.
    fn tokens(&self) -> usize {
        self.read("tokens").lines().count()
    }

    /// Waits until the script waits for the end of the rollout, its last step of so many.
    async fn until_it_waits(&self, steps: usize) {
        until("a look at the rollout", async || {
            (self.tokens() >= steps).then_some(())
        })
        .await;
    }

    /// The actions of the pipeline, the first first.
    async fn done_by_the_pipeline(&self) -> Vec<String> {
        let history = self.client.history(MAIN).await;
        let by_it = history.iter().rev().filter(|entry| {
            let actor = entry["actor"].as_str().unwrap_or_default();
            actor.ends_with(":repo:acme/ivr")
        });
        by_it
            .map(|entry| entry["action"].as_str().expect("an action").to_owned())
            .collect()
    }
}

async fn end(mut release: Process) -> (ExitStatus, String) {
    (release.end().await, release.errors())
}

#[tokio::test]
async fn a_release_goes_from_the_teams_file_to_every_caller() {
    let world = World::start().await;
    world.export().await;
    let version = "3.0 +\"x\"\\ ${y} {{z}}";
    let release = world.release_tried_by(TESTER, version, 0);
    assert_eq!(world.call_as_the_tester().await, "green");
    world.until_it_waits(STEPS + 1).await;
    let running = world.client.try_rollout(MAIN).await.expect("a rollout");
    assert_eq!(
        (&running["status"], &running["flow_version"]),
        (&json!("running"), &json!(version))
    );
    until("the last step", async || {
        let rollout = world.client.try_rollout(MAIN).await?;
        if rollout["status"] == "running" && rollout["promotion"].is_null() {
            // Refused if the controller has just taken the last step.
            let promote = Change::promote_rollout();
            let _ = world.client.try_change(MAIN, promote).await;
        }
        (rollout["status"] == "finished").then_some(())
    })
    .await;
    let (status, said) = end(release).await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(world.client.show(MAIN).await["active"], "green");
    let actions = world.done_by_the_pipeline().await;
    let expected = [
        "claim",
        "register",
        "add_override",
        "remove_override",
        "start_rollout",
    ];
    assert_eq!(actions, expected);
    let arguments = world.read("archy.arguments");
    let arguments: Vec<_> = arguments.lines().collect();
    assert_eq!(arguments[..2], ["publish", "--file"]);
    let rest = [
        "--forceUnlock",
        "--location",
        "prod_eu_central_1",
        "--clientId",
        "an id",
        "--clientSecret",
        "a secret",
    ];
    assert_eq!(arguments[3..], rest);
    let flow: Value = serde_saphyr::from_str(&world.read("archy.flow")).expect("YAML");
    assert_eq!(flow["inboundCall"]["name"], "Main IVR Green");
    let first = &flow["inboundCall"]["tasks"][0]["task"]["actions"][0]["setParticipantData"];
    assert_eq!(first["attributes"][0]["attribute"]["value"]["lit"], version);
}

#[tokio::test]
async fn a_release_that_is_taken_back_fails() {
    let world = World::start().await;
    world.export().await;
    let release = world.release("3.0", 0);
    world.until_it_waits(STEPS).await;
    world.client.change(MAIN, Change::abort_rollout()).await;
    let (status, said) = end(release).await;
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("the rollout was aborted"), "{said}");
    let without = "note: registered without its published version, which a preflight would compare: no access to Genesys Cloud";
    assert!(said.contains(without), "{said}");
    assert_eq!(world.client.show(MAIN).await["active"], "blue");
}

#[tokio::test]
async fn a_release_outlasts_its_tokens_and_whoever_makes_them() {
    let world = World::start().await;
    world.export().await;
    let release = world.release("3.0", 0);
    world.until_it_waits(STEPS).await;
    fs::write(world.path("no-tokens"), "").expect("a file");
    world.trust("second").await;
    world.distrust("first").await;
    until("somebody who gets no token", async || {
        (world.tokens() > STEPS).then_some(())
    })
    .await;
    fs::remove_file(world.path("no-tokens")).expect("a file");
    world.client.change(MAIN, Change::abort_rollout()).await;
    let (status, said) = end(release).await;
    assert_eq!(status.code(), Some(2), "{said}");
}

/// The commands of the Jenkinsfile, in their order; Groovy has them in apostrophes.
fn commands_of_jenkins() -> Vec<String> {
    let file = Path::new(ROOT).join("infra/pipelines/Jenkinsfile");
    let text = fs::read_to_string(file).expect("a Jenkinsfile");
    let command = |line: &str| {
        let quoted = line
            .strip_prefix("patiently(")
            .or(line.strip_prefix("sh "))?;
        let quoted = quoted.trim_end_matches(')').strip_prefix('\'')?;
        quoted.strip_suffix('\'').map(str::to_owned)
    };
    let lines = text.lines().map(str::trim);
    lines.filter_map(command).collect()
}

#[tokio::test]
async fn jenkins_waits_by_looks_before_the_script_and_after_it() {
    let world = World::start().await;
    world.export().await;
    symlink(Path::new(ROOT).join("infra"), world.path("infra")).expect("a link");
    fs::copy(world.path("kit/ivr.template.yaml"), world.path("ivr.yaml")).expect("a file");
    let run = async |line: &str| {
        let mut command = world.shell(&line.replace("--timeout 1800", "--timeout 1"), 0);
        command
            .env("TRAFFIC_COP_TOKEN_FILE", "id-token")
            .env("FLOW_VERSION", "3.0");
        let (status, said) = end(Process::start(&mut command)).await;
        (status.code(), said)
    };
    let commands: [String; 3] = commands_of_jenkins().try_into().expect("three commands");
    let [drain, release, wait] = commands;
    for look in [&drain, &wait] {
        assert!(look.ends_with(" --timeout 1800"), "{look}");
    }
    for line in [&drain, &release] {
        let (code, said) = run(line).await;
        assert_eq!(code, Some(0), "{line}: {said}");
    }
    let done = world.done_by_the_pipeline().await;
    assert_eq!(done, ["claim", "register", "start_rollout"]);
    let (code, said) = run(&wait).await;
    assert_eq!(code, Some(7), "it is asked again: {said}");
    world.client.change(MAIN, Change::abort_rollout()).await;
    let (code, said) = run(&wait).await;
    assert_eq!(code, Some(2), "{said}");
}

#[tokio::test]
async fn a_release_registers_what_genesys_cloud_says_is_published() {
    let genesys = Genesys::start().await;
    let green = "22222222-2222-4222-8222-222222222222";
    genesys.has_flow(green, "Main IVR Green", "45.0");
    let world = World::start_with(|place| {
        let secret = place.join("genesys-secret");
        let secret = secret.to_str().expect("a readable path");
        genesys.arguments(secret).to_vec()
    })
    .await;
    world.export().await;
    let release = world.release("3.0", 0);
    world.until_it_waits(STEPS).await;
    world.client.change(MAIN, Change::abort_rollout()).await;
    let (_, said) = end(release).await;
    let version = world.client.show(MAIN).await["slots"]["green"]["flow_version"].clone();
    assert_eq!(version["label"], "3.0");
    assert_eq!(version["published_version"], "45.0", "{said}");
    assert!(!said.contains("note: registered without"), "{said}");
}

#[tokio::test]
async fn what_archy_may_have_published_gets_no_calls() {
    let world = World::start().await;
    world.export().await;
    let (status, said) = end(world.release("3.0", 1)).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("slot release Main_IVR --slot green --nothing-published"),
        "{said}"
    );
    assert_eq!(world.done_by_the_pipeline().await, ["claim"]);
    let slots = world.client.show(MAIN).await["slots"].clone();
    assert_eq!(slots["green"]["status"], "claimed");
    let (status, said) = end(world.release("4.0", 0)).await;
    assert_eq!(
        status.code(),
        Some(3),
        "a second release is refused: {said}"
    );
}

/// What `infra/genesys` is tried with is what a newcomer gets. To make it anew, run the command by hand.
#[tokio::test]
async fn the_example_kits_are_what_the_command_line_exports() {
    let interface = "--interface-file=tests/fixtures/genesys/interface.yaml";
    let kits: [(&str, &[&str]); 2] = [
        ("infra/genesys/example", &["--interface=1", interface]),
        ("infra/genesys/tests/second", &["--credential=oauth"]),
    ];
    for (example, arguments) in kits {
        let place = tempfile::tempdir().expect("a directory");
        let mut export = traffic_cop();
        export
            .current_dir(ROOT)
            .args(["genesys", "export", "Main_IVR", "--offline"])
            .arg("--address=https://decide.example")
            .args(["--blue-flow=Main IVR Blue", "--green-flow=Main IVR Green"])
            .args(arguments)
            .arg("--out")
            .arg(place.path());
        let said = run(&mut export).await;
        let example = Path::new(ROOT).join(example);
        assert_eq!(names(&example), names(place.path()));
        for name in names(&example) {
            let text =
                |directory: &Path| fs::read_to_string(directory.join(&name)).expect("a file");
            assert_eq!(text(&example), text(place.path()), "{name}");
            assert!(said.contains(&name), "{said}");
        }
    }
}

/// The names of the files in a directory.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries
        .map(|entry| name(entry).into_string().expect("a readable name"))
        .collect()
}
