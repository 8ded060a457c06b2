//! Alarms: conditions that need a person.
//!
//! A closed set. Each is a metric that is 1 while the condition lasts, one line in the log when it begins and one when it
//! ends, however often it is noticed in between. docs/operations.md says what to do about each.

use std::array;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// A condition that needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// An aggregate's last record cannot be read or believed: it is served as it last could be.
    UnreadableState,
    /// A newer binary wrote a state in a format that this one does not know.
    NewerFormat,
    /// A journal entry was passed over whose envelope cannot be read. It stays in the journal, so this ends by itself.
    UnreadableEnvelope,
    /// The journal lost or changed an entry that was followed here.
    JournalRewound,
    /// Entries are missing in the middle of the journal.
    JournalGap,
    /// A recovery of the journal has begun and not ended.
    RecoveryUnderWay,
    /// A live replica has followed the journal further than it goes.
    BehindPeers,
    /// The store does not answer.
    StoreAway,
    /// The last good state cannot be kept as a file.
    LastGoodFile,
    /// Calls are answered from the default snapshot.
    DefaultSnapshotInUse,
    /// The default snapshot cannot be used, should it be needed.
    DefaultSnapshotUnusable,
    /// The keys of an issuer of tokens cannot be fetched.
    IssuerKeys,
    /// The files of a listener's TLS were changed and cannot be used as they are.
    TlsFilesRefused,
    /// The TLS certificate of a listener expires soon, or has.
    TlsCertificateExpires,
    /// A webhook is not told of changes.
    Webhooks,
    /// A row of the data table in Genesys Cloud does not say what the journal says, or nobody can tell.
    DataTable,
}

impl Alarm {
    /// Every alarm.
    pub const ALL: [Self; 16] = [
        Self::UnreadableState,
        Self::NewerFormat,
        Self::UnreadableEnvelope,
        Self::JournalRewound,
        Self::JournalGap,
        Self::RecoveryUnderWay,
        Self::BehindPeers,
        Self::StoreAway,
        Self::LastGoodFile,
        Self::DefaultSnapshotInUse,
        Self::DefaultSnapshotUnusable,
        Self::IssuerKeys,
        Self::TlsFilesRefused,
        Self::TlsCertificateExpires,
        Self::Webhooks,
        Self::DataTable,
    ];

    /// Its name in the metric, the log and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IssuerKeys => "issuer_keys",
            Self::UnreadableState => "unreadable_state",
            Self::NewerFormat => "newer_format",
            Self::UnreadableEnvelope => "unreadable_envelope",
            Self::JournalRewound => "journal_rewound",
            Self::JournalGap => "journal_gap",
            Self::RecoveryUnderWay => "recovery_under_way",
            Self::BehindPeers => "behind_peers",
            Self::StoreAway => "store_away",
            Self::LastGoodFile => "last_good_file",
            Self::DefaultSnapshotInUse => "default_snapshot_in_use",
            Self::DefaultSnapshotUnusable => "default_snapshot_unusable",
            Self::TlsFilesRefused => "tls_files_refused",
            Self::TlsCertificateExpires => "tls_certificate_expires",
            Self::Webhooks => "webhooks",
            Self::DataTable => "data_table",
        }
    }
}

/// Which alarms are raised, and why. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Alarms {
    /// The metric.
    pub(super) gauges: Family<Labels, Gauge>,
    /// Why each is raised, in the order of [`Alarm::ALL`]; `None` while it is not.
    raised: Arc<Mutex<[Option<String>; Alarm::ALL.len()]>>,
}

/// What became of an alarm.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Raised(String),
    Cleared,
}

/// Labels of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    condition: &'static str,
}

impl Default for Alarms {
    /// No alarm is raised, and the metric says so of each: an alert on a metric that is missing would be a silent one.
    fn default() -> Self {
        let alarms = Self {
            gauges: Family::default(),
            raised: Arc::new(Mutex::new(array::from_fn(|_| None))),
        };
        for alarm in Alarm::ALL {
            alarms.show(alarm, false);
        }
        alarms
    }
}

impl Alarms {
    /// Raises `alarm` for the reason given, or clears it if there is none. The log hears of it only if that is news.
    pub fn set(&self, alarm: Alarm, why: Option<String>) {
        let condition = alarm.as_str();
        match self.turn(alarm, why) {
            Some(Turn::Raised(why)) => tracing::error!(condition, why, "alarm raised"),
            Some(Turn::Cleared) => tracing::info!(condition, "alarm cleared"),
            None => {}
        }
    }

    /// What is news of it, if anything is.
    fn turn(&self, alarm: Alarm, why: Option<String>) -> Option<Turn> {
        let mut raised = self.locked();
        let before = std::mem::replace(&mut raised[alarm as usize], why.clone());
        self.show(alarm, why.is_some());
        match (before, why) {
            (None, Some(why)) => Some(Turn::Raised(why)),
            (Some(_), None) => Some(Turn::Cleared),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    /// The alarms that are raised, each with the latest reason.
    #[must_use]
    pub fn raised(&self) -> Vec<(Alarm, String)> {
        let raised = self.locked();
        let reasons = Alarm::ALL.into_iter().zip(raised.iter().cloned());
        reasons
            .filter_map(|(alarm, why)| Some((alarm, why?)))
            .collect()
    }

    fn show(&self, alarm: Alarm, is_raised: bool) {
        let condition = alarm.as_str();
        self.gauges
            .get_or_create(&Labels { condition })
            .set(i64::from(is_raised));
    }

    /// A short critical section that replaces whole values: a panic inside one left them as they were.
    fn locked(&self) -> MutexGuard<'_, [Option<String>; Alarm::ALL.len()]> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
