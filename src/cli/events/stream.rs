//! The stream of changes, followed again where it broke off.

use std::time::Duration;

use http::{HeaderName, Method, StatusCode};
use reqwest::Response;

use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::domain::ids::EnvironmentName;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Pause before a stream that ended is followed again.
const PAUSE: Duration = Duration::from_secs(1);
/// The server says something every 15 seconds. Whoever has heard nothing for this long is alone.
const SILENCE: Duration = Duration::from_secs(45);

/// Somebody who follows changes.
#[derive(Debug)]
pub(in crate::cli) struct Follower {
    client: Client,
    environment: Option<EnvironmentName>,
    /// Id of the last event seen.
    last: Option<String>,
    response: Option<Response>,
    /// What has come of the next block.
    bytes: Vec<u8>,
}

impl Follower {
    /// Follows `environment`, or all that the token may read, after the journal entry `after`, or with what comes next.
    pub(in crate::cli) async fn start(
        client: Client,
        environment: Option<EnvironmentName>,
        after: Option<u64>,
    ) -> Result<Self, Failure> {
        let mut follower = Self {
            client,
            environment,
            last: after.map(|after| after.to_string()),
            response: None,
            bytes: Vec::new(),
        };
        follower.response = Some(follower.open().await?);
        Ok(follower)
    }

    /// The next event, however long that takes. A server that is away is waited for.
    pub(in crate::cli) async fn next(&mut self) -> Result<Block, Failure> {
        loop {
            while let Some(block) = take_block(&mut self.bytes) {
                if block.id.is_some() {
                    self.last.clone_from(&block.id);
                }
                if !block.data.is_empty() {
                    return Ok(block);
                }
            }
            let Some(response) = &mut self.response else {
                tokio::time::sleep(PAUSE).await;
                match self.open().await {
                    Ok(response) => self.response = Some(response),
                    Err(failure) if failure.is_for_good() => return Err(failure),
                    // The server is restarting, or another one takes its place.
                    Err(_) => {}
                }
                continue;
            };
            match tokio::time::timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.bytes.extend_from_slice(&chunk),
                Ok(Ok(None) | Err(_)) | Err(_) => {
                    self.response = None;
                    self.bytes.clear();
                }
            }
        }
    }

    async fn open(&self) -> Result<Response, Failure> {
        let client = &self.client;
        let mut url = client.url(&["v1", "events"]);
        if let Some(name) = &self.environment {
            url.query_pairs_mut()
                .append_pair("environment", name.as_str());
        }
        let mut request = client.unlimited_request(Method::GET, url);
        if let Some(last) = &self.last {
            request = request.header(LAST_EVENT_ID, last);
        }
        let response = client.send(request).await?;
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
pub(in crate::cli) struct Block {
    pub(in crate::cli) name: String,
    id: Option<String>,
    /// Nothing if it only moves the id on.
    pub(in crate::cli) data: String,
}

/// Takes the first whole block out of `bytes`.
fn take_block(bytes: &mut Vec<u8>) -> Option<Block> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let lines: Vec<u8> = bytes.drain(..end + 2).collect();
    let mut block = Block::default();
    for line in String::from_utf8_lossy(&lines).lines() {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut block.name),
            Some(("id", id)) => block.id = Some(id.to_owned()),
            Some(("data", data)) => block.data += data,
            _ => {}
        }
    }
    Some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_whole_and_in_order() {
        let mut bytes =
            b": nothing new\nid: 4\n\nevent: change\nid: 5\ndata: {}\n\nevent: ch".to_vec();
        let mark = take_block(&mut bytes).unwrap();
        assert_eq!((mark.id.as_deref(), mark.data.as_str()), (Some("4"), ""));
        let change = take_block(&mut bytes).unwrap();
        assert_eq!(change.name, "change");
        assert_eq!(
            (change.id.as_deref(), change.data.as_str()),
            (Some("5"), "{}")
        );
        assert_eq!(take_block(&mut bytes), None);
        assert_eq!(bytes, b"event: ch");
    }

    #[test]
    fn a_letter_that_comes_in_two_pieces_is_one() {
        let whole = "data: grün\n\n".as_bytes();
        let (first, second) = whole.split_at(9);
        let mut bytes = first.to_vec();
        assert_eq!(take_block(&mut bytes), None);
        bytes.extend_from_slice(second);
        assert_eq!(take_block(&mut bytes).unwrap().data, "grün");
    }
}
