//! Five hundred records put straight into the store, each mutated: by a failing disk, by a bug, or by somebody who makes the hash
//! fit. Whatever becomes of the aggregate that such a record is of, its neighbours go on, it keeps its last good state, a process that
//! starts now sees what one that runs sees, and a repair brings it back everywhere.
//!
//! The same again for the same seed: `TRAFFIC_COP_TEST_SEED`, which a failure prints.

use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use traffic_cop::domain::Environment;
use traffic_cop::domain::access::Access;
use traffic_cop::domain::command::AddFreeze;
use traffic_cop::domain::command::DefineInterface;
use traffic_cop::domain::ids::{AggregateKey, InterfaceNumber};
use traffic_cop::domain::repair::{Repair, Target};
use traffic_cop::domain::settings::{Settings, SettingsCommand};
use traffic_cop::replica::follower::{Follower, Tracks};
use traffic_cop::replica::tracked::Tracked;
use traffic_cop::store::format::{Document, NEWEST, Stored};
use traffic_cop::store::item::{Item, bytes, get_bytes, get_number, number, text};
use traffic_cop::store::record::{Draft, Entry};

use crate::support::engine::cases;
use crate::support::forgery::{forge_of, rewritten};
use crate::support::process::environment;
use crate::support::random::{SEED, seed};
use crate::support::tables::seal;
use crate::support::{Process, World, asked, commands};

/// Records in each of the ten parts, which run beside each other.
const RECORDS: usize = 50;
/// An interface that nobody names.
const NUMBER: InterfaceNumber = InterfaceNumber(9);
const NAMES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

/// The parts, each a test of its own.
macro_rules! parts {
    ($($name:ident: $number:literal),* $(,)?) => {
        cases![$($name),*];
        $(
            async fn $name(world: &mut World) {
                part(world, $number).await;
            }
        )*
    };
}

parts![
    mutated_records_harm_nothing_but_their_own_01: 1,
    mutated_records_harm_nothing_but_their_own_02: 2,
    mutated_records_harm_nothing_but_their_own_03: 3,
    mutated_records_harm_nothing_but_their_own_04: 4,
    mutated_records_harm_nothing_but_their_own_05: 5,
    mutated_records_harm_nothing_but_their_own_06: 6,
    mutated_records_harm_nothing_but_their_own_07: 7,
    mutated_records_harm_nothing_but_their_own_08: 8,
    mutated_records_harm_nothing_but_their_own_09: 9,
    mutated_records_harm_nothing_but_their_own_10: 10,
];

async fn part(world: &World, part: u64) {
    let _again = Again;
    let mut random = StdRng::seed_from_u64(seed().wrapping_add(part));
    let process = world.process().await;
    for (seed, name) in NAMES.iter().enumerate() {
        process.create_with_candidate(name).await;
        let token = commands::create_token(name, u8::try_from(seed).expect("a few"));
        process
            .change_access(token, asked())
            .await
            .expect("a commit");
    }
    let freeze = SettingsCommand::AddFreeze(AddFreeze {
        // Long over before anybody is held up.
        start: Some(Timestamp::UNIX_EPOCH),
        end: process.clock.now() + Duration::from_secs(1),
        reason: "a test".parse().expect("a reason"),
    });
    let frozen = process.change_settings(freeze, asked()).await;
    frozen.expect("a commit");
    world.clock.advance(Duration::from_secs(1));
    let mut passed_over = 0;
    for n in 0..RECORDS {
        let mutant = Mutant::draw(world, &process, &mut random).await;
        let mut round = Round {
            world,
            process: &process,
            random: &mut random,
            told: format!("record {n} of part {part}: {mutant:?}"),
        };
        passed_over += usize::from(round.run(&mutant).await);
    }
    assert!(passed_over > RECORDS / 3, "{passed_over} were not taken");
}

/// Says how to run this again, in whatever way it fails.
struct Again;

impl Drop for Again {
    #[expect(
        clippy::print_stderr,
        reason = "whoever sees the failure has to see the seed"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run again with {SEED}={}", seed());
        }
    }
}

/// Every aggregate that `follower` knows.
fn aggregates(follower: &Follower) -> Vec<AggregateKey> {
    let environments = follower.environments();
    let environments = environments.map(|(name, _)| AggregateKey::Environment(name.clone()));
    environments
        .chain([AggregateKey::Access, AggregateKey::Settings])
        .collect()
}

/// What `follower` knows of one; nothing, if it does not exist.
fn of<S: Stored>(follower: &Follower, key: &AggregateKey) -> Tracked<S>
where
    Follower: Tracks<S>,
{
    Tracks::<S>::tracked(follower, key)
        .cloned()
        .unwrap_or_default()
}

/// A record that continues an aggregate's history, and what was done to it.
struct Mutant {
    own: AggregateKey,
    item: Item,
    mutations: Vec<String>,
}

impl Debug for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "of {}, {}", self.own, self.mutations.join(", "))
    }
}

impl Mutant {
    async fn draw(world: &World, process: &Process, random: &mut StdRng) -> Self {
        process.catch_up().await;
        let environments = NAMES.iter().map(|name| environment(name));
        let others = [AggregateKey::Access, AggregateKey::Settings];
        let all: Vec<_> = environments.chain(others).collect();
        let own = all.choose(random).expect("some").clone();
        let last = next_draft(world, process, &own, random).await;
        let other = all.choose(random).expect("some");
        let other = next_draft(world, process, other, random).await;
        let mut item = last.clone().at(&process.position_to_write_at()).to_item();
        let mut mutations = Vec::new();
        for _ in 0..random.random_range(1..=3) {
            mutations.push(mutate(&mut item, &other, random));
        }
        if random.random_bool(0.5) {
            // Where a newer binary's state is to be found is its word alone: a row has it, and only the links lead back.
            let is_newer = get_number(&item, "format").is_ok_and(|format| format > NEWEST.into());
            if is_newer {
                item.insert("previous_sequence".to_owned(), number(last.previous.0));
                item.insert("aggregate".to_owned(), text(&own));
            }
            seal(&mut item);
            mutations.push("sealed".to_owned());
        }
        Self {
            own,
            item,
            mutations,
        }
    }
}

/// A change that could be the next of an aggregate.
async fn next_draft(
    world: &World,
    process: &Process,
    aggregate: &AggregateKey,
    random: &mut StdRng,
) -> Draft {
    let (revision, sequence) = process.end_of(aggregate);
    let mut draft = world.tables.record(sequence.0).await.change;
    draft.revision = revision.next();
    draft.previous = sequence;
    random.fill(&mut draft.operation.0);
    let weight = random.random_range(0..=10_000);
    if let AggregateKey::Environment(_) = aggregate {
        draft.state = rewritten(&draft.state, |state| {
            state["environment"]["weight_bps"] = json!(weight);
        });
    }
    draft
}

/// Does one thing to `item`, and says what.
fn mutate(item: &mut Item, other: &Draft, random: &mut StdRng) -> String {
    let mut names: Vec<_> = item.keys().cloned().collect();
    names.retain(|name| !matches!(name.as_str(), "pk" | "sk"));
    names.sort_unstable();
    let name = names.choose(random).cloned().unwrap_or_default();
    let mut put = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
    match random.random_range(0..9) {
        0 | 1 => {
            if let Some(value) = item.get_mut(&name) {
                flip(value, random);
            }
            format!("a bit of {name} flipped")
        }
        2 => {
            item.remove(&name);
            format!("{name} dropped")
        }
        3 => {
            let value = [
                text("7"),
                number(7),
                bytes(b"7"),
                AttributeValue::Bool(true),
                AttributeValue::Null(true),
                AttributeValue::L(vec![number(7)]),
                AttributeValue::M(Item::from([("7".to_owned(), text("7"))])),
            ];
            let value = value.choose(random).expect("some").clone();
            let told = format!("{name} made {value:?}");
            put(&name, value);
            told
        }
        4 => {
            put("state", bytes(&other.state));
            format!("the state of {}", other.aggregate)
        }
        5 => {
            let name = ["hash", "previous_hash"].choose(random).expect("some");
            let hash: [u8; 32] = random.random();
            put(name, text(data_encoding::HEXLOWER.encode(&hash)));
            format!("another {name}")
        }
        6 => {
            let state = get_bytes(item, "state").unwrap_or_default().to_vec();
            let length = random.random_range(0..=state.len());
            item.insert("state".to_owned(), bytes(&state[..length]));
            format!("the state cut to {length} bytes")
        }
        7 => {
            let name = ["revision", "previous_sequence", "format"].choose(random);
            let name = name.expect("some");
            let value = [0, 1, 2, 999, u64::from(u32::MAX), u64::MAX];
            let value = *value.choose(random).expect("some");
            put(name, number(value));
            format!("{name} {value}")
        }
        _ => {
            put("format", number(2));
            if let Ok(state) = get_bytes(item, "state")
                && serde_json::from_slice::<serde_json::Value>(state).is_ok_and(|s| s.is_object())
            {
                let state = rewritten(state, |state| state["newer"] = json!([1, 2]));
                item.insert("state".to_owned(), bytes(&state));
            }
            "a newer format".to_owned()
        }
    }
}

fn flip(value: &mut AttributeValue, random: &mut StdRng) {
    let mut flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if !bytes.is_empty() {
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 1 << random.random_range(0..8);
        }
        bytes
    };
    match value {
        AttributeValue::S(told) => {
            *told = String::from_utf8_lossy(&flipped(told.as_bytes())).into_owned();
        }
        AttributeValue::N(told) => {
            let number = told.parse::<u64>().unwrap_or_default();
            *told = (number ^ (1 << random.random_range(0..64))).to_string();
        }
        AttributeValue::B(told) => *value = bytes(&flipped(told.as_ref())),
        _ => {}
    }
}

/// What a process knows of all aggregates.
fn known(process: &Process) -> Follower {
    let follower = process.replica.look(Clone::clone);
    follower.expect("it is loaded")
}

/// Whether the last record of some aggregate is not what is served.
fn is_faulty(follower: &Follower) -> bool {
    follower.aggregates().any(|known| known.fault.is_some())
}

/// One record, and what comes of it.
struct Round<'a> {
    world: &'a World,
    process: &'a Process,
    random: &'a mut StdRng,
    told: String,
}

impl Round<'_> {
    /// Whether the record was not taken for what it says.
    async fn run(&mut self, mutant: &Mutant) -> bool {
        let before = known(self.process);
        self.world.tables.put(mutant.item.clone()).await;
        self.process.catch_up().await;
        let entry = Entry::from_item(&mutant.item).expect("its place is left");
        let touched = match &entry {
            Entry::Record(record) => Some(record.change.aggregate.clone()),
            Entry::Bridge(_) | Entry::Unreadable(_) => None,
        };
        let now = known(self.process);
        let mut was_taken = false;
        for key in aggregates(&now) {
            was_taken |= match &key {
                AggregateKey::Access => {
                    self.kept::<Access>(&key, &before, &now, &entry, touched.as_ref())
                }
                AggregateKey::Settings => {
                    self.kept::<Settings>(&key, &before, &now, &entry, touched.as_ref())
                }
                _ => self.kept::<Environment>(&key, &before, &now, &entry, touched.as_ref()),
            };
        }
        self.assert_alarmed(&entry, &now);
        // Before anybody has written after it, and after.
        let early = self.world.process().await;
        self.assert_agree(&early);
        self.neighbour_advances(&mutant.own, touched.as_ref()).await;
        let late = self.world.process().await;
        early.catch_up().await;
        self.assert_agree(&early);
        self.assert_agree(&late);
        let healer = if self.random.random() {
            &late
        } else {
            self.process
        };
        for key in aggregates(&known(healer)) {
            match &key {
                AggregateKey::Access => self.heal::<Access>(healer, &key, &before).await,
                AggregateKey::Settings => self.heal::<Settings>(healer, &key, &before).await,
                _ => self.heal::<Environment>(healer, &key, &before).await,
            }
        }
        let fresh = self.world.process().await;
        for process in [self.process, &early, &late, &fresh] {
            process.catch_up().await;
            assert!(!is_faulty(&known(process)), "{}", self.told);
            self.assert_agree(process);
        }
        !was_taken
    }

    /// Fails unless the aggregate kept its last good state, or goes on with the record's own. Returns which: whether it goes on.
    fn kept<S: Stored + Debug>(
        &self,
        key: &AggregateKey,
        before: &Follower,
        now: &Follower,
        entry: &Entry,
        touched: Option<&AggregateKey>,
    ) -> bool
    where
        Follower: Tracks<S>,
    {
        let (before, now): (Tracked<S>, Tracked<S>) = (of(before, key), of(now, key));
        if touched != Some(key) {
            assert_eq!(before, now, "{}", self.told);
            return false;
        }
        if before.good == now.good {
            return false;
        }
        let Entry::Record(record) = entry else {
            panic!("no record was taken: {}", self.told)
        };
        assert!(record.is_intact, "{}", self.told);
        let change = &record.change;
        let read = Document::read(change.format, &change.state).expect("a state");
        let good = now.good.expect("a state");
        assert_eq!((good.revision, good.document), (change.revision, read));
        assert!(change.revision > before.revision, "{}", self.told);
        assert_eq!(now.fault, None, "{}", self.told);
        true
    }

    fn assert_alarmed(&self, entry: &Entry, now: &Follower) {
        let exposition = self.process.metrics.exposition();
        let is_raised = |condition: &str| {
            let line = format!("traffic_cop_alarm{{condition=\"{condition}\"}} 1");
            exposition.contains(&line)
        };
        assert_eq!(
            is_raised("unreadable_state"),
            is_faulty(now),
            "{}",
            self.told
        );
        let is_newer = now.aggregates().any(|known| known.newer_format().is_some());
        assert_eq!(is_raised("newer_format"), is_newer, "{}", self.told);
        if let Entry::Unreadable(_) = entry {
            assert!(is_raised("unreadable_envelope"), "{}", self.told);
        }
    }

    /// Somebody else's change goes through as if nothing had happened.
    async fn neighbour_advances(&mut self, own: &AggregateKey, touched: Option<&AggregateKey>) {
        let mut names = NAMES.to_vec();
        names.retain(|name| {
            let key = environment(name);
            key != *own && Some(&key) != touched
        });
        let name = names.choose(self.random).expect("another one");
        let served = self.process.serves(name).expect("it is served");
        let variables = match served.environment.interfaces.get(&NUMBER) {
            Some(interface) if !interface.is_empty() => &[][..],
            _ => &["Prompt"],
        };
        let define = DefineInterface {
            number: NUMBER,
            variables: commands::interface(variables),
        };
        self.process.commits(name, define).await;
    }

    /// Fails unless `process` knows what the one that has seen everything knows.
    fn assert_agree(&self, process: &Process) {
        let (one, other) = (known(self.process), known(process));
        let told = |follower: &Follower| -> Vec<_> {
            let environments = follower.environments();
            let environments = environments.map(|(name, known)| {
                let name = name.to_string();
                (name, known.revision, known.sequence, known.fault.is_some())
            });
            let access = follower.access();
            let access = (
                "access".to_owned(),
                access.revision,
                access.sequence,
                access.fault.is_some(),
            );
            let settings = follower.settings();
            let settings = (
                "settings".to_owned(),
                settings.revision,
                settings.sequence,
                settings.fault.is_some(),
            );
            environments.chain([access, settings]).collect()
        };
        assert_eq!(told(&one), told(&other), "{}", self.told);
        for ((name, one), (_, other)) in one.environments().zip(other.environments()) {
            assert_eq!(one.good, other.good, "{name}: {}", self.told);
        }
        assert_eq!(one.access().good, other.access().good, "{}", self.told);
        let (one, other) = (one.settings(), other.settings());
        assert_eq!(one.good, other.good, "{}", self.told);
    }

    /// Brings an aggregate back: by a repair, and out of a newer format by one to the state before.
    async fn heal<S: Stored + Debug>(&self, healer: &Process, key: &AggregateKey, before: &Follower)
    where
        Follower: Tracks<S>,
    {
        healer.catch_up().await;
        let now: Tracked<S> = of(&known(healer), key);
        let last_good = now.good.clone();
        let is_newer = last_good
            .as_ref()
            .is_some_and(|good| !good.document.is_understood());
        if now.fault.is_none() && !is_newer {
            return;
        }
        let to = match (&last_good, of::<S>(before, key).good) {
            (Some(_), Some(before)) if is_newer => {
                if now.fault.is_none() {
                    forge_of(self.world, healer, key, |draft| {
                        draft.state = b"{}".to_vec();
                    })
                    .await;
                }
                Target::Revision(before.revision)
            }
            (Some(_), _) => Target::LastGood,
            // The record has made it up: something like it is all that anybody can give.
            (None, _) => {
                let like: Tracked<S> = of(&known(healer), &environment(NAMES[0]));
                Target::State(like.state().expect("a state").clone())
            }
        };
        let repair = Repair {
            to,
            discard_newer_format: true,
        };
        let repaired = healer.control.repair::<S>(key, &repair, &asked()).await;
        let repaired = repaired.unwrap_or_else(|error| panic!("{error}: {}", self.told));
        assert!(repaired.revision > now.revision, "{}", self.told);
        if let Some(good) = last_good.filter(|_| !is_newer) {
            assert_eq!(repaired.state, good.document.state, "{}", self.told);
        }
    }
}
