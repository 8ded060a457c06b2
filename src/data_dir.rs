//! The data directory: what outlives a restart on this machine. One process owns it at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// File that the owner locks.
const LOCK_FILE: &str = "lock";

/// A data directory that this process owns until the value is dropped, however the process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// A data directory that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process owns it.
    #[error(
        "the data directory {0} is in use by another traffic-cop process; stop that one, choose another --data-dir, or let \
         several share one store through `traffic-cop store serve`"
    )]
    InUse(PathBuf),
    /// It cannot be made or written to.
    #[error("the data directory {path} is not writable: {error}")]
    NotWritable {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl DataDir {
    /// Makes the directory if it is missing, and takes it.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn take(path: &Path) -> Result<Self, DataDirError> {
        let not_writable = |error| DataDirError::NotWritable {
            path: path.to_owned(),
            error,
        };
        fs::create_dir_all(path).map_err(not_writable)?;
        let lock = File::create(path.join(LOCK_FILE)).map_err(not_writable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(not_writable(error)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
