//! Buckets and decisions that never change: golden vectors.

use super::overrides::{ani, dnis, leading, noon};
use super::*;

/// The salts of the golden vectors.
pub(super) const SALTS: [Salt; 3] = [
    Salt([0; 16]),
    Salt([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    Salt([0xff; 16]),
];

/// A text and how often it is repeated, and the bucket of that conversation id under each of the [`SALTS`].
///
/// These numbers never change: a caller's bucket has to be the same in every version of this program, or callers
/// change sides in the middle of a rollout. They were made by another implementation of XXH3 and of the UUID grammar,
/// in Python (`xxhash` 4.1.0, which wraps the reference library in C, 0.8.4: `xxh3_64_intdigest(salt + id)`, times
/// 10,000, shifted right by 64 bits), and only compared with ours. The repeated texts stand on both sides of each
/// length at which XXH3 changes its method.
#[rustfmt::skip]
const GOLDEN: &[(&str, usize, [u16; 3])] = &[
    ("00000000-0000-0000-0000-000000000000", 1, [6263, 4035, 5077]),
    ("ffffffff-ffff-ffff-ffff-ffffffffffff", 1, [6419, 1888, 2147]),
    ("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", 1, [5113, 3892, 4927]),
    ("5F0C9A52-3D0E-4F7E-9B8E-0A4F6B1D2C3E", 1, [5113, 3892, 4927]),
    ("5F0C9A52-3D0E-4f7e-9b8e-0a4f6b1d2c3e", 1, [5113, 3892, 4927]),
    ("5f0c9a523d0e4f7e9b8e0a4f6b1d2c3e", 1, [5113, 3892, 4927]),
    ("5F0C9A523D0E4F7E9B8E0A4F6B1D2C3E", 1, [5113, 3892, 4927]),
    ("{5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e}", 1, [5113, 3892, 4927]),
    ("urn:uuid:5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", 1, [5113, 3892, 4927]),
    ("0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", 1, [1412, 1593, 9705]),
    ("d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", 1, [9894, 4979, 102]),
    (" 5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", 1, [9718, 7633, 3944]),
    ("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e ", 1, [4793, 7026, 616]),
    ("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3", 1, [5999, 2850, 483]),
    ("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3g", 1, [8335, 8498, 9036]),
    ("{5f0c9a523d0e4f7e9b8e0a4f6b1d2c3e}", 1, [6176, 2321, 8328]),
    ("(5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e)", 1, [2649, 751, 1480]),
    ("URN:UUID:5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", 1, [5113, 3892, 4927]),
    ("", 1, [8150, 5130, 4459]),
    (" ", 1, [6604, 8038, 9993]),
    ("\0", 1, [7600, 971, 3984]),
    ("0", 1, [3618, 2723, 5150]),
    ("a", 1, [9503, 4958, 6771]),
    ("call-1", 1, [3424, 9217, 8095]),
    ("call-2", 1, [7043, 4743, 9167]),
    ("+49 30 1234567", 1, [5221, 2229, 5921]),
    ("Grüße, 世界 ☎", 1, [8877, 5525, 3963]),
    ("x", 112, [9420, 6823, 8776]),
    ("x", 113, [584, 3221, 2436]),
    ("x", 224, [6115, 1356, 3229]),
    ("x", 225, [9906, 3379, 4588]),
    ("x", 240, [8868, 2561, 2499]),
    ("x", 241, [9012, 7099, 220]),
    ("x", 1008, [7483, 7746, 1480]),
    ("x", 1009, [4732, 2451, 7784]),
    ("x", 5000, [3858, 8483, 6195]),
    ("é", 500, [7697, 5490, 6856]),
];

#[test]
fn buckets_are_pinned_for_ever() {
    for &(text, times, expected) in GOLDEN {
        let id = text.repeat(times);
        assert_eq!(
            SALTS.map(|salt| bucket(&salt, &id).number()),
            expected,
            "{text:?} times {times}"
        );
    }
}

/// Every golden conversation goes to the candidate from the weight on that is above its bucket, and not before.
#[test]
fn the_weight_from_which_on_a_conversation_changes_sides_is_pinned_for_ever() {
    for &(text, times, buckets) in GOLDEN.iter().filter(|(text, ..)| !text.is_empty()) {
        let id = text.repeat(times);
        for (salt, bucket) in SALTS.into_iter().zip(buckets) {
            let slot_at = |bps| {
                let environment = Environment {
                    salt,
                    weight: Weight::from_bps(bps).unwrap(),
                    ..environment()
                };
                decide_by_id(&compiled(&environment), &id).slot
            };
            assert_eq!(
                (slot_at(bucket), slot_at(bucket + 1)),
                (Blue, Green),
                "{text:?}"
            );
        }
    }
}

/// A call, as conversation id, version, caller's and dialled number, and the decision about it in [`under_test`]: slot, rule,
/// whether the version is known, its interface. As the buckets, these never change.
type GoldenDecision = ([&'static str; 4], (&'static str, &'static str, bool, u32));

#[rustfmt::skip]
const GOLDEN_DECISIONS: &[GoldenDecision] = &[
    // Bucket 3892: not below 38.92 %.
    (["5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", "", "", ""], ("blue", "weighted", true, 0)),
    (["{5F0C9A52-3D0E-4F7E-9B8E-0A4F6B1D2C3E}", "", "", ""], ("blue", "weighted", true, 0)),
    // Bucket 3221.
    (["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "", "", ""], ("green", "weighted", true, 0)),
    // Buckets 1593 and 4979.
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "", "", ""], ("green", "weighted", true, 0)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "", "", ""], ("blue", "weighted", true, 0)),
    // Bucket 2229, as received.
    (["+49 30 1234567", "", "", ""], ("green", "weighted", true, 0)),
    // Versions: held, retired, unknown.
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "v1", "", ""], ("blue", "affinity", true, 1)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "v2", "", ""], ("green", "affinity", true, 2)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "v0", "", ""], ("blue", "weighted", true, 7)),
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "v0", "", ""], ("green", "weighted", true, 7)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "V2", "", ""], ("blue", "weighted", false, 0)),
    // Numbers under test: from +4930123456 to green, from 112 to blue, to 0800 to blue, to +49800 to green until noon.
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "", "+4930123456", ""], ("green", "override", true, 0)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "v1", "tel:+49-30-123456", ""], ("green", "override", true, 1)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "V2", "SIP:+4930123456@10.0.0.1:5060;user=phone", "0800"], ("green", "override", false, 0)),
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "v2", "+49301234567", "sip:0800;x=y@trunk.example.com"], ("blue", "override", true, 2)),
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "", "1 (1) 2", "0800"], ("blue", "override", true, 0)),
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "", "4930123456", "+0800"], ("green", "weighted", true, 0)),
    (["0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55", "", "0800", "+4930123456"], ("green", "weighted", true, 0)),
    (["d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "", "sip:anna@example.com", "+49800"], ("blue", "weighted", true, 0)),
];

/// Blue with v1, green with v2 at 38.92 %, v0 retired, and overrides at noon.
fn under_test() -> Environment {
    let mut expired = leading(dnis("+49800"), Green);
    expired.expires_at = noon();
    Environment {
        salt: SALTS[1],
        overrides: vec![
            leading(dnis("0800"), Blue),
            leading(ani("+4930123456"), Green),
            leading(ani("112"), Blue),
            expired,
        ],
        ..weighted("38.92")
    }
}

#[test]
fn decisions_are_pinned_for_ever() {
    let environment = compiled(&under_test());
    for (call, expected) in GOLDEN_DECISIONS {
        let [conversation_id, flow_version, ani, dnis] = *call;
        let request = Request {
            conversation_id,
            flow_version,
            ani,
            dnis,
        };
        let decision = decide(&environment, &request, noon, || panic!("a draw"));
        let told = (
            decision.slot.as_str(),
            decision.reason.as_str(),
            decision.flow_version_known,
            decision.interface.0,
        );
        assert_eq!(told, *expected, "{call:?}");
    }
}
