//! Settings of webhooks.

use std::path::PathBuf;

use clap::Args;

use super::Secret;

/// Where the help lists these.
const HEADING: &str = "Webhooks";

/// What a process needs that tells webhooks of changes. Any process with a controller may be the one that does.
#[derive(Debug, Clone, Args)]
pub struct WebhookArgs {
    /// File with the secrets that webhooks are signed with: a JSON object of names, each with a secret (`traffic-cop webhook
    /// secret` draws one), or with a list of secrets that all sign, while one takes the place of another. Changes are noticed.
    #[arg(
        long,
        env = "TRAFFIC_COP_WEBHOOK_SECRETS_FILE",
        value_name = "FILE",
        help_heading = HEADING
    )]
    pub webhook_secrets_file: Option<PathBuf>,
    /// The same JSON itself; better given by the environment than on a command line that others can read.
    #[arg(
        long,
        env = "TRAFFIC_COP_WEBHOOK_SECRETS",
        hide_env_values = true,
        conflicts_with = "webhook_secrets_file",
        value_name = "JSON",
        help_heading = HEADING
    )]
    pub webhook_secrets: Option<Secret>,
    /// What events name as their source. Give each deployment one of its own where several tell one receiver: their events have
    /// the same ids.
    #[arg(
        long,
        env = "TRAFFIC_COP_WEBHOOK_SOURCE",
        default_value = "urn:traffic-cop",
        value_parser = source,
        value_name = "URI",
        help_heading = HEADING
    )]
    pub webhook_source: String,
}

/// A URI reference (CloudEvents 1.0, `source`), as far as that is worth checking: printable, and not too long for a header.
fn source(text: &str) -> Result<String, &'static str> {
    let is_one = (1..=256).contains(&text.len())
        && text.parse::<http::Uri>().is_ok()
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_one
        .then(|| text.to_owned())
        .ok_or("expected a URI of at most 256 characters, such as urn:traffic-cop:production")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_uri() {
        for good in ["urn:traffic-cop", "https://ivr.example/eu", "/production"] {
            assert_eq!(source(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "\u{7}", "größe", &"x".repeat(257)] {
            assert!(source(bad).is_err(), "{bad:?}");
        }
    }
}
