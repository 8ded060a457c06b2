//! Who we say that we are: a token, and where there is another once that has ended.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::header::HeaderValue;
use tokio::process::Command;
use tokio::time::timeout;

use super::failure::Failure;
use crate::config::Secret;

/// How long a command may take to print a token.
const COMMAND_TIME: Duration = Duration::from_secs(60);

/// What requests prove their sender with. Clones share the token that is known.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    source: Source,
    known: Arc<Mutex<Option<HeaderValue>>>,
}

/// Where another token would come from.
#[derive(Debug, Clone)]
enum Source {
    /// From nowhere.
    Fixed,
    /// From a file that somebody replaces.
    File(PathBuf),
    /// From what a command prints.
    Command(String),
}

impl Credential {
    /// No proof: some requests need none.
    pub(super) fn none() -> Self {
        Self::of(Source::Fixed, None)
    }

    /// This token and no other.
    pub(super) fn fixed(token: &Secret) -> Result<Self, Failure> {
        Ok(Self::of(Source::Fixed, Some(header(token)?)))
    }

    /// The token in `file`, which is read at once.
    pub(super) fn file(file: PathBuf) -> Result<Self, Failure> {
        let token = header(&read(&file)?)?;
        Ok(Self::of(Source::File(file), Some(token)))
    }

    /// The token that `command` prints. It is run when one is needed.
    pub(super) fn command(command: String) -> Self {
        Self::of(Source::Command(command), None)
    }

    fn of(source: Source, known: Option<HeaderValue>) -> Self {
        Self {
            source,
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Whether there is no token, and will be none.
    pub(super) fn is_none(&self) -> bool {
        matches!(self.source, Source::Fixed) && self.known().is_none()
    }

    /// The `Authorization` header, if there is a token.
    pub(super) async fn authorization(&self) -> Result<Option<HeaderValue>, Failure> {
        let known = self.known().clone();
        match known {
            Some(known) => Ok(Some(known)),
            None => self.fetch().await,
        }
    }

    /// The header to try in place of `refused`, if there is another.
    pub(super) async fn instead_of(
        &self,
        refused: &HeaderValue,
    ) -> Result<Option<HeaderValue>, Failure> {
        let is_other = |token: &HeaderValue| token != refused;
        // Somebody else may have been refused before us.
        if let Some(known) = self.known().clone().filter(is_other) {
            return Ok(Some(known));
        }
        Ok(self.fetch().await?.filter(is_other))
    }

    /// What the source has now.
    async fn fetch(&self) -> Result<Option<HeaderValue>, Failure> {
        let token = match &self.source {
            Source::Fixed => return Ok(None),
            Source::File(file) => read(file)?,
            Source::Command(command) => run(command).await?,
        };
        let token = header(&token)?;
        *self.known() = Some(token.clone());
        Ok(Some(token))
    }

    /// A short critical section that copies or replaces.
    fn known(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header(token: &Secret) -> Result<HeaderValue, Failure> {
    let header = HeaderValue::from_str(&format!("Bearer {}", token.reveal().trim()));
    let mut header = header.map_err(|_| {
        Failure::usage("the token has characters that no token has; is it the right file?")
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(file: &PathBuf) -> anyhow::Result<Secret> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read the token file {}", file.display()))?;
    ensure!(
        !text.trim().is_empty(),
        "the token file {} is empty",
        file.display()
    );
    Ok(Secret::from(text))
}

/// What `command` says on standard output. What it says on standard error is for whoever reads ours.
async fn run(command: &str) -> anyhow::Result<Secret> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let shell = shell.spawn().context("cannot run the token command")?;
    let Ok(output) = timeout(COMMAND_TIME, shell.wait_with_output()).await else {
        bail!("the token command takes longer than {COMMAND_TIME:?}");
    };
    let output = output.context("cannot run the token command")?;
    let status = output.status;
    ensure!(status.success(), "the token command failed: {status}");
    let text = String::from_utf8(output.stdout).ok();
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(Secret::from)
        .context("the token command printed no token")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    async fn failure_of(command: &str) -> Failure {
        let credential = Credential::command(command.to_owned());
        credential.authorization().await.unwrap_err()
    }

    #[tokio::test]
    async fn a_command_that_gives_no_token_may_give_one_later() {
        for (command, told) in [
            ("exit 22", "the token command failed: exit status: 22"),
            ("echo", "the token command printed no token"),
        ] {
            let failure = failure_of(command).await;
            assert_eq!(failure.problem.message(), told);
            assert!(!failure.is_for_good());
        }
        assert_eq!(failure_of("printf 'a\\nb'").await.exit, Exit::Usage);
    }

    #[tokio::test]
    async fn a_command_is_run_once_for_each_token_that_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("runs");
        let file = file.display();
        let credential = Credential::command(format!("echo >>{file}; grep -c '' {file}"));
        let first = credential.authorization().await.unwrap().unwrap();
        assert_eq!(first, "Bearer 1");
        assert_eq!(credential.authorization().await.unwrap().unwrap(), first);
        for _ in 0..2 {
            let second = credential.instead_of(&first).await.unwrap();
            assert_eq!(second.unwrap(), "Bearer 2");
        }
    }

    #[tokio::test]
    async fn a_file_is_read_again_and_says_nothing_new_until_it_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        fs::write(&file, "tc_1\n").unwrap();
        let credential = Credential::file(file.clone()).unwrap();
        let first = credential.authorization().await.unwrap().unwrap();
        assert_eq!(credential.instead_of(&first).await.unwrap(), None);
        fs::write(&file, "").unwrap();
        let failure = credential.instead_of(&first).await.unwrap_err();
        assert!(failure.problem.message().ends_with("is empty"));
        fs::write(&file, "tc_2\n").unwrap();
        let second = credential.instead_of(&first).await.unwrap();
        assert_eq!(second.unwrap(), "Bearer tc_2");
    }
}
