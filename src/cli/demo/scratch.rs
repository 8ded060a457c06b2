//! A directory that is gone when the process ends.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use uuid::Uuid;

use crate::config::admin_token_file;

/// A directory for this user alone. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one where the system has such directories.
    pub(super) fn make() -> anyhow::Result<Self> {
        let name = format!("traffic-cop-demo-{}", Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make the directory {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the admin token is.
    pub(super) fn token_file(&self) -> PathBuf {
        admin_token_file(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever has removed it already has spared us the work.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_for_its_owner_and_leaves_nothing_behind() {
        let scratch = Scratch::make().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        fs::write(scratch.token_file(), "a token").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
