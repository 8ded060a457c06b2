//! `traffic-cop rollout simulate`: what a plan would do to imagined callers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

use super::plan_file;
use super::progress::Progress;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::domain::judge::metric::Metric;
use crate::domain::rollout::percent::Percent;
use crate::domain::simulate::{Callers, Scenario, advice, picture, simulate};

/// Run a plan against imagined callers: how often it would stop a good release, how soon a bad one, and what that costs.
#[derive(Debug, Args)]
pub(in crate::cli) struct SimulateArgs {
    /// A plan file (YAML or JSON), or a built-in plan: canary or cutover.
    #[arg(long, default_value = "canary", value_name = "FILE|NAME")]
    plan: String,
    /// The metric that goes wrong: abandon, error, transfer or containment.
    #[arg(long, default_value = "abandon")]
    metric: Metric,
    /// Share of calls that end badly in the version callers have.
    #[arg(long, value_name = "PERCENT")]
    blue: Percent,
    /// Share of calls that end badly in the version on trial.
    #[arg(long, value_name = "PERCENT")]
    green: Percent,
    /// Calls to the environment per hour.
    #[arg(long, value_name = "CALLS")]
    calls_per_hour: u32,
    /// Share of calls to the present version that report how they ended.
    #[arg(long, default_value = "100%", value_name = "PERCENT")]
    blue_reported: Percent,
    /// Share of calls to the version on trial that report how they ended.
    #[arg(long, default_value = "100%", value_name = "PERCENT")]
    green_reported: Percent,
    /// How long bad calls last on average.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    bad_after_seconds: u32,
    /// The same for the version on trial, if it differs.
    #[arg(long, value_name = "SECONDS")]
    green_bad_after_seconds: Option<u32>,
    /// How many rollouts to imagine.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Where chance starts from. The same seed gives the same report.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also draw some of the rollouts into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Simulates and prints.
///
/// # Errors
/// The plan cannot be read, nothing could be learned from the scenario, or a file cannot be written.
pub(super) fn run(args: &SimulateArgs, output: Output) -> Result<(), Failure> {
    let scenario = scenario(args)?;
    // Named, unlike the generators that a library may exchange: a seed in a document has to mean the same next year.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(args.seed);
    let progress = Progress::new();
    let runs = args.runs;
    let mut report = simulate(&scenario, runs, &mut rng, |done| {
        progress.show(&format!("{done} of {runs} rollouts"));
    });
    report.advice = advice::advise(&scenario, &report, &mut rng, |stretch| {
        progress.show(&format!("trying steps {stretch} times as long"));
    });
    progress.clear();
    if let Some(file) = &args.svg {
        std::fs::write(file, picture::svg(&scenario, &report))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    output.print_own(&report, report.to_string().trim_end())
}

fn scenario(args: &SimulateArgs) -> anyhow::Result<Scenario> {
    let callers = |bad: Percent, reported: Percent, bad_after_seconds: u32| Callers {
        reported,
        bad_after: Duration::from_secs(u64::from(bad_after_seconds)),
        ..Callers::with_bad(bad)
    };
    let blue = callers(args.blue, args.blue_reported, args.bad_after_seconds);
    let green_bad_after = args
        .green_bad_after_seconds
        .unwrap_or(args.bad_after_seconds);
    let green = callers(args.green, args.green_reported, green_bad_after);
    Ok(Scenario::new(
        plan_file::load(&args.plan)?,
        args.metric,
        args.calls_per_hour,
        blue,
        green,
    )?)
}
