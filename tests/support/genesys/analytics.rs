//! Flow aggregates, made of the calls that have left flows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::{Map, Value, json};

use super::{Shared, locked, problem};

/// Metrics that there are (`FlowAggregationQuery`).
const METRICS: [&str; 9] = [
    "nFlow",
    "nFlowMilestone",
    "nFlowOutcome",
    "nFlowOutcomeFailed",
    "oFlowMilestone",
    "tFlow",
    "tFlowDisconnect",
    "tFlowExit",
    "tFlowOutcome",
];
/// Dimensions that calls have here.
const DIMENSIONS: [&str; 5] = [
    "flowId",
    "flowVersion",
    "exitReason",
    "transferType",
    "mediaType",
];

/// A call that has left a flow.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) at: Timestamp,
    pub(crate) flow: String,
    pub(crate) version: String,
    pub(crate) exit_reason: &'static str,
    pub(crate) transfer_type: Option<&'static str>,
}

/// What is wrong with the data.
#[derive(Debug, Clone, Default)]
pub(crate) enum Counting {
    /// Nothing.
    #[default]
    Right,
    /// It knows of no call.
    Nothing,
    /// It knows of no call in this flow.
    Without(String),
    /// Of every so many calls it knows one.
    OneOf(usize),
    /// It learns of calls so much later.
    Late(SignedDuration),
    /// With every answer it knows of one call less in each interval, and of so many less from the start.
    Shrinking(usize),
    /// It does not tell how calls left the flow.
    Unsplit,
    /// It counts calls in the negative.
    Negative,
    /// It counts the same calls twice, in groups that are alike.
    Doubled,
}

/// `POST /api/v2/analytics/flows/aggregates/query`.
pub(super) async fn query(
    State(shared): State<Arc<Mutex<Shared>>>,
    Json(query): Json<Value>,
) -> Response {
    let Some(question) = Question::read(&query) else {
        let message = "the query has a member that is missing, unknown or unreadable";
        return problem(StatusCode::BAD_REQUEST, "bad.request", message);
    };
    let mut shared = locked(&shared);
    let results = question.results(&shared.calls, &shared.counting);
    if let Counting::Shrinking(missing) = &mut shared.counting {
        *missing += 1;
    }
    Json(json!({ "results": results })).into_response()
}

struct Question {
    from: Timestamp,
    until: Timestamp,
    granularity: SignedDuration,
    group_by: Vec<String>,
    metrics: Vec<String>,
    filter: Value,
}

impl Question {
    fn read(query: &Value) -> Option<Self> {
        let known = [
            "interval",
            "granularity",
            "groupBy",
            "metrics",
            "filter",
            "timeZone",
            "views",
            "flattenMultivaluedDimensions",
            "alternateTimeDimension",
        ];
        if !query
            .as_object()?
            .keys()
            .all(|key| known.contains(&&key[..]))
        {
            return None;
        }
        let (from, until) = query["interval"].as_str()?.split_once('/')?;
        let (from, until): (Timestamp, Timestamp) = (from.parse().ok()?, until.parse().ok()?);
        let whole = until.duration_since(from);
        let granularity = match query.get("granularity") {
            Some(text) => {
                let span: Span = text.as_str()?.parse().ok()?;
                SignedDuration::try_from(span).ok()?
            }
            None => whole,
        };
        let texts = |name: &str, known: &[&str]| -> Option<Vec<String>> {
            let texts = query
                .get(name)
                .map_or(Some(&[][..]), |texts| Some(texts.as_array()?.as_slice()))?;
            texts
                .iter()
                .map(|text| {
                    let text = text.as_str().filter(|text| known.contains(text));
                    text.map(str::to_owned)
                })
                .collect()
        };
        let metrics = texts("metrics", &METRICS).filter(|metrics| !metrics.is_empty())?;
        let is_sound = whole.is_positive() && granularity.is_positive();
        is_sound.then_some(Self {
            from,
            until,
            granularity,
            group_by: texts("groupBy", &DIMENSIONS)?,
            metrics,
            filter: query.get("filter").cloned().unwrap_or_default(),
        })
    }

    fn results(&self, calls: &[Ended], counting: &Counting) -> Vec<Value> {
        let mut groups = BTreeMap::<Vec<Option<String>>, BTreeMap<Timestamp, i64>>::new();
        for call in self.known(calls, counting) {
            let into_bucket =
                call.at.duration_since(self.from).as_secs() / self.granularity.as_secs();
            let start =
                self.from + SignedDuration::from_secs(into_bucket * self.granularity.as_secs());
            let group = self.group_by.iter().map(|name| {
                let is_hidden = matches!(counting, Counting::Unsplit) && name == "exitReason";
                dimension(call, name)
                    .filter(|_| !is_hidden)
                    .map(str::to_owned)
            });
            *groups
                .entry(group.collect())
                .or_default()
                .entry(start)
                .or_default() += 1;
        }
        let results: Vec<_> = groups
            .into_iter()
            .map(|(group, buckets)| {
                let mut members = Map::from_iter([("mediaType".to_owned(), "voice".into())]);
                for (name, value) in self.group_by.iter().zip(group) {
                    members.extend(value.map(|value| (name.clone(), value.into())));
                }
                let buckets = buckets
                    .into_iter()
                    .map(|(start, count)| self.bucket(start, count, counting));
                json!({ "group": members, "data": buckets.collect::<Vec<_>>() })
            })
            .collect();
        match counting {
            Counting::Doubled => [results.clone(), results].concat(),
            _ => results,
        }
    }

    fn bucket(&self, start: Timestamp, count: i64, counting: &Counting) -> Value {
        let count = match counting {
            Counting::Negative => -count,
            _ => count,
        };
        let end = (start + self.granularity).min(self.until);
        let metrics = self.metrics.iter().map(|metric| {
            let stats = if metric.starts_with('n') {
                json!({ "count": count })
            } else {
                json!({ "count": count, "sum": 1_000 * count, "min": 1_000, "max": 1_000 })
            };
            json!({ "metric": metric, "stats": stats })
        });
        let metrics: Vec<_> = metrics.collect();
        json!({ "interval": format!("{start:.3}/{end:.3}"), "metrics": metrics })
    }

    /// The calls of the interval that pass the filter, as far as it knows of them.
    fn known<'a>(&self, calls: &'a [Ended], counting: &Counting) -> Vec<&'a Ended> {
        let learned_until = match counting {
            Counting::Late(delay) => now() - *delay,
            _ => Timestamp::MAX,
        };
        let asked = calls.iter().filter(|call| {
            (self.from..self.until).contains(&call.at)
                && passes(call, &self.filter)
                && call.at < learned_until
        });
        match counting {
            Counting::Nothing => Vec::new(),
            Counting::Without(flow) => asked.filter(|call| call.flow != *flow).collect(),
            Counting::OneOf(calls) => asked.step_by(*calls).collect(),
            Counting::Shrinking(missing) => {
                let mut met = BTreeMap::<_, usize>::new();
                let is_left = |call: &&Ended| {
                    let since = call.at.duration_since(self.from).as_millis();
                    let met = met.entry(since / self.granularity.as_millis()).or_default();
                    *met += 1;
                    *met > *missing
                };
                asked.filter(is_left).collect()
            }
            _ => asked.collect(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is another machine, with a clock of its own"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

fn dimension<'a>(call: &'a Ended, name: &str) -> Option<&'a str> {
    match name {
        "flowId" => Some(&call.flow),
        "flowVersion" => Some(&call.version),
        "exitReason" => Some(call.exit_reason),
        "transferType" => call.transfer_type,
        "mediaType" => Some("voice"),
        _ => None,
    }
}

/// Whether `call` passes a filter: predicates, and clauses that are filters again.
fn passes(call: &Ended, filter: &Value) -> bool {
    let parts = |name: &str| filter[name].as_array().map_or(&[][..], Vec::as_slice);
    let predicates = parts("predicates").iter().map(|predicate| {
        let (name, value) = (&predicate["dimension"], predicate["value"].as_str());
        let found = dimension(call, name.as_str().unwrap_or_default());
        found.is_some() && found == value
    });
    let clauses = parts("clauses").iter().map(|clause| passes(call, clause));
    let mut parts = predicates.chain(clauses).peekable();
    if parts.peek().is_none() {
        return true;
    }
    if filter["type"] == "or" {
        parts.any(|passes| passes)
    } else {
        parts.all(|passes| passes)
    }
}
