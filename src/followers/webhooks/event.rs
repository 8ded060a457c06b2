//! What a webhook is told: CloudEvents 1.0 in their structured JSON form, one for each journal entry.
//!
//! An event is the same, byte for byte, however often and from wherever it is sent: what it shows is shown as of the time of the
//! change, and its id is the entry's place in the journal.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ids::{AggregateKey, EnvironmentName, Sequence};
use crate::http::ChangeEvent;
use crate::store::record::Record;

/// The media type of an event (CloudEvents JSON Event Format 1.0, section 3).
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// An event, ready to be sent as often as it takes.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Its id: the place in the journal; of a gap, with that said.
    pub(super) id: String,
    /// The event as JSON.
    pub(super) body: Bytes,
    /// When the change was made; `None` if nobody knows.
    pub(super) at: Option<Timestamp>,
    /// The entry to go on with once it is delivered.
    pub(super) next: Sequence,
}

/// The members of an event.
#[derive(Serialize)]
struct CloudEvent<'a, D> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a EnvironmentName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    datacontenttype: &'static str,
    data: D,
}

/// An entry that is not what its writer wrote.
#[derive(Serialize)]
struct UnreadableData {
    sequence: Sequence,
}

/// Entries that are missing.
#[derive(Serialize)]
struct GapData {
    after: Sequence,
    resumed_after: Sequence,
}

impl Message {
    /// The change of `record`, from `source`.
    pub(super) fn change(record: &Record, source: &str) -> Self {
        let change = &record.change;
        let what = change.aggregate.to_string();
        let what = what.split('/').next().unwrap_or_default();
        let subject = match &change.aggregate {
            AggregateKey::Environment(name) => Some(name),
            AggregateKey::Access | AggregateKey::Settings | AggregateKey::Other(_) => None,
        };
        let id = record.sequence.to_string();
        let event = CloudEvent {
            specversion: "1.0",
            id: &id,
            source,
            r#type: &format!("traffic-cop.{what}.{}", change.action),
            subject,
            time: Some(change.at),
            datacontenttype: "application/json",
            data: ChangeEvent::new(record, change.at),
        };
        Self {
            body: json(&event),
            id,
            at: Some(change.at),
            next: record.sequence.next(),
        }
    }

    /// An entry at `sequence` that cannot be read, so that nobody knows whose it was.
    pub(super) fn unreadable(sequence: Sequence, source: &str) -> Self {
        let data = UnreadableData { sequence };
        let id = sequence.to_string();
        Self {
            body: of_the_journal(&id, source, "traffic-cop.journal.unreadable", data),
            id,
            at: None,
            next: sequence.next(),
        }
    }

    /// Entries that are missing between `after` and `next`, as after a recovery.
    pub(super) fn gap(after: Sequence, next: Sequence, source: &str) -> Self {
        let resumed_after = Sequence(next.0.saturating_sub(1));
        let data = GapData {
            after,
            resumed_after,
        };
        let id = format!("gap-{resumed_after}");
        Self {
            body: of_the_journal(&id, source, "traffic-cop.journal.gap", data),
            id,
            at: None,
            next,
        }
    }
}

fn of_the_journal(id: &str, source: &str, kind: &str, data: impl Serialize) -> Bytes {
    json(&CloudEvent {
        specversion: "1.0",
        id,
        source,
        r#type: kind,
        subject: None,
        time: None,
        datacontenttype: "application/json",
        data,
    })
}

fn json(event: &impl Serialize) -> Bytes {
    // Structs of texts and numbers: nothing that JSON cannot say.
    serde_json::to_vec(event).expect("an event as JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_and_what_is_missing_is_told_too() {
        let text = |message: &Message| String::from_utf8(message.body.to_vec()).unwrap();
        let unreadable = Message::unreadable(Sequence(7), "urn:x");
        insta::assert_snapshot!(text(&unreadable), @r#"{"specversion":"1.0","id":"7","source":"urn:x","type":"traffic-cop.journal.unreadable","datacontenttype":"application/json","data":{"sequence":7}}"#);
        assert_eq!(unreadable.next, Sequence(8));
        let gap = Message::gap(Sequence(7), Sequence(100), "urn:x");
        insta::assert_snapshot!(text(&gap), @r#"{"specversion":"1.0","id":"gap-99","source":"urn:x","type":"traffic-cop.journal.gap","datacontenttype":"application/json","data":{"after":7,"resumed_after":99}}"#);
        assert_eq!(gap.next, Sequence(100));
    }
}
