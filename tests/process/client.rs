//! The services' API, in the words of who uses it.

use std::net::SocketAddr;
use std::sync::Once;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// The environment that a test has if it needs only one.
pub(crate) const MAIN: &str = "Main_IVR";

/// A header: its name and what it says.
pub(crate) type Header = (&'static str, String);

/// Someone with a token who talks to one service.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    decisions: String,
    admin: String,
    token: String,
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) json: Value,
}

impl Answer {
    async fn of(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let status = response.status();
        Ok(Self {
            status,
            json: response.json().await?,
        })
    }

    /// Its content, which must be that of a success.
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json
    }

    pub(crate) fn revision(&self) -> u64 {
        self.json["revision"]
            .as_u64()
            .unwrap_or_else(|| panic!("no revision: {self:?}"))
    }

    /// The revision that a decision was made by.
    pub(crate) fn decided_by(&self) -> u64 {
        self.json["Revision"]
            .as_u64()
            .unwrap_or_else(|| panic!("no revision: {self:?}"))
    }
}

/// The weight in basis points that an entry of the history made, unless it left nothing.
pub(crate) fn weight_of(entry: &Value) -> Option<u64> {
    // Two decimals survive a float.
    Some((entry["state"]["weight"].as_f64()? * 100.0).round() as u64)
}

/// A change that a client asks for.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    command: &'static str,
    members: Value,
    etag: String,
    key: Option<String>,
    /// Milliseconds to wait for a receipt.
    wait: Option<u64>,
}

impl Change {
    fn of(command: &'static str, mut members: Value) -> Self {
        members["reason"] = "a test".into();
        Self {
            command,
            members,
            etag: "*".to_owned(),
            key: None,
            wait: None,
        }
    }

    pub(crate) fn register(label: &str) -> Self {
        Self::of("register", json!({ "flow_version": label }))
    }

    pub(crate) fn cutover() -> Self {
        Self::of("cutover", json!({}))
    }

    pub(crate) fn rollback() -> Self {
        Self::of("rollback", json!({}))
    }

    /// Of so many basis points.
    pub(crate) fn weight(bps: u64) -> Self {
        // Two decimals survive a float.
        Self::of("weight", json!({ "weight": bps as f64 / 100.0 }))
    }

    /// The start of a rollout by `plan`.
    pub(crate) fn rollout(plan: Value) -> Self {
        Self::of("rollout", json!({ "plan": plan }))
    }

    pub(crate) fn promote_rollout() -> Self {
        Self::of("rollout/promote", json!({ "when": "now" }))
    }

    pub(crate) fn abort_rollout() -> Self {
        Self::of("rollout/abort", json!({}))
    }

    pub(crate) fn pause_rollout() -> Self {
        Self::of("rollout/pause", json!({}))
    }

    /// By someone who has seen `revision`.
    pub(crate) fn at(mut self, revision: u64) -> Self {
        self.etag = format!("\"{revision}\"");
        self
    }

    /// By someone who waits so long for a receipt.
    pub(crate) fn waiting(mut self, ms: u64) -> Self {
        self.wait = Some(ms);
        self
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }
}

impl Client {
    pub(crate) fn new(decisions: SocketAddr, admin: SocketAddr, token: &str) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            // Nothing here speaks TLS, but the client asks for it to be possible.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Self {
            http: reqwest::Client::new(),
            decisions: format!("http://{decisions}"),
            admin: format!("http://{admin}"),
            token: token.to_owned(),
        }
    }

    /// Sends a request with a body to the admin listener, whatever is answered.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.admin));
        let request = request.bearer_auth(&self.token).json(body);
        Answer::of(request).await.expect("an answer")
    }

    /// What a decision comes to for someone who presents this header and no other.
    pub(crate) async fn decision_status(&self, name: &str, (header, value): &Header) -> u16 {
        let request = self.call(name).header(*header, value);
        Answer::of(request)
            .await
            .expect("an answer")
            .status
            .as_u16()
    }

    /// An access token of OAuth for a client, as Genesys asks for it.
    pub(crate) async fn access_token(&self, client: &str, secret: &str) -> String {
        let request = self
            .http
            .post(format!("{}/oauth/token", self.decisions))
            .basic_auth(client, Some(secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let answer = Answer::of(request).await.expect("an answer").ok();
        let token = answer["access_token"].as_str();
        token.expect("an access token").to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = self
            .http
            .get(format!("{}{path}", self.admin))
            .bearer_auth(&self.token);
        Answer::of(request).await.expect("an answer").ok()
    }

    /// Asks for a change, whatever comes of it; an error if there is no answer.
    pub(crate) async fn try_change(&self, name: &str, change: Change) -> reqwest::Result<Answer> {
        let mut url = format!("{}/v1/environments/{name}/{}", self.admin, change.command);
        if let Some(ms) = change.wait {
            url += &format!("?wait=all&timeout_ms={ms}");
        }
        let mut request = self
            .http
            .post(url)
            .bearer_auth(&self.token)
            .header("if-match", change.etag);
        if let Some(key) = change.key {
            request = request.header("idempotency-key", key);
        }
        Answer::of(request.json(&change.members)).await
    }

    /// Asks for a change, whatever is answered.
    pub(crate) async fn ask(&self, name: &str, change: Change) -> Answer {
        self.try_change(name, change).await.expect("an answer")
    }

    /// Makes a change, which must be granted.
    pub(crate) async fn change(&self, name: &str, change: Change) -> Value {
        self.ask(name, change).await.ok()
    }

    /// An environment with version `v1` in blue, which is active, and `v2` in green.
    pub(crate) async fn create_with_candidate(&self, name: &str) {
        let body = json!({
            "flows": { "blue": { "id": "flow-blue", "name": "Blue" }, "green": { "id": "flow-green", "name": "Green" } },
            "flow_version": "v1",
            "reason": "a test",
        });
        let request = self
            .http
            .put(format!("{}/v1/environments/{name}", self.admin))
            .bearer_auth(&self.token);
        Answer::of(request.json(&body))
            .await
            .expect("an answer")
            .ok();
        self.change(name, Change::register("v2")).await;
    }

    /// The environment, as of now.
    pub(crate) async fn show(&self, name: &str) -> Value {
        self.get(&format!("/v1/environments/{name}")).await
    }

    /// Where the rollout stands; `None` if the service does not answer.
    pub(crate) async fn try_rollout(&self, name: &str) -> Option<Value> {
        let url = format!("{}/v1/environments/{name}/rollout", self.admin);
        let answer = Answer::of(self.http.get(url).bearer_auth(&self.token)).await;
        answer
            .ok()
            .filter(|answer| answer.status.is_success())
            .map(|answer| answer.json)
    }

    /// The evidence about the rollout of an environment.
    pub(crate) async fn rollout_evidence(&self, name: &str) -> Value {
        let url = format!("{}/v1/environments/{name}/rollout/evidence", self.admin);
        let request = self.http.get(url).bearer_auth(&self.token);
        Answer::of(request).await.expect("an answer").ok()
    }

    /// Asks for a decision about a call of one's own; `None` if the service does not answer.
    pub(crate) async fn try_decide(&self, name: &str, call: Value) -> Option<Value> {
        let request = self.about(name, call).bearer_auth(&self.token);
        Answer::of(request).await.ok().map(Answer::ok)
    }

    /// Reports how a call ended. A service that has just been killed hears nothing of it.
    pub(crate) async fn report(&self, name: &str, id: &str, abandon: bool) {
        let url = format!("{}/v1/environments/{name}/outcomes", self.decisions);
        let outcome = json!({ "Conversation_ID": id, "Abandon": abandon.to_string() });
        let request = self.http.post(url).bearer_auth(&self.token).json(&outcome);
        if let Ok(answer) = Answer::of(request).await {
            answer.ok();
        }
    }

    /// The replicas that are alive.
    pub(crate) async fn live_replicas(&self) -> Vec<Value> {
        let mut replicas = self.replicas().await;
        replicas.retain(|replica| replica["live"] == true);
        replicas
    }

    /// Every metric, as text.
    pub(crate) async fn metrics(&self) -> String {
        let request = self.http.get(format!("{}/metrics", self.admin));
        let response = request.send().await.expect("an answer");
        response.text().await.expect("text")
    }

    /// Follows changes from the one after `last_event_id` on; from now on without one.
    pub(crate) async fn follow(&self, last_event_id: Option<u64>) -> reqwest::Response {
        let url = format!("{}/v1/events", self.admin);
        let mut request = self.http.get(url).bearer_auth(&self.token);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{response:?}");
        response
    }

    /// The replicas that have a heartbeat.
    pub(crate) async fn replicas(&self) -> Vec<Value> {
        let list = self.get("/v1/replicas").await;
        list["replicas"].as_array().expect("replicas").clone()
    }

    /// Every change of the environment, the last one first.
    pub(crate) async fn history(&self, name: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut query = String::new();
        loop {
            let mut page = self
                .get(&format!("/v1/environments/{name}/history{query}"))
                .await;
            entries.append(page["entries"].as_array_mut().expect("entries"));
            let Some(before) = page["next_before"].as_u64() else {
                return entries;
            };
            query = format!("?before={before}");
        }
    }

    /// Fails unless the chain is unbroken and every row is complete.
    pub(crate) async fn assert_journal_is_sound(&self) {
        let verification = self.get("/v1/journal/verification").await;
        assert_eq!(verification["findings"], json!([]), "{verification:#}");
    }

    /// Asks for a decision without a token.
    pub(crate) async fn decide_as_stranger(&self, name: &str) -> Answer {
        Answer::of(self.call(name)).await.expect("an answer")
    }

    /// Asks for a decision.
    pub(crate) async fn decide(&self, name: &str) -> Value {
        self.ask_for_decision(name).await.ok()
    }

    /// Asks for a decision that holds everything acknowledged before.
    pub(crate) async fn decide_afresh(&self, name: &str) -> Value {
        self.ask_for_decision_afresh(name).await.ok()
    }

    /// The same, whatever is answered.
    pub(crate) async fn ask_for_decision_afresh(&self, name: &str) -> Answer {
        let call = self
            .call(name)
            .bearer_auth(&self.token)
            .header("cache-control", "no-cache");
        Answer::of(call).await.expect("an answer")
    }

    /// Asks for a decision, whatever is answered.
    pub(crate) async fn ask_for_decision(&self, name: &str) -> Answer {
        Answer::of(self.call(name).bearer_auth(&self.token))
            .await
            .expect("an answer")
    }

    /// Asks for a decision about a call of one's own.
    pub(crate) async fn decide_about(&self, name: &str, call: Value) -> Value {
        let request = self.about(name, call).bearer_auth(&self.token);
        Answer::of(request).await.expect("an answer").ok()
    }

    fn call(&self, name: &str) -> RequestBuilder {
        self.about(name, json!({ "Conversation_ID": "a-conversation" }))
    }

    fn about(&self, name: &str, call: Value) -> RequestBuilder {
        let url = format!("{}/v1/environments/{name}/decisions", self.decisions);
        self.http.post(url).json(&call)
    }

    /// The alarms that are raised, by their names in the metrics, in alphabetical order.
    pub(crate) async fn alarms(&self) -> Vec<String> {
        let request = self.http.get(format!("{}/metrics", self.admin));
        let answer = request.send().await.expect("an answer");
        let text = answer.text().await.expect("the metrics");
        let raised = text.lines().filter_map(|line| {
            let condition = line.strip_prefix("traffic_cop_alarm{condition=\"")?;
            condition.strip_suffix("\"} 1").map(str::to_owned)
        });
        let mut raised: Vec<_> = raised.collect();
        raised.sort();
        raised
    }

    /// Whether the decisions listener says that it is ready; `None` if it says nothing.
    pub(crate) async fn is_ready(&self) -> Option<bool> {
        // A connection of its own: an old one may be closed at any time.
        let http = reqwest::Client::new();
        let response = http
            .get(format!("{}/v1/health/ready", self.decisions))
            .send()
            .await;
        response.ok().map(|response| response.status().is_success())
    }
}
