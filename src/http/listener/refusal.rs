//! Refusals that no handler sees: of a head that does not read as HTTP, or does not end.

use bytes::Bytes;
use http::StatusCode;

use crate::http::problem::{Kind, Problem};

/// Longer than any answer that hyper makes by itself, shorter than any of ours that is a problem.
const LONGEST: usize = 160;

/// The problem to answer with in place of `bytes`, if these are hyper's own answer to a head that it could not read: a bare
/// status without a body. Every answer of ours with such a status has a body and is longer.
pub(super) fn in_place_of(bytes: &[u8]) -> Option<Problem> {
    // Almost always decided here: the status begins with another digit than 4.
    if bytes.get(9) != Some(&b'4') || bytes.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let (status, headers) = text.strip_prefix("HTTP/1.")?.split_once("\r\n")?;
    let is_bare = headers.contains("content-length: 0\r\n") && headers.ends_with("\r\n\r\n");
    let status = status.get(2..5)?.parse().ok()?;
    is_bare.then(|| problem(status)).flatten()
}

fn problem(status: StatusCode) -> Option<Problem> {
    let problem = match status {
        StatusCode::BAD_REQUEST => Problem::new(
            Kind::BadRequest,
            "the request does not read as HTTP/1.1; the connection is closed",
        ),
        StatusCode::URI_TOO_LONG => Problem::uri_too_long(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Problem::head_too_large(),
        _ => return None,
    };
    Some(problem)
}

/// `problem` as the last answer of a connection.
pub(super) fn answer(problem: &Problem) -> Bytes {
    let status = problem.kind().status();
    let reason = status.canonical_reason().unwrap_or_default();
    let document = problem.document();
    let length = document.len();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncache-control: no-store, no-cache\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{document}",
        status.as_str()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        let kind = |bytes: &str| in_place_of(bytes.as_bytes()).map(|problem| problem.kind());
        let bare = |status: &str| {
            format!(
                "HTTP/1.1 {status}\r\ncontent-length: 0\r\ndate: Mon, 05 Jan 2026 08:00:00 GMT\r\n\r\n"
            )
        };
        assert_eq!(kind(&bare("400 Bad Request")), Some(Kind::BadRequest));
        assert_eq!(kind(&bare("414 URI Too Long")), Some(Kind::UriTooLong));
        assert_eq!(
            kind(&bare("431 Request Header Fields Too Large")),
            Some(Kind::HeadTooLarge)
        );
        for other in [
            "",
            "HTTP/1.1 4",
            "{\"a\":\"b\"}4",
            &bare("404 Not Found"),
            &bare("200 OK"),
            &bare("400 Bad Request")[..40],
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
        ] {
            assert_eq!(kind(other), None, "{other:?}");
        }
    }

    #[test]
    fn no_answer_of_ours_is_taken_for_a_bare_refusal() {
        for kind in Kind::ALL {
            let answer = answer(&Problem::new(kind, ""));
            assert!(answer.len() > LONGEST);
            assert!(in_place_of(&answer).is_none(), "{kind:?}");
        }
    }
}
