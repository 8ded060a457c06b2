//! The certificates of the listeners, and changing them while connections go on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::identity::{Identity, IdentityError, Texts, Validity};
use super::{Tls, TlsFiles, Unreadable};
use crate::clock::Clock;
use crate::reload::Reload;
use crate::telemetry::{Alarm, Alarms};

/// So long before a certificate expires somebody should know: what renews by itself does so a month before.
const NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The certificates of all listeners that speak TLS.
pub struct Certificates {
    shown: Vec<Shown>,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
}

/// The certificate of one listener.
struct Shown {
    listener: &'static str,
    files: TlsFiles,
    /// What stood in the files when it was taken.
    texts: Texts,
    validity: Validity,
    tls: Arc<Tls>,
}

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// What was read is of no use.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl Certificates {
    /// No listener speaks TLS so far.
    #[must_use]
    pub fn none(clock: Arc<dyn Clock>, alarms: Alarms) -> Self {
        Self {
            shown: Vec::new(),
            clock,
            alarms,
        }
    }

    /// Whether no listener speaks TLS.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Takes what is in `files` for `listener`. A certificate that is good at another time only is taken all the same, since
    /// there is no better one; the alarm says so.
    ///
    /// # Errors
    /// There is none, or it does not go with its key.
    pub fn show(&mut self, listener: &'static str, files: TlsFiles) -> Result<Arc<Tls>, TlsError> {
        let texts = files.read()?;
        let Identity { config, validity } = texts.identity(&files.client_names)?;
        let tls = Arc::new(Tls::new(config));
        self.shown.push(Shown {
            listener,
            files,
            texts,
            validity,
            tls: Arc::clone(&tls),
        });
        self.look();
        Ok(tls)
    }
}

impl Reload for Certificates {
    const WHAT: &'static str = "the TLS certificates";

    fn look(&mut self) {
        let now = self.clock.now();
        let mut refused = Vec::new();
        let mut expiring = Vec::new();
        for shown in &mut self.shown {
            if let Err(error) = shown.take_changes(now) {
                refused.push(format!("{}: {error}", shown.listener));
            }
            let soon = now.saturating_add(NOTICE).unwrap_or(Timestamp::MAX);
            if let Err(error) = shown.validity.check(now) {
                expiring.push(format!("{}: {error}", shown.listener));
            } else if soon > shown.validity.not_after {
                let not_after = shown.validity.not_after;
                expiring.push(format!(
                    "{}: the certificate expires on {not_after}",
                    shown.listener
                ));
            }
        }
        let why = |found: Vec<String>| (!found.is_empty()).then(|| found.join("; "));
        self.alarms.set(Alarm::TlsFilesRefused, why(refused));
        self.alarms.set(Alarm::TlsCertificateExpires, why(expiring));
    }
}

impl Shown {
    /// Takes what has changed. What cannot be used changes nothing: what is shown now goes on.
    fn take_changes(&mut self, now: Timestamp) -> Result<(), TlsError> {
        let texts = self.files.read()?;
        if texts == self.texts {
            return Ok(());
        }
        let Identity { config, validity } = texts.identity(&self.files.client_names)?;
        validity.check(now)?;
        self.validity = validity;
        self.tls.change(config);
        self.texts = texts;
        let (listener, not_after) = (self.listener, validity.not_after);
        tracing::info!(listener, %not_after, "another TLS certificate is shown from now on");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
