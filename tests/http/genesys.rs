//! Asking Genesys Cloud, and every way in which it may fail to answer.

mod sdk;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use traffic_cop::clock::{Clock, ManualClock, SystemClock};
use traffic_cop::genesys::client::{AskError, Client, ClientSecret, Settings};
use traffic_cop::genesys::flow_aggregates::{InvalidAnswer, Query, Row};

use crate::support::genesys::{CLIENT_SECRET, Counting, Ended, Fault, Genesys};

const QUERY: &str = "POST /api/v2/analytics/flows/aggregates/query";
const LOGIN: &str = "POST /oauth/token";

/// Somebody who may ask, and the file with the secret.
struct Asking {
    genesys: Genesys,
    client: Client,
    _directory: TempDir,
    started: Timestamp,
}

/// With a clock and so many requests a minute.
async fn asking_by(clock: Arc<dyn Clock>, requests_per_minute: u32, secret: &str) -> Asking {
    let genesys = Genesys::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    let started = clock.now().round(jiff::Unit::Minute).expect("a minute");
    let settings = genesys.settings(secret, &file, requests_per_minute);
    Asking {
        client: Client::new(settings, clock).expect("a client"),
        genesys,
        _directory: directory,
        started,
    }
}

async fn asking() -> Asking {
    asking_by(Arc::new(SystemClock::start()), 100, CLIENT_SECRET).await
}

impl Asking {
    fn query(&self) -> Query {
        Query {
            flows: ["blue", "green"]
                .map(|id| id.parse().expect("an id"))
                .into(),
            from: self.started - SignedDuration::from_mins(10),
            until: self.started,
            granularity: Duration::from_secs(300),
            by_transfer: true,
        }
    }

    async fn ask(&self) -> Result<Vec<Row>, AskError> {
        self.client.flow_aggregates(&self.query()).await
    }

    fn ends(&self, minutes_ago: i64, flow: &str, exit_reason: &'static str) {
        self.genesys.ends(Ended {
            at: self.started - SignedDuration::from_mins(minutes_ago),
            flow: flow.to_owned(),
            version: "45.0".to_owned(),
            exit_reason,
            transfer_type: (exit_reason == "TRANSFER").then_some("ACD"),
        });
    }
}

#[tokio::test]
async fn calls_are_counted_by_flow_interval_and_exit() {
    let asking = asking().await;
    for (minutes_ago, flow, exit_reason) in [
        (11, "blue", "DISCONNECT"),
        (10, "blue", "DISCONNECT"),
        (9, "blue", "DISCONNECT"),
        (5, "blue", "TRANSFER"),
        (4, "green", "FLOW_DISCONNECT"),
        (4, "other", "FLOW_DISCONNECT"),
        (0, "green", "DISCONNECT"),
    ] {
        asking.ends(minutes_ago, flow, exit_reason);
    }
    let rows = asking.ask().await.expect("counts");
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let ago = asking.started.duration_since(row.from).as_mins();
            let transfer = row.transfer_type.as_deref().unwrap_or("-");
            let exit = row.exit_reason.as_deref().expect("an exit reason");
            format!("{} {exit} {transfer} {ago} {}", row.flow, row.calls)
        })
        .collect();
    assert_eq!(
        told,
        [
            "blue DISCONNECT - 10 2",
            "blue TRANSFER ACD 5 1",
            "green FLOW_DISCONNECT - 5 1"
        ]
    );
    assert!(
        rows.iter()
            .all(|row| row.version.as_deref() == Some("45.0"))
    );
}

#[tokio::test]
async fn a_token_serves_until_it_is_refused_and_then_one_login_follows() {
    let asking = asking().await;
    asking.ask().await.expect("counts");
    asking.ask().await.expect("counts");
    assert_eq!(asking.genesys.take_asked(), [LOGIN, QUERY, QUERY]);
    asking.genesys.forgets_tokens();
    asking.ask().await.expect("counts");
    assert_eq!(asking.genesys.take_asked(), [QUERY, LOGIN, QUERY]);
    asking
        .genesys
        .fails(Fault::Status(StatusCode::UNAUTHORIZED));
    let error = asking.ask().await.expect_err("no counts");
    assert!(matches!(error, AskError::Unauthenticated), "{error}");
    assert_eq!(asking.genesys.take_asked(), [QUERY, LOGIN, QUERY]);
    let error = asking.ask().await.expect_err("no counts");
    assert!(matches!(error, AskError::Unauthenticated), "{error}");
    assert_eq!(asking.genesys.take_asked(), [LOGIN, QUERY]);
    asking.genesys.fails(None);
    asking.ask().await.expect("counts");
}

#[tokio::test]
async fn every_answer_that_is_none_says_what_it_is() {
    let asking = asking().await;
    let elsewhere = Genesys::start().await;
    type Expected = fn(&AskError) -> bool;
    let cases: [(Fault, Expected); 8] = [
        (Fault::Status(StatusCode::INTERNAL_SERVER_ERROR), |error| {
            matches!(error, AskError::Status(StatusCode::INTERNAL_SERVER_ERROR))
        }),
        (Fault::Status(StatusCode::FORBIDDEN), |error| {
            matches!(error, AskError::Forbidden)
        }),
        (Fault::Garbage("<html>"), |error| {
            matches!(error, AskError::Invalid(InvalidAnswer::Unreadable))
        }),
        (Fault::Garbage(r#"{"results": 5}"#), |error| {
            matches!(error, AskError::Invalid(InvalidAnswer::Unreadable))
        }),
        (Fault::Huge, |error| matches!(error, AskError::TooLarge)),
        (Fault::Redirect(elsewhere.url()), |error| {
            matches!(error, AskError::Status(StatusCode::FOUND))
        }),
        (Fault::Slow, |error| matches!(error, AskError::NoAnswer(_))),
        (Fault::Silence, |error| {
            matches!(error, AskError::NoAnswer(_))
        }),
    ];
    for (fault, is_expected) in cases {
        asking.genesys.fails_once(fault.clone());
        let error = asking.ask().await.expect_err("no counts");
        assert!(is_expected(&error), "{fault:?}: {error}");
        assert!(!error.to_string().contains(CLIENT_SECRET), "{error}");
        asking.ask().await.expect("counts afterwards");
    }
    assert!(elsewhere.take_asked().is_empty(), "it followed a redirect");
    asking.ends(1, "blue", "DISCONNECT");
    asking.genesys.counts(Counting::Negative);
    let error = asking.ask().await.expect_err("no counts");
    assert!(
        matches!(error, AskError::Invalid(InvalidAnswer::Absurd)),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    let mut asking = asking().await;
    asking.genesys.go_away();
    let error = asking.ask().await.expect_err("no counts");
    assert!(matches!(error, AskError::NoAnswer(_)), "{error}");
    asking.genesys.come_back().await;
    asking.ask().await.expect("counts");
}

#[tokio::test]
async fn a_wrong_secret_is_told_from_a_missing_one() {
    let clock = Arc::new(SystemClock::start());
    let asking = asking_by(clock, 100, "another secret").await;
    let error = asking.ask().await.expect_err("no counts");
    assert!(
        matches!(error, AskError::LoginRefused(StatusCode::UNAUTHORIZED)),
        "{error}"
    );
    assert_eq!(asking.genesys.take_asked(), [LOGIN]);
    std::fs::remove_file(asking._directory.path().join("secret")).expect("a file");
    let error = asking.ask().await.expect_err("no counts");
    assert!(matches!(error, AskError::NoSecret(_)), "{error}");
    // Put right, it is read again: nobody has to restart anything.
    std::fs::write(asking._directory.path().join("secret"), CLIENT_SECRET).expect("a file");
    asking.ask().await.expect("counts");
}

#[tokio::test]
async fn a_secret_that_is_given_logs_in_like_one_in_a_file_and_is_not_shown() {
    let genesys = Genesys::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    let settings = Settings {
        client_secret: ClientSecret::Given(format!("{CLIENT_SECRET}\n").into()),
        ..genesys.settings("another secret", &file, 100)
    };
    assert!(!format!("{settings:?}").contains(CLIENT_SECRET));
    let client = Client::new(settings, Arc::new(SystemClock::start())).expect("a client");
    let flow = client.flow(&"blue".parse().expect("an id")).await;
    assert!(flow.expect("an answer").is_none());
    assert_eq!(genesys.take_asked(), [LOGIN, "GET /api/v2/flows/blue"]);
}

#[tokio::test]
async fn silence_is_kept_for_as_long_as_retry_after_says() {
    let clock = Arc::new(ManualClock::at(SystemClock::start().now()));
    let asking = asking_by(clock.clone(), 100, CLIENT_SECRET).await;
    asking.genesys.fails_once(Fault::TooMany(Some(30)));
    let error = asking.ask().await.expect_err("no counts");
    let AskError::Throttled(pause) = error else {
        panic!("{error}")
    };
    assert_eq!(pause, Duration::from_secs(30));
    asking.genesys.take_asked();
    clock.advance(Duration::from_secs(29));
    let error = asking.ask().await.expect_err("no counts");
    assert!(matches!(error, AskError::NotNow), "{error}");
    assert!(asking.genesys.take_asked().is_empty());
    clock.advance(Duration::from_secs(1));
    asking.ask().await.expect("counts");
}

#[tokio::test]
async fn no_more_is_asked_than_the_budget_has() {
    // Behind a little, so that it stays near Genesys Cloud's in the minute that it is moved on.
    let clock = SystemClock::start().now() - SignedDuration::from_secs(30);
    let clock = Arc::new(ManualClock::at(clock));
    let asking = asking_by(clock.clone(), 3, CLIENT_SECRET).await;
    asking.ask().await.expect("counts");
    asking.ask().await.expect("counts");
    let error = asking.ask().await.expect_err("no counts");
    assert!(matches!(error, AskError::NotNow), "{error}");
    assert_eq!(asking.genesys.take_asked(), [LOGIN, QUERY, QUERY]);
    clock.advance(Duration::from_secs(60));
    asking.ask().await.expect("counts");
}

#[tokio::test]
async fn clocks_that_are_apart_name_no_interval() {
    let ahead = SystemClock::start().now() + SignedDuration::from_mins(5);
    let asking = asking_by(Arc::new(ManualClock::at(ahead)), 100, CLIENT_SECRET).await;
    let error = asking.ask().await.expect_err("no counts");
    assert!(
        matches!(error, AskError::ClocksApart(-302..=-298)),
        "{error}"
    );
}
