//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): which trace a request belongs to, as the header `traceparent` says.
//!
//! Nothing depends on it but what is told of the request: a value that does not read counts as none.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};

/// The header's name.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What all requests of one trace have in common: 16 bytes, not all of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Where a request comes from: its trace, the span that sent it, and whether the sender records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: [u8; 8],
    flags: u8,
}

/// A text is no value of `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a traceparent, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
pub struct InvalidTraceParent;

/// The flag that says that the sender records its span.
const SAMPLED: u8 = 1;

impl TraceId {
    /// The trace with this identity; `None` if it is all zero, which none has.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Its identity.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl TraceParent {
    /// A span of a trace, recorded by who names it; `None` if its identity is all zero, which none has.
    #[must_use]
    pub fn recorded(trace: TraceId, span: [u8; 8]) -> Option<Self> {
        let flags = SAMPLED;
        (span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// What a request with these headers says; `None` if it says nothing, something that does not read, or two things.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then(|| value.parse().ok())?
    }

    /// The trace.
    #[must_use]
    pub fn trace(self) -> TraceId {
        self.trace
    }

    /// The span that sent the request.
    #[must_use]
    pub fn span(self) -> [u8; 8] {
        self.span
    }

    /// Whether its sender records it, and so others may as well.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Reads version 00, and of later versions what that one has of them, as its section 4.3 asks for.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(InvalidTraceParent);
        let [version] = bytes(part()?)?;
        let trace = TraceId::new(bytes(part()?)?).ok_or(InvalidTraceParent)?;
        let span = bytes(part()?)?;
        let [flags] = bytes(part()?)?;
        let has_more = parts.next().is_some();
        let is_known = match version {
            0 => !has_more,
            // It would be a value that is never sent.
            0xff => false,
            _ => true,
        };
        if !is_known || span == [0; 8] {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace, span, flags })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        let span = u64::from_be_bytes(*span);
        write!(f, "00-{trace}-{span:016x}-{:02x}", flags & SAMPLED)
    }
}

/// Bytes in hexadecimal digits, all in lower case and no more than there are to be.
fn bytes<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], InvalidTraceParent> {
    let is_plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * LENGTH || !text.bytes().all(is_plain) {
        return Err(InvalidTraceParent);
    }
    let mut bytes = [0; LENGTH];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = &text[2 * at..2 * at + 2];
        *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidTraceParent)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_recommendation_reads() {
        let parent: TraceParent = GOOD.parse().unwrap();
        assert_eq!(
            parent.trace().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(parent.span(), 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), GOOD);
    }

    #[test]
    fn of_a_later_version_what_is_known_is_read() {
        for later in [
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what-the-future-holds",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02-",
        ] {
            let parent: TraceParent = later.parse().unwrap();
            assert!(!parent.is_sampled(), "{later}");
        }
    }

    #[test]
    fn what_does_not_read_is_refused() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(InvalidTraceParent), "{bad}");
        }
    }

    #[test]
    fn a_request_belongs_to_one_trace_or_to_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceParent::of(&headers), None);
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::of(&headers), GOOD.parse().ok());
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::of(&headers), None, "two");
        headers.insert(TRACEPARENT, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(TraceParent::of(&headers), None, "no text");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(trace: [u8; 16], span: [u8; 8]) {
            let written = TraceId::new(trace).and_then(|trace| TraceParent::recorded(trace, span));
            if let Some(written) = written {
                prop_assert_eq!(written.to_string().parse(), Ok(written));
            }
        }

        #[test]
        fn no_text_is_too_much(text in ".*") {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert!(parent.trace().bytes() != [0; 16]);
            }
        }
    }
}
