//! Addresses of others: whose tokens are trusted, and where changes are told.
//!
//! Without TLS only on this host, and nothing that a client could take for something else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidText;

text_type! {
    /// An issuer of tokens, as they name it in `iss`; its keys are found from there. Without TLS only on this host.
    #[schema(max_length = 256, pattern = r"^https://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~/-]*)?$", example = "https://token.actions.githubusercontent.com")]
    IssuerUrl, "issuer",
    "an https URL of at most 256 characters without user, query or fragment; http only for 127.0.0.1 and localhost",
    |text| is_issuer_url(text)
}

text_type! {
    /// Where a webhook is sent. Without TLS only on this host.
    #[schema(max_length = 512, pattern = r"^(https://([a-z]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,30}[a-z0-9])?){0,8}|[1-9][0-9]?(\.[1-9][0-9]?){3})|http://(127\.0\.0\.1|localhost))(:([1-9][0-9]{0,3}|[1-5][0-9]{4}))?(/[A-Za-z0-9_~:@+=,;-][A-Za-z0-9._~:@+=,;-]*){0,8}/?$", example = "https://chat.example.com/hooks/ivr")]
    WebhookUrl, "webhook URL",
    "an https URL of at most 512 characters without user, query, fragment or escapes; http only for 127.0.0.1 and localhost",
    |text| is_webhook_url(text)
}

impl IssuerUrl {
    /// The issuer as the actors it vouches for are named by it: without the scheme.
    #[must_use]
    pub fn without_scheme(&self) -> &str {
        self.0.split_once("://").map_or(&*self.0, |(_, rest)| rest)
    }

    /// Whether it is reached without TLS.
    #[must_use]
    pub fn is_on_this_host(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl WebhookUrl {
    /// Whether it is reached without TLS.
    #[must_use]
    pub fn is_on_this_host(&self) -> bool {
        self.0.starts_with("http://")
    }
}

/// The parts of a URL without user, as it stands.
struct Parts<'a> {
    is_secure: bool,
    authority: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some(Self {
            is_secure,
            authority,
            path,
        })
    }

    fn host(&self) -> &'a str {
        self.authority.split(':').next().unwrap_or_default()
    }

    /// What stands behind the first colon.
    fn port(&self) -> Option<&'a str> {
        self.authority.split_once(':').map(|(_, port)| port)
    }

    /// Whether nobody between here and there can read or change what is sent.
    fn is_private(&self) -> bool {
        self.is_secure || matches!(self.host(), "127.0.0.1" | "localhost")
    }
}

/// Whether `text` is a URL that tokens can be trusted by. What it leads to is not looked at.
fn is_issuer_url(text: &str) -> bool {
    let Some(parts) = Parts::of(text) else {
        return false;
    };
    let is_authority = |b: u8| b.is_ascii_alphanumeric() || b".:-".contains(&b);
    let is_path = |b: u8| b.is_ascii_alphanumeric() || b"._~/-".contains(&b);
    text.len() <= 256
        && parts.is_private()
        && parts
            .host()
            .starts_with(|first: char| first.is_ascii_alphanumeric())
        && parts.authority.bytes().all(is_authority)
        && parts.path.bytes().all(is_path)
}

/// A query is not taken since credentials tend to stand there, and this one is in a table; nor is what a client would spell
/// otherwise than it stands here.
fn is_webhook_url(text: &str) -> bool {
    let Some(parts) = Parts::of(text) else {
        return false;
    };
    let is_port = |port: &str| {
        let is_number = port.bytes().all(|b| b.is_ascii_digit());
        is_number && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    let is_path = |b: u8| b.is_ascii_alphanumeric() || b"._~/:@+=,;-".contains(&b);
    text.len() <= 512
        && parts.is_private()
        && is_host(parts.host())
        && parts.port().is_none_or(is_port)
        && parts.path.bytes().all(is_path)
        && !parts
            .path
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
}

/// Whether `text` is the name of a host, or four numbers.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // What begins with a digit at the end would be taken for an address.
    let is_name = |label: &str| label.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_number = |label: &str| {
        label
            .parse::<u8>()
            .is_ok_and(|number| number.to_string() == label)
    };
    let labels: Vec<_> = text.split('.').collect();
    let is_address = labels.len() == 4 && labels.iter().all(|label| is_number(label));
    text.len() <= 253
        && labels.iter().all(|label| is_label(label))
        && (is_address || labels.last().is_some_and(|label| is_name(label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_urls_that_can_be_trusted() {
        for good in [
            "https://token.actions.githubusercontent.com",
            "https://gitlab.example.com:8443/a/b_c/",
            "http://127.0.0.1:4711",
            "http://localhost/x",
        ] {
            assert_eq!(good.parse::<IssuerUrl>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "token.actions.githubusercontent.com",
            "http://token.actions.githubusercontent.com",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "https://user@example.com",
            "https://example.com?x",
            "https://example.com/#x",
            "https://example.com/a b",
            "https://",
            "https:///x",
            "https://:443",
            "ftp://example.com",
            &format!("https://{}", "x".repeat(256)),
        ] {
            assert!(bad.parse::<IssuerUrl>().is_err(), "{bad:?}");
        }
        let url: IssuerUrl = "https://example.com/a".parse().unwrap();
        assert_eq!(url.without_scheme(), "example.com/a");
    }

    #[test]
    fn webhooks_go_to_urls_that_mean_what_they_say() {
        for good in [
            "https://chat.example.com",
            "https://chat.example.com:8443/hooks/a_b=@x",
            "https://10.1.2.3/x//y",
            "http://127.0.0.1:4711/x",
            "http://localhost",
        ] {
            assert_eq!(good.parse::<WebhookUrl>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "chat.example.com",
            "ftp://example.com",
            "HTTPS://example.com",
            "http://chat.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "http://[::1]/x",
            "https://user@example.com",
            "https://user:secret@example.com",
            "https://example.com?token=x",
            "https://example.com/#x",
            "https://example.com/a b",
            "https://example.com/%2e%2e/x",
            "https://example.com/../x",
            "https://example.com/.",
            "https://example.com:0",
            "https://example.com:65536",
            "https://example.com:",
            "https://example.com:+1",
            "https://",
            "https:///x",
            "https://.example.com",
            "https://example.com.",
            "https://-a.example.com",
            "https://1.2.3",
            "https://1.2.3.4.5",
            "https://256.1.1.1",
            "https://01.1.1.1",
            "https://example.0x7f",
            "https://größe.example",
            &format!("https://example.com/{}", "x".repeat(512)),
            &format!("https://{}.example.com", "x".repeat(64)),
        ] {
            assert!(bad.parse::<WebhookUrl>().is_err(), "{bad:?}");
        }
    }
}
