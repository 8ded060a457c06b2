//! `preflight`, and what the answers of changes say of one.

use clap::Args;

use super::api::{CandidatePreflight, Preflight};
use super::connection::AdminArgs;
use super::failure::Failure;
use super::output::Output;
use crate::domain::ids::EnvironmentName;

/// Arguments of `preflight`.
#[derive(Debug, Args)]
pub(super) struct PreflightArgs {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Whether a change goes without a look at the flow.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct SkipPreflight {
    /// Do not ask Genesys Cloud first whether the flow is fit to get callers. The reason should say why.
    #[arg(long)]
    pub(super) skip_preflight: bool,
}

impl PreflightArgs {
    /// Prints what was found. Ends in success if the flow was looked at and is fit.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let name = self.environment.as_str();
        let url = client.url(&["v1", "environments", name, "preflight"]);
        let answer = client.get(url).await?;
        output.print(&answer, |looked: CandidatePreflight| {
            let (name, policy) = (&looked.environment, &looked.policy);
            let told = describe(&looked.preflight);
            format!("{name}: {told}\npolicy: {policy}")
        })?;
        let looked: CandidatePreflight = answer.read()?;
        verdict(&looked.preflight)
    }
}

fn verdict(preflight: &Preflight) -> Result<(), Failure> {
    let because = preflight.because.as_deref().unwrap_or("no reason given");
    match preflight.outcome.as_str() {
        "fit" => Ok(()),
        "unfit" => Err(Failure::refused(
            "the flow is not fit to get callers".to_owned(),
        )),
        outcome => Err(Failure::from(anyhow::anyhow!(
            "nobody knows whether the flow is fit to get callers: {outcome}, {because}"
        ))),
    }
}

/// What a look came to: a line, and one for each thing that was found.
pub(super) fn describe(preflight: &Preflight) -> String {
    let outcome = &preflight.outcome;
    let because = preflight.because.iter();
    let because: String = because.map(|because| format!(", {because}")).collect();
    let flow = &preflight.flow;
    let mut lines = vec![match outcome.as_str() {
        "fit" | "unfit" => format!(
            "preflight: the flow {} ({}) is {outcome} to get callers",
            flow.name, flow.id
        ),
        _ => format!("preflight: {outcome}{because}"),
    }];
    lines.extend(preflight.findings.iter().map(|found| {
        let weight = if found.problem { "problem" } else { "note" };
        format!("  {weight}: {}", found.detail)
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn preflight(outcome: &str, more: &str) -> Preflight {
        let json = format!(
            r#"{{"outcome":"{outcome}","slot":"green","flow":{{"id":"2222-g","name":"Main IVR Green"}},"flow_version":"2.0"{more}}}"#
        );
        serde_json::from_str(&json).expect("an answer")
    }

    #[test]
    fn what_was_found_stands_below_what_it_comes_to() {
        let found = r#","because":null,"findings":[{"finding":"inactive","problem":true,"detail":"it is not active"},
            {"finding":"not_compared","problem":false,"detail":"nobody knows"}]"#;
        insta::assert_snapshot!(describe(&preflight("unfit", found)), @"
        preflight: the flow Main IVR Green (2222-g) is unfit to get callers
          problem: it is not active
          note: nobody knows
        ");
        let skipped = preflight("skipped", r#","because":"no access to Genesys Cloud""#);
        assert_eq!(
            describe(&skipped),
            "preflight: skipped, no access to Genesys Cloud"
        );
    }

    #[test]
    fn only_a_flow_that_was_looked_at_and_is_fit_ends_in_success() {
        let exit = |outcome| match verdict(&preflight(outcome, "")) {
            Ok(()) => Exit::Done,
            Err(failure) => failure.exit,
        };
        assert_eq!(exit("fit"), Exit::Done);
        assert_eq!(exit("unfit"), Exit::Refused);
        for nobody_knows in ["unknown", "skipped", "something_new"] {
            assert_eq!(exit(nobody_knows), Exit::Failed, "{nobody_knows}");
        }
    }
}
