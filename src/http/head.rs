//! Heads of requests, read strictly.
//!
//! What two readers of a request could understand in two ways, a proxy in front of us and we, is understood in neither: it is
//! refused. What hyper's parser refuses by itself never gets here (`listener/refusal.rs`).

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};

use super::RequestLimits;
use super::problem::{Kind, Problem};

/// Refuses an address that is too long, too many header fields, and a host that is missing, doubled or no host (RFC 9112,
/// section 3.2).
pub(super) fn check<B>(request: &Request<B>, limits: &RequestLimits) -> Result<(), Problem> {
    if length(request.uri()) > limits.uri_bytes {
        return Err(Problem::uri_too_long());
    }
    if request.headers().len() > limits.headers {
        return Err(Problem::head_too_large());
    }
    if !has_one_host(request) {
        return Err(Problem::new(
            Kind::BadRequest,
            "header Host: expected one, with a name or address and perhaps a port",
        ));
    }
    Ok(())
}

/// Refuses a path that is not written the one way.
pub(super) fn check_path(uri: &Uri) -> Result<(), Problem> {
    if is_normal(uri.path()) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::BadRequest,
        "the path must have no empty segment, no dot segment, and no escapes but of printable UTF-8 text without slashes",
    ))
}

fn length(uri: &Uri) -> usize {
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let target = uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    authority + target
}

/// The fields with this name. A request has few, and to compare all their names costs less than to look one up.
pub(super) fn fields(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
    let named = headers.iter().filter(move |(other, _)| **other == name);
    named.map(|(_, value)| value)
}

fn has_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = fields(request.headers(), HOST);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
        // Older than the header.
        (None, _) => request.version() < Version::HTTP_11,
    }
}

/// A name as DNS has them or an address, perhaps with a port: all that somebody who means us can have connected to.
fn is_host(host: &[u8]) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let address = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let (length, rest) = match host {
        [b'[', inside @ ..] => {
            let length = inside.iter().take_while(|byte| address(**byte)).count();
            let Some(rest) = inside[length..].strip_prefix(b"]") else {
                return false;
            };
            (length, rest)
        }
        _ => {
            let length = host.iter().take_while(|byte| name(**byte)).count();
            (length, &host[length..])
        }
    };
    let is_port = match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    (1..=255).contains(&length) && is_port
}

/// Whether a path is written the way everybody reads it alike. `*` is what `OPTIONS` may ask instead of a path.
fn is_normal(path: &str) -> bool {
    if path == "*" {
        return true;
    }
    let Some(path) = path.strip_prefix('/') else {
        return false;
    };
    // One slash at the end is no empty segment.
    let segments = path.strip_suffix('/').unwrap_or(path);
    path.is_empty() || segments.split('/').all(is_normal_segment)
}

fn is_normal_segment(segment: &str) -> bool {
    let Some(text) = unescape(segment) else {
        return false;
    };
    let is_plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    !matches!(text.as_str(), "" | "." | "..") && text.chars().all(is_plain)
}

/// The text that a segment stands for, if it is ASCII whose escapes are whole and make UTF-8.
fn unescape(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut text = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            byte if byte.is_ascii() => byte,
            _ => return None,
        });
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_perhaps_a_port() {
        for good in [
            "a",
            "cop.example.com",
            "a_b-c:8080",
            "127.0.0.1:1",
            "x:",
            "[::1]",
            "[2001:db8::1]:443",
            "[::ffff:10.0.0.1]",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a,b",
            "a/b",
            "user@a",
            "http://a",
            "a:x",
            "a:123456",
            "a:1:2",
            "[::1",
            "[]",
            "[a",
            "[::1]x",
            "ä",
            "a%0d",
            &"x".repeat(256),
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_path_is_written_the_one_way() {
        for good in [
            "/",
            "*",
            "/v1",
            "/docs/",
            "/v1/a.b",
            "/v1/...",
            "/v1/Main%5FIVR",
            "/v1/Gr%C3%B6%C3%9Fe",
            "/v1/a;b=c",
        ] {
            assert!(is_normal(good), "{good}");
        }
        for bad in [
            "",
            "v1",
            "//",
            "//v1",
            "/v1//a",
            "/v1/a//",
            "/.",
            "/..",
            "/v1/../a",
            "/v1/./a",
            "/v1/%2e%2E/a",
            "/v1/.%2e",
            "/v1/%00",
            "/v1/a%0d%0ab",
            "/v1/a%7f",
            "/v1/a%2Fb",
            "/v1/a%5Cb",
            "/v1/%",
            "/v1/%4",
            "/v1/%zz",
            "/v1/%FF",
            "/v1/%C3",
            "/v1/ä",
        ] {
            assert!(!is_normal(bad), "{bad}");
        }
    }

    #[test]
    fn a_head_has_one_host_and_room_for_so_much() {
        let limits = RequestLimits::default();
        let kind = |request: http::request::Builder| {
            let request = request.body(()).unwrap();
            check(&request, &limits).err().map(|problem| problem.kind())
        };
        let request = |uri: &str| Request::builder().uri(uri);
        assert_eq!(kind(request("/").header(HOST, "x")), None);
        assert_eq!(kind(request("/")), Some(Kind::BadRequest));
        assert_eq!(kind(request("/").version(Version::HTTP_10)), None);
        let twice = request("/").header(HOST, "x").header(HOST, "x");
        assert_eq!(kind(twice), Some(Kind::BadRequest));
        let long = |length: usize| request(&format!("/{}", "a".repeat(length - 1)));
        assert_eq!(kind(long(2048).header(HOST, "x")), None);
        let problem = kind(long(2049).header(HOST, "x"));
        assert_eq!(problem, Some(Kind::UriTooLong));
        let many = |count: usize| {
            (1..count).fold(request("/").header(HOST, "x"), |request, _| {
                request.header("a", "b")
            })
        };
        assert_eq!(kind(many(64)), None);
        assert_eq!(kind(many(65)), Some(Kind::HeadTooLarge));
    }
}
