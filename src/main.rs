//! The `traffic-cop` command: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    traffic_cop::cli::run()
}
