//! TLS of a listener: the certificate that it shows, and whose connections it takes.
//!
//! A certificate is changed by changing its files (`certificates.rs`): connections that are there go on, the next one is shown the
//! new one. A client certificate says where a connection comes from and not for whom: those of Genesys Cloud name a region, in
//! which every customer of theirs lives. So it never takes the place of a token.

mod certificates;
mod clients;
mod handshake;
mod identity;

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

pub use certificates::{Certificates, TlsError};
pub use clients::{InvalidNamePattern, NamePattern};
pub(super) use handshake::shake_hands;
pub use identity::IdentityError;

use identity::Texts;

/// What a listener needs for TLS: always the same one, with the latest certificate.
pub struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    fn new(config: Arc<ServerConfig>) -> Self {
        Self(ArcSwap::new(config))
    }

    /// What the next connection is met with. Sessions are remembered with the certificate and the client CA that they began
    /// with, so none outlives a change of either.
    fn acceptor(&self) -> TlsAcceptor {
        self.0.load_full().into()
    }

    fn change(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There is a private key inside.
        f.write_str("Tls(…)")
    }
}

/// The files that the TLS of a listener is made from.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM with the certificate of the listener, and those that lead from it to one that clients know.
    pub certificate: PathBuf,
    /// PEM with its private key.
    pub key: PathBuf,
    /// PEM with certificates one of which has to have issued that of a client. Without it none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Names one of which has to be in the certificate of a client; any will do if there are none.
    pub client_names: Vec<NamePattern>,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {error}", path = path.display())]
pub struct Unreadable {
    path: PathBuf,
    #[source]
    error: io::Error,
}

impl TlsFiles {
    fn read(&self) -> Result<Texts, Unreadable> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| Unreadable {
                path: path.clone(),
                error,
            })
        };
        Ok(Texts {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_ref().map(read).transpose()?,
        })
    }
}
