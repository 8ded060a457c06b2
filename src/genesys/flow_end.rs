//! The end of a flow, as Genesys Cloud tells it through Amazon EventBridge.
//!
//! The event is `v2.detail.events.conversation.{id}.flow.end`; of its envelope `detail-type` and `detail.eventBody` are read, of
//! its body the members of [`FlowEnd`]. What an exit reason means for callers is nowhere written down by Genesys, only its
//! name: which ones count as what is a setting ([`FlowEnds`]), compared without regard to case. Delivery is neither exactly once
//! nor in order, and need not be: the judge counts a call once. Numbers that the event carries are not even read.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use crate::domain::ids::FlowId;
use crate::domain::judge::metric::{Metric, MetricSet};
use crate::domain::whole_number;

/// How the `detail-type` of the event ends.
const FLOW_END: &str = ".flow.end";

/// The end of a flow. A call may go through several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowEnd {
    /// The conversation.
    pub conversation_id: String,
    /// The flow that ended.
    pub flow_id: Option<String>,
    /// When it ended.
    pub at: Timestamp,
    /// How, such as `DISCONNECT` or `TRANSFER`.
    pub exit_reason: Option<String>,
    /// Where to, if the call was transferred, such as `ACD` or `FLOW`.
    pub transfer_type: Option<String>,
}

/// Which ends of flows are bad, and in which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowEnds {
    /// Exit reasons of callers who hung up.
    pub abandon: Vec<String>,
    /// Exit reasons of flows that failed.
    pub error: Vec<String>,
    /// Transfer types that lead to a person.
    pub to_a_person: Vec<String>,
}

impl FlowEnds {
    /// Exit reasons of callers who hung up, unless set otherwise.
    pub const ABANDON: &str = "DISCONNECT";
    /// Exit reasons of flows that failed, unless set otherwise. `FLOW_DISCONNECT` is not among them, since a flow that has done
    /// its work says goodbye like that too.
    pub const ERROR: &str = "FLOW_ERROR_DISCONNECT,FLOW_ERROR_EXIT,SESSION_EXPIRE_DISCONNECT,RECOGNITION_FAILURE_DISCONNECT,RECOGNITION_FAILURE_EXIT";
    /// Transfer types that lead to a person, unless set otherwise.
    pub const TO_A_PERSON: &str = "ACD,USER,NUMBER,GROUP,RETURN_TO_AGENT";

    /// The ways in which `end` is a bad one. A transfer to a person is one, and a flow that transfers has not contained the call.
    #[must_use]
    pub fn bad(&self, end: &FlowEnd) -> MetricSet {
        let has = |set: &[String], value: &Option<String>| {
            let value = value.as_deref().unwrap_or_default();
            set.iter().any(|one| one.eq_ignore_ascii_case(value))
        };
        let is_transferred = has(&self.to_a_person, &end.transfer_type);
        let found = [
            (Metric::Abandon, has(&self.abandon, &end.exit_reason)),
            (Metric::Error, has(&self.error, &end.exit_reason)),
            (Metric::Transfer, is_transferred),
            (Metric::Containment, is_transferred),
        ];
        found
            .into_iter()
            .filter_map(|(metric, is_bad)| is_bad.then_some(metric))
            .collect()
    }
}

impl Default for FlowEnds {
    fn default() -> Self {
        let set = |texts: &str| texts.split(',').map(str::to_owned).collect();
        Self {
            abandon: set(Self::ABANDON),
            error: set(Self::ERROR),
            to_a_person: set(Self::TO_A_PERSON),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event_body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventBody {
    conversation_id: String,
    /// Milliseconds since 1970.
    #[serde(deserialize_with = "whole_number::read")]
    event_time: i64,
    flow_id: Option<String>,
    exit_reason: Option<String>,
    transfer_type: Option<String>,
}

impl FlowEnd {
    /// Whether it is about the flow called `id`.
    #[must_use]
    pub fn is_of(&self, id: &FlowId) -> bool {
        let flow_id = self.flow_id.as_deref().unwrap_or_default();
        flow_id.eq_ignore_ascii_case(id.as_str())
    }

    /// Reads an event in its envelope; `None` is an event of another kind.
    ///
    /// # Errors
    /// It is no event, or one without a conversation or a time.
    pub fn in_envelope<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        let envelope = Envelope::deserialize(deserializer)?;
        if !envelope.detail_type.ends_with(FLOW_END) {
            return Ok(None);
        }
        let body = envelope.detail.and_then(|detail| detail.event_body);
        let body = body.ok_or_else(|| D::Error::custom("missing member `detail.eventBody`"))?;
        let body: EventBody = serde_json::from_str(body.get()).map_err(|_| {
            D::Error::custom(
                "detail.eventBody: expected conversationId, a text, and eventTime, milliseconds since 1970",
            )
        })?;
        let at = Timestamp::from_millisecond(body.event_time)
            .map_err(|_| D::Error::custom("detail.eventBody.eventTime: expected a time"))?;
        Ok(Some(Self {
            conversation_id: body.conversation_id,
            flow_id: body.flow_id,
            at,
            exit_reason: body.exit_reason,
            transfer_type: body.transfer_type,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event as the Genesys blueprint for event streaming has it, its personal data made up.
    const EVENT: &str = r#"{
        "version": "0", "id": "0a1b", "detail-type": "v2.detail.events.conversation.{id}.flow.end",
        "source": "aws.partner/genesys.com/cloud/5f0c/main", "account": "123456789012", "time": "2026-01-05T08:00:01Z",
        "region": "eu-central-1", "resources": [],
        "detail": {
            "topicName": "v2.detail.events.conversation.7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e.flow.end", "version": "2",
            "eventBody": {
                "eventTime": 1767600000500, "conversationId": "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e",
                "participantId": "p", "sessionId": "s", "mediaType": "VOICE", "provider": "Edge", "direction": "INBOUND",
                "ani": "tel:+4930123456", "dnis": "tel:+4930654321", "flowType": "INBOUNDCALL", "flowId": "FLOW-green",
                "flowVersion": "45.0", "disconnectType": "PEER", "exitReason": "DISCONNECT", "connectedDurationMs": 900
            },
            "metadata": {"CorrelationId": "c"}, "timestamp": "2026-01-05T08:00:00.600Z"
        }
    }"#;

    fn read(text: &str) -> Result<Option<FlowEnd>, serde_json::Error> {
        FlowEnd::in_envelope(&mut serde_json::Deserializer::from_str(text))
    }

    fn end(exit_reason: &str, transfer_type: Option<&str>) -> FlowEnd {
        FlowEnd {
            conversation_id: "c".to_owned(),
            flow_id: None,
            at: Timestamp::UNIX_EPOCH,
            exit_reason: Some(exit_reason.to_owned()),
            transfer_type: transfer_type.map(str::to_owned),
        }
    }

    #[test]
    fn an_event_is_read_from_its_envelope() {
        let end = read(EVENT).unwrap().expect("a flow's end");
        assert_eq!(end.conversation_id, "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e");
        assert_eq!(end.at.to_string(), "2026-01-05T08:00:00.5Z");
        assert!(end.is_of(&"flow-green".parse().unwrap()));
        assert!(!end.is_of(&"flow-blue".parse().unwrap()));
        assert_eq!(FlowEnds::default().bad(&end), Metric::Abandon.into());
    }

    #[test]
    fn events_of_other_kinds_are_none_and_what_lacks_its_conversation_is_no_event() {
        assert_eq!(
            read(&EVENT.replace(".flow.end", ".flow.start")).unwrap(),
            None
        );
        for (whole, part) in [
            ("\"conversationId\"", "\"x\""),
            ("1767600000500", "\"now\""),
            ("\"eventBody\"", "\"y\""),
        ] {
            let error = read(&EVENT.replace(whole, part)).unwrap_err().to_string();
            assert!(error.contains("eventBody"), "{error}");
        }
    }

    #[test]
    fn every_confirmed_exit_reason_has_a_meaning() {
        let ends = FlowEnds::default();
        let (abandon, error) = (Metric::Abandon.into(), Metric::Error.into());
        let person = [Metric::Transfer, Metric::Containment]
            .into_iter()
            .collect();
        for (exit_reason, transfer_type, bad) in [
            ("DISCONNECT", None, abandon),
            ("disconnect", None, abandon),
            ("FLOW_DISCONNECT", None, MetricSet::NONE),
            ("FLOW_ERROR_DISCONNECT", None, error),
            ("FLOW_ERROR_EXIT", None, error),
            ("SESSION_EXPIRE_DISCONNECT", None, error),
            ("RECOGNITION_FAILURE_DISCONNECT", None, error),
            ("RECOGNITION_FAILURE_EXIT", None, error),
            ("USER_EXIT", None, MetricSet::NONE),
            ("FLOW_EXIT", None, MetricSet::NONE),
            ("UNKNOWN", None, MetricSet::NONE),
            ("TRANSFER", Some("ACD"), person),
            ("TRANSFER", Some("USER"), person),
            ("TRANSFER", Some("NUMBER"), person),
            ("TRANSFER", Some("GROUP"), person),
            ("TRANSFER", Some("RETURN_TO_AGENT"), person),
            ("TRANSFER", Some("FLOW"), MetricSet::NONE),
            ("TRANSFER", Some("SECURE_FLOW"), MetricSet::NONE),
            ("TRANSFER", Some("ACD_VOICEMAIL"), MetricSet::NONE),
        ] {
            let found = ends.bad(&end(exit_reason, transfer_type));
            assert_eq!(found, bad, "{exit_reason} {transfer_type:?}");
        }
    }
}
