//! `events`.

use std::time::Duration;

use clap::Args;
use http::{HeaderName, Method, StatusCode};
use reqwest::Response;

use super::api::Event;
use super::client::Client;
use super::connection::AdminArgs;
use super::failure::Failure;
use super::glance;
use super::output::{Output, print};
use crate::domain::ids::EnvironmentName;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Pause before a stream that ended is followed again.
const PAUSE: Duration = Duration::from_secs(1);
/// The server says something every 15 seconds. Whoever has heard nothing for this long is alone.
const SILENCE: Duration = Duration::from_secs(45);

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(super) struct Events {
    /// The environment; all that the token may read, if left out.
    #[arg(value_name = "ENVIRONMENT")]
    environment: Option<EnvironmentName>,
    /// Begin after this journal entry; 0 begins with the first. With what comes next if left out.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Events {
    /// Prints a line per change until somebody ends it. A stream that breaks off is followed again where it ended.
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let mut last = self.after.map(|after| after.to_string());
        let mut response = self.open(&client, last.as_deref()).await?;
        loop {
            let mut text = String::new();
            while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE, response.chunk()).await {
                text += &String::from_utf8_lossy(&chunk);
                while let Some(block) = take_block(&mut text) {
                    last = block.id.clone().or(last);
                    show(&block, output)?;
                }
            }
            response = loop {
                tokio::time::sleep(PAUSE).await;
                match self.open(&client, last.as_deref()).await {
                    Ok(response) => break response,
                    Err(failure) if failure.is_for_good() => return Err(failure),
                    // The server is restarting, or another one takes its place.
                    Err(_) => {}
                }
            };
        }
    }

    async fn open(&self, client: &Client, last: Option<&str>) -> Result<Response, Failure> {
        let mut url = client.url(&["v1", "events"]);
        if let Some(name) = &self.environment {
            url.query_pairs_mut()
                .append_pair("environment", name.as_str());
        }
        let mut request = client.unlimited_request(Method::GET, url);
        if let Some(last) = last {
            request = request.header(LAST_EVENT_ID, last);
        }
        let response = request
            .send()
            .await
            .map_err(|error| client.no_answer(&error))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        client
            .judge(status, text)
            .and_then(|_| Err(Failure::from_answer(status, "")))
    }
}

/// One block of the stream, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    name: String,
    id: Option<String>,
    data: String,
}

/// Takes the first whole block out of `text`.
fn take_block(text: &mut String) -> Option<Block> {
    let end = text.find("\n\n")?;
    let lines: String = text.drain(..end + 2).collect();
    let mut block = Block::default();
    for line in lines.lines() {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut block.name),
            Some(("id", id)) => block.id = Some(id.to_owned()),
            Some(("data", data)) => block.data += data,
            _ => {}
        }
    }
    Some(block)
}

fn show(block: &Block, output: Output) -> Result<(), Failure> {
    match output {
        _ if block.data.is_empty() => Ok(()),
        Output::Json => print(&block.data),
        Output::Table => match (block.name.as_str(), serde_json::from_str(&block.data)) {
            ("change", Ok(event)) => print(&describe(&event)),
            (name, _) => print(&format!("{name}: {}", block.data)),
        },
    }
}

fn describe(event: &Event) -> String {
    let Event {
        sequence,
        aggregate,
        environment,
        change,
    } = event;
    let what = environment.as_ref().unwrap_or(aggregate);
    let calls = change.state.as_ref().map(glance::shares);
    let calls = calls.map(|calls| format!(" ({calls})")).unwrap_or_default();
    format!(
        "{sequence}  {}  {what} revision {}: {} by {}: {}{calls}",
        change.at,
        change.revision,
        change.action.replace('_', " "),
        change.actor,
        change.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_whole_and_in_order() {
        let mut text =
            ": nothing new\nid: 4\n\nevent: change\nid: 5\ndata: {}\n\nevent: ch".to_owned();
        let mark = take_block(&mut text).unwrap();
        assert_eq!((mark.id.as_deref(), mark.data.as_str()), (Some("4"), ""));
        let change = take_block(&mut text).unwrap();
        assert_eq!(change.name, "change");
        assert_eq!(
            (change.id.as_deref(), change.data.as_str()),
            (Some("5"), "{}")
        );
        assert_eq!(take_block(&mut text), None);
        assert_eq!(text, "event: ch");
    }

    #[test]
    fn a_change_is_one_line() {
        let event = r#"{"aggregate":"access","environment":null,"sequence":7,"revision":3,"action":"create_token",
            "actor":"admin","reason":"a pipeline","at":"2026-01-05T08:00:00Z","state":null}"#;
        assert_eq!(
            describe(&serde_json::from_str(event).unwrap()),
            "7  2026-01-05T08:00:00Z  access revision 3: create token by admin: a pipeline"
        );
    }
}
