//! Counts of calls that left flows: `POST /api/v2/analytics/flows/aggregates/query`.
//!
//! One query covers both flows of an environment, several intervals, and all flow versions and exit reasons. What is absent in
//! the answer has not happened, or is not known yet; which of the two, the answer does not tell.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::domain::ids::FlowId;

/// The metric that counts calls.
const CALLS: &str = "nFlow";
/// More than any organisation has in an interval: what is larger is no count.
const MOST_CALLS: f64 = 100_000_000.0;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The flows.
    pub flows: Vec<FlowId>,
    /// Start, included.
    pub from: Timestamp,
    /// End, excluded; a whole number of intervals after the start.
    pub until: Timestamp,
    /// Length of the intervals that are counted apart, in whole seconds.
    pub granularity: Duration,
    /// Whether calls are told apart by where they were transferred to.
    pub by_transfer: bool,
}

/// Calls that left a flow alike, in one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The flow.
    pub flow: String,
    /// Its version.
    pub version: Option<String>,
    /// How they left it.
    pub exit_reason: Option<String>,
    /// Where to, if they were transferred.
    pub transfer_type: Option<String>,
    /// Start of the interval.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// How many calls.
    pub calls: u64,
}

/// An answer that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    /// It has another shape.
    #[error("the answer is no JSON of the shape expected")]
    Unreadable,
    /// It counts what cannot be counted.
    #[error("the answer has counts that are negative, fractions or beyond belief")]
    Absurd,
}

impl Query {
    /// The request's body.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut group_by = vec!["flowId", "flowVersion", "exitReason"];
        if self.by_transfer {
            group_by.push("transferType");
        }
        let dimension = |dimension: &str, value: &str| json!({ "type": "dimension", "dimension": dimension, "operator": "matches", "value": value });
        let flows: Vec<_> = self
            .flows
            .iter()
            .map(|flow| dimension("flowId", flow.as_str()))
            .collect();
        json!({
            "interval": format!("{:.3}/{:.3}", self.from, self.until),
            "granularity": duration(self.granularity),
            "groupBy": group_by,
            "metrics": [CALLS],
            "filter": {
                "type": "and",
                "predicates": [dimension("mediaType", "voice")],
                "clauses": [{ "type": "or", "predicates": flows }],
            },
        })
    }
}

/// In ISO 8601.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds.is_multiple_of(60) {
        format!("PT{}M", seconds / 60)
    } else {
        format!("PT{seconds}S")
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Group>>,
}

#[derive(Deserialize)]
struct Group {
    group: Keys,
    #[serde(default)]
    data: Option<Vec<Bucket>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    flow_id: String,
    flow_version: Option<String>,
    exit_reason: Option<String>,
    transfer_type: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    interval: String,
    #[serde(default)]
    metrics: Option<Vec<Counted>>,
}

#[derive(Deserialize)]
struct Counted {
    metric: String,
    qualifier: Option<String>,
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Stats {
    count: Option<f64>,
}

/// Reads an answer. Groups without calls are left out.
///
/// # Errors
/// It is no such answer, or counts what cannot be counted.
pub fn read(body: &[u8]) -> Result<Vec<Row>, InvalidAnswer> {
    // An array would read as an answer, too, member by member.
    let answer: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| InvalidAnswer::Unreadable)?;
    let answer =
        Answer::deserialize(Value::Object(answer)).map_err(|_| InvalidAnswer::Unreadable)?;
    let mut rows = Vec::new();
    for Group { group, data } in answer.results.unwrap_or_default() {
        for bucket in data.unwrap_or_default() {
            let (from, until) = interval(&bucket.interval).ok_or(InvalidAnswer::Unreadable)?;
            let calls = calls(&bucket.metrics.unwrap_or_default())?;
            if calls > 0 {
                rows.push(Row {
                    flow: group.flow_id.clone(),
                    version: group.flow_version.clone(),
                    exit_reason: group.exit_reason.clone(),
                    transfer_type: group.transfer_type.clone(),
                    from,
                    until,
                    calls,
                });
            }
        }
    }
    Ok(rows)
}

fn interval(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (from, until) = text.split_once('/')?;
    Some((from.parse().ok()?, until.parse().ok()?))
}

/// The calls of one group in one interval. With a qualifier a metric counts a part of them again.
fn calls(metrics: &[Counted]) -> Result<u64, InvalidAnswer> {
    let counted = metrics
        .iter()
        .filter(|counted| counted.metric == CALLS && counted.qualifier.is_none());
    let mut calls = 0;
    for counted in counted {
        // Calls that are not counted are not known to be none.
        let stats = counted.stats.as_ref();
        let count = stats
            .and_then(|stats| stats.count)
            .ok_or(InvalidAnswer::Unreadable)?;
        if !(0.0..=MOST_CALLS).contains(&count) || count.fract() != 0.0 {
            return Err(InvalidAnswer::Absurd);
        }
        // Whole and small: nothing is lost.
        calls += count as u64;
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(count: &str) -> String {
        format!(
            r#"{{"results": [{{"group": {{"mediaType": "voice", "flowId": "F-1", "flowVersion": "45.0", "exitReason": "DISCONNECT"}},
                "data": [{{"interval": "2026-01-05T08:00:00.000Z/2026-01-05T08:05:00.000Z", "metrics": [
                    {{"metric": "nFlow", "stats": {{"count": {count}}}}},
                    {{"metric": "nFlow", "qualifier": "x", "stats": {{"count": 7}}}},
                    {{"metric": "tFlowDisconnect", "stats": {{"count": 3, "sum": 61234, "min": 1, "max": 2}}}}]}}]}}]}}"#
        )
    }

    #[test]
    fn the_question_is_the_one_that_genesys_documents() {
        let query = Query {
            flows: vec!["b".parse().unwrap(), "g".parse().unwrap()],
            from: "2026-01-05T08:00:00Z".parse().unwrap(),
            until: "2026-01-05T08:10:00Z".parse().unwrap(),
            granularity: Duration::from_secs(300),
            by_transfer: false,
        };
        insta::assert_json_snapshot!(query.body(), @r#"
        {
          "filter": {
            "clauses": [
              {
                "predicates": [
                  {
                    "dimension": "flowId",
                    "operator": "matches",
                    "type": "dimension",
                    "value": "b"
                  },
                  {
                    "dimension": "flowId",
                    "operator": "matches",
                    "type": "dimension",
                    "value": "g"
                  }
                ],
                "type": "or"
              }
            ],
            "predicates": [
              {
                "dimension": "mediaType",
                "operator": "matches",
                "type": "dimension",
                "value": "voice"
              }
            ],
            "type": "and"
          },
          "granularity": "PT5M",
          "groupBy": [
            "flowId",
            "flowVersion",
            "exitReason"
          ],
          "interval": "2026-01-05T08:00:00.000Z/2026-01-05T08:10:00.000Z",
          "metrics": [
            "nFlow"
          ]
        }
        "#);
        assert_eq!(duration(Duration::from_secs(90)), "PT90S");
    }

    #[test]
    fn an_answer_is_read_and_what_repeats_a_part_of_it_is_left_out() {
        let rows = read(answer("41").as_bytes()).unwrap();
        assert_eq!(
            rows,
            [Row {
                flow: "F-1".to_owned(),
                version: Some("45.0".to_owned()),
                exit_reason: Some("DISCONNECT".to_owned()),
                transfer_type: None,
                from: "2026-01-05T08:00:00Z".parse().unwrap(),
                until: "2026-01-05T08:05:00Z".parse().unwrap(),
                calls: 41,
            }]
        );
        assert_eq!(read(answer("41.0").as_bytes()).unwrap(), rows);
    }

    #[test]
    fn nothing_counted_is_an_answer() {
        for text in [
            "{}",
            r#"{"results": []}"#,
            r#"{"results": null}"#,
            &answer("0"),
        ] {
            assert_eq!(read(text.as_bytes()), Ok(Vec::new()), "{text}");
        }
    }

    #[test]
    fn counts_that_cannot_be_are_absurd_and_other_shapes_are_unreadable() {
        for count in ["-1", "0.5", "1e12"] {
            let read = read(answer(count).as_bytes());
            assert_eq!(read, Err(InvalidAnswer::Absurd), "{count}");
        }
        let no_interval = answer("1").replace("2026-01-05T08:05:00.000Z", "later");
        let no_flow = answer("1").replace("flowId", "flow");
        let no_count = answer("1").replace(r#""count": 1}"#, r#""sum": 1}"#);
        let no_stats = answer("1").replace(r#", "stats": {"count": 1}"#, "");
        for text in [
            "",
            "null",
            "[]",
            "<html>",
            &no_interval,
            &no_flow,
            &no_count,
            &no_stats,
            &answer("null"),
            &answer("\"1\""),
        ] {
            let read = read(text.as_bytes());
            assert_eq!(read, Err(InvalidAnswer::Unreadable), "{text}");
        }
    }
}
