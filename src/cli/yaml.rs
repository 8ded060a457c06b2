//! Files that people write, in YAML or JSON (which is YAML, too).

use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::de::DeserializeOwned;

/// What the file at `path` spells; `what` it should be, for the error.
///
/// # Errors
/// There is no such file, or it spells something else; the error names the member.
pub(super) fn load<T: DeserializeOwned>(path: &Path, what: &str) -> anyhow::Result<T> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {what} from {name}"))?;
    parse(&text).with_context(|| format!("{name} is not {what}"))
}

/// What `text` spells.
///
/// # Errors
/// It spells something else; the error names the member.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    // By way of JSON, since weights are read from their decimal text and so that both forms mean the same.
    let value: serde_json::Value = serde_saphyr::from_str(text)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner();
        // What is wrong with the whole names its member already.
        if path == "." {
            anyhow!("{problem}")
        } else {
            anyhow!("{path}: {problem}")
        }
    })
}
