//! `rollout simulate`.

mod plan_file;
mod simulate;

use clap::Subcommand;

use super::failure::Failure;
use super::output::Output;

#[derive(Debug, Subcommand)]
pub(super) enum Rollout {
    /// Run a plan against imagined callers: how often it would stop a good release, how soon a bad one, and what that costs.
    Simulate(Box<simulate::SimulateArgs>),
}

impl Rollout {
    pub(super) fn run(&self, output: Output) -> Result<(), Failure> {
        let Self::Simulate(args) = self;
        simulate::run(args, output)
    }
}
