//! Where the signing keys come from, and noticing when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{SigningKeyError, SigningKeys};
use crate::access::Keyring;
use crate::reload::Reload;

/// Files with signing keys, and directories of such files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Vec<PathBuf>);

/// Signing keys that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// What was read are no keys.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

impl Sources {
    /// These files and directories. Of a directory the files count whose names end in `.pem`, in the order of their names.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self(paths)
    }

    /// All texts in their order, as one.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, SourceError> {
        let mut texts = Vec::new();
        for path in &self.0 {
            let unreadable = |error| SourceError::Unreadable {
                path: path.clone(),
                error,
            };
            for file in files(path).map_err(unreadable)? {
                texts.extend(fs::read(file).map_err(unreadable)?);
                texts.push(b'\n');
            }
        }
        Ok(texts)
    }
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "pem"));
    files.sort();
    Ok(files)
}

/// Signing keys from files, and how those were found last.
#[derive(Debug)]
pub struct KeyFiles {
    sources: Sources,
    known: Vec<u8>,
    keyring: Arc<Keyring>,
    is_well: bool,
}

impl KeyFiles {
    /// Files in which `known` was found, whose keys `keyring` has.
    #[must_use]
    pub fn new(sources: Sources, known: Vec<u8>, keyring: Arc<Keyring>) -> Self {
        Self {
            sources,
            known,
            keyring,
            is_well: true,
        }
    }

    fn take_changes(&mut self) -> Result<(), SourceError> {
        let texts = self.sources.read()?;
        if texts != self.known {
            self.keyring
                .set_signing_keys(SigningKeys::from_pem(&texts)?);
            tracing::info!("the signing keys have changed");
            self.known = texts;
        }
        Ok(())
    }
}

impl Reload for KeyFiles {
    const WHAT: &'static str = "the signing keys";

    /// Keys that cannot be read change nothing: the ones that are known go on.
    fn look(&mut self) {
        let outcome = self.take_changes();
        if let Err(error) = &outcome
            && self.is_well
        {
            tracing::error!(%error, "cannot read the signing keys; those known before go on");
        }
        self.is_well = outcome.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_pem_files_by_name_and_a_file_itself() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("2.pem", "b"), ("1.pem", "a"), ("notes.txt", "x")] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let file = directory.path().join("notes.txt");
        let sources = Sources::new(vec![file, directory.path().to_owned()]);
        assert_eq!(sources.read().unwrap(), b"x\na\nb\n");
    }

    #[test]
    fn changed_keys_are_taken_and_unreadable_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        let [first, second] = [(); 2].map(|()| super::super::generate().unwrap());
        let keyring = Arc::new(Keyring::default());
        let sources = Sources::new(vec![file.clone()]);
        let mut files = KeyFiles::new(sources, Vec::new(), Arc::clone(&keyring));
        let mut look = |text: &str| {
            fs::write(&file, text).unwrap();
            files.look();
            format!("{:?}", keyring.signing_keys())
        };
        let before = look(&first);
        assert_ne!(before, format!("{:?}", SigningKeys::default()));
        for unreadable in ["", "no key"] {
            assert_eq!(look(unreadable), before);
        }
        assert_eq!(look(&first), before);
        assert_ne!(look(&(first + &second)), before);
    }
}
