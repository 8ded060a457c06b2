//! Certificates of authorities that live for one test.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// Who issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority");
        let issuer = CertifiedIssuer::self_signed(params, new_key());
        Self(issuer.expect("a certificate"))
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, params: &CertificateParams) -> Issued {
        let key = new_key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// One for the names of this machine, which only tests call so.
    pub(crate) fn issue(&self) -> Issued {
        self.issue_for("localhost")
    }

    /// One for `name` and for 127.0.0.1.
    pub(crate) fn issue_for(&self, name: &str) -> Issued {
        let names = [name.to_owned(), "127.0.0.1".to_owned()];
        self.sign(&CertificateParams::new(names).expect("names"))
    }

    /// One that says its name as certificates did before they had a place for it.
    pub(crate) fn issue_for_common_name(&self, name: &str) -> Issued {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(&params)
    }

    /// One that has expired long ago.
    pub(crate) fn issue_expired(&self) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("names");
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(&params)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

impl Issued {
    /// Puts both into `directory`, each file whole at once.
    pub(crate) fn write_to(&self, directory: &Path) {
        for (name, text) in [
            ("certificate.pem", &self.certificate),
            ("key.pem", &self.key),
        ] {
            let new = directory.join("new.pem");
            fs::write(&new, text).expect("a file");
            fs::rename(new, directory.join(name)).expect("a file in its place");
        }
    }
}
