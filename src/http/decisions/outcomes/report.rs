//! What is reported: by a flow about its call, about many calls at once, or by Genesys Cloud when a flow ends.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Error as _, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{
    AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::Environment;
use crate::domain::conversation::Conversation;
use crate::domain::judge::evidence::Outcome;
use crate::domain::judge::metric::{Metric, MetricSet};
use crate::evidence::MOST_OUTCOMES;
use crate::genesys::flow_end::{FlowEnd, FlowEnds};
use crate::http::body;
use crate::http::problem::{Kind, Problem};

/// A request that was read.
#[derive(Debug)]
pub(super) enum Report {
    /// What flows say about their calls.
    Calls(Vec<Call>),
    /// The end of a flow, as Genesys Cloud tells it; `None` is an event of another kind.
    Event(Option<FlowEnd>),
}

/// How a call ended, as its flow says. Members that are left out, null or empty say nothing; any report, good or bad, tells that
/// the call was heard of. Other members are refused: a metric that is misspelt must not pass for a call that went well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Outcome)]
pub(super) struct Call {
    /// Id of the conversation, as in its decision.
    #[serde(rename = "Conversation_ID")]
    #[schema(example = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e")]
    conversation_id: ConversationId,
    /// Whether the caller hung up in the flow. Here and below: true or false, or their text.
    #[serde(rename = "Abandon", default)]
    #[schema(required = false)]
    abandon: Said,
    /// Whether the flow failed, or hung up on the caller.
    #[serde(rename = "Error", default)]
    #[schema(required = false)]
    error: Said,
    /// Whether the call went to a person.
    #[serde(rename = "Transfer", default)]
    #[schema(required = false)]
    transfer: Said,
    /// Whether the flow settled what the caller came for; here *false* is the bad end.
    #[serde(rename = "Containment", default)]
    #[schema(required = false)]
    containment: Said,
    /// When it happened (RFC 3339); the time of the report if left out. A time to come counts as now.
    #[serde(rename = "Time", default)]
    #[schema(required = false)]
    time: Time,
}

/// How many calls ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Calls {
    /// The calls, at most 500.
    #[serde(rename = "Outcomes")]
    #[schema(max_items = 500)]
    outcomes: Vec<Call>,
}

/// A flow's report, many of them, or the event in which Genesys Cloud tells of a flow's end, in the envelope of Amazon
/// EventBridge.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `Report::parse` reads")]
pub(super) enum OutcomesRequest {
    /// One call.
    Call(Call),
    /// Many calls.
    Calls(Calls),
    /// The end of a flow.
    FlowEnd(FlowEndRequest),
    /// An event of another kind, which is passed over.
    Other(OtherEvent),
}

/// The end of a flow, in its envelope.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `FlowEnd::in_envelope` reads")]
pub(super) struct FlowEndRequest {
    /// The kind of event.
    #[schema(
        rename = "detail-type",
        pattern = r"\.flow\.end$",
        example = "v2.detail.events.conversation.{id}.flow.end"
    )]
    detail_type: String,
    /// What is around the event itself.
    #[schema(inline)]
    detail: FlowEndDetail,
}

/// What is around the end of a flow.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `FlowEnd::in_envelope` reads")]
struct FlowEndDetail {
    /// The event itself.
    #[schema(inline)]
    event_body: FlowEndBody,
}

/// The end of a flow.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `FlowEnd::in_envelope` reads")]
struct FlowEndBody {
    /// Id of the conversation.
    conversation_id: String,
    /// When it ended, in milliseconds since 1970.
    #[schema(minimum = -377_705_023_201_000_i64, maximum = 253_402_207_200_999_i64)]
    event_time: i64,
    /// The flow.
    flow_id: Option<String>,
    /// How it ended, such as `DISCONNECT`.
    exit_reason: Option<String>,
    /// Where to, if the call was transferred, such as `ACD`.
    transfer_type: Option<String>,
}

/// An event of another kind.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `FlowEnd::in_envelope` reads")]
pub(super) struct OtherEvent {
    /// The kind of event.
    #[schema(rename = "detail-type", pattern = r"^(?!.*\.flow\.end$)")]
    detail_type: String,
}

/// Which of the three forms a body has.
#[derive(Deserialize)]
struct Form {
    #[serde(rename = "Outcomes")]
    outcomes: Option<IgnoredAny>,
    #[serde(rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
}

impl Report {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let form: Form = body::parse(body)?;
        if form.detail_type.is_some() {
            return Ok(Self::Event(body::parse::<FlowEndEvent>(body)?.0));
        }
        if form.outcomes.is_none() {
            return Ok(Self::Calls(vec![body::parse(body)?]));
        }
        let Calls { outcomes } = body::parse(body)?;
        if outcomes.len() > MOST_OUTCOMES {
            let detail = format!("member Outcomes: at most {MOST_OUTCOMES} at once");
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        Ok(Self::Calls(outcomes))
    }

    /// How many things it tells.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Calls(calls) => calls.len(),
            Self::Event(_) => 1,
        }
    }

    /// What it means for the judge of `environment`, told at `now`.
    pub(super) fn outcomes(
        &self,
        environment: &Environment,
        ends: &FlowEnds,
        now: Timestamp,
    ) -> Vec<Outcome> {
        let of = |conversation_id: &str, at: Timestamp, bad: MetricSet| Outcome {
            conversation: Conversation::of(conversation_id).hash(&environment.salt),
            at: at.min(now),
            bad,
        };
        match self {
            Self::Calls(calls) => calls
                .iter()
                .map(|call| {
                    let at = call.time.0.unwrap_or(now);
                    of(&call.conversation_id.0, at, call.bad())
                })
                .collect(),
            Self::Event(Some(end)) => {
                let bad = ends.bad(end);
                let is_ours = environment
                    .slots
                    .iter()
                    .any(|(_, slot)| end.is_of(&slot.flow.id));
                // A flow on the way, such as the Traffic Cop flow itself, says nothing good about how the call will end.
                let counts = is_ours || !bad.is_empty();
                let outcome = of(&end.conversation_id, end.at, bad);
                counts.then_some(outcome).into_iter().collect()
            }
            Self::Event(None) => Vec::new(),
        }
    }
}

impl Call {
    fn bad(&self) -> MetricSet {
        let said = [
            (Metric::Abandon, self.abandon.0 == Some(true)),
            (Metric::Error, self.error.0 == Some(true)),
            (Metric::Transfer, self.transfer.0 == Some(true)),
            (Metric::Containment, self.containment.0 == Some(false)),
        ];
        said.into_iter()
            .filter_map(|(metric, is_bad)| is_bad.then_some(metric))
            .collect()
    }
}

/// An event in its envelope, read through its own module.
struct FlowEndEvent(Option<FlowEnd>);

impl<'de> Deserialize<'de> for FlowEndEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FlowEnd::in_envelope(deserializer).map(Self)
    }
}

/// The id of a conversation, which is not empty.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, min_length = 1)]
struct ConversationId(String);

impl<'de> Deserialize<'de> for ConversationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(D::Error::custom("expected the id of a conversation"));
        }
        Ok(Self(text))
    }
}

/// True, false, or nothing said. Architect sends what a flow has as a text too, and an empty one for a variable that is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said(Option<bool>);

impl PartialSchema for Said {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .pattern(Some(r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])?\s*$"));
        let truth =
            ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]));
        AnyOfBuilder::new().item(truth).item(text).into()
    }
}

impl ToSchema for Said {}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Truth;
        impl Visitor<'_> for Truth {
            type Value = Said;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_unit<E>(self) -> Result<Said, E> {
                Ok(Said(None))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Said, E> {
                Ok(Said(Some(value)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Said, E> {
                match text.trim() {
                    "" => Ok(Said(None)),
                    text if text.eq_ignore_ascii_case("true") => Ok(Said(Some(true))),
                    text if text.eq_ignore_ascii_case("false") => Ok(Said(Some(false))),
                    _ => Err(E::custom("expected true or false")),
                }
            }
        }
        deserializer.deserialize_any(Truth)
    }
}

/// A time, or none said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Time(Option<Timestamp>);

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let text =
            || ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
        let time = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        let either = AnyOfBuilder::new().item(text().format(Some(time)));
        either.item(text().pattern(Some(r"^\s*$"))).into()
    }
}

impl ToSchema for Time {}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<Cow<'de, str>> = Deserialize::deserialize(deserializer)?;
        match text.as_deref().map(str::trim) {
            None | Some("") => Ok(Self(None)),
            Some(text) => text
                .parse()
                .map(|time| Self(Some(time)))
                .map_err(|_| D::Error::custom("expected a time as in RFC 3339")),
        }
    }
}

#[cfg(test)]
mod tests;
