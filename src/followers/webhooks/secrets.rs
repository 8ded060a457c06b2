//! The secrets that webhooks are signed with: in a file that may change, and in no table.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

use super::signature::{InvalidSecret, SigningSecret};
use crate::domain::ids::SecretName;
use crate::reload::Reload;

/// Secrets of one name, at the most: an old one and a new one while they change, and as much again for mistakes.
const MOST_OF_A_NAME: usize = 4;

/// Secrets by name.
type Named = BTreeMap<SecretName, Vec<SigningSecret>>;

/// The secrets that this process has.
#[derive(Debug, Default)]
pub struct Secrets(ArcSwap<Named>);

/// Texts that give no secrets. What it says repeats nothing of them but names.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// It is no object.
    #[error("expected a JSON object of names, each with a secret or a list of secrets")]
    NoObject,
    /// A name is none.
    #[error("the name of a secret has 1 to 64 ASCII letters, digits, '.', '_' or '-'")]
    Name,
    /// A name has no secret, or too many.
    #[error("{0}: expected a secret, or a list of 1 to {MOST_OF_A_NAME}")]
    Count(SecretName),
    /// A secret is none.
    #[error("{name}: {error}")]
    Secret {
        /// Whose.
        name: SecretName,
        /// What is expected.
        #[source]
        error: InvalidSecret,
    },
}

impl Secrets {
    /// Those that `text` names: a JSON object of names, each with a secret, or with a list of secrets that all sign.
    ///
    /// # Errors
    /// It is none, or something in it is no secret.
    pub fn read(text: &str) -> Result<Self, SecretsError> {
        Ok(Self(ArcSwap::from_pointee(read(text)?)))
    }

    /// The secrets of this name; `None` if there are none.
    pub(super) fn find(&self, name: &SecretName) -> Option<Vec<SigningSecret>> {
        self.0.load().get(name).cloned()
    }

    /// Takes those of `text` in their place.
    fn replace(&self, text: &str) -> Result<(), SecretsError> {
        self.0.store(Arc::new(read(text)?));
        Ok(())
    }
}

fn read(text: &str) -> Result<Named, SecretsError> {
    let named: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|_| SecretsError::NoObject)?;
    let read = |(name, value): (String, Value)| {
        let name: SecretName = name.parse().map_err(|_| SecretsError::Name)?;
        let texts = match value {
            Value::Array(texts) => texts,
            text => vec![text],
        };
        if texts.is_empty() || texts.len() > MOST_OF_A_NAME {
            return Err(SecretsError::Count(name));
        }
        let secrets = texts.iter().map(|text| {
            let text = text.as_str().unwrap_or_default();
            text.parse().map_err(|error| SecretsError::Secret {
                name: name.clone(),
                error,
            })
        });
        let secrets = secrets.collect::<Result<_, _>>()?;
        Ok((name, secrets))
    };
    named.into_iter().map(read).collect()
}

/// Secrets from a file, and how it was found last.
#[derive(Debug)]
pub struct SecretsFile {
    path: PathBuf,
    known: String,
    secrets: Arc<Secrets>,
    is_well: bool,
}

impl SecretsFile {
    /// The secrets of the file at `path`, which is looked at for changes.
    ///
    /// # Errors
    /// It cannot be read, or has no secrets.
    pub fn open(path: PathBuf) -> Result<(Self, Arc<Secrets>), SecretsError> {
        let mut file = Self {
            path,
            known: String::new(),
            secrets: Arc::default(),
            is_well: true,
        };
        file.take_changes()?;
        let secrets = Arc::clone(&file.secrets);
        Ok((file, secrets))
    }

    fn take_changes(&mut self) -> Result<bool, SecretsError> {
        let text = fs::read_to_string(&self.path);
        let text = text.map_err(|error| SecretsError::Unreadable {
            path: self.path.clone(),
            error,
        })?;
        let has_changed = text != self.known;
        if has_changed {
            self.secrets.replace(&text)?;
            self.known = text;
        }
        Ok(has_changed)
    }
}

impl Reload for SecretsFile {
    const WHAT: &'static str = "the secrets of webhooks";

    /// A file that cannot be used changes nothing: the secrets that are known go on.
    fn look(&mut self) {
        let outcome = self.take_changes();
        match &outcome {
            Ok(true) => tracing::info!("the secrets of webhooks have changed"),
            Ok(false) => {}
            Err(error) if self.is_well => {
                tracing::error!(%error, "cannot use the secrets of webhooks; those known before go on");
            }
            Err(_) => {}
        }
        self.is_well = outcome.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::super::signature::draw;
    use super::*;

    fn count(secrets: &Secrets, name: &str) -> usize {
        let found = secrets.find(&name.parse().unwrap());
        found.map_or(0, |secrets| secrets.len())
    }

    #[test]
    fn a_name_has_one_secret_or_several() {
        let [a, b, c] = [draw(), draw(), draw()];
        let text = format!(r#"{{"one": "{a}", "two": ["{b}", "{c}"]}}"#);
        let secrets = Secrets::read(&text).unwrap();
        assert_eq!(
            ["one", "two", "none"].map(|name| count(&secrets, name)),
            [1, 2, 0]
        );
        assert!(!format!("{secrets:?}").contains(&a[6..]));
    }

    #[test]
    fn what_is_no_secret_is_refused_by_name_and_not_repeated() {
        for (text, expected) in [
            ("", "a JSON object"),
            ("\"hush\"", "a JSON object"),
            ("[]", "a JSON object"),
            (r#"{"hush": "hush"#, "a JSON object"),
            (r#"{"a b": "hush"}"#, "the name of a secret"),
            (r#"{"chat": []}"#, "chat: expected a secret, or a list"),
            (r#"{"chat": "hush"}"#, "chat: expected whsec_"),
            (r#"{"chat": ["hush"]}"#, "chat: expected whsec_"),
            (r#"{"chat": 5}"#, "chat: expected whsec_"),
            (r#"{"chat": [1, 2, 3, 4, 5]}"#, "chat: expected a secret"),
        ] {
            let error = Secrets::read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn changes_of_the_file_are_taken_and_what_cannot_be_used_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.json");
        assert!(SecretsFile::open(path.clone()).is_err(), "it is not there");
        let (a, b) = (draw(), draw());
        fs::write(&path, format!(r#"{{"chat": "{a}"}}"#)).unwrap();
        let (mut file, secrets) = SecretsFile::open(path.clone()).unwrap();
        let mut look = |text: &str| {
            fs::write(&path, text).unwrap();
            file.look();
            count(&secrets, "chat")
        };
        assert_eq!(look(&format!(r#"{{"chat": ["{b}", "{a}"]}}"#)), 2);
        for unusable in ["", "{", r#"{"chat": "x"}"#] {
            assert_eq!(look(unusable), 2, "{unusable}");
        }
        assert_eq!(look(&format!(r#"{{"chat": "{b}"}}"#)), 1);
        assert_eq!(look("{}"), 0);
    }
}
