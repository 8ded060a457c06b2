//! The request of a decision, made once per connection and given a fresh conversation id each time.

use std::net::SocketAddr;

/// The environment that is asked about; a new embedded store comes with it.
pub(crate) const ENVIRONMENT: &str = "Main_IVR";

/// 140 bytes: a new call, so `Flow_Version` is blank and nothing but the conversation id can make it sticky.
const BODY: &str = concat!(
    r#"{"Conversation_ID":"00000000-0000-4000-8000-000000000000","Flow_Version":"","#,
    r#""ANI":"sip:+13175550142@edge.example","DNIS":"tel:+18005550199"}"#
);

/// Where the conversation id stands in [`BODY`].
const ID_OFFSET: usize = r#"{"Conversation_ID":""#.len();

/// As long as [`BODY`].
const FLAG_BODY: &str = concat!(
    r#"{"context":{"targetingKey":"00000000-0000-4000-8000-000000000000","ANI":"sip:+13175550142@edge.example","#,
    r#""DNIS":"tel:+18005550199"}}"#
);

/// Where the conversation id stands in [`FLAG_BODY`].
const FLAG_ID_OFFSET: usize = r#"{"context":{"targetingKey":""#.len();

/// Length of a UUID's text.
const ID_LENGTH: usize = 36;

/// The flag that is asked about, of who evaluates flags.
pub(crate) const FLAG: &str = "main-ivr";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// A decision about a call.
    Decision,
    /// The value of [`FLAG`] for a conversation, by the OpenFeature Remote Evaluation Protocol.
    Flag,
}

impl Question {
    fn path(self) -> String {
        match self {
            Self::Decision => format!("/v1/environments/{ENVIRONMENT}/decisions"),
            Self::Flag => format!("/ofrep/v1/evaluate/flags/{FLAG}"),
        }
    }

    /// The body, and where the conversation id stands in it.
    fn body(self) -> (&'static str, usize) {
        match self {
            Self::Decision => (BODY, ID_OFFSET),
            Self::Flag => (FLAG_BODY, FLAG_ID_OFFSET),
        }
    }
}

/// How fresh an answer has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// What the replica knows will do.
    Any,
    /// It must be proved to hold every change acknowledged before: `Cache-Control: no-cache`, as Genesys sends it.
    Proved,
}

/// One connection's request, as bytes ready to send.
pub(crate) struct Request {
    bytes: Vec<u8>,
    id_start: usize,
    ids: SplitMix64,
}

impl Request {
    /// A request to `host`, authenticated if there is a `token`. Equal seeds give equal conversation ids, so that every
    /// run asks for the same callers; different connections need different seeds.
    pub(crate) fn new(
        question: Question,
        host: SocketAddr,
        token: Option<&str>,
        freshness: Freshness,
        seed: u64,
    ) -> Self {
        let authorization = token
            .map(|token| format!("authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let cache_control = match freshness {
            Freshness::Any => "",
            Freshness::Proved => "cache-control: no-cache\r\n",
        };
        let (body, id_offset) = question.body();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {host}\r\n{authorization}{cache_control}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            question.path(),
            body.len()
        );
        let id_start = head.len() + id_offset;
        Self {
            bytes: [head.as_bytes(), body.as_bytes()].concat(),
            id_start,
            ids: SplitMix64(seed),
        }
    }

    /// The bytes of the next request, with a conversation id not sent before.
    pub(crate) fn next_bytes(&mut self) -> &[u8] {
        let bits = (u128::from(self.ids.next()) << 64) | u128::from(self.ids.next());
        write_uuid(
            &mut self.bytes[self.id_start..self.id_start + ID_LENGTH],
            bits,
        );
        &self.bytes
    }
}

/// Writes `bits` as the text of a version 4 UUID (RFC 9562, section 5.4).
fn write_uuid(text: &mut [u8], bits: u128) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let mut shift = 128;
    for (position, byte) in text.iter_mut().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            *byte = b'-';
        } else {
            shift -= 4;
            *byte = HEX[(bits >> shift) as usize & 0xf];
        }
    }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): its ids differ, which is all they must.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_140_bytes_of_json() {
        assert_eq!(BODY.len(), 140);
        assert!(serde_json::from_str::<serde_json::Value>(BODY).is_ok());
    }

    #[test]
    fn a_uuid_carries_version_and_variant() {
        let mut text = [0; ID_LENGTH];
        write_uuid(&mut text, u128::MAX);
        assert_eq!(&text, b"ffffffff-ffff-4fff-bfff-ffffffffffff");
        write_uuid(&mut text, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(&text, b"01234567-89ab-4def-8123-456789abcdef");
    }

    #[test]
    fn every_request_has_its_own_conversation_id() {
        for question in [Question::Decision, Question::Flag] {
            let mut request = Request::new(
                question,
                ([127, 0, 0, 1], 80).into(),
                Some("tc_x"),
                Freshness::Any,
                1,
            );
            let first = request.next_bytes().to_vec();
            assert_ne!(first, request.next_bytes());
            let text = String::from_utf8(first).expect("text");
            let (_, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
        }
    }
}
