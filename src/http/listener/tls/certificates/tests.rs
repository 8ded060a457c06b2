//! What becomes of changed files. That connections go on meanwhile is tested on real sockets.

use std::fs;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;

/// A listener with files of its own, at 2026-06-01.
struct World {
    directory: TempDir,
    clock: Arc<ManualClock>,
    alarms: Alarms,
    certificates: Certificates,
    tls: Arc<Tls>,
}

/// PEM of a certificate that is good from the one year to the other, and of its key.
fn issue(from: i32, to: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

impl World {
    fn start((certificate, key): (String, String)) -> Result<Self, TlsError> {
        let directory = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: directory.path().join("certificate.pem"),
            key: directory.path().join("key.pem"),
            client_ca: None,
            client_names: Vec::new(),
        };
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        let clock = Arc::new(ManualClock::at("2026-06-01T00:00:00Z".parse().unwrap()));
        let alarms = Alarms::default();
        let mut certificates = Certificates::none(clock.clone(), alarms.clone());
        let tls = certificates.show("admin", files)?;
        Ok(Self {
            directory,
            clock,
            alarms,
            certificates,
            tls,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Whether another certificate is shown once these are in the files.
    fn takes(&mut self, certificate: &str, key: &str) -> bool {
        let before = self.tls.0.load_full();
        fs::write(self.file("certificate.pem"), certificate).unwrap();
        fs::write(self.file("key.pem"), key).unwrap();
        self.certificates.look();
        !Arc::ptr_eq(&before, &self.tls.0.load_full())
    }

    fn why(&self, alarm: Alarm) -> Option<String> {
        let raised = self.alarms.raised().into_iter();
        raised
            .into_iter()
            .find(|(raised, _)| *raised == alarm)
            .map(|(_, why)| why)
    }
}

#[test]
fn a_usable_certificate_takes_the_place_of_another_and_no_other_does() {
    let (certificate, key) = issue(2026, 2030);
    let mut world = World::start((certificate.clone(), key.clone())).unwrap();
    assert!(!world.takes(&certificate, &key), "nothing has changed");
    assert_eq!(world.why(Alarm::TlsFilesRefused), None);

    let (other, other_key) = issue(2026, 2031);
    let (old, old_key) = issue(2020, 2026);
    let (early, early_key) = issue(2027, 2030);
    for (certificate, key, reason) in [
        ("no certificate", key.as_str(), "no certificate"),
        (certificate.as_str(), "no key", "no private key"),
        (&other, &key, "cannot be used together"),
        (&old, &old_key, "expired on 2026-01-01"),
        (&early, &early_key, "not valid before 2027-01-01"),
    ] {
        assert!(!world.takes(certificate, key), "{reason}");
        let why = world.why(Alarm::TlsFilesRefused).unwrap_or_default();
        assert!(why.starts_with("admin: ") && why.contains(reason), "{why}");
    }
    fs::remove_file(world.file("key.pem")).unwrap();
    world.certificates.look();
    let why = world.why(Alarm::TlsFilesRefused).unwrap_or_default();
    assert!(
        why.contains("cannot read") && why.contains("key.pem"),
        "{why}"
    );

    assert!(world.takes(&other, &other_key));
    assert_eq!(world.why(Alarm::TlsFilesRefused), None);
}

#[test]
fn putting_the_old_files_back_ends_the_alarm() {
    let (certificate, key) = issue(2026, 2030);
    let mut world = World::start((certificate.clone(), key.clone())).unwrap();
    assert!(!world.takes("", &key));
    assert!(world.why(Alarm::TlsFilesRefused).is_some());
    assert!(!world.takes(&certificate, &key));
    assert_eq!(world.why(Alarm::TlsFilesRefused), None);
}

#[test]
fn somebody_knows_two_weeks_before_a_certificate_expires() {
    let mut world = World::start(issue(2026, 2027)).unwrap();
    assert_eq!(world.why(Alarm::TlsCertificateExpires), None);
    world.clock.advance(Duration::from_secs(201 * 24 * 60 * 60));
    world.certificates.look();
    let why = world.why(Alarm::TlsCertificateExpires).unwrap_or_default();
    assert!(
        why.starts_with("admin: the certificate expires on 2027-01-01"),
        "{why}"
    );
    let (certificate, key) = issue(2026, 2028);
    assert!(world.takes(&certificate, &key));
    assert_eq!(world.why(Alarm::TlsCertificateExpires), None);
}

#[test]
fn a_process_starts_with_an_expired_certificate_and_says_so_but_not_with_half_of_one() {
    let world = World::start(issue(2020, 2026)).unwrap();
    let why = world.why(Alarm::TlsCertificateExpires).unwrap_or_default();
    assert!(why.contains("has expired on 2026-01-01"), "{why}");
    let (certificate, _) = issue(2026, 2027);
    let (_, key) = issue(2026, 2027);
    assert!(World::start((certificate, key)).is_err());
}
