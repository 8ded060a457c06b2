//! The one way in which commands change an environment.

use std::borrow::Cow;

use clap::Args;
use http::Method;
use serde_json::Value;

use super::api::{Environment, Written};
use super::client::Client;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::glance;
use super::output::Output;
use super::preflight::{self, SkipPreflight};
use super::receipt;
use super::write::{Write, WriteArgs};
use crate::domain::ids::{EnvironmentName, IdempotencyKey, Reason, Revision};
use crate::domain::{Action as _, Command};

/// The environment to change, and by what right.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    pub(super) environment: EnvironmentName,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[arg(skip)]
    skips_preflight: bool,
}

impl Target {
    /// Carries out a command that depends on nothing that was seen before, and prints what came of it.
    pub(super) async fn execute(self, command: Command, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        self.send(&client, command, None, output).await
    }

    async fn send(
        &self,
        client: &Client,
        command: Command,
        if_match: Option<Revision>,
        output: Output,
    ) -> Result<(), Failure> {
        let (reason, key) = (&self.write.reason, self.write.key());
        let mut write = Write {
            if_match,
            wait: self.write.wait,
            ..write(client, &self.environment, &command, reason, key)
        };
        if self.skips_preflight {
            let mut query = write.url.query_pairs_mut();
            query.append_pair("preflight", "skip");
        }
        let answer = client.write(&write).await?;
        receipt::print(output, &answer, |written: Written| {
            describe(&self.environment, &written)
        })
    }
}

/// A change of an environment as it was last seen.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    pub(super) target: Target,
    /// Revision that the change is meant for; another one refuses it. Read just before if left out.
    #[arg(long, value_name = "REVISION")]
    if_match: Option<u64>,
}

impl Change {
    /// A change of `environment`, by those who name it in a way of their own.
    pub(super) fn of(
        environment: EnvironmentName,
        if_match: Option<u64>,
        write: WriteArgs,
        admin: AdminArgs,
    ) -> Self {
        let target = Target {
            environment,
            write,
            admin,
            skips_preflight: false,
        };
        Self { target, if_match }
    }

    /// With or without a look at the flow first.
    pub(super) fn with(mut self, skip: SkipPreflight) -> Self {
        self.target.skips_preflight = skip.skip_preflight;
        self
    }

    /// A client of the server that it is asked of.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        self.target.admin.client()
    }

    /// Carries out the command and prints what came of it.
    pub(super) async fn execute(self, command: Command, output: Output) -> Result<(), Failure> {
        let client = self.client()?;
        self.execute_by(&client, command, output).await
    }

    /// The same, by who has a client already.
    pub(super) async fn execute_by(
        self,
        client: &Client,
        command: Command,
        output: Output,
    ) -> Result<(), Failure> {
        let if_match = match self.if_match {
            Some(revision) => Some(Revision(revision)),
            // A rescue depends on nothing that was seen, and must not wait for a look.
            None if command.is_rescue() => None,
            None => Some(current_revision(client, &self.target.environment).await?),
        };
        self.target.send(client, command, if_match, output).await
    }
}

/// The write that carries out `command`, whatever has been seen before.
pub(super) fn write(
    client: &Client,
    environment: &EnvironmentName,
    command: &Command,
    reason: &Reason,
    key: IdempotencyKey,
) -> Write {
    let (method, path) = route(command);
    let mut segments = vec!["v1", "environments", environment.as_str()];
    segments.extend(path.split('/').filter(|segment| !segment.is_empty()));
    let mut url = client.url(&segments);
    let body = if method == Method::DELETE {
        url.query_pairs_mut().append_pair("reason", reason.as_str());
        None
    } else {
        Some(body(command, reason))
    };
    Write {
        method,
        url,
        body,
        if_match: None,
        key,
        wait: None,
    }
}

pub(super) async fn current_revision(
    client: &Client,
    environment: &EnvironmentName,
) -> Result<Revision, Failure> {
    let url = client.url(&["v1", "environments", environment.as_str()]);
    let environment: Environment = client.get(url).await?.read()?;
    Ok(Revision(environment.revision))
}

/// The method of a command, and its path within the environment's.
fn route(command: &Command) -> (Method, Cow<'static, str>) {
    let interface = |number| Cow::from(format!("interfaces/{number}"));
    let action = match command {
        Command::Create(_) => return (Method::PUT, "".into()),
        Command::Delete(_) => return (Method::DELETE, "".into()),
        Command::DefineInterface(define) => return (Method::PUT, interface(define.number)),
        Command::RemoveInterface(remove) => return (Method::DELETE, interface(remove.number)),
        Command::RemoveFreeze(remove) => {
            return (Method::DELETE, format!("freezes/{}", remove.number).into());
        }
        Command::SetVariables(_) => return (Method::PATCH, "variables".into()),
        Command::Register(_) => "register",
        Command::Claim(_) => "claim",
        Command::Release(_) => "release",
        Command::Rebind(_) => "rebind",
        Command::Cutover(_) => "cutover",
        Command::Rollback(_) => "rollback",
        Command::SetWeight(_) => "weight",
        Command::AddOverride(_) => "add_override",
        Command::RemoveOverride(_) => "remove_override",
        Command::AddFreeze(_) => "freezes",
        Command::StartRollout(_) => "rollout",
        Command::PauseRollout(_) => "rollout/pause",
        Command::ResumeRollout(_) => "rollout/resume",
        Command::PromoteRollout(_) => "rollout/promote",
        Command::AbortRollout(_) => "rollout/abort",
        // The controller's own, which no command line sends; a server would answer that there is no such resource.
        Command::StepRollout(_) => "rollout/step",
    };
    (Method::POST, action.into())
}

/// The members of the command but for those in its path, and the reason beside them.
fn body(command: &Command, reason: &Reason) -> Value {
    // A command is a tag with members of texts and numbers: always an object in an object.
    let tagged = serde_json::to_value(command).expect("a command as JSON");
    let members = tagged.as_object().and_then(|tagged| tagged.values().next());
    let mut body = members
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Command::DefineInterface(_) = command {
        body.remove("number");
    }
    body.insert("reason".to_owned(), Value::String(reason.to_string()));
    Value::Object(body)
}

/// What came of a change, and what callers get now.
pub(super) fn describe(environment: &EnvironmentName, written: &Written) -> String {
    let revision = written.revision;
    let because = written
        .because
        .as_deref()
        .map(|because| because.replace('-', " "));
    let mut lines = vec![match (written.outcome.as_str(), because) {
        ("committed", _) if written.state.is_none() => {
            format!("done: {environment} is deleted (revision {revision})")
        }
        ("committed", _) => "done".to_owned(),
        ("repeated", _) => format!(
            "done before under this idempotency key, as revision {revision}; what it led to then may have changed since"
        ),
        ("unchanged", Some(because)) => format!("nothing to change: {because}"),
        (outcome, _) => format!("{outcome}: {environment} is at revision {revision}"),
    }];
    lines.extend(
        written
            .notice
            .iter()
            .map(|notice| format!("note: {notice}")),
    );
    lines.extend(written.preflight.iter().map(preflight::describe));
    lines.extend(
        written
            .state
            .iter()
            .map(|state| format!("\n{}", glance::environment(state))),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests;
