//! `doctor`: looks at a deployment from where it runs, a line per check, and says what to do. It changes nothing and counts as no
//! call.

mod checks;
mod probe;

use clap::Args;
use serde::Serialize;

use super::connection::{AdminArgs, BaseUrl, HEADING};
use super::failure::Failure;
use super::output::{Output, print};
use super::paint::{Paint, paint};
use crate::domain::ids::EnvironmentName;
use probe::Probe;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON, as with --output json.
    #[arg(long)]
    json: bool,
    /// The environment to ask about decisions and flows with; the first that the token may read, if left out.
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<EnvironmentName>,
    /// URL of the decisions listener.
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

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// As it should be.
    Ok,
    /// Somebody should look, not at once.
    Warning,
    /// It is not as it should be.
    Failed,
    /// It could not be looked at, or does not apply.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    name: &'static str,
    status: Status,
    /// What was found.
    detail: String,
    /// What to do about it, if there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, detail, None)
    }

    fn skipped(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Skipped, detail, None)
    }

    fn warning(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Status::Warning, detail, Some(fix.into()))
    }

    fn failed(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(name, Status::Failed, detail, Some(fix.into()))
    }

    fn new(
        name: &'static str,
        status: Status,
        detail: impl Into<String>,
        fix: Option<String>,
    ) -> Self {
        Self {
            name,
            status,
            detail: detail.into(),
            fix,
        }
    }

    fn line(&self) -> String {
        let status = match self.status {
            Status::Ok => paint(Paint::Good, "ok     "),
            Status::Warning => paint(Paint::Doubtful, "warning"),
            Status::Failed => paint(Paint::Bad, "failed "),
            Status::Skipped => paint(Paint::Faint, "skipped"),
        };
        let fix = self.fix.iter().map(|fix| format!("\n         → {fix}"));
        let fix: String = fix.collect();
        format!("{status}  {}: {}{fix}", self.name, self.detail)
    }
}

impl Doctor {
    /// Prints what was found. Ends in success if nothing has failed.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let probe = Probe {
            admin: self.admin.client()?,
            decisions: self.admin.client_of(&self.decisions_server)?,
            environment: self.environment,
        };
        let checks = probe.all().await;
        let output = if self.json { Output::Json } else { output };
        match output {
            Output::Table => {
                let lines: Vec<_> = checks.iter().map(Check::line).collect();
                print(&lines.join("\n"))?;
            }
            Output::Json => output.print_own(&checks, "")?,
        }
        verdict(&checks)
    }
}

fn verdict(checks: &[Check]) -> Result<(), Failure> {
    let failed = checks.iter().filter(|check| check.status == Status::Failed);
    let failed: Vec<_> = failed.map(|check| check.name).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::from(anyhow::anyhow!(
        "failed: {}",
        failed.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    #[test]
    fn a_line_says_what_was_found_and_what_to_do() {
        let checks = [
            Check::ok("clock", "0 s apart"),
            Check::warning("tokens", "ci expires in 3 days", "token rotate"),
            Check::failed("store", "stale", "look at DynamoDB"),
            Check::skipped("genesys", "no access"),
        ];
        let lines: Vec<_> = checks.iter().map(Check::line).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        ok       clock: 0 s apart
        warning  tokens: ci expires in 3 days
                 → token rotate
        failed   store: stale
                 → look at DynamoDB
        skipped  genesys: no access
        ");
    }

    #[test]
    fn only_what_has_failed_fails_the_command() {
        let good = [Check::warning("a", "b", "c"), Check::skipped("a", "b")];
        assert!(verdict(&good).is_ok());
        let bad = [Check::ok("a", "b"), Check::failed("store", "b", "c")];
        let failure = verdict(&bad).expect_err("a failure");
        assert_eq!(failure.exit, Exit::Failed);
        assert_eq!(failure.problem.message(), "failed: store");
    }
}
