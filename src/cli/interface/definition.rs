//! Definitions of interfaces, from files.

use std::path::Path;

use serde::Deserialize;

use crate::cli::yaml;
use crate::domain::interface::Interface;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    variables: Interface,
}

/// The interface that the file at `path` defines, in YAML or JSON.
///
/// # Errors
/// There is no such file, or what it says is no interface; the error names the member.
pub(in crate::cli) fn load(path: &Path) -> anyhow::Result<Interface> {
    let definition: Definition = yaml::load(path, "the definition of an interface")?;
    Ok(definition.variables)
}
