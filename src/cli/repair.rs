//! What `env repair`, `token repair` and `settings repair` have in common.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::client::Answer;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::write::{Write, WriteArgs};
use crate::domain::Environment;
use crate::domain::access::Access;
use crate::domain::ids::AggregateKey;
use crate::domain::settings::Settings;
use crate::replica::saved::Saved;
use crate::store::format::Stored;

/// Which state to bring back, and by what right.
#[derive(Debug, Args)]
pub(super) struct RepairArgs {
    /// Bring back the state of this earlier revision, as `history` lists them.
    #[arg(long, value_name = "REVISION", conflicts_with = "state")]
    revision: Option<u64>,
    /// Bring back the state in this file: an exported snapshot or a replica's last-good file that has it, or the state itself as
    /// JSON, as it is stored.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Give up a state that only a newer version can read. Say why in the reason.
    #[arg(long)]
    discard_newer_format: bool,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl RepairArgs {
    /// Has the server repair the aggregate `key`; `path` is the resource to ask.
    pub(super) async fn send(self, key: &AggregateKey, path: &[&str]) -> Result<Answer, Failure> {
        let client = self.admin.client()?;
        let state = self.state.as_deref().map(|file| load(file, key));
        let body = json!({
            "revision": self.revision,
            "state": state.transpose()?,
            "discard_newer_format": self.discard_newer_format,
            "reason": self.write.reason,
        });
        let write = Write {
            method: Method::POST,
            url: client.url(path),
            body: Some(body),
            if_match: None,
            key: self.write.key(),
            wait: self.write.wait,
        };
        client.write(&write).await
    }
}

/// The state of the aggregate `key` in `file`.
fn load(file: &Path, key: &AggregateKey) -> anyhow::Result<Value> {
    let name = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let Ok(saved) = Saved::from_bytes(&bytes) else {
        return serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{name} is no snapshot, no last-good file, or damaged; nor does it read as JSON"
            )
        });
    };
    let member = match key {
        AggregateKey::Environment(_) => Environment::MEMBER,
        AggregateKey::Settings => Settings::MEMBER,
        AggregateKey::Access | AggregateKey::Other(_) => Access::MEMBER,
    };
    match saved.state_of(key).and_then(|state| state.get(member)) {
        Some(state) if !state.is_null() => Ok(state.clone()),
        _ => bail!("{name} has no state of {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_in_a_snapshot_or_is_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let load = |text: &[u8], key: &str| {
            fs::write(&file, text).unwrap();
            load(&file, &key.parse().unwrap()).map_err(|error| error.to_string())
        };
        let saved: Saved = serde_json::from_value(json!({
            "format": 1,
            "sequence": 2,
            "hash": "00",
            "next": 3,
            "aggregates": [
                {"aggregate": "environment/Main_IVR", "revision": 2, "sequence": 2,
                 "good": {"revision": 1, "format": 1, "state": {"environment": {"salt": "s"}, "operations": []}}},
                {"aggregate": "environment/Gone", "revision": 2, "sequence": 1,
                 "good": {"revision": 2, "format": 1, "state": {"environment": null, "operations": []}}},
                {"aggregate": "access", "revision": 0, "sequence": 0},
            ],
        }))
        .unwrap();
        let snapshot = saved.to_bytes();
        assert_eq!(
            load(&snapshot, "environment/Main_IVR"),
            Ok(json!({"salt": "s"}))
        );
        for missing in ["environment/Gone", "environment/Other", "access"] {
            let error = load(&snapshot, missing).unwrap_err();
            assert!(
                error.ends_with(&format!("has no state of {missing}")),
                "{error}"
            );
        }
        assert_eq!(
            load(b"{\"tokens\": {}}", "access"),
            Ok(json!({"tokens": {}}))
        );
        let damaged = &snapshot[1..];
        assert!(load(damaged, "access").unwrap_err().contains("damaged"));
    }
}
