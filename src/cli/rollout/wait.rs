//! `rollout wait`.

use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::look::headline;
use super::progress::Progress;
use crate::cli::api::{Rollout, RolloutEvidence};
use crate::cli::client::{Answer, Client};
use crate::cli::connection::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::domain::ids::EnvironmentName;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How wide the bar is.
const WIDTH: usize = 20;

/// Arguments of `rollout wait`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Wait {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// Seconds to wait at the most; then the exit code is 7.
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Wait {
    /// Waits until the rollout has ended or needs a person, and says which.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let shown = Progress::new();
        loop {
            let ended = match self.look(&client).await {
                Ok((answer, rollout)) => {
                    shown.show(&progress(&rollout));
                    let verdict = self.verdict(&client, &rollout).await?;
                    verdict.map(|verdict| (answer, rollout, verdict))
                }
                Err(failure) if failure.is_for_good() => return Err(failure),
                // The server is restarting, or another one takes its place.
                Err(_) => None,
            };
            if let Some((answer, rollout, verdict)) = ended {
                shown.clear();
                output.print(&answer, |_: Rollout| headline(&rollout))?;
                return verdict;
            }
            if Instant::now() + PAUSE > deadline {
                shown.clear();
                return Err(Failure::pending(
                    "the rollout has not come to its end".to_owned(),
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(&self, client: &Client) -> Result<(Answer, Rollout), Failure> {
        let name = self.environment.as_str();
        let url = client.url(&["v1", "environments", name, "rollout"]);
        let answer = client.get(url).await?;
        let rollout = answer.read()?;
        Ok((answer, rollout))
    }

    /// What the wait comes to; `None` if it goes on.
    async fn verdict(
        &self,
        client: &Client,
        rollout: &Rollout,
    ) -> Result<Option<Result<(), Failure>>, Failure> {
        if let Some(verdict) = verdict(rollout) {
            return Ok(Some(verdict));
        }
        if !rollout.is_behind_a_gate() {
            return Ok(None);
        }
        // Only the evidence tells whether the gate is all that it waits for.
        let name = self.environment.as_str();
        let url = client.url(&["v1", "environments", name, "rollout", "evidence"]);
        let evidence: RolloutEvidence = match client.get(url).await {
            Ok(answer) => answer.read()?,
            Err(failure) if failure.is_for_good() => return Err(failure),
            Err(_) => return Ok(None),
        };
        let needs_consent = evidence.needs_a_person && evidence.rollout.is_behind_a_gate();
        Ok(needs_consent.then(|| {
            Err(Failure::needs_a_person(
                "the step has a manual gate, and everything else holds: promote, or abort"
                    .to_owned(),
            ))
        }))
    }
}

/// What a rollout that stands like this means to whoever waits; `None` if it goes on by itself.
fn verdict(rollout: &Rollout) -> Option<Result<(), Failure>> {
    let cause = rollout.cause.as_deref().unwrap_or("no cause given");
    match rollout.status.as_str() {
        "finished" => Some(Ok(())),
        "aborted" => Some(Err(Failure::aborted(format!(
            "the rollout was aborted: {cause}"
        )))),
        "paused" => Some(Err(Failure::needs_a_person(format!(
            "the rollout is paused: {cause}; resume or abort it"
        )))),
        _ => None,
    }
}

/// How many steps are behind it, as a bar.
fn progress(rollout: &Rollout) -> String {
    let done = rollout.step.map_or(rollout.steps, |step| step - 1);
    let filled = WIDTH * done / rollout.steps.max(1);
    let bar: String = (0..WIDTH)
        .map(|place| if place < filled { '#' } else { '.' })
        .collect();
    format!("[{bar}] {}", headline(rollout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn rollout(status: &str, step: Option<usize>) -> Rollout {
        let json = r#"{"environment":"Main_IVR","candidate":"green","flow_version":"2.0","status":"running","cause":"x",
            "step":1,"steps":4,"weight":5,"promotion":null,"plan":{"steps":[{"weight":5,"gate":"manual"},{"weight":100}]}}"#;
        let mut rollout: Rollout = serde_json::from_str(json).expect("an answer");
        rollout.status = status.to_owned();
        rollout.step = step;
        rollout
    }

    #[test]
    fn the_exit_code_says_how_it_ended() {
        let exit = |status| {
            verdict(&rollout(status, Some(1))).map(|verdict| match verdict {
                Ok(()) => Exit::Done,
                Err(failure) => failure.exit,
            })
        };
        assert_eq!(exit("finished"), Some(Exit::Done));
        assert_eq!(exit("aborted"), Some(Exit::Aborted));
        assert_eq!(exit("paused"), Some(Exit::NeedsAPerson));
        assert_eq!(exit("running"), None);
    }

    #[test]
    fn a_gate_is_one_until_somebody_agreed() {
        let mut rollout = rollout("running", Some(1));
        assert!(rollout.is_behind_a_gate());
        rollout.promotion = Some("when_ready".to_owned());
        assert!(!rollout.is_behind_a_gate());
        rollout.promotion = None;
        rollout.step = Some(2);
        assert!(!rollout.is_behind_a_gate());
    }

    #[test]
    fn the_bar_fills_with_the_steps() {
        assert!(progress(&rollout("running", Some(1))).starts_with("[....................] "));
        assert!(progress(&rollout("running", Some(3))).starts_with("[##########..........] "));
        assert!(progress(&rollout("finished", None)).starts_with("[####################] "));
    }
}
