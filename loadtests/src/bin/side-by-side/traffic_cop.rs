//! All this crate knows about running traffic-cop: its arguments, its files, its paths.

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::request::ENVIRONMENT;

/// Answers 200 on the decisions listener once decisions can be made.
pub(crate) const READY_PATH: &str = "/v1/health/ready";

/// A weight strictly between 0 and 100 %, so that every decision hashes its conversation id.
const TRAFFIC_WEIGHT: &str = "5";

/// Everything that is switched on by default stays on. A new store in `directory` gets the sample environment.
pub(crate) fn serve(
    binary: &Path,
    directory: &Path,
    decisions: SocketAddr,
    admin: SocketAddr,
) -> Command {
    let mut command = command(binary);
    command.arg("serve");
    command.arg("--data-dir").arg(directory);
    command.arg("--decisions").arg(decisions.to_string());
    command.arg("--admin").arg(admin.to_string());
    command
}

/// The store in `directory`, in a process of its own.
pub(crate) fn serve_store(binary: &Path, directory: &Path, address: SocketAddr) -> Command {
    let mut command = command(binary);
    command.args(["store", "serve"]);
    command.arg("--data-dir").arg(directory);
    command.arg("--address").arg(address.to_string());
    command
}

/// A token for one scope, such as Genesys would hold to ask for decisions and nothing else. Sent with every request, so that
/// authentication is part of what is measured.
pub(crate) fn token(
    binary: &Path,
    directory: &Path,
    admin: SocketAddr,
    scope: &str,
) -> anyhow::Result<String> {
    let create = [
        "token",
        "create",
        scope,
        "--scope",
        scope,
        "--reason",
        "load test",
        "--output",
        "json",
    ];
    let made: serde_json::Value =
        serde_json::from_str(&operate(binary, directory, admin, &create)?)?;
    let text = made["token"]
        .as_str()
        .context("the new token has no text")?;
    Ok(text.to_owned())
}

/// Gives the sample environment the weight that the measured decisions need.
pub(crate) fn set_weight(binary: &Path, directory: &Path, admin: SocketAddr) -> anyhow::Result<()> {
    let weight = [
        "weight",
        ENVIRONMENT,
        TRAFFIC_WEIGHT,
        "--reason",
        "load test",
    ];
    operate(binary, directory, admin, &weight).map(|_| ())
}

/// A new environment whose second version has just taken over from its first.
pub(crate) fn cut_over(
    binary: &Path,
    directory: &Path,
    admin: SocketAddr,
    environment: &str,
) -> anyhow::Result<()> {
    let create = [
        "--blue-flow",
        "11111111-1111-4111-8111-111111111111=Blue",
        "--green-flow",
        "22222222-2222-4222-8222-222222222222=Green",
        "--flow-version",
        "1.0",
    ];
    let steps: [(&[&str], &[&str]); 3] = [
        (&["env", "create"], &create),
        (&["flow", "register"], &["--flow-version", "2.0"]),
        (&["cutover"], &[]),
    ];
    for (command, options) in steps {
        let arguments = [command, &[environment, "--reason", "load test"], options].concat();
        operate(binary, directory, admin, &arguments)?;
    }
    Ok(())
}

/// What a command of the first admin prints.
fn operate(
    binary: &Path,
    directory: &Path,
    admin: SocketAddr,
    arguments: &[&str],
) -> anyhow::Result<String> {
    let mut command = command(binary);
    command
        .args(arguments)
        .arg("--server")
        .arg(format!("http://{admin}"));
    // Where the command line finds the admin token.
    command.env("TRAFFIC_COP_DATA_DIR", directory);
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}: {}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// The program without the caller's own settings of it: a load test must never reach a real deployment's tables.
fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"TRAFFIC_COP_") {
            command.env_remove(name);
        }
    }
    command
}
