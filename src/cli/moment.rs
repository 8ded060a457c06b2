//! A point in an environment's history.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// A revision or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Revision(u64),
    Time(Timestamp),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let revision = text.parse().map(Self::Revision);
        revision
            .or_else(|_| text.parse().map(Self::Time))
            .map_err(|_| {
                "expected a revision, or a time with its offset, such as 2026-11-23T02:00:00Z"
                    .to_owned()
            })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(revision) => revision.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_revision_or_a_time() {
        assert_eq!("17".parse(), Ok(Moment::Revision(17)));
        let time: Moment = "2026-11-23T04:00:00+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-23T02:00:00Z");
        for bad in ["", "-1", "yesterday", "2026-11-23", "2026-11-23T02:00:00"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad:?}");
        }
    }
}
