//! Whose certificates are accepted: those that a CA of the settings has issued, for one of the names of the settings.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// A name in which a label may be `*`, which stands for any one label: `dataactions.*.*.mypurecloud.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(Vec<String>);

/// A text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a host name in which whole labels may be *, such as dataactions.*.*.mypurecloud.com"
)]
pub struct InvalidNamePattern;

impl FromStr for NamePattern {
    type Err = InvalidNamePattern;

    fn from_str(text: &str) -> Result<Self, InvalidNamePattern> {
        let is_label = |label: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            label == "*" || (!label.is_empty() && label.bytes().all(is_letter))
        };
        if text.split('.').all(is_label) {
            let labels = text.split('.').map(str::to_ascii_lowercase);
            Ok(Self(labels.collect()))
        } else {
            Err(InvalidNamePattern)
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl NamePattern {
    /// Whether `name` is one of these. A certificate for any name of a domain (`*.example.com`) is for none of them.
    fn matches(&self, name: &str) -> bool {
        let Self(labels) = self;
        let name = name.strip_suffix('.').unwrap_or(name);
        name.split('.').count() == labels.len()
            && name.split('.').zip(labels).all(|(found, wanted)| {
                !found.is_empty()
                    && found != "*"
                    && (wanted == "*" || found.eq_ignore_ascii_case(wanted))
            })
    }
}

/// Accepts what `issued` accepts, if it has one of the names.
#[derive(Debug)]
pub(super) struct NamedClients {
    issued: Arc<dyn ClientCertVerifier>,
    names: Vec<NamePattern>,
}

impl NamedClients {
    /// Clients that `issued` accepts, with one of `names` if there are any.
    pub(super) fn among(
        issued: Arc<dyn ClientCertVerifier>,
        names: &[NamePattern],
    ) -> Arc<dyn ClientCertVerifier> {
        if names.is_empty() {
            return issued;
        }
        Arc::new(Self {
            issued,
            names: names.to_vec(),
        })
    }

    /// Whether one of the certificate's names is wanted: its DNS names, or its common name if it has no others (RFC 6125,
    /// section 6.4.4).
    fn knows(&self, certificate: &X509Certificate<'_>) -> bool {
        let is_known = |name: &str| self.names.iter().any(|pattern| pattern.matches(name));
        let others = certificate.subject_alternative_name();
        let others = others
            .ok()
            .flatten()
            .map(|others| &others.value.general_names);
        let mut dns = others.into_iter().flatten().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
        match dns.next() {
            Some(first) => is_known(first) || dns.any(is_known),
            None => {
                let mut common = certificate.subject().iter_common_name();
                common.any(|name| name.as_str().is_ok_and(is_known))
            }
        }
    }
}

impl ClientCertVerifier for NamedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issued.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .issued
            .verify_client_cert(end_entity, intermediates, now)?;
        let (_, certificate) = parse_x509_certificate(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if self.knows(&certificate) {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issued
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_whole_label() {
        let pattern: NamePattern = "dataactions.*.*.mypurecloud.com".parse().unwrap();
        for name in [
            "dataactions.prod.us-east-1.mypurecloud.com",
            "DataActions.prod.eu-central-1.MyPureCloud.com.",
        ] {
            assert!(pattern.matches(name), "{name}");
        }
        for name in [
            "dataactions.us-east-1.mypurecloud.com",
            "dataactions.a.b.c.mypurecloud.com",
            "dataactions..b.mypurecloud.com",
            "dataactions.*.b.mypurecloud.com",
            "dataactions.a.b.mypurecloud.com.example",
            "x.dataactions.a.b.mypurecloud.com",
            "",
        ] {
            assert!(!pattern.matches(name), "{name}");
        }
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }

    #[test]
    fn part_of_a_label_is_no_place_for_a_star() {
        for bad in ["", ".", "a..b", "a*.example", "a b", "*.example.", "a/b"] {
            assert_eq!(bad.parse::<NamePattern>(), Err(InvalidNamePattern), "{bad}");
        }
    }
}
