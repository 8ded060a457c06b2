//! `token rotate`.

use clap::Args;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::with_notice;
use crate::cli::api::NewToken;
use crate::cli::connection::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::receipt;
use crate::cli::write::{Write, WriteArgs};
use crate::clock::{Clock as _, SystemClock};

/// Arguments of `token rotate`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// Id of the token, as `token list` shows it.
    #[arg(value_name = "ID")]
    id: String,
    /// Minutes for which the present text goes on beside the new one; 0 ends it at once.
    #[arg(long, default_value_t = 24 * 60, value_name = "MINUTES")]
    overlap_minutes: u32,
    /// When the present text stops working, in place of a number of minutes.
    #[arg(long, value_name = "TIME", conflicts_with = "overlap_minutes")]
    old_until: Option<Timestamp>,
    /// When the new text stops working; as the token did before if left out.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Rotate {
    pub(in crate::cli) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let old_until = match self.old_until {
            Some(until) => Some(until),
            None if self.overlap_minutes == 0 => None,
            None => Some(in_minutes(self.overlap_minutes)),
        };
        let body = json!({
            "old_until": old_until,
            "expires_at": self.expires_at,
            "reason": self.write.reason,
        });
        let write = Write {
            method: Method::POST,
            url: client.url(&["v1", "tokens", &self.id, "rotate"]),
            body: Some(body),
            if_match: None,
            key: self.write.key(),
            wait: self.write.wait,
        };
        let answer = client.write(&write).await?;
        receipt::print(output, &answer, |made| describe(&self.id, old_until, &made))
    }
}

fn in_minutes(minutes: u32) -> Timestamp {
    let overlap = SignedDuration::from_mins(minutes.into());
    let now = SystemClock::start().now();
    now.saturating_add(overlap).unwrap_or(Timestamp::MAX)
}

fn describe(id: &str, old_until: Option<Timestamp>, made: &NewToken) -> String {
    let text = match &made.token {
        Some(text) => {
            let old = old_until.map_or_else(
                || "the old one works no longer".to_owned(),
                |until| format!("the old one works until {until}"),
            );
            format!(
                "token {id} has a new text, and {old}; keep the new one now, it is not shown again:\n{text}"
            )
        }
        None => format!("token {id} was given a new text before"),
    };
    with_notice(text, made.notice.as_deref())
}
