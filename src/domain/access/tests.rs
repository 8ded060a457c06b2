//! Which scopes include which, where a grant reaches, and the life of a token.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::*;
use crate::domain::environment::strategy;

/// The tokens of a deployment, and a clock.
#[derive(Clone)]
struct World {
    access: Option<Access>,
    context: Context,
}

impl World {
    fn empty() -> Self {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        Self {
            access: None,
            context: Context {
                frozen: None,
                now,
                revision: crate::domain::ids::Revision(1),
                sequence: Default::default(),
                draw: [0; 16],
                drain_time: Duration::ZERO,
                last_calls: Some(Default::default()),
                others: 0,
            },
        }
    }

    #[track_caller]
    fn after(self, command: AccessCommand) -> Self {
        let change: Result<_, Refusal> =
            Access::apply(self.access.as_ref(), &command, &self.context);
        match change.unwrap() {
            Change::To(access) => Self { access, ..self },
            Change::Nothing(unchanged) => panic!("nothing changes: {unchanged:?}"),
        }
    }

    #[track_caller]
    fn refusal(&self, command: AccessCommand) -> Refusal {
        Access::apply(self.access.as_ref(), &command, &self.context).unwrap_err()
    }

    fn minutes_later(mut self, minutes: i64) -> Self {
        self.context.now = self.in_minutes(minutes);
        self
    }

    fn in_minutes(&self, minutes: i64) -> Timestamp {
        self.context.now + SignedDuration::from_mins(minutes)
    }

    /// The texts of the token that was made with text `n`.
    fn texts(&self, n: u16) -> Vec<(TokenHash, Option<Timestamp>)> {
        let access = self.access.as_ref().expect("tokens");
        access.tokens[&hash(n).id()].texts().collect()
    }

    fn names(&self) -> Vec<&str> {
        self.access
            .iter()
            .flat_map(|access| access.tokens.values())
            .map(|token| token.name.as_str())
            .collect()
    }
}

/// A hash that nothing else has, since it begins with `n`.
fn hash(n: u16) -> TokenHash {
    let mut bytes = [0xab; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    TokenHash(bytes)
}

fn create_with(name: &str, hash: TokenHash, expires_at: Option<Timestamp>) -> AccessCommand {
    AccessCommand::CreateToken {
        name: name.parse().unwrap(),
        hash,
        grant: Grant::decisions(),
        expires_at,
    }
}

/// Gives the token that was made with text `of` text `n`; the present one goes on until `old_until`.
fn rotate(of: u16, n: u16, old_until: Option<Timestamp>) -> AccessCommand {
    AccessCommand::RotateToken {
        id: hash(of).id(),
        hash: hash(n),
        old_until,
        expires_at: None,
    }
}

fn create(name: &str, n: u16) -> AccessCommand {
    create_with(name, hash(n), None)
}

fn grant(scopes: &[Scope], reach: Reach) -> Grant {
    Grant {
        scopes: scopes.iter().copied().collect(),
        reach,
    }
}

fn within(names: &[&str]) -> Reach {
    Reach::Environments(names.iter().map(|name| name.parse().unwrap()).collect())
}

// ---- what a grant allows ----

#[test]
fn a_scope_includes_itself_operate_includes_read_and_admin_everything() {
    let included = |scope: Scope| {
        Scope::ALL
            .into_iter()
            .filter(|needed| scope.includes(*needed))
            .collect::<Vec<_>>()
    };
    assert_eq!(included(Scope::Decide), [Scope::Decide]);
    assert_eq!(included(Scope::Report), [Scope::Report]);
    assert_eq!(included(Scope::Read), [Scope::Read]);
    assert_eq!(included(Scope::Operate), [Scope::Read, Scope::Operate]);
    assert_eq!(included(Scope::Admin), Scope::ALL);
}

#[test]
fn scopes_round_trip() {
    for scope in Scope::ALL {
        assert_eq!(scope.to_string().parse(), Ok(scope));
        assert_eq!(
            serde_json::to_string(&scope).unwrap(),
            format!("\"{scope}\"")
        );
    }
    for bad in ["", "Admin", "admin ", "write"] {
        assert_eq!(bad.parse::<Scope>(), Err(InvalidScope), "{bad:?}");
    }
}

#[test]
fn a_grant_reaches_only_the_environments_it_names() {
    let grant = grant(&[Scope::Operate], within(&["Main_IVR", "Sales"]));
    assert!(grant.allows(Scope::Operate, Some("Main_IVR")));
    assert!(grant.allows(Scope::Read, Some("Sales")));
    assert!(!grant.allows(Scope::Admin, Some("Sales")));
    for other in ["main_ivr", "Main", "Main_IVR2", ""] {
        assert!(!grant.allows(Scope::Operate, Some(other)), "{other:?}");
    }
    assert!(
        !grant.allows(Scope::Operate, None),
        "the deployment is more than its environments"
    );
}

#[test]
fn an_admin_of_one_environment_is_none_of_the_deployment() {
    let grant = grant(&[Scope::Admin], within(&["Main_IVR"]));
    assert!(grant.allows(Scope::Admin, Some("Main_IVR")));
    assert!(!grant.allows(Scope::Admin, None));
    assert!(!grant.allows(Scope::Decide, Some("Sales")));
}

#[test]
fn the_grants_at_hand_allow_what_they_say() {
    for needed in Scope::ALL {
        assert!(Grant::everything().allows(needed, None), "{needed}");
        assert!(Grant::everything().allows(needed, Some("any")), "{needed}");
        assert_eq!(
            Grant::decisions().allows(needed, Some("any")),
            needed == Scope::Decide,
            "{needed}"
        );
    }
}

#[test]
fn a_grant_of_nothing_or_nowhere_allows_nothing() {
    for needed in Scope::ALL {
        assert!(!grant(&[], Reach::Everywhere).allows(needed, Some("Main_IVR")));
        assert!(!grant(&[Scope::Admin], within(&[])).allows(needed, Some("Main_IVR")));
    }
}

// ---- the life of a token ----

#[test]
fn a_created_token_is_kept_with_what_was_said_of_it() {
    let world = World::empty();
    let grant = grant(&[Scope::Read, Scope::Report], within(&["Main_IVR"]));
    let expires_at = Some(world.in_minutes(5));
    let name: Actor = "release-pipeline".parse().unwrap();
    let command = AccessCommand::CreateToken {
        name: name.clone(),
        hash: hash(1),
        grant: grant.clone(),
        expires_at,
    };
    let world = world.after(command);
    let token = Token {
        name,
        hash: hash(1),
        grant,
        created_at: world.context.now,
        expires_at,
        retiring: Vec::new(),
    };
    assert_eq!(
        world.access.unwrap().tokens,
        BTreeMap::from([(hash(1).id(), token)])
    );
}

#[test]
fn the_id_of_a_token_is_the_beginning_of_its_hash() {
    assert_eq!(hash(0x0102).id().to_string(), "0102abababababab");
}

#[test]
fn a_revoked_token_is_gone_and_its_name_is_free() {
    let world = World::empty().after(create("a", 1)).after(create("b", 2));
    let world = world.after(AccessCommand::RevokeToken(hash(1).id()));
    assert_eq!(world.names(), ["b"]);
    assert_eq!(
        world.refusal(AccessCommand::RevokeToken(hash(1).id())),
        Refusal::TokenMissing
    );
    world.after(create("a", 3));
}

#[test]
fn what_does_not_exist_cannot_be_revoked() {
    assert_eq!(
        World::empty().refusal(AccessCommand::RevokeToken(hash(1).id())),
        Refusal::TokenMissing
    );
}

#[test]
fn a_name_acts_for_one_token() {
    let world = World::empty().after(create("a", 1));
    assert_eq!(world.refusal(create("a", 2)), Refusal::TokenExists);
    world.after(create("A", 2));
}

#[test]
fn one_text_is_one_token() {
    let world = World::empty().after(create("a", 1));
    assert_eq!(world.refusal(create("b", 1)), Refusal::TokenExists);
    // Not even another text whose hash begins alike may take the place of a token.
    let mut alike = hash(1);
    alike.0[31] ^= 1;
    assert_eq!(
        world.refusal(create_with("b", alike, None)),
        Refusal::TokenExists
    );
}

#[test]
fn an_expired_token_makes_room_for_the_next() {
    let world = World::empty();
    let end = world.in_minutes(5);
    let world = world
        .after(create_with("a", hash(1), Some(end)))
        .minutes_later(4);
    assert_eq!(world.refusal(create("a", 2)), Refusal::TokenExists);
    let world = world.minutes_later(1);
    assert_eq!(world.clone().after(create("b", 2)).names(), ["b"]);
    assert_eq!(
        world.clone().after(create("a", 1)).names(),
        ["a"],
        "even with the same text"
    );
    assert_eq!(
        world
            .after(AccessCommand::RevokeToken(hash(1).id()))
            .names(),
        [""; 0]
    );
}

#[test]
fn a_token_expires_later_than_now() {
    let world = World::empty();
    for minutes in [-1, 0] {
        let end = world.in_minutes(minutes);
        assert_eq!(
            world.refusal(create_with("a", hash(1), Some(end))),
            Refusal::ExpiryPassed(end)
        );
    }
}

#[test]
fn a_rotated_token_keeps_its_id_and_its_old_text_for_a_while() {
    let world = World::empty().after(create("a", 1));
    let until = world.in_minutes(5);
    let world = world.after(rotate(1, 2, Some(until)));
    assert_eq!(
        world.texts(1),
        [(hash(2), None), (hash(1), Some(until))],
        "the new one first"
    );
    let world = world.minutes_later(5).after(create("b", 3));
    assert_eq!(world.texts(1), [(hash(2), None)]);
    // The text of another token, or one that this token has or had, is not taken again.
    for n in [1, 2, 3] {
        assert_eq!(world.refusal(rotate(1, n, None)), Refusal::TokenExists);
    }
    assert_eq!(
        world.refusal(rotate(2, 4, None)),
        Refusal::TokenMissing,
        "its id is still that of its first text"
    );
    assert_eq!(
        world
            .after(AccessCommand::RevokeToken(hash(1).id()))
            .names(),
        ["b"]
    );
}

#[test]
fn an_old_text_ends_at_once_unless_it_is_given_time_and_never_later_than_it_would_have() {
    let world = World::empty();
    let (soon, end, later) = (
        world.in_minutes(1),
        world.in_minutes(5),
        world.in_minutes(9),
    );
    let world = world.after(create_with("a", hash(1), Some(end)));
    for at_once in [None, Some(world.context.now)] {
        let rotated = world.clone().after(rotate(1, 2, at_once));
        assert_eq!(rotated.texts(1), [(hash(2), Some(end))]);
    }
    for (asked, given) in [(soon, soon), (later, end)] {
        let rotated = world.clone().after(rotate(1, 2, Some(asked)));
        assert_eq!(
            rotated.texts(1),
            [(hash(2), Some(end)), (hash(1), Some(given))]
        );
    }
    let renewed = AccessCommand::RotateToken {
        id: hash(1).id(),
        hash: hash(2),
        old_until: Some(later),
        expires_at: Some(later),
    };
    assert_eq!(
        world.clone().after(renewed).texts(1),
        [(hash(2), Some(later)), (hash(1), Some(end))]
    );
    let world = world.minutes_later(5);
    assert_eq!(world.refusal(rotate(1, 2, None)), Refusal::TokenMissing);
}

#[test]
fn a_token_has_at_most_four_texts_at_a_time() {
    let world = World::empty().after(create("a", 1));
    let until = Some(world.in_minutes(5));
    let full = (2..=4).fold(world, |world, n| world.after(rotate(1, n, until)));
    assert_eq!(full.texts(1).len(), 4);
    assert_eq!(full.refusal(rotate(1, 5, until)), Refusal::TooManyTexts);
    full.clone().after(rotate(1, 5, None));
    full.minutes_later(5).after(rotate(1, 5, until));
}

#[test]
fn a_new_text_that_would_have_expired_is_not_made() {
    let world = World::empty().after(create("a", 1));
    let past = world.context.now;
    let command = AccessCommand::RotateToken {
        id: hash(1).id(),
        hash: hash(2),
        old_until: None,
        expires_at: Some(past),
    };
    assert_eq!(world.refusal(command), Refusal::ExpiryPassed(past));
}

#[test]
fn no_token_has_the_name_of_a_caller_that_is_none() {
    for name in [
        "first-admin",
        "anonymous",
        "traffic-cop",
        "ci:repo:a/b",
        ":",
    ] {
        assert_eq!(
            World::empty().refusal(create(name, 1)),
            Refusal::NameReserved,
            "{name}"
        );
    }
    World::empty().after(create("first-admin-2", 1));
}

#[test]
fn a_token_has_a_scope() {
    let command = AccessCommand::CreateToken {
        name: "a".parse().unwrap(),
        hash: hash(1),
        grant: grant(&[], Reach::Everywhere),
        expires_at: None,
    };
    assert_eq!(World::empty().refusal(command), Refusal::NoScope);
}

#[test]
fn a_deployment_holds_512_tokens_expired_ones_not_counted() {
    assert_eq!(MAX_TOKENS, 512);
    let world = World::empty();
    let end = world.in_minutes(5);
    let world = world.after(create_with("first", hash(0), Some(end)));
    let full = (1..512).fold(world, |world, n| {
        world.after(create(&format!("token {n}"), n))
    });
    assert_eq!(
        full.refusal(create("one more", 512)),
        Refusal::TooManyTokens
    );
    full.clone()
        .after(AccessCommand::RevokeToken(hash(7).id()))
        .after(create("one more", 512));
    full.minutes_later(5).after(create("one more", 512));
}

#[test]
fn only_a_revocation_is_a_rescue() {
    assert!(!rotate(1, 2, None).is_rescue());
    assert_eq!(rotate(1, 2, None).action(), "rotate_token");
    assert_eq!(
        rotate(1, 2, None).fingerprint(),
        rotate(1, 3, None).fingerprint(),
        "a repeat draws another text and asks for the same"
    );
    assert!(AccessCommand::RevokeToken(hash(1).id()).is_rescue());
    assert!(!create("a", 1).is_rescue());
    assert_eq!(create("a", 1).action(), "create_token");
    assert_eq!(
        AccessCommand::RevokeToken(hash(1).id()).action(),
        "revoke_token"
    );
}

// ---- whatever commands were given ----

fn grants() -> impl Strategy<Value = Grant> {
    let reach = proptest::option::of(btree_set(strategy::environment_names(), 0..3));
    (btree_set(select(&Scope::ALL), 0..3), reach).prop_map(|(scopes, environments)| Grant {
        scopes,
        reach: environments.map_or(Reach::Everywhere, Reach::Environments),
    })
}

fn commands() -> impl Strategy<Value = AccessCommand> {
    let life = proptest::option::of(-2..60_i64);
    proptest::prop_oneof![
        3 => ("[a-e]", 0..6_u16, grants(), life).prop_map(|(name, n, grant, life)| {
            AccessCommand::CreateToken {
                name: name.parse().unwrap(),
                hash: hash(n),
                grant,
                expires_at: life.map(|minutes| World::empty().in_minutes(minutes)),
            }
        }),
        2 => (0..6_u16, 0..12_u16, proptest::option::of(-2..60_i64)).prop_map(|(of, n, life)| {
            rotate(of, n, life.map(|minutes| World::empty().in_minutes(minutes)))
        }),
        1 => (0..6_u16).prop_map(|n| AccessCommand::RevokeToken(hash(n).id())),
    ]
}

proptest! {
    #[test]
    fn every_token_has_its_own_name_and_every_text_proves_one_token(
        steps in vec((0..20_i64, commands()), 0..20),
    ) {
        let mut world = World::empty();
        for (minutes, command) in steps {
            world = world.minutes_later(minutes);
            let before = world.access.clone().unwrap_or_default();
            match Access::apply(world.access.as_ref(), &command, &world.context) {
                Ok(Change::To(access)) => world.access = access,
                Ok(Change::Nothing(unchanged)) => panic!("nothing changes: {unchanged:?}"),
                Err(_) => continue,
            }
            let tokens = &world.access.as_ref().unwrap().tokens;
            let names: BTreeSet<_> = tokens.values().map(|token| &token.name).collect();
            prop_assert_eq!(names.len(), tokens.len());
            let texts: Vec<_> = tokens.values().flat_map(Token::texts).collect();
            let distinct: BTreeSet<_> = texts.iter().map(|(hash, _)| hash.id()).collect();
            prop_assert_eq!(distinct.len(), texts.len());
            prop_assert!(tokens.values().all(|token| !token.grant.scopes.is_empty()));
            // No token disappears but by its own revocation or expiry, and none changes but by its own rotation.
            for (id, token) in &before.tokens {
                let revoked = command == AccessCommand::RevokeToken(id.clone());
                let rotated = matches!(&command, AccessCommand::RotateToken { id: of, .. } if of == id);
                let live = token.texts().filter(|(_, end)| end.is_none_or(|end| end > world.context.now));
                let live: BTreeSet<_> = live.collect();
                let left: Option<BTreeSet<_>> = tokens.get(id).map(|token| token.texts().collect());
                match left {
                    None => prop_assert!(revoked || live.is_empty()),
                    Some(left) if !rotated => prop_assert!(live.is_subset(&left)),
                    Some(left) => prop_assert!(left.len() <= live.len() + 1),
                }
            }
        }
    }

    #[test]
    fn a_grant_allows_no_more_than_its_scopes_where_it_reaches(
        grant in grants(),
        environment in strategy::environment_names(),
        elsewhere in any::<bool>(),
        needed in select(&Scope::ALL),
    ) {
        let place = if elsewhere { None } else { Some(environment.as_str()) };
        if grant.allows(needed, place) {
            prop_assert!(grant.scopes.iter().any(|scope| scope.includes(needed)));
            let Reach::Environments(names) = &grant.reach else { return Ok(()) };
            prop_assert!(place.is_some_and(|place| names.contains(place)));
        }
    }
}

#[test]
fn tokens_that_contradict_each_other_are_noticed() {
    let world = World::empty()
        .after(create("one", 1))
        .after(create("two", 2));
    let rotated = world.in_minutes(60);
    let world = world.after(rotate(1, 3, Some(rotated)));
    let access = world.access.expect("tokens");
    assert_eq!(access.inconsistency(), None);
    let with = |change: fn(&mut Token)| {
        let mut access = access.clone();
        change(access.tokens.get_mut(&hash(2).id()).expect("a token"));
        access.inconsistency()
    };
    assert_eq!(
        with(|two| two.name = "one".parse().unwrap()),
        Some("two tokens have one name")
    );
    assert_eq!(
        with(|two| two.name = "first-admin".parse().unwrap()),
        Some("a token has the name of a caller that is none")
    );
    assert_eq!(
        with(|two| two.grant.scopes.clear()),
        Some("a token has no scope")
    );
    let shared = Some("two tokens share a text or an id");
    assert_eq!(with(|two| two.hash = hash(3)), shared, "its text");
    assert_eq!(with(|two| two.hash = hash(1)), shared, "one that retires");
    let many = |two: &mut Token| {
        let until = two.created_at;
        let texts = (10..14).map(|n| RetiringText {
            hash: hash(n),
            until,
        });
        two.retiring = texts.collect();
    };
    assert_eq!(with(many), Some("a token has too many retiring texts"));
    let many = (0..=MAX_TOKENS).map(|n| {
        let n = u16::try_from(n).unwrap();
        let mut token = access.tokens[&hash(2).id()].clone();
        (token.name, token.hash) = (format!("t{n}").parse().unwrap(), hash(n));
        (hash(n).id(), token)
    });
    let many = Access {
        tokens: many.collect(),
        ..Access::default()
    };
    assert_eq!(many.inconsistency(), Some("too many tokens"));
    let mut trusting = access.clone();
    let name: IssuerName = "a".parse().unwrap();
    trusting.issuers.insert(name, issuer(&[("b", "c")]));
    assert_eq!(trusting.inconsistency(), None);
    let entry = |change: fn(&mut Issuer)| {
        let mut trusting = trusting.clone();
        trusting.issuers.values_mut().for_each(change);
        trusting.inconsistency()
    };
    assert_eq!(
        entry(|issuer| issuer.grant.scopes.clear()),
        Some("an issuer entry has no scope")
    );
    assert_eq!(
        entry(|issuer| issuer.claims.clear()),
        Some("an issuer entry asks for no claims, or for too many")
    );
}

fn issuer(claims: &[(&str, &str)]) -> Issuer {
    let claims = claims.iter();
    Issuer {
        url: "https://issuer.example".parse().unwrap(),
        audience: "traffic-cop".parse().unwrap(),
        claims: claims
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
        grant: Grant::decisions(),
    }
}

fn add(name: &str, issuer: Issuer) -> AccessCommand {
    let name = name.parse().unwrap();
    AccessCommand::AddIssuer { name, issuer }
}

#[test]
fn an_issuer_is_trusted_only_for_what_its_tokens_say() {
    let world = World::empty();
    assert_eq!(
        world.refusal(add("a", issuer(&[]))),
        Refusal::ClaimCount,
        "it may have tokens for everybody"
    );
    let many: Vec<_> = (0..=MAX_CLAIMS).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(|name| (&**name, "x")).collect();
    assert_eq!(world.refusal(add("a", issuer(&many))), Refusal::ClaimCount);
    let mut useless = issuer(&many[1..]);
    useless.grant.scopes.clear();
    assert_eq!(world.refusal(add("a", useless)), Refusal::NoScope);
    let world = world.after(add("a", issuer(&many[1..])));
    assert_eq!(
        world.refusal(add("a", issuer(&[("b", "c")]))),
        Refusal::IssuerExists
    );
    let world = world.after(AccessCommand::RemoveIssuer("a".parse().unwrap()));
    let gone = AccessCommand::RemoveIssuer("a".parse().unwrap());
    assert_eq!(world.refusal(gone), Refusal::IssuerMissing);
    let mut world = world;
    for n in 0..MAX_ISSUERS {
        world = world.after(add(&format!("n{n}"), issuer(&[("b", "c")])));
    }
    let one_more = add("one-more", issuer(&[("b", "c")]));
    assert_eq!(world.refusal(one_more), Refusal::TooManyIssuers);
}

#[test]
fn a_token_fits_an_entry_that_it_says_everything_for() {
    let entry = issuer(&[("repository", "acme/ivr"), ("ref", "refs/heads/*")]);
    let text = str::to_owned;
    let fitting = Assertion {
        issuer: text("https://issuer.example"),
        audiences: [text("other"), text("traffic-cop")].into(),
        claims: [
            (text("repository"), vec![text("x"), text("acme/ivr")]),
            (text("ref"), vec![text("refs/heads/main")]),
        ]
        .into(),
    };
    assert!(entry.admits(&fitting));
    let without = |change: &dyn Fn(&mut Assertion)| {
        let mut other = fitting.clone();
        change(&mut other);
        entry.admits(&other)
    };
    assert!(!without(&|other| other.issuer += "/"));
    assert!(!without(&|other| other.audiences.clear()));
    assert!(!without(&|other| drop(other.claims.remove("ref"))));
    assert!(!without(&|other| other
        .claims
        .get_mut("ref")
        .unwrap()
        .clear()));
    assert!(!issuer(&[]).admits(&fitting), "however it came to be there");
}
