//! URLs that resources are below.

use std::fmt;

use reqwest::Url;

/// The URL of a place that has resources below it. Slashes at its end are not part of what it names: of several, each but the last
/// would be an empty segment in front of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootUrl(Url);

impl RootUrl {
    /// `url` as such a place; `None` if it has no host, or a query or a fragment, which resources below it could not keep.
    #[must_use]
    pub fn of(mut url: Url) -> Option<Self> {
        if !url.has_host() || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Some(Self(url))
    }

    /// The URL of a resource. Segments are escaped, so none of them can lead elsewhere.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it never does")]
    pub fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut()
            // `of` lets only URLs with a host through.
            .expect("a URL with a host has a path")
            .pop_if_empty()
            .extend(segments);
        url
    }

    /// The URL itself.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Without a slash at its end.
impl fmt::Display for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> RootUrl {
        RootUrl::of(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn slashes_at_its_end_make_no_empty_segments() {
        for (text, shown) in [
            ("http://x:4318", "http://x:4318"),
            ("http://x:4318/", "http://x:4318"),
            ("https://x//", "https://x"),
            ("https://x/tenant/a", "https://x/tenant/a"),
            ("https://x/tenant/a//", "https://x/tenant/a"),
            (r"https://x/tenant/a/\", "https://x/tenant/a"),
        ] {
            let root = root(text);
            assert_eq!(root.to_string(), shown);
            let below = root.join(&["v1", "traces"]);
            assert_eq!(below.as_str(), format!("{shown}/v1/traces"), "{text}");
        }
    }

    #[test]
    fn a_segment_cannot_lead_elsewhere() {
        let url = root("http://x/y").join(&["v1", "..", "a/b?c#d"]);
        assert!(url.path().starts_with("/y/v1/"), "{url}");
        assert!(url.path().ends_with("/a%2Fb%3Fc%23d"), "{url}");
    }

    #[test]
    fn nothing_is_below_what_has_no_host_or_more_than_a_path() {
        for text in [
            "mailto:a@b.c",
            "data:text/plain,x",
            "http://x?y",
            "http://x/#y",
        ] {
            assert_eq!(RootUrl::of(text.parse().unwrap()), None, "{text}");
        }
    }
}
