//! `decide`.

use clap::Args;
use http::Method;
use serde::Serialize;

use super::api::Decision;
use super::client::Client;
use super::connection::{BaseUrl, HEADING, TokenArgs};
use super::failure::Failure;
use super::output::{Output, cell, table};
use crate::domain::ids::EnvironmentName;

/// Arguments of `decide`.
#[derive(Debug, Args)]
pub(super) struct Decide {
    /// The environment.
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    #[command(flatten)]
    call: Call,
    /// Number of the interface whose variables are wanted.
    #[arg(long, value_name = "NUMBER")]
    interface: Option<u32>,
    /// URL of the decisions listener.
    #[arg(
        long,
        env = "TRAFFIC_COP_DECISIONS_SERVER",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        help_heading = HEADING
    )]
    decisions_server: BaseUrl,
    #[command(flatten)]
    token: TokenArgs,
}

/// The call to decide on, as the data action describes it.
#[derive(Debug, Args, Serialize)]
struct Call {
    /// Id of the conversation. Equal ids get equal answers; without one the draw is random.
    #[arg(long, value_name = "ID")]
    #[serde(rename = "Conversation_ID", skip_serializing_if = "Option::is_none")]
    conversation_id: Option<String>,
    /// Label of the flow version that the call has been in.
    #[arg(long, value_name = "LABEL")]
    #[serde(rename = "Flow_Version", skip_serializing_if = "Option::is_none")]
    flow_version: Option<String>,
    /// Number of the caller.
    #[arg(long, value_name = "NUMBER")]
    #[serde(rename = "ANI", skip_serializing_if = "Option::is_none")]
    ani: Option<String>,
    /// Number that was dialled.
    #[arg(long, value_name = "NUMBER")]
    #[serde(rename = "DNIS", skip_serializing_if = "Option::is_none")]
    dnis: Option<String>,
}

impl Decide {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = Client::new(&self.decisions_server, &self.token)?;
        let mut url = client.url(&["v1", "environments", self.environment.as_str(), "decisions"]);
        if let Some(interface) = self.interface {
            url.query_pairs_mut()
                .append_pair("interface", &interface.to_string());
        }
        let request = client.request(Method::POST, url).json(&self.call);
        let answer = client.answer(request).await?;
        output.print(&answer, |decision| describe(&decision))
    }
}

fn describe(decision: &Decision) -> String {
    let Decision {
        active_flow_id,
        active_flow_name,
        slot,
        flow_version,
        reason,
        revision,
        source,
        others,
    } = decision;
    let others = others
        .iter()
        .map(|(name, value)| [name.clone(), cell(value)]);
    format!(
        "{slot} takes this call: {active_flow_name} ({active_flow_id}), flow version {flow_version}\n\
         rule {reason}, revision {revision}, {source}\n\n{}",
        table(["member", "value"], others)
    )
}
