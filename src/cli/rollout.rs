//! `rollout …`.

mod look;
pub(super) mod plan_file;
mod progress;
mod simulate;
mod wait;

use clap::{Args, Subcommand};

use super::change::{Change, Target};
use super::connection::AdminArgs;
use super::failure::Failure;
use super::interface::ForceIncompatible;
use super::output::Output;
use super::preflight::SkipPreflight;
use crate::domain::ids::EnvironmentName;
use crate::domain::rollout::Promotion;
use crate::domain::rollout::command::{
    AbortRollout, PauseRollout, PromoteRollout, ResumeRollout, StartRollout,
};

#[derive(Debug, Subcommand)]
pub(super) enum Rollout {
    /// Start to ramp the candidate up by a plan. The controller does the rest.
    Start(Box<Start>),
    /// Say where the rollout stands, and what it waits for.
    Status(Look),
    /// Show the evidence about it.
    Evidence(Look),
    /// Follow it, a line per change, until it is over.
    Watch(Look),
    /// Wait for its end: exit code 0 if the candidate was promoted, 2 if the rollout was aborted, 3 if it needs a person.
    Wait(wait::Wait),
    /// Stop it in its present step. The plan says what becomes of the weight meanwhile.
    Pause(Target),
    /// Go on in the step that was paused, from its beginning.
    Resume(Change),
    /// Agree to leave the present step.
    Promote(Promote),
    /// Give the candidate up: it takes no new calls.
    Abort(Abort),
    /// Run a plan against imagined callers: how often it would stop a good release, how soon a bad one, and what that costs.
    Simulate(Box<simulate::SimulateArgs>),
}

/// Arguments of `rollout start`.
#[derive(Debug, Args)]
pub(super) struct Start {
    #[command(flatten)]
    change: Change,
    /// A plan file (YAML or JSON), or a built-in plan: canary or cutover.
    #[arg(long, default_value = "canary", value_name = "FILE|NAME")]
    plan: String,
    #[command(flatten)]
    force: ForceIncompatible,
    #[command(flatten)]
    skip: SkipPreflight,
}

/// The rollout to look at.
#[derive(Debug, Args)]
pub(super) struct Look {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Arguments of `rollout promote`.
#[derive(Debug, Args)]
pub(super) struct Promote {
    #[command(flatten)]
    change: Change,
    /// Leave it at once, without waiting for time, calls, data or certificate. Evidence of harm still holds it.
    #[arg(long)]
    now: bool,
}

/// Arguments of `rollout abort`.
#[derive(Debug, Args)]
pub(super) struct Abort {
    #[command(flatten)]
    target: Target,
    /// Let calls that are inside the version left return to it.
    #[arg(long)]
    keep_calls: bool,
}

impl Rollout {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        match self {
            Self::Start(args) => {
                let start = StartRollout {
                    plan: plan_file::load(&args.plan)?,
                    force_incompatible: args.force.force_incompatible,
                };
                let change = args.change.with(args.skip);
                change.execute(start.into(), output).await
            }
            Self::Status(look) => look.status(output).await,
            Self::Evidence(look) => look.evidence(output).await,
            Self::Watch(look) => look.watch(output).await,
            Self::Wait(wait) => wait.run(output).await,
            // Neither of the two depends on what was seen, and the controller may move on any moment.
            Self::Pause(target) => target.execute(PauseRollout {}.into(), output).await,
            Self::Abort(args) => {
                let abort = AbortRollout {
                    keep_calls: args.keep_calls,
                };
                args.target.execute(abort.into(), output).await
            }
            Self::Resume(change) => change.execute(ResumeRollout {}.into(), output).await,
            Self::Promote(args) => {
                let when = if args.now {
                    Promotion::Now
                } else {
                    Promotion::WhenReady
                };
                let promote = PromoteRollout { when };
                args.change.execute(promote.into(), output).await
            }
            Self::Simulate(args) => simulate::run(&args, output),
        }
    }
}
