//! From PEM to what rustls shows to clients.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use x509_parser::parse_x509_certificate;

use super::clients::{NamePattern, NamedClients};

/// The only protocol that is spoken inside: whoever offers others alone is refused in the handshake.
const HTTP_1_1: &[u8] = b"http/1.1";

/// What stands in the files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
}

/// What a listener shows, and until when it is good for that.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) validity: Validity,
}

/// When a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Why files are of no use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no certificate, or it does not read as one.
    #[error("the certificate file holds no certificate in PEM that can be read")]
    NoCertificate,
    /// There is no private key, or it does not read as one.
    #[error("the key file holds no private key in PEM that can be read")]
    NoKey,
    /// The client CA does not read as certificates.
    #[error("the client CA file holds no certificate in PEM that can be read")]
    NoClientCa,
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(#[source] rustls::Error),
    /// The certificate is too old.
    #[error("the certificate has expired on {0}")]
    Expired(Timestamp),
    /// The certificate is too new.
    #[error("the certificate is not valid before {0}")]
    NotYetValid(Timestamp),
}

impl Texts {
    pub(super) fn identity(&self, names: &[NamePattern]) -> Result<Identity, IdentityError> {
        let chain = certificates(&self.certificate).ok_or(IdentityError::NoCertificate)?;
        let validity = validity(&chain[0]).ok_or(IdentityError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| IdentityError::NoKey)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::Unusable)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(pem).ok_or(IdentityError::NoClientCa)? {
                    roots.add(root).map_err(|_| IdentityError::NoClientCa)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                let verifier: Arc<dyn ClientCertVerifier> =
                    verifier.map_err(|_| IdentityError::NoClientCa)?;
                builder.with_client_cert_verifier(NamedClients::among(verifier, names))
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(IdentityError::Unusable)?;
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Identity {
            config: Arc::new(config),
            validity,
        })
    }
}

impl Validity {
    /// Whether clients that look at the time accept the certificate at `now`.
    pub(super) fn check(self, now: Timestamp) -> Result<(), IdentityError> {
        if now > self.not_after {
            Err(IdentityError::Expired(self.not_after))
        } else if now < self.not_before {
            Err(IdentityError::NotYetValid(self.not_before))
        } else {
            Ok(())
        }
    }
}

/// The certificates in `pem`, at least one.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|found| !found.is_empty())
}

fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let validity = certificate.validity();
    let time = |seconds| Timestamp::from_second(seconds).ok();
    Some(Validity {
        not_before: time(validity.not_before.timestamp())?,
        not_after: time(validity.not_after.timestamp())?,
    })
}
