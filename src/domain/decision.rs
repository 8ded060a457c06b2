//! Which slot takes a call.
//!
//! The rules, the first that applies: **affinity**, the call has been in a version that a slot holds now and that still
//! admits its own calls; **weighted**, the conversation id's bucket lies below the weight; **active**, the weight is zero.
//! Stickiness comes from the inputs alone, so replicas at one revision give one answer.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::environment::{Environment, Salt};
use super::ids::{EnvironmentName, InterfaceNumber, Revision};
use super::slot::{BySlot, Slot};
use super::weight::Weight;

#[cfg(test)]
mod tests;

/// What a caller says about its call. Empty means absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Id of the conversation; decides the bucket.
    pub conversation_id: &'a str,
    /// Label of the flow version the call has already been in.
    pub flow_version: &'a str,
}

/// The rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The call returns to the version it was in.
    Affinity,
    /// The conversation's bucket was compared with the weight.
    Weighted,
    /// No new call goes to the candidate.
    Active,
}

impl Reason {
    /// Every rule, in the order they are tried.
    pub const ALL: [Self; 3] = [Self::Affinity, Self::Weighted, Self::Active];

    /// The rule's name on the wire and in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affinity => "affinity",
            Self::Weighted => "weighted",
            Self::Active => "active",
        }
    }
}

/// Where a call goes, and what the caller should know about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The slot that takes the call.
    pub slot: Slot,
    /// The rule that decided.
    pub reason: Reason,
    /// Whether the environment remembers the version that the caller named; an absent one counts as known.
    pub flow_version_known: bool,
    /// The interface of that version; 0 if there is none.
    pub interface: InterfaceNumber,
}

/// An environment prepared for decisions: everything a decision reads, and nothing it would have to work out.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Its name.
    pub name: EnvironmentName,
    /// The revision this was made from.
    pub revision: Revision,
    /// The revision as the wire spells it.
    pub revision_text: Box<str>,
    /// Share of new calls that goes to the candidate.
    pub weight: Weight,
    /// The weight as the wire spells it.
    pub weight_text: Box<str>,
    /// The slots.
    pub slots: BySlot<CompiledSlot>,
    active: Slot,
    salt: Salt,
    versions: Vec<KnownVersion>,
}

/// A slot prepared for decisions, its texts as JSON strings, quotes included.
#[derive(Debug, Clone)]
pub struct CompiledSlot {
    /// Id of its flow.
    pub flow_id: Box<str>,
    /// Name of its flow.
    pub flow_name: Box<str>,
    /// Label of the version it holds; the empty string if none.
    pub flow_version: Box<str>,
}

/// A version that callers may name.
#[derive(Debug, Clone)]
struct KnownVersion {
    label: Box<str>,
    interface: InterfaceNumber,
    /// The slot that admits the calls inside this version.
    admitted_by: Option<Slot>,
}

impl Compiled {
    /// Prepares `environment` at `revision`.
    #[must_use]
    pub fn new(name: EnvironmentName, revision: Revision, environment: &Environment) -> Self {
        let held = environment.slots.iter().filter_map(|(slot, state)| {
            let version = state.version.as_ref()?;
            // A claim bars the slot whether it has expired or not, so the time does not matter.
            let is_admitted = state.claim.is_none() && version.admits_own_calls();
            Some(KnownVersion {
                label: version.label.as_str().into(),
                interface: version.interface,
                admitted_by: is_admitted.then_some(slot),
            })
        });
        let retired = environment.retired.iter().map(|version| KnownVersion {
            label: version.label.as_str().into(),
            interface: version.interface,
            admitted_by: None,
        });
        Self {
            name,
            revision,
            revision_text: revision.to_string().into(),
            weight: environment.weight,
            weight_text: environment.weight.to_string().into(),
            slots: BySlot::from_fn(|slot| CompiledSlot::new(environment, slot)),
            active: environment.active,
            salt: environment.salt,
            versions: held.chain(retired).collect(),
        }
    }

    /// Whether some version of the environment declares the interface `number`.
    #[must_use]
    pub fn has_interface(&self, number: InterfaceNumber) -> bool {
        self.versions
            .iter()
            .any(|version| version.interface == number)
    }

    fn version(&self, label: &str) -> Option<&KnownVersion> {
        self.versions
            .iter()
            .find(|version| *version.label == *label)
    }
}

impl CompiledSlot {
    fn new(environment: &Environment, slot: Slot) -> Self {
        let state = &environment.slots[slot];
        let json = |text: &str| serde_json::Value::from(text).to_string().into_boxed_str();
        Self {
            flow_id: json(state.flow.id.as_str()),
            flow_name: json(state.flow.name.as_str()),
            flow_version: json(
                state
                    .version
                    .as_ref()
                    .map_or("", |version| version.label.as_str()),
            ),
        }
    }
}

/// Which slot takes the call.
///
/// `draw` stands in for the hash of a conversation id that is absent: it gives a uniform bucket and is called at most once.
/// Allocates nothing.
#[must_use]
pub fn decide(
    environment: &Compiled,
    request: &Request<'_>,
    draw: impl FnOnce() -> Bucket,
) -> Decision {
    let version = match request.flow_version {
        "" => None,
        label => environment.version(label),
    };
    let (slot, reason) = if let Some(slot) = version.and_then(|version| version.admitted_by) {
        (slot, Reason::Affinity)
    } else if environment.weight.is_zero() {
        (environment.active, Reason::Active)
    } else {
        let bucket = match request.conversation_id {
            "" => draw(),
            id => bucket(&environment.salt, id),
        };
        let slot = if bucket.is_within(environment.weight) {
            environment.active.other()
        } else {
            environment.active
        };
        (slot, Reason::Weighted)
    };
    Decision {
        slot,
        reason,
        flow_version_known: request.flow_version.is_empty() || version.is_some(),
        interface: version.map_or(InterfaceNumber(0), |version| version.interface),
    }
}

/// The place of a conversation among 10,000 equal ones; the candidate takes those below its weight in basis points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// How many buckets there are.
    pub const COUNT: u16 = 10_000;

    /// The bucket of a number that is uniform over all of `u64`: its place on a line cut into [`Self::COUNT`] parts
    /// (multiply and shift, without the bias and cost of a remainder).
    #[must_use]
    pub fn of(uniform: u64) -> Self {
        // The product of a u64 and 10,000, shifted by 64 bits, is below 10,000.
        Self(((u128::from(uniform) * u128::from(Self::COUNT)) >> 64) as u16)
    }

    /// Whether the candidate takes this bucket at `weight`. A larger weight takes every bucket of a smaller one.
    #[must_use]
    pub fn is_within(self, weight: Weight) -> bool {
        self.0 < weight.bps()
    }

    /// Its number, 0 to 9,999.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The bucket of a conversation: XXH3-64 over the salt and the id, which is 16 bytes if it reads as a UUID (so its spelling
/// does not matter), else its text as received.
#[must_use]
pub fn bucket(salt: &Salt, conversation_id: &str) -> Bucket {
    let hash = match uuid::Uuid::try_parse(conversation_id) {
        Ok(uuid) => {
            let mut input = [0; 32];
            input[..16].copy_from_slice(&salt.0);
            input[16..].copy_from_slice(uuid.as_bytes());
            xxh3_64(&input)
        }
        Err(_) => {
            let mut hasher = Xxh3::new();
            hasher.update(&salt.0);
            hasher.update(conversation_id.as_bytes());
            hasher.digest()
        }
    };
    Bucket::of(hash)
}
