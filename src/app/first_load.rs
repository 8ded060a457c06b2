//! What a process answers from at first: what the store says, its last-good file, or the default snapshot.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use crate::access::Authenticator;
use crate::config::ServeArgs;
use crate::replica::follower::Follower;
use crate::replica::{Replica, default_snapshot};
use crate::telemetry::{Alarm, Alarms};

/// How long the store may take to answer before a process that has a last-good file goes on without it.
const PATIENCE_WITH_FILE: Duration = Duration::from_millis(250);
/// The same for a process that has none: with its own start, calls are answered within a second.
const PATIENCE: Duration = Duration::from_millis(700);

/// Loads what there is. A store that is away is waited for while the service runs.
///
/// # Errors
/// Tables are missing, or there are no tokens, and nothing is known of a better time: nobody could ever use the service.
pub(super) async fn load(
    replica: &Replica,
    authenticator: &Authenticator,
    args: &ServeArgs,
    alarms: &Alarms,
) -> anyhow::Result<()> {
    // Read whether it is needed or not: that it cannot be used has to be known before it is.
    let default = args.default_snapshot.as_deref();
    let default = default.and_then(|file| read_default(file, alarms));
    let patience = if replica.snapshot().is_some() {
        PATIENCE_WITH_FILE
    } else {
        PATIENCE
    };
    if let Ok(found) = tokio::time::timeout(patience, ask_store(replica, authenticator, args)).await
    {
        found?;
    }
    match default {
        _ if replica.snapshot().is_some() => {}
        Some(default) => replica.serve_default(default),
        None => tracing::warn!("not ready: waiting for the store"),
    }
    Ok(())
}

fn read_default(file: &Path, alarms: &Alarms) -> Option<Follower> {
    match default_snapshot::read(file) {
        Ok(default) => Some(default),
        Err(error) => {
            let why = format!("{}: {error}", file.display());
            alarms.set(Alarm::DefaultSnapshotUnusable, Some(why));
            None
        }
    }
}

/// Loads from the store, if it answers.
async fn ask_store(
    replica: &Replica,
    authenticator: &Authenticator,
    args: &ServeArgs,
) -> anyhow::Result<()> {
    let missing = replica.store().missing_tables().await.unwrap_or_default();
    // With something to serve, tables that are gone are an outage like another.
    if !missing.is_empty() && replica.snapshot().is_none() {
        bail!(
            "missing tables: {}; `traffic-cop table create` makes them",
            missing.join(", ")
        );
    }
    // Whatever is wrong raises its alarm where it is found.
    if replica.join().await.is_ok() && !has_tokens(replica) && !authenticator.has_first_admin() {
        if args.decisions_only {
            tracing::warn!(
                "there is no token yet; once another process has made one, decisions can be asked for here"
            );
            return Ok(());
        }
        bail!(
            "there is no token yet, so nobody could use the service at {}; give the first admin token with \
             --admin-token-file or TRAFFIC_COP_ADMIN_TOKEN (make one with `traffic-cop token generate`)",
            args.decisions
        );
    }
    Ok(())
}

fn has_tokens(replica: &Replica) -> bool {
    let has_tokens = replica.look(|follower| {
        let access = follower.access().state();
        access.is_some_and(|access| !access.tokens.is_empty() || !access.issuers.is_empty())
    });
    has_tokens == Some(true)
}
