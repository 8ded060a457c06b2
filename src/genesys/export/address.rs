//! Where Genesys Cloud reaches the decisions listener.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use crate::root_url::RootUrl;

/// The address of the decisions listener as the organisation sees it: `https`, perhaps with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionsAddress(RootUrl);

/// A text is no address that a data action can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is no URL.
    #[error("expected the URL of the decisions listener, such as https://decide.example")]
    NoUrl,
    /// It is not encrypted.
    #[error("expected https: data actions reach nothing else")]
    NotEncrypted,
    /// It has more than a place.
    #[error("expected no user, query or fragment: credentials belong into the integration")]
    TooMuch,
    /// It is on this host.
    #[error("expected a host that Genesys Cloud can reach, not this one")]
    OnThisHost,
}

impl FromStr for DecisionsAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let url: Url = text.parse().map_err(|_| InvalidAddress::NoUrl)?;
        match url.scheme() {
            "https" => {}
            "http" => return Err(InvalidAddress::NotEncrypted),
            _ => return Err(InvalidAddress::NoUrl),
        }
        let has_more = url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if has_more {
            return Err(InvalidAddress::TooMuch);
        }
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback() || address.is_unspecified());
        if is_here || host == "localhost" || host.ends_with(".localhost") {
            return Err(InvalidAddress::OnThisHost);
        }
        RootUrl::of(url).map(Self).ok_or(InvalidAddress::NoUrl)
    }
}

impl DecisionsAddress {
    /// The URL of a resource.
    pub(super) fn join(&self, segments: &[&str]) -> Url {
        self.0.join(segments)
    }

    /// The same, as a template of Velocity that renders to it.
    ///
    /// Escaped for the URL and not for Velocity, whose own escapes depend on what is defined: `$` and `#` begin everything
    /// that Velocity does, and a URL may spell them `%24` and `%23`.
    pub(super) fn template(&self, segments: &[&str]) -> String {
        let url = self.join(segments);
        url.as_str().replace('$', "%24").replace('#', "%23")
    }
}

impl fmt::Display for DecisionsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_genesys_cloud_could_not_reach_is_refused() {
        for (address, problem) in [
            ("", InvalidAddress::NoUrl),
            ("decide.example", InvalidAddress::NoUrl),
            ("ftp://decide.example", InvalidAddress::NoUrl),
            ("http://decide.example", InvalidAddress::NotEncrypted),
            ("https://a:b@decide.example", InvalidAddress::TooMuch),
            ("https://decide.example?x", InvalidAddress::TooMuch),
            ("https://decide.example/#x", InvalidAddress::TooMuch),
            ("https://localhost", InvalidAddress::OnThisHost),
            ("https://127.0.0.1:8080", InvalidAddress::OnThisHost),
            ("https://[::1]/", InvalidAddress::OnThisHost),
            ("https://0.0.0.0/", InvalidAddress::OnThisHost),
        ] {
            let read = address.parse::<DecisionsAddress>();
            assert_eq!(
                read.map_err(|error| error.to_string()),
                Err(problem.to_string()),
                "{address}"
            );
        }
    }

    #[test]
    fn a_template_holds_nothing_that_velocity_takes_for_its_own() {
        let address: DecisionsAddress = "https://decide.example/$a/${b}/c/".parse().unwrap();
        assert_eq!(
            address.template(&["v1", "#$x"]),
            "https://decide.example/%24a/%24%7Bb%7D/c/v1/%23%24x"
        );
        assert_eq!(address.to_string(), "https://decide.example/$a/$%7Bb%7D/c");
    }
}
