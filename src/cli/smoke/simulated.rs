//! A call without a telephone: the two requests that the flows make of it.

use http::Method;
use serde_json::json;

use crate::cli::api::Decision;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::domain::ids::EnvironmentName;
use crate::domain::test_calls::TestCalls;

/// Asks which flow takes the call, as the Traffic Cop flow does. Returns what was decided, in short.
pub(super) async fn decide(
    decisions: &Client,
    environment: &EnvironmentName,
    conversation: &str,
    calls: TestCalls,
) -> Result<String, Failure> {
    let (ani, dnis) = match calls {
        TestCalls::Ani(number) => (number.to_string(), String::new()),
        TestCalls::Dnis(number) => (String::new(), number.to_string()),
    };
    let url = decisions.url(&["v1", "environments", environment.as_str(), "decisions"]);
    // As the exported data action: the override may be a moment old, and must be known wherever the call is decided.
    let request = decisions
        .request(Method::POST, url)
        .header(http::header::CACHE_CONTROL, "no-cache")
        .json(&json!({ "Conversation_ID": conversation, "ANI": ani, "DNIS": dnis }));
    let decision: Decision = decisions.answer(request).await?.read()?;
    Ok(format!(
        "{} ({}), by {} at revision {}",
        decision.slot, decision.flow_version, decision.reason, decision.revision
    ))
}

/// Reports that the call ended well, as the flow does that took it.
pub(super) async fn report(
    decisions: &Client,
    environment: &EnvironmentName,
    conversation: &str,
) -> Result<(), Failure> {
    let url = decisions.url(&["v1", "environments", environment.as_str(), "outcomes"]);
    let request = decisions
        .request(Method::POST, url)
        .json(&json!({ "Conversation_ID": conversation }));
    decisions.answer(request).await.map(|_| ())
}
