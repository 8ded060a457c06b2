//! An environment prepared for decisions.

use jiff::Timestamp;

use super::interfaces::CompiledInterfaces;
use super::{Bucket, Caller, Request};
use crate::domain::conversation::Conversation;
use crate::domain::environment::{Environment, ReturnBar, Salt, TestBar};
use crate::domain::ids::{EnvironmentName, InterfaceNumber, Owner, Revision};
use crate::domain::judge::evidence::ConversationHash;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::test_calls::TestCalls;
use crate::domain::weight::Weight;

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
    pub(super) active: Slot,
    salt: Salt,
    /// Those for a caller's number before those for a dialled one, so that the first that applies is the one that counts.
    pub(super) overrides: Box<[CompiledOverride]>,
    versions: Vec<KnownVersion>,
    interfaces: CompiledInterfaces,
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

/// A smoke-test override, and whether its slot takes its calls.
#[derive(Debug, Clone)]
pub(super) struct CompiledOverride {
    pub(super) calls: TestCalls,
    pub(super) to: Slot,
    pub(super) owner: Owner,
    pub(super) expires_at: Timestamp,
    pub(super) bar: Option<TestBar>,
}

/// A version that callers may name.
#[derive(Debug, Clone)]
pub(super) struct KnownVersion {
    label: Box<str>,
    /// Its interface if that is defined, or none.
    pub(super) interface: InterfaceNumber,
    pub(super) place: Place,
}

/// Where a known version is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In this slot, which may not take the calls inside it.
    Held(Slot, Option<ReturnBar>),
    /// In none any more.
    Retired,
}

/// The numbers of a call, as far as they are numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    ani: Option<PhoneNumber>,
    dnis: Option<PhoneNumber>,
}

impl Compiled {
    /// Prepares `environment` at `revision`.
    #[must_use]
    pub fn new(name: EnvironmentName, revision: Revision, environment: &Environment) -> Self {
        let interfaces = CompiledInterfaces::new(environment);
        let held = environment.slots.iter().filter_map(|(slot, state)| {
            let version = state.version.as_ref()?;
            Some(KnownVersion {
                label: version.label.as_str().into(),
                interface: interfaces.defined(version.interface),
                place: Place::Held(slot, state.bars_own_calls()),
            })
        });
        let retired = environment.retired.iter().map(|version| KnownVersion {
            label: version.label.as_str().into(),
            interface: interfaces.defined(version.interface),
            place: Place::Retired,
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
            overrides: CompiledOverride::all(environment),
            versions: held.chain(retired).collect(),
            interfaces,
        }
    }

    /// Whether variables can be asked for by the interface `number`: it is defined, or stands for none.
    #[must_use]
    pub fn has_interface(&self, number: InterfaceNumber) -> bool {
        self.interfaces.defined(number) == number
    }

    /// The variables of the interface `number` with their values, each as one more member of a JSON object: a comma, the quoted
    /// name, a colon and the value. Nothing if it has none.
    #[must_use]
    pub fn variables(&self, number: InterfaceNumber) -> &str {
        self.interfaces.members(number)
    }

    /// What is known of a caller that names the version `flow_version`.
    #[must_use]
    pub fn caller(&self, flow_version: &str) -> Caller {
        Caller::new(flow_version, self.version(flow_version))
    }

    /// The calls of the override that gives this call to a slot at `now`.
    #[must_use]
    pub fn test_calls_of(&self, request: &Request<'_>, now: Timestamp) -> Option<TestCalls> {
        self.leading(request, || now).map(|one| one.calls)
    }

    /// The slot that an override gives the call to. The clock is read only if one is for this call.
    pub(super) fn overridden(
        &self,
        request: &Request<'_>,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Slot> {
        self.leading(request, now).map(|one| one.to)
    }

    fn leading(
        &self,
        request: &Request<'_>,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<&CompiledOverride> {
        if self.overrides.is_empty() {
            return None;
        }
        let numbers = Numbers::of(request);
        let mut leading = self
            .overrides
            .iter()
            .filter(|one| one.bar.is_none() && numbers.belong_to(one.calls))
            .peekable();
        leading.peek()?;
        let now = now();
        leading.find(|one| !one.has_expired(now))
    }

    /// The version that a caller names, if the environment remembers it. A caller that names none names no version.
    pub(super) fn version(&self, label: &str) -> Option<&KnownVersion> {
        if label.is_empty() {
            return None;
        }
        self.versions
            .iter()
            .find(|version| *version.label == *label)
    }

    /// The bucket of a conversation.
    pub(super) fn bucket(&self, conversation: &Conversation<'_>) -> Bucket {
        conversation.bucket(&self.salt)
    }

    /// What stands for a conversation in the evidence, if decisions are evidence at this weight.
    pub(super) fn exposed(&self, conversation: &Conversation<'_>) -> Option<ConversationHash> {
        self.weight
            .is_split()
            .then(|| conversation.hash(&self.salt))
    }

    /// The slot that takes a new call of this bucket.
    pub(super) fn slot_of(&self, bucket: Bucket) -> Slot {
        if bucket.is_within(self.weight) {
            self.active.other()
        } else {
            self.active
        }
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

impl CompiledOverride {
    fn all(environment: &Environment) -> Box<[Self]> {
        let overrides = environment.overrides.iter();
        let mut all: Vec<_> = overrides
            .map(|one| Self {
                calls: one.calls,
                to: one.to,
                owner: one.owner.clone(),
                expires_at: one.expires_at,
                bar: environment.slots[one.to].bars_test_calls(),
            })
            .collect();
        all.sort_by_key(|one| one.calls);
        all.into()
    }

    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

impl KnownVersion {
    /// The slot that takes the calls inside this version.
    pub(super) fn admitted_by(&self) -> Option<Slot> {
        match self.place {
            Place::Held(slot, None) => Some(slot),
            Place::Held(_, Some(_)) | Place::Retired => None,
        }
    }
}

impl Numbers {
    pub(super) fn of(request: &Request<'_>) -> Self {
        Self {
            ani: request.ani.parse().ok(),
            dnis: request.dnis.parse().ok(),
        }
    }

    pub(super) fn belong_to(&self, calls: TestCalls) -> bool {
        match calls {
            TestCalls::Ani(number) => self.ani == Some(number),
            TestCalls::Dnis(number) => self.dnis == Some(number),
        }
    }
}
