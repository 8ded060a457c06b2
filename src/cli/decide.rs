//! `decide`.

use clap::Args;
use http::Method;
use serde::Serialize;

use super::api::Decision;
use super::call::Call;
use super::client::Client;
use super::connection::{BaseUrl, HEADING, TokenArgs, TrustArgs};
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
    #[command(flatten)]
    trust: TrustArgs,
}

/// The call as the data action describes it.
#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "Conversation_ID", skip_serializing_if = "Option::is_none")]
    conversation_id: Option<&'a str>,
    #[serde(rename = "Flow_Version", skip_serializing_if = "Option::is_none")]
    flow_version: Option<&'a str>,
    #[serde(rename = "ANI", skip_serializing_if = "Option::is_none")]
    ani: Option<&'a str>,
    #[serde(rename = "DNIS", skip_serializing_if = "Option::is_none")]
    dnis: Option<&'a str>,
}

impl<'a> From<&'a Call> for Request<'a> {
    fn from(call: &'a Call) -> Self {
        Self {
            conversation_id: call.conversation_id.as_deref(),
            flow_version: call.flow_version.as_deref(),
            ani: call.ani.as_deref(),
            dnis: call.dnis.as_deref(),
        }
    }
}

impl Decide {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = Client::new(&self.decisions_server, &self.token, &self.trust)?;
        let mut url = client.url(&["v1", "environments", self.environment.as_str(), "decisions"]);
        if let Some(interface) = self.interface {
            url.query_pairs_mut()
                .append_pair("interface", &interface.to_string());
        }
        let request = client
            .request(Method::POST, url)
            .json(&Request::from(&self.call));
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
