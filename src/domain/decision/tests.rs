//! Which slot takes a call: the hash, pinned; the weight, counted; the rules, one by one.

mod exposures;
mod golden;
mod histories;
mod overrides;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::domain::command::Flow;
use crate::domain::environment::strategy;
use crate::domain::environment::{
    Environment, FlowVersion, RetiredVersion, SlotClaim, SlotState, Standing,
};
use crate::domain::ids::Revision;
use crate::domain::interface::Interface;
use crate::domain::slot::BySlot;
use crate::domain::slot::Slot::{Blue, Green};
use crate::domain::test_calls::TestCalls;

const UUID: &str = "5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e";

/// Blue is active and holds v1 of interface 1, green holds v2 of interface 2; v0 of interface 7 is retired.
fn environment() -> Environment {
    let slot = |id: &str, label: &str, interface| SlotState {
        flow: Flow {
            id: id.parse().unwrap(),
            name: format!("Flow {id}").parse().unwrap(),
        },
        version: Some(FlowVersion {
            published: None,
            label: label.parse().unwrap(),
            interface: InterfaceNumber(interface),
            registered_at: Timestamp::UNIX_EPOCH,
            standing: Standing::Good,
            breaks: None,
        }),
        claim: None,
        share_ended_at: None,
    };
    Environment {
        salt: Salt([0; 16]),
        slots: BySlot {
            blue: slot("b", "v1", 1),
            green: slot("g", "v2", 2),
        },
        active: Blue,
        weight: Weight::ZERO,
        previously_active: None,
        retired: VecDeque::from([RetiredVersion {
            label: "v0".parse().unwrap(),
            interface: InterfaceNumber(7),
        }]),
        overrides: Vec::new(),
        freezes: Default::default(),
        rollout: None,
        interfaces: [1, 2, 7]
            .map(|number| (InterfaceNumber(number), Interface::EMPTY))
            .into(),
        values: BTreeMap::new(),
    }
}

fn weighted(percent: &str) -> Environment {
    Environment {
        weight: percent.parse().unwrap(),
        ..environment()
    }
}

fn compiled(environment: &Environment) -> Compiled {
    Compiled::new("Main_IVR".parse().unwrap(), Revision(1), environment)
}

/// The clock where no override is for the call.
fn no_clock() -> Timestamp {
    panic!("the time does not matter")
}

/// The decision about a call that brings an id; it may not fall back on a draw.
fn decide_by_id(environment: &Compiled, conversation_id: &str) -> Decision {
    let request = Request {
        conversation_id,
        ..Request::default()
    };
    decide(environment, &request, no_clock, || {
        panic!("a draw for {conversation_id:?}")
    })
}

/// The decision about a call that was in `flow_version` before, at either end of the draw.
#[track_caller]
fn decide_by_version(environment: &Environment, flow_version: &str) -> Decision {
    let environment = compiled(environment);
    let request = Request {
        flow_version,
        ..Request::default()
    };
    let [low, high] =
        [0, u64::MAX].map(|end| decide(&environment, &request, no_clock, || Bucket::of(end)));
    assert_eq!(low, high, "it depends on the draw");
    low
}

/// The smallest number that falls into bucket `n`.
fn start_of(n: u16) -> u64 {
    let buckets = u128::from(Bucket::COUNT);
    u64::try_from((u128::from(n) << 64).div_ceil(buckets)).unwrap()
}

// ---- the hash ----

#[test]
fn the_spelling_of_a_uuid_does_not_matter() {
    let spellings = [
        UUID.to_uppercase(),
        UUID.replace('-', ""),
        UUID.replace('-', "").to_uppercase(),
        format!("{{{UUID}}}"),
        format!("urn:uuid:{UUID}"),
    ];
    for salt in &golden::SALTS {
        for spelling in &spellings {
            assert_eq!(bucket(salt, spelling), bucket(salt, UUID), "{spelling}");
        }
    }
}

#[test]
fn what_only_resembles_a_uuid_is_taken_as_received() {
    let salt = &golden::SALTS[1];
    for text in [
        &format!(" {UUID}"),
        &format!("{UUID} "),
        &UUID[1..],
        &format!("({UUID})"),
        &UUID.replace('-', "_"),
    ] {
        assert_ne!(bucket(salt, text), bucket(salt, UUID), "{text:?}");
        assert_ne!(
            bucket(salt, text),
            bucket(salt, &text.to_uppercase()),
            "{text:?}"
        );
    }
}

// ---- the weight ----

#[test]
fn the_buckets_cut_all_numbers_into_ten_thousand_equal_parts() {
    for n in 0..Bucket::COUNT {
        let start = start_of(n);
        assert_eq!(Bucket::of(start).number(), n);
        // The function does not decrease, so the parts are what lies between their starts.
        if n > 0 {
            assert_eq!(Bucket::of(start - 1).number(), n - 1);
            let size = start - start_of(n - 1);
            assert!(
                (u64::MAX / 10_000..=u64::MAX / 10_000 + 1).contains(&size),
                "{n}: {size}"
            );
        }
    }
    assert_eq!(Bucket::of(u64::MAX).number(), 9_999);
}

#[test]
fn each_weight_gives_the_candidate_as_many_buckets_and_those_of_every_smaller_one() {
    // All 100 million pairs, so no iterator in the loop: this runs without optimisation.
    let buckets: Vec<Bucket> = (0..Bucket::COUNT)
        .map(|n| Bucket::of(start_of(n)))
        .collect();
    let mut smaller = vec![false; buckets.len()];
    for bps in 0..=10_000 {
        let weight = Weight::from_bps(bps).unwrap();
        let (mut size, mut n) = (0, 0);
        while n < buckets.len() {
            let takes = buckets[n].is_within(weight);
            assert!(
                takes || !smaller[n],
                "raising the weight to {bps} loses bucket {n}"
            );
            smaller[n] = takes;
            size += u16::from(takes);
            n += 1;
        }
        assert_eq!(size, bps);
    }
}

#[test]
fn decisions_go_by_the_bucket_at_each_weight() {
    let mut environment = compiled(&environment());
    for bps in 1..=10_000 {
        environment.weight = Weight::from_bps(bps).unwrap();
        for n in [0, bps - 1, bps, 9_999] {
            let Some(bucket) = (n < Bucket::COUNT).then(|| Bucket::of(start_of(n))) else {
                continue;
            };
            let decision = decide(&environment, &Request::default(), no_clock, || bucket);
            assert_eq!(
                decision.slot,
                if n < bps { Green } else { Blue },
                "bucket {n} at {bps}"
            );
            assert_eq!(decision.reason, Reason::Weighted);
        }
    }
}

#[test]
fn five_percent_of_a_hundred_thousand_calls_are_five_thousand() {
    const SEED: u64 = 0x7261_6666_6963_5f63;
    const CALLS: u32 = 100_000;
    // 99.9 % of binomial counts lie within 3.2905 standard deviations: sqrt(100,000 * 0.05 * 0.95) * 3.2905 = 226.8.
    let band = 5_000 - 226..=5_000 + 226;
    let mut state = SEED;
    let mut next = move || {
        // SplitMix64 (Steele, Lea, Flood 2014): the same numbers with every version of every crate.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&next().to_be_bytes());
    salt[8..].copy_from_slice(&next().to_be_bytes());
    let environment = compiled(&Environment {
        salt: Salt(salt),
        ..weighted("5")
    });
    let mut random_uuid = || {
        let random = (u128::from(next()) << 64) | u128::from(next());
        uuid::Builder::from_random_bytes(random.to_be_bytes())
            .into_uuid()
            .to_string()
    };
    // Ids without any chance in them have to spread as well.
    let kinds: [(&str, &mut dyn FnMut(u32) -> String); 3] = [
        ("random UUIDs", &mut |_| random_uuid()),
        ("consecutive UUIDs", &mut |n| {
            uuid::Uuid::from_u128(n.into()).to_string()
        }),
        ("consecutive texts", &mut |n| format!("call-{n}")),
    ];
    for (kind, id) in kinds {
        let candidate = (0..CALLS)
            .filter(|n| decide_by_id(&environment, &id(*n)).slot == Green)
            .count();
        eprintln!("seed {SEED:#x}: {candidate} of {CALLS} {kind} go to the candidate");
        assert!(
            band.contains(&candidate),
            "seed {SEED:#x}: {candidate} of {CALLS} {kind}, expected {band:?}"
        );
    }
}

#[test]
fn at_full_weight_every_call_goes_to_the_candidate() {
    let environment = compiled(&weighted("100"));
    for n in 0..1_000 {
        assert_eq!(decide_by_id(&environment, &n.to_string()).slot, Green);
    }
    assert_eq!(
        decide(&environment, &Request::default(), no_clock, || Bucket::of(
            u64::MAX
        ))
        .slot,
        Green
    );
}

#[test]
fn at_weight_zero_the_active_slot_takes_the_call_whatever_its_id() {
    let environment = compiled(&environment());
    let active = Decision {
        slot: Blue,
        reason: Reason::Active,
        flow_version_known: true,
        interface: InterfaceNumber(0),
        exposed: None,
    };
    for id in ["", UUID, "text"] {
        assert_eq!(decide_by_id(&environment, id), active);
    }
}

#[test]
fn a_call_without_an_id_is_drawn_once_and_one_with_an_id_never() {
    let environment = compiled(&weighted("50"));
    let draws = Cell::new(0);
    let draw = |end| {
        draws.set(draws.get() + 1);
        Bucket::of(end)
    };
    assert_eq!(
        decide(&environment, &Request::default(), no_clock, || draw(0)).slot,
        Green
    );
    assert_eq!(
        decide(&environment, &Request::default(), no_clock, || draw(
            u64::MAX
        ))
        .slot,
        Blue
    );
    assert_eq!(draws.get(), 2);
    for id in [UUID, " ", "0", "text"] {
        decide_by_id(&environment, id);
    }
}

#[test]
fn green_gives_its_share_to_blue_when_it_is_active() {
    let environment = compiled(&Environment {
        active: Green,
        ..weighted("25")
    });
    assert_eq!(
        decide(&environment, &Request::default(), no_clock, || Bucket::of(
            0
        ))
        .slot,
        Blue
    );
    assert_eq!(
        decide(&environment, &Request::default(), no_clock, || Bucket::of(
            u64::MAX
        ))
        .slot,
        Green
    );
}

// ---- affinity ----

#[test]
fn a_call_returns_to_the_version_it_was_in_whatever_the_weight() {
    for percent in ["0", "5", "100"] {
        for (label, slot, interface) in [("v1", Blue, 1), ("v2", Green, 2)] {
            let expected = Decision {
                slot,
                reason: Reason::Affinity,
                flow_version_known: true,
                interface: InterfaceNumber(interface),
                exposed: None,
            };
            assert_eq!(
                decide_by_version(&weighted(percent), label),
                expected,
                "{label} at {percent} %"
            );
        }
    }
}

#[test]
fn affinity_comes_before_the_conversation_id() {
    let environment = compiled(&weighted("100"));
    let request = Request {
        conversation_id: UUID,
        flow_version: "v1",
        ..Request::default()
    };
    assert_eq!(
        decide(&environment, &request, no_clock, || panic!("a draw")).reason,
        Reason::Affinity
    );
}

#[test]
fn a_rolled_back_version_admits_its_calls_only_if_they_were_kept() {
    let rolled_back = |keep_calls| {
        let mut environment = environment();
        environment.slots.green.version.as_mut().unwrap().standing =
            Standing::RolledBack { keep_calls };
        decide_by_version(&environment, "v2")
    };
    let kept = Decision {
        slot: Green,
        reason: Reason::Affinity,
        flow_version_known: true,
        interface: InterfaceNumber(2),
        exposed: None,
    };
    assert_eq!(rolled_back(true), kept);
    // The caller still gets the variables of the interface it knows.
    assert_eq!(
        rolled_back(false),
        Decision {
            slot: Blue,
            reason: Reason::Active,
            ..kept
        }
    );
}

#[test]
fn a_claimed_slot_admits_no_calls_whether_the_claim_lasts_or_ended() {
    for expires_at in [Timestamp::MIN, Timestamp::MAX] {
        let mut environment = environment();
        environment.slots.green.claim = Some(SlotClaim {
            flow_version: "v3".parse().unwrap(),
            expires_at,
        });
        let decision = decide_by_version(&environment, "v2");
        assert_eq!(
            (decision.slot, decision.reason, decision.flow_version_known),
            (Blue, Reason::Active, true)
        );
        assert_eq!(decision.interface, InterfaceNumber(2));
        let claimed_for = decide_by_version(&environment, "v3");
        assert_eq!(
            (claimed_for.slot, claimed_for.flow_version_known),
            (Blue, false),
            "it is not registered"
        );
    }
}

#[test]
fn a_retired_version_is_known_but_has_no_slot_to_return_to() {
    let expected = Decision {
        slot: Blue,
        reason: Reason::Active,
        flow_version_known: true,
        interface: InterfaceNumber(7),
        exposed: None,
    };
    assert_eq!(decide_by_version(&environment(), "v0"), expected);
    let full = Decision {
        slot: Green,
        reason: Reason::Weighted,
        ..expected
    };
    assert_eq!(decide_by_version(&weighted("100"), "v0"), full);
}

#[test]
fn an_unknown_version_is_no_error_and_has_no_interface() {
    for unknown in ["v9", "V1", "v1 ", " ", "v", "v10"] {
        let expected = Decision {
            slot: Blue,
            reason: Reason::Active,
            flow_version_known: false,
            interface: InterfaceNumber(0),
            exposed: None,
        };
        assert_eq!(
            decide_by_version(&environment(), unknown),
            expected,
            "{unknown:?}"
        );
    }
}

#[test]
fn a_blank_version_counts_as_known() {
    let expected = Decision {
        slot: Blue,
        reason: Reason::Active,
        flow_version_known: true,
        interface: InterfaceNumber(0),
        exposed: None,
    };
    assert_eq!(decide_by_version(&environment(), ""), expected);
    // Even where a slot holds nothing, whose label the wire spells as the empty string too.
    let mut empty = environment();
    empty.slots.green.version = None;
    assert_eq!(decide_by_version(&empty, ""), expected);
}

// ---- what is compiled ----

#[test]
fn texts_are_compiled_as_json_strings() {
    let mut environment = weighted("12.50");
    environment.slots.blue.flow.name = r#"The "new" \ Größe"#.parse().unwrap();
    environment.slots.green.version = None;
    let compiled = compiled(&environment);
    assert_eq!(&*compiled.weight_text, "12.5");
    assert_eq!(&*compiled.slots.blue.flow_id, r#""b""#);
    assert_eq!(&*compiled.slots.blue.flow_name, r#""The \"new\" \\ Größe""#);
    assert_eq!(&*compiled.slots.blue.flow_version, r#""v1""#);
    assert_eq!(&*compiled.slots.green.flow_version, r#""""#);
}

#[test]
fn interfaces_of_held_and_retired_versions_can_be_asked_for() {
    let compiled = compiled(&environment());
    for number in [1, 2, 7] {
        assert!(compiled.has_interface(InterfaceNumber(number)), "{number}");
    }
    assert!(!compiled.has_interface(InterfaceNumber(3)));
}

#[test]
fn rules_have_the_names_of_the_wire() {
    assert_eq!(
        Reason::ALL.map(Reason::as_str),
        ["override", "affinity", "weighted", "active"]
    );
}

// ---- whatever the environment and the call ----

/// Ids as Genesys and others make them.
fn conversation_ids() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<[u8; 16]>().prop_map(|bytes| uuid::Uuid::from_bytes(bytes).to_string()),
        1 => ".{1,64}",
    ]
}

proptest! {
    #[test]
    fn raising_the_weight_never_moves_a_caller_back(
        state in strategy::reached(),
        weights in [strategy::weights(), strategy::weights()],
        id in conversation_ids(),
    ) {
        let environment = state.environment;
        let (lower, higher) = (weights[0].min(weights[1]), weights[0].max(weights[1]));
        let slot_at = |weight| {
            decide_by_id(&compiled(&Environment { weight, ..environment.clone() }), &id).slot
        };
        prop_assert!(
            slot_at(lower) == environment.active || slot_at(higher) == environment.candidate(),
            "{} has the call, {} loses it", lower, higher
        );
    }

    #[test]
    fn equal_calls_get_equal_answers_from_separately_compiled_environments(
        state in strategy::reached(),
        id in conversation_ids(),
        flow_version in "v[0-9]{1,2}",
    ) {
        let request = Request { conversation_id: &id, flow_version: &flow_version, ..Request::default() };
        let answer = || decide(&compiled(&state.environment), &request, no_clock, || panic!("a draw"));
        prop_assert_eq!(answer(), answer());
    }

    #[test]
    fn a_call_goes_where_it_was_or_where_new_calls_go(
        state in strategy::reached(),
        id in conversation_ids(),
        remembered in any::<proptest::sample::Index>(),
    ) {
        let environment = &state.environment;
        let held = environment.slots.iter().filter_map(|(_, slot)| slot.version.as_ref());
        let retired = environment.retired.iter().map(|version| &version.label);
        let labels: Vec<_> = held.map(|version| &version.label).chain(retired).collect();
        let label = labels[remembered.index(labels.len())];
        let request = Request { conversation_id: &id, flow_version: label.as_str(), ..Request::default() };
        let decision = decide(&compiled(environment), &request, no_clock, || panic!("a draw"));
        prop_assert!(decision.flow_version_known);
        prop_assert_eq!(Some(decision.interface), environment.interface_of(label.as_str()));
        let chosen = &environment.slots[decision.slot];
        match decision.reason {
            Reason::Override => panic!("for a call without numbers"),
            Reason::Affinity => {
                let version = chosen.version.as_ref().unwrap();
                prop_assert_eq!(&version.label, label);
                prop_assert!(version.admits_own_calls() && chosen.claim.is_none());
            }
            Reason::Weighted | Reason::Active => {
                prop_assert!(environment.takes_new_calls(decision.slot));
                prop_assert_eq!(decision.reason == Reason::Active, environment.weight.is_zero());
            }
        }
    }

    #[test]
    fn any_spelling_of_any_uuid_falls_into_one_bucket(
        bytes in any::<[u8; 16]>(),
        salt in any::<[u8; 16]>(),
    ) {
        let (uuid, salt) = (uuid::Uuid::from_bytes(bytes), Salt(salt));
        let expected = bucket(&salt, &uuid.to_string());
        prop_assert_eq!(bucket(&salt, &uuid.to_string().to_uppercase()), expected);
        prop_assert_eq!(bucket(&salt, &uuid.simple().to_string()), expected);
        prop_assert_eq!(bucket(&salt, &uuid.braced().to_string()), expected);
    }
}
