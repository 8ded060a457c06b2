//! Where an organisation of Genesys Cloud is.

use std::str::FromStr;

use reqwest::Url;

/// AWS regions and the domains of Genesys Cloud in them, as the official Python SDK lists them (`PureCloudRegionHosts`).
const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
    ("ap-south-1", "aps1.pure.cloud"),
    ("me-central-1", "mec1.pure.cloud"),
];

/// The two hosts that an organisation is reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where access tokens come from.
    pub login: BaseUrl,
    /// The Platform API.
    pub api: BaseUrl,
}

/// A text names no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an AWS region that Genesys Cloud is in, such as eu-central-1, or a domain, such as mypurecloud.de"
)]
pub struct InvalidPlace;

impl FromStr for Place {
    type Err = InvalidPlace;

    /// Reads a region or, for one that is not known here, a domain.
    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let known = REGIONS.iter().find(|(region, _)| *region == text);
        let domain = known.map_or(text, |(_, domain)| domain);
        let is_domain = domain.contains('.')
            && domain
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if !is_domain {
            return Err(InvalidPlace);
        }
        let host = |name| format!("https://{name}.{domain}").parse();
        Ok(Self {
            login: host("login").map_err(|_| InvalidPlace)?,
            api: host("api").map_err(|_| InvalidPlace)?,
        })
    }
}

/// The address of a host that secrets may be sent to: `https`, or this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// A text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected https://HOST, or http://127.0.0.1:PORT")]
pub struct InvalidBaseUrl;

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        let url: Url = text.parse().map_err(|_| InvalidBaseUrl)?;
        let has_more = url.path() != "/"
            || url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        let is_safe = match url.scheme() {
            "https" => true,
            "http" => matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
            _ => false,
        };
        if has_more || !is_safe {
            return Err(InvalidBaseUrl);
        }
        Ok(Self(url))
    }
}

impl BaseUrl {
    /// Whether it is on this host, without TLS.
    #[must_use]
    pub fn is_on_this_host(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The address of `path` there.
    #[must_use]
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_and_its_domain_are_one_place() {
        let place: Place = "eu-central-1".parse().unwrap();
        assert_eq!(
            place.login.at("/oauth/token").as_str(),
            "https://login.mypurecloud.de/oauth/token"
        );
        assert_eq!(
            place.api.at("/api/v2/flows").as_str(),
            "https://api.mypurecloud.de/api/v2/flows"
        );
        assert_eq!("mypurecloud.de".parse(), Ok(place));
        for (region, domain) in REGIONS {
            assert_eq!(region.parse::<Place>(), domain.parse::<Place>(), "{region}");
        }
    }

    #[test]
    fn what_is_no_region_and_no_domain_is_refused() {
        for text in [
            "",
            "eu-central-9",
            "mypurecloud.de/x",
            "https://mypurecloud.de",
            "a b.c",
        ] {
            assert_eq!(text.parse::<Place>(), Err(InvalidPlace), "{text}");
        }
    }

    #[test]
    fn secrets_go_over_https_or_stay_on_this_host() {
        for text in [
            "https://api.example",
            "http://127.0.0.1:4010",
            "http://localhost:1/",
        ] {
            assert!(text.parse::<BaseUrl>().is_ok(), "{text}");
        }
        for text in [
            "http://api.example",
            "http://127.0.0.1.example",
            "ftp://127.0.0.1",
            "https://id:secret@api.example",
            "https://api.example/v2",
            "api.example",
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(InvalidBaseUrl), "{text}");
        }
    }
}
