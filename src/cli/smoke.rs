//! `smoke`: a test call from beginning to end. Sets an override for the tester, waits for the call and for how it ends, and takes
//! the override away again, whatever happens.

mod simulated;
mod verdict;

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::api::{Environment, TestCall, TestCallList, Written};
use super::client::Client;
use super::connection::{AdminArgs, BaseUrl, HEADING};
use super::failure::Failure;
use super::output::Output;
use super::write::Write;
use crate::domain::ids::{EnvironmentName, Reason, Revision};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::slot::Slot;
use crate::domain::test_calls::TestCalls;
use crate::signals::Stop;
use verdict::{Standing, standing};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How far the server looks back that is not told how far.
const LOOKED_BACK: SignedDuration = SignedDuration::from_mins(15);
/// How long to wait for every replica to know of the override, in milliseconds.
const WAIT_MS: u16 = 2_000;
/// How often the override is taken away again before it is left to its end.
const ATTEMPTS: u32 = 5;

/// Arguments of `smoke`.
#[derive(Debug, Args)]
pub(super) struct Smoke {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    calls: Calls,
    /// How long the override lasts at the most, such as 15m or 2h.
    #[arg(long = "for", default_value = "15m", value_name = "TIME", value_parser = parse_minutes)]
    minutes: u16,
    /// Seconds to wait for the call and its end; then the exit code is 7.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
    /// Why. It stays in the history for ever.
    #[arg(long, default_value = "smoke test", value_name = "TEXT")]
    reason: Reason,
    /// Make the call from here: ask for the decision and report a good end, as the flows would. For pipelines without a telephone.
    #[arg(long, conflicts_with = "direct")]
    simulate: bool,
    /// URL of the decisions listener, for --simulate.
    #[arg(
        long,
        env = "TRAFFIC_COP_DECISIONS_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        help_heading = HEADING
    )]
    decisions_server: BaseUrl,
    #[command(flatten)]
    admin: AdminArgs,
}

/// The call. Numbers stay in the history of the environment.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Calls {
    /// The number that you call from, such as +4930123456.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    caller: Option<PhoneNumber>,
    /// The number that you call, if nobody else does.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    dialled: Option<PhoneNumber>,
    /// Id of a conversation that was not decided here: of a call to a number that leads to the candidate's flow directly. No
    /// override is set; how it ends is waited for.
    #[arg(long, value_name = "CONVERSATION_ID")]
    direct: Option<String>,
}

impl Calls {
    /// Those that an override is for.
    fn test_calls(&self) -> Option<TestCalls> {
        let dialled = self.dialled.map(TestCalls::Dnis);
        self.caller.map(TestCalls::Ani).or(dialled)
    }
}

/// Reads a time as whole minutes, 1 to a day.
fn parse_minutes(text: &str) -> Result<u16, String> {
    let (number, unit) = match text.strip_suffix('h') {
        Some(hours) => (hours, 60),
        None => (text.strip_suffix('m').unwrap_or(text), 1),
    };
    let minutes = number
        .parse()
        .ok()
        .and_then(|number: u16| number.checked_mul(unit));
    minutes
        .filter(|minutes| (1..=1440).contains(minutes))
        .ok_or_else(|| "expected minutes or hours, such as 15m or 2h, at most a day".to_owned())
}

/// A test that has begun.
#[derive(Debug)]
struct Test {
    /// Since when to look, by the server's clock; its own choice without one.
    since: Option<Timestamp>,
    calls: Option<TestCalls>,
    candidate: Slot,
    flow_version: String,
    /// Whether the override is this test's own, to be taken away at its end.
    is_own: bool,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Ended<'a> {
    environment: &'a EnvironmentName,
    slot: Slot,
    flow_version: &'a str,
    /// `ended_well`, `ended_badly`, `elsewhere`, `no_end`, `no_call` or `interrupted`.
    outcome: &'static str,
    call: Option<TestCall>,
    /// Whether the override is gone; null if this test had none of its own.
    override_removed: Option<bool>,
}

impl Smoke {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        // Before there is anything to take away again.
        let mut stop = Stop::listen().context("cannot listen for signals")?;
        let test = self.begin(&client).await?;
        let looked = tokio::select! {
            () = stop.wait() => Ok((Standing::Interrupted, None)),
            looked = self.go(&client, &test) => looked,
        };
        let removed = self.end(&client, &test).await;
        let (standing, call) = looked?;
        let ended = Ended {
            environment: &self.environment,
            slot: test.candidate,
            flow_version: &test.flow_version,
            outcome: standing.name(),
            call,
            override_removed: removed,
        };
        let told = standing.told(test.candidate, &test.flow_version);
        output.print_own(&ended, &told)?;
        standing.verdict(told)
    }

    /// Sets the override, unless there is one for these calls already or none is needed.
    async fn begin(&self, client: &Client) -> Result<Test, Failure> {
        let environment = self.look(client).await?;
        let candidate = environment.active.other();
        let state = &environment.slots[candidate];
        let flow_version = state
            .flow_version
            .as_ref()
            .map(|version| version.label.clone());
        let flow_version = flow_version.filter(|_| state.status == "version");
        let flow_version = flow_version.ok_or_else(|| {
            Failure::refused(format!(
                "slot {candidate}, the candidate, holds no known flow version to test"
            ))
        })?;
        let mut test = Test {
            since: None,
            calls: self.calls.test_calls(),
            candidate,
            flow_version,
            is_own: false,
        };
        let Some(calls) = test.calls else {
            return Ok(test);
        };
        let is_for_these = |one: &&super::api::Override| one.calls.are(calls);
        if let Some(one) = environment.overrides.iter().find(is_for_these)
            && one.status != "expired"
        {
            if one.to != candidate.as_str() {
                return Err(Failure::refused(format!(
                    "an override sends these calls to {} until {}; remove it first",
                    one.to, one.expires_at
                )));
            }
            say(&format!(
                "there is an override for these calls until {}; it is left as it is",
                one.expires_at
            ));
            let looked = self.test_calls(client, &test).await?;
            test.since = looked
                .since
                .parse()
                .ok()
                .map(|since: Timestamp| since + LOOKED_BACK);
            return Ok(test);
        }
        let owner = "traffic-cop smoke";
        let body = json!({
            "calls": calls, "to": candidate, "expires_in_minutes": self.minutes, "owner": owner, "reason": self.reason,
        });
        let written = self
            .write(client, "add_override", body, environment.revision)
            .await?;
        test.is_own = true;
        let length = SignedDuration::from_mins(self.minutes.into());
        let ours = written.state.as_ref().and_then(|state| {
            let ours = state.overrides.iter().find(|one| one.calls.are(calls))?;
            ours.expires_at.parse::<Timestamp>().ok()
        });
        test.since = ours.map(|end| end - length);
        say(&format!(
            "calls {} go to {candidate} ({}) for {} min; call now",
            told(calls),
            test.flow_version,
            self.minutes
        ));
        Ok(test)
    }

    /// Makes the call if that is asked for, and waits until it has ended or the time is up.
    async fn go(
        &self,
        client: &Client,
        test: &Test,
    ) -> Result<(Standing, Option<TestCall>), Failure> {
        if let (true, Some(calls)) = (self.simulate, test.calls) {
            let decisions = self.admin.client_of(&self.decisions_server)?;
            let conversation = Uuid::new_v4().to_string();
            let decided =
                simulated::decide(&decisions, &self.environment, &conversation, calls).await?;
            say(&format!("asked for a decision: {decided}"));
            simulated::report(&decisions, &self.environment, &conversation).await?;
            say("reported that the call ended well");
        }
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let mut seen = None;
        loop {
            let looked = match self.test_calls(client, test).await {
                Ok(looked) => looked,
                Err(failure) if failure.is_for_good() => return Err(failure),
                // The server is restarting, or its store is away for a moment.
                Err(_) => TestCallList::default(),
            };
            let (now, call) = standing(&looked, test.calls, test.candidate, &test.flow_version);
            if now.is_final() || Instant::now() + PAUSE >= deadline {
                return Ok((now, call.cloned()));
            }
            if let Some(call) = call
                && seen.replace(call.at.clone()) != Some(call.at.clone())
            {
                say(&format!(
                    "a call was decided at {}; waiting for its end",
                    call.at
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes the override away. `None` if it is not this test's own; false if it is left to its end.
    async fn end(&self, client: &Client, test: &Test) -> Option<bool> {
        let calls = test.calls.filter(|_| test.is_own)?;
        for attempt in 1..=ATTEMPTS {
            let removed = match self.look(client).await {
                Ok(environment) => {
                    let body = json!({ "calls": calls, "reason": self.reason });
                    self.write(client, "remove_override", body, environment.revision)
                        .await
                        .map(|_| ())
                }
                Err(failure) => Err(failure),
            };
            match removed {
                Ok(()) => return Some(true),
                Err(failure) if attempt == ATTEMPTS => say(&format!(
                    "the override stays until its end, {} min after it was set: {}",
                    self.minutes,
                    failure.problem.message()
                )),
                // Somebody else changed the environment, or the server is away for a moment.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Some(false)
    }

    async fn look(&self, client: &Client) -> Result<Environment, Failure> {
        let url = client.url(&["v1", "environments", self.environment.as_str()]);
        client.get(url).await?.read()
    }

    async fn test_calls(&self, client: &Client, test: &Test) -> Result<TestCallList, Failure> {
        let mut url = client.url(&[
            "v1",
            "environments",
            self.environment.as_str(),
            "test-calls",
        ]);
        if let Some(since) = &test.since {
            url.query_pairs_mut()
                .append_pair("since", &since.to_string());
        }
        if let Some(id) = &self.calls.direct {
            url.query_pairs_mut().append_pair("conversation_id", id);
        }
        client.get(url).await?.read()
    }

    async fn write(
        &self,
        client: &Client,
        command: &str,
        body: Value,
        revision: u64,
    ) -> Result<Written, Failure> {
        let write = Write {
            method: Method::POST,
            url: client.url(&["v1", "environments", self.environment.as_str(), command]),
            body: Some(body),
            if_match: Some(Revision(revision)),
            // A UUID is 36 hexadecimal digits and hyphens, as the grammar wants.
            key: Uuid::new_v4().to_string().parse().expect("a UUID is a key"),
            // The call may come to any replica, and in a moment.
            wait: Some(WAIT_MS),
        };
        client.write(&write).await?.read()
    }
}

fn told(calls: TestCalls) -> String {
    match calls {
        TestCalls::Ani(number) => format!("from {number}"),
        TestCalls::Dnis(number) => format!("to {number}"),
    }
}

/// Progress goes to standard error; if that is closed, nobody wants to know.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
