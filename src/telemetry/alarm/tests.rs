//! What is told of an alarm. That the log has it in one line each is tested on real processes.

use std::collections::HashSet;

use super::*;
use crate::telemetry::Metrics;

#[test]
fn an_alarm_is_news_when_it_begins_and_when_it_ends_and_not_in_between() {
    let alarms = Alarms::default();
    let away = |why: Option<&str>| alarms.turn(Alarm::StoreAway, why.map(str::to_owned));
    assert_eq!(away(None), None);
    assert_eq!(
        away(Some("timed out")),
        Some(Turn::Raised("timed out".to_owned()))
    );
    assert_eq!(away(Some("timed out")), None);
    assert_eq!(away(Some("refused")), None);
    assert_eq!(away(None), Some(Turn::Cleared));
    assert_eq!(away(None), None);
}

#[test]
fn what_is_raised_is_shown_with_its_latest_reason() {
    let alarms = Alarms::default();
    alarms.set(Alarm::JournalGap, Some("3 where 2 was expected".to_owned()));
    alarms.set(Alarm::StoreAway, Some("refused".to_owned()));
    alarms.set(Alarm::StoreAway, Some("timed out".to_owned()));
    assert_eq!(
        alarms.raised(),
        [
            (Alarm::JournalGap, "3 where 2 was expected".to_owned()),
            (Alarm::StoreAway, "timed out".to_owned()),
        ]
    );
    alarms.set(Alarm::JournalGap, None);
    assert_eq!(alarms.raised().len(), 1);
}

#[test]
fn every_alarm_has_a_name_of_its_own_and_is_in_the_metrics_from_the_start() {
    let names: HashSet<_> = Alarm::ALL.map(Alarm::as_str).into();
    assert_eq!(names.len(), Alarm::ALL.len());
    let metrics = Metrics::default();
    metrics
        .alarms
        .set(Alarm::LastGoodFile, Some("full".to_owned()));
    let exposition = metrics.exposition();
    for alarm in Alarm::ALL {
        let value = u8::from(alarm == Alarm::LastGoodFile);
        let line = format!(
            "traffic_cop_alarm{{condition=\"{}\"}} {value}",
            alarm.as_str()
        );
        assert!(exposition.contains(&line), "{line} in {exposition}");
    }
}

#[test]
fn the_order_of_the_alarms_is_that_of_their_places() {
    for (place, alarm) in Alarm::ALL.into_iter().enumerate() {
        assert_eq!(alarm as usize, place, "{alarm:?}");
    }
}

#[test]
fn the_documentation_tells_what_to_do_about_each() {
    const OPERATIONS: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));
    for alarm in Alarm::ALL {
        let row = format!("\n| `{}` |", alarm.as_str());
        assert!(OPERATIONS.contains(&row), "no row for {}", alarm.as_str());
    }
}
