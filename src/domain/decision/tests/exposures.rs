//! Which decisions are evidence, and which of those were left to chance.

use super::*;
use crate::domain::environment::Override;

#[test]
fn a_decision_is_an_exposure_exactly_while_both_versions_share_new_calls() {
    let hash = Conversation::of(UUID).hash(&environment().salt);
    for (percent, exposed) in [
        ("0", None),
        ("0.01", Some(hash)),
        ("50", Some(hash)),
        ("99.99", Some(hash)),
        ("100", None),
    ] {
        let environment = compiled(&weighted(percent));
        assert_eq!(
            decide_by_id(&environment, UUID).exposed,
            exposed,
            "{percent}"
        );
        let without_id = decide(&environment, &Request::default(), no_clock, || {
            Bucket::of(0)
        });
        assert_eq!(without_id.exposed, None, "{percent} without an id");
    }
}

#[test]
fn every_exposure_says_whether_chance_chose() {
    let environment = compiled(&Environment {
        overrides: vec![Override {
            calls: TestCalls::Ani("+4930123456".parse().unwrap()),
            to: Green,
            owner: "a tester".parse().unwrap(),
            expires_at: Timestamp::MAX,
        }],
        ..weighted("5")
    });
    for (flow_version, ani, reason) in [
        ("", "", Reason::Weighted),
        ("unheard of", "", Reason::Weighted),
        ("v1", "", Reason::Affinity),
        ("", "+4930123456", Reason::Override),
    ] {
        let request = Request {
            conversation_id: UUID,
            flow_version,
            ani,
            ..Request::default()
        };
        let now = || Timestamp::UNIX_EPOCH;
        let decision = decide(&environment, &request, now, || panic!("a draw"));
        assert_eq!(decision.reason, reason);
        assert!(decision.exposed.is_some(), "{reason:?}");
        assert_eq!(
            decision.is_randomised(),
            reason == Reason::Weighted,
            "{reason:?}"
        );
    }
}
