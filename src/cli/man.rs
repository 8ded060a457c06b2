//! `man`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::failure::Failure;
use super::output;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The directory, which is made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let directory = self.directory.display();
        fs::create_dir_all(&self.directory).with_context(|| format!("cannot make {directory}"))?;
        clap_mangen::generate_to(super::Cli::command(), &self.directory)
            .with_context(|| format!("cannot write to {directory}"))?;
        output::print(&format!(
            "wrote the manual to {directory}; try: man -l {directory}/traffic-cop.1"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("man1");
        Man {
            directory: directory.clone(),
        }
        .run()
        .unwrap();
        for page in [
            "traffic-cop.1",
            "traffic-cop-cutover.1",
            "traffic-cop-rollout-start.1",
        ] {
            let text = fs::read_to_string(directory.join(page)).unwrap();
            assert!(
                text.contains(".SH OPTIONS") || text.contains(".SH SUBCOMMANDS"),
                "{page}"
            );
        }
    }
}
