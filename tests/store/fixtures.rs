//! What every release has written is read by this one: `tests/fixtures/format-N`, written by the binary that had format N as
//! its newest, and never changed afterwards.
//!
//! A file holds a journal item in DynamoDB's JSON (with the state as bytes), the state again for people to read, and what a
//! reader has to make of it. For new members, add shapes that they take to [`shapes`], in a history of their own, and run
//! `TRAFFIC_COP_TEST_WRITE_FIXTURES=1 cargo test --test store fixtures`: it writes the files that are missing, and touches none
//! that is there. Once a release has written data of a format, members that its readers have to know need a **new** format:
//! raise `format::NEWEST` first.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use data_encoding::{BASE64, HEXLOWER};
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use traffic_cop::domain::access::{Access, AccessCommand, Grant, Issuer, Reach, Scope, TokenHash};
use traffic_cop::domain::command::{
    AddFreeze, AddOverride, Claim, Command, DefineInterface, Rebind, Register, Release,
    RemoveFreeze, Rollback, SetVariables,
};
use traffic_cop::domain::environment::{Environment, FlowVersion, Override, SlotState, Standing};
use traffic_cop::domain::freeze::Freezes;
use traffic_cop::domain::ids::{
    AggregateKey, FreezeNumber, InterfaceNumber, Revision, Sequence, WebhookName,
};
use traffic_cop::domain::interface::Interface;
use traffic_cop::domain::operation::{Digest128, Operation, Operations};
use traffic_cop::domain::settings::{Settings, SettingsCommand};
use traffic_cop::domain::slot::Slot;
use traffic_cop::domain::test_calls::TestCalls;
use traffic_cop::domain::webhook::Webhook;
use traffic_cop::domain::{Action, Aggregate, Change, Context};
use traffic_cop::store::format::{Document, NEWEST, Stored};
use traffic_cop::store::item::Item;
use traffic_cop::store::record::{Bridge, Draft, Entry, Position, Record, RecordHash, Recovered};

use crate::support::commands;
use crate::support::engine::environment_variable;

/// Set to write the fixtures that are missing.
const WRITE: &str = "TRAFFIC_COP_TEST_WRITE_FIXTURES";

/// One test per file, and one that there are files of the newest format.
pub(crate) fn trials() -> Vec<Trial> {
    if environment_variable(WRITE).is_some() {
        write_newest();
    }
    let mut trials = vec![Trial::test(
        "fixtures::the_newest_format_has_fixtures",
        || {
            let missing = shapes().into_iter().find(|shape| !shape.path().exists());
            match missing {
                None => Ok(()),
                Some(shape) => Err(format!("{} is missing", shape.path().display()).into()),
            }
        },
    )];
    for path in files() {
        let name = path.strip_prefix(root()).expect("a fixture").display();
        trials.push(Trial::test(format!("fixtures::{name}"), move || {
            check(&path);
            Ok(())
        }));
    }
    trials
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn files() -> Vec<PathBuf> {
    let within = |directory: PathBuf| {
        let entries = fs::read_dir(directory).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path())
    };
    let is_format = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("format-"))
    };
    let formats = within(root()).filter(is_format);
    let mut files: Vec<_> = formats.flat_map(within).collect();
    files.sort();
    files
}

fn check(path: &Path) {
    let text = fs::read_to_string(path).expect("a fixture");
    let fixture: Value = serde_json::from_str(&text).expect("JSON");
    let item = item_from_json(&fixture["item"]);
    let entry = Entry::from_item(&item).expect("an entry");
    let record = match entry {
        Entry::Record(record) => record,
        Entry::Bridge(bridge) => {
            assert!(bridge.is_intact, "its hash is that of its content");
            assert_eq!(bridge.to_item(), item);
            assert_eq!(json!({"bridge_to": bridge.to.0}), fixture["reads_as"]);
            return;
        }
        Entry::Unreadable(unreadable) => panic!("{}", unreadable.problem),
    };
    assert!(record.is_intact, "its hash is that of its content");
    assert_eq!(record.to_item(), item, "nothing of the envelope is lost");
    let told = match record.change.aggregate {
        AggregateKey::Environment(_) => read(&record, &fixture, tell_environment),
        AggregateKey::Access => read(&record, &fixture, tell_access),
        AggregateKey::Settings => read(&record, &fixture, tell_settings),
        AggregateKey::Other(ref name) => panic!("a fixture of {name}"),
    };
    assert_eq!(told, fixture["reads_as"]);
}

/// What the record's state means, after checking that writing it again loses nothing.
fn read<S: Stored + std::fmt::Debug>(
    record: &Record,
    fixture: &Value,
    tell: impl Fn(&S) -> Value,
) -> Value {
    let change = &record.change;
    let stored: Value = serde_json::from_slice(&change.state).expect("a state");
    assert_eq!(stored, fixture["state"]);
    let document = Document::<S>::read(change.format, &change.state).expect("a state");
    let state = document.state.as_ref();
    let (format, written) = Document::next(Some(&document), &document.operations, state, NEWEST);
    let written: Value = serde_json::from_slice(&written).expect("a state");
    assert!(format >= change.format);
    assert_eq!(
        contains(&written, &stored),
        Ok(()),
        "nothing of the state is lost"
    );
    let again = Document::<S>::read(format, written.to_string().as_bytes()).expect("a state");
    assert_eq!(again.state, document.state);
    assert_eq!(again.operations, document.operations);
    let operations: Vec<_> = document.operations.iter().map(tell_operation).collect();
    json!({"operations": operations, "state": state.map(tell)})
}

/// Whether `all` says everything that `part` says; a newer format may say more.
fn contains(all: &Value, part: &Value) -> Result<(), String> {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => part.iter().try_for_each(|(name, value)| {
            let found = all.get(name).ok_or_else(|| format!("{name} is gone"))?;
            contains(found, value)
        }),
        (Value::Array(all), Value::Array(part)) if all.len() == part.len() => all
            .iter()
            .zip(part)
            .try_for_each(|(all, part)| contains(all, part)),
        _ if all == part => Ok(()),
        _ => Err(format!("{all} is not {part}")),
    }
}

fn tell_operation(operation: &Operation) -> Value {
    json!({
        "id": operation.id.to_string(),
        "request": operation.request.to_string(),
        "revision": operation.revision.0,
        "sequence": operation.sequence.0,
    })
}

fn tell_environment(environment: &Environment) -> Value {
    let retired: Vec<_> = environment
        .retired
        .iter()
        .map(|version| json!([version.label.as_str(), version.interface.0]))
        .collect();
    let mut told = json!({
        "salt": HEXLOWER.encode(&environment.salt.0),
        "active": environment.active.as_str(),
        "weight": environment.weight.to_string(),
        "previously_active": environment.previously_active.as_ref().map(ToString::to_string),
        "blue": tell_slot(&environment.slots.blue),
        "green": tell_slot(&environment.slots.green),
        "retired": retired,
    });
    // Only where there are some: the fixtures from before there were any stay as they are.
    if !environment.overrides.is_empty() {
        told["overrides"] = environment.overrides.iter().map(tell_override).collect();
    }
    if !environment.freezes.is_empty() {
        told["freezes"] = tell_freezes(&environment.freezes);
    }
    if !environment.interfaces.is_empty() {
        let interfaces = environment.interfaces.iter();
        told["interfaces"] = interfaces
            .map(|(number, interface)| json!([number.0, tell_interface(interface)]))
            .collect();
    }
    if !environment.values.is_empty() {
        told["values"] = json!(environment.values);
    }
    told
}

fn tell_interface(interface: &Interface) -> Value {
    let variables = interface.variables().iter();
    let told = variables.map(|variable| {
        json!([
            variable.name().as_str(),
            variable.kind().to_string(),
            variable.default_value(),
        ])
    });
    told.collect()
}

fn tell_freezes(freezes: &Freezes) -> Value {
    let told = freezes.iter().map(|(number, freeze)| {
        json!([
            number.0,
            freeze.start.to_string(),
            freeze.end.to_string(),
            freeze.reason.as_str()
        ])
    });
    told.collect()
}

fn tell_override(one: &Override) -> Value {
    let (kind, number) = match one.calls {
        TestCalls::Ani(number) => ("ani", number),
        TestCalls::Dnis(number) => ("dnis", number),
    };
    json!([
        kind,
        number.to_string(),
        one.to.as_str(),
        one.owner.as_str(),
        one.expires_at.to_string()
    ])
}

fn tell_slot(slot: &SlotState) -> Value {
    let version = |version: &FlowVersion| {
        let mut told = json!({
            "label": version.label.as_str(),
            "interface": version.interface.0,
            "registered_at": version.registered_at.to_string(),
            "standing": match version.standing {
                Standing::Good => "good",
                Standing::RolledBack { keep_calls: false } => "rolled back",
                Standing::RolledBack { keep_calls: true } => "rolled back, keeps its calls",
            },
        });
        if let Some(broken) = version.breaks {
            told["breaks"] = broken.0.into();
        }
        if let Some(published) = &version.published {
            told["published"] = published.as_str().into();
        }
        told
    };
    let claim = slot.claim.as_ref();
    json!({
        "flow": [slot.flow.id.as_str(), slot.flow.name.as_str()],
        "version": slot.version.as_ref().map(version),
        "claim": claim.map(|claim| json!([claim.flow_version.as_str(), claim.expires_at.to_string()])),
        "share_ended_at": slot.share_ended_at.map(|at| at.to_string()),
    })
}

fn tell_settings(settings: &Settings) -> Value {
    let mut told = json!({ "freezes": tell_freezes(&settings.freezes) });
    if !settings.webhooks.is_empty() {
        let webhooks = settings.webhooks.iter();
        told["webhooks"] = webhooks.map(tell_webhook).collect();
    }
    told
}

fn tell_webhook((name, webhook): (&WebhookName, &Webhook)) -> Value {
    json!([
        name,
        webhook.url,
        webhook.secret,
        webhook.environments,
        webhook.actions,
        webhook.after
    ])
}

fn tell_access(access: &Access) -> Value {
    let tokens = access.tokens.iter().map(|(id, token)| {
        let scopes: Vec<_> = token.grant.scopes.iter().map(ToString::to_string).collect();
        let reach = match &token.grant.reach {
            Reach::Everywhere => None,
            Reach::Environments(names) => {
                Some(names.iter().map(ToString::to_string).collect::<Vec<_>>())
            }
        };
        let mut told = json!({
            "id": id.0,
            "name": token.name.as_str(),
            "hash": HEXLOWER.encode(&token.hash.0),
            "scopes": scopes,
            "environments": reach,
            "created_at": token.created_at.to_string(),
            "expires_at": token.expires_at.map(|at| at.to_string()),
        });
        // Not in the fixtures of before there was such a thing.
        if !token.retiring.is_empty() {
            let retiring = token.retiring.iter();
            let retiring =
                retiring.map(|text| json!([HEXLOWER.encode(&text.hash.0), text.until.to_string()]));
            told["retiring"] = retiring.collect();
        }
        told
    });
    let issuers = access.issuers.iter().map(|(name, issuer)| {
        let claims = issuer.claims.iter();
        let claims: Vec<_> = claims
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let scopes = issuer.grant.scopes.iter();
        let scopes: Vec<_> = scopes.map(ToString::to_string).collect();
        let reach = issuer.grant.reach.environments();
        let reach = reach.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
        json!({
            "name": name.as_str(),
            "url": issuer.url.as_str(),
            "audience": issuer.audience.as_str(),
            "claims": claims,
            "scopes": scopes,
            "environments": reach,
        })
    });
    Value::Array(tokens.chain(issuers).collect())
}

/// Something that is stored, for which there is a file.
struct Shape {
    name: String,
    item: Item,
    state: Value,
    reads_as: Value,
}

impl Shape {
    fn path(&self) -> PathBuf {
        root().join(format!("format-{NEWEST}/{}.json", self.name))
    }
}

fn write_newest() {
    let directory = root().join(format!("format-{NEWEST}"));
    fs::create_dir_all(&directory).expect("a directory");
    for shape in shapes().iter().filter(|shape| !shape.path().exists()) {
        let fixture = json!({
            "item": item_to_json(&shape.item),
            "state": shape.state,
            "reads_as": shape.reads_as,
        });
        let text = format!("{fixture:#}\n");
        fs::write(shape.path(), text).expect("a fixture");
    }
}

/// The shapes that the newest format can take.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut history = History::<Environment>::new("environment/Main_IVR", tell_environment);
    let mut then = |name: &str, command: Command| shapes.push(history.then(name, &command));
    then("environment-created", commands::create());
    then("environment-claimed", claim("v2"));
    then(
        "environment-released",
        Release {
            slot: None,
            nothing_published: false,
        }
        .into(),
    );
    then("environment-registered", register("v2", 0));
    then("environment-weighted", commands::weight("33.33"));
    then("environment-rolled-back", commands::rollback());
    then("environment-cut-over", commands::cutover());
    then(
        "environment-rolled-back-with-calls",
        Rollback { keep_calls: true }.into(),
    );
    then(
        "environment-another-version",
        register("Größe \"2.0\" <ß>\u{1f6a6}", 0),
    );
    then(
        "environment-rebound",
        Rebind {
            slot: Slot::Green,
            flow: commands::flow("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e"),
        }
        .into(),
    );
    for n in 10..=27 {
        then("environment-many-retired", register(&format!("v{n}"), 0));
    }
    then("environment-deleted", commands::delete());
    then("environment-created-again", commands::create());
    let mut history = History::<Environment>::new("environment/Frozen_IVR", tell_environment);
    let mut then = |name: &str, command: Command| shapes.push(history.then(name, &command));
    then("environment-to-be-frozen", commands::create());
    then("environment-with-a-freeze", freeze("2026-12-23T17:00:00Z"));
    then("environment-with-freezes", freeze("2026-01-06T00:00:00.5Z"));
    let mut history = History::<Environment>::new("environment/Tested_IVR", tell_environment);
    let mut then = |name: &str, command: Command| shapes.push(history.then(name, &command));
    then("environment-to-be-tested", commands::create());
    then(
        "environment-with-an-override",
        add_override(ani("tel:+49 30 123456"), 1440, "Größe & Co"),
    );
    then(
        "environment-with-overrides",
        add_override(dnis("0800"), 1, "night shift"),
    );
    let mut history = History::<Environment>::new("environment/Variable_IVR", tell_environment);
    let mut then = |name: &str, command: Command| shapes.push(history.then(name, &command));
    then("environment-to-have-variables", commands::create());
    let types = [
        json!({"name": "Closed", "type": "boolean", "default": false}),
        json!({"name": "Prompt", "type": "string", "default": "Größe \"2.0\" <ß>\u{1f6a6}"}),
        json!({"name": "Rate", "type": "number", "default": 0.1}),
        json!({"name": "Retries", "type": "integer", "default": -9_007_199_254_740_991_i64}),
    ];
    let more = |added: Value| types.iter().cloned().chain([added]).collect();
    then(
        "environment-with-an-interface",
        define(1, types.iter().cloned().collect()),
    );
    let added = json!({"name": "_added", "type": "string", "default": ""});
    then("environment-with-an-addition", define(7, more(added)));
    let retyped =
        json!({"name": "_added", "type": "integer", "default": 9_007_199_254_740_991_i64});
    then("environment-with-another-type", define(8, more(retyped)));
    then("environment-of-an-interface", register("v2", 1));
    then("environment-moved-to-an-interface", commands::cutover());
    then("environment-of-a-broken-interface", register("v3", 0));
    let values =
        json!({"Closed": true, "Prompt": "\u{0}\n", "Rate": 1e-7, "Retries": 0, "_added": "x"});
    let values = serde_json::from_value(values).expect("values of variables");
    then("environment-with-values", SetVariables { values }.into());
    let mut history = History::<Environment>::new("environment/Published_IVR", tell_environment);
    let mut then = |name: &str, command: Command| shapes.push(history.then(name, &command));
    then("environment-to-be-published", commands::create());
    let published = Register {
        slot: None,
        flow_version: "build 4711".parse().expect("a label"),
        published_version: Some("45.0".parse().expect("a version")),
        interface: InterfaceNumber::NONE,
        force_incompatible: false,
    };
    then("environment-with-a-published-version", published.into());
    let mut history = History::<Settings>::new("settings", tell_settings);
    let mut then = |name: &str, command: SettingsCommand| shapes.push(history.then(name, &command));
    then(
        "settings-with-a-freeze",
        SettingsCommand::AddFreeze(window("2026-12-23T17:00:00Z")),
    );
    then(
        "settings-without-it",
        SettingsCommand::RemoveFreeze(RemoveFreeze {
            number: FreezeNumber(1),
        }),
    );
    let mut history = History::<Settings>::new("settings", tell_settings);
    let mut then = |name: &str, command: SettingsCommand| shapes.push(history.then(name, &command));
    let chat = json!({ "name": "chat", "url": "https://chat.example.com/hooks/ivr" });
    then("settings-with-a-webhook", webhook(chat));
    then(
        "settings-with-webhooks",
        webhook(json!({
            "name": "a.B_c-9",
            "url": "http://127.0.0.1:4711",
            "secret": "ours",
            "environments": ["Main_IVR", "b.2-c"],
            "actions": ["rollback", "repair"],
        })),
    );
    let name = "chat".parse().expect("a name");
    then(
        "settings-without-a-webhook",
        SettingsCommand::RemoveWebhook(name),
    );
    let mut history = History::<Access>::new("access", tell_access);
    let mut then = |name: &str, command: AccessCommand| shapes.push(history.then(name, &command));
    then(
        "access-one-token",
        commands::create_token("release-pipeline", 1),
    );
    then(
        "access-two-tokens",
        AccessCommand::CreateToken {
            name: "Ops, night shift".parse().expect("a name"),
            hash: TokenHash([0xa5; 32]),
            grant: Grant {
                scopes: Scope::ALL.into(),
                reach: Reach::Environments(
                    ["Main_IVR", "b.2-c"]
                        .map(|name| name.parse().expect("a name"))
                        .into(),
                ),
            },
            expires_at: Some("2027-01-01T00:00:00Z".parse().expect("a time")),
        },
    );
    then(
        "access-revoked",
        AccessCommand::RevokeToken(TokenHash([1; 32]).id()),
    );
    then(
        "access-empty",
        AccessCommand::RevokeToken(TokenHash([0xa5; 32]).id()),
    );
    let mut history = History::<Access>::new("access", tell_access);
    let mut then = |name: &str, command: AccessCommand| shapes.push(history.then(name, &command));
    then("access-to-be-rotated", commands::create_token("genesys", 2));
    then(
        "access-rotated",
        AccessCommand::RotateToken {
            id: TokenHash([2; 32]).id(),
            hash: TokenHash([3; 32]),
            old_until: Some("2026-01-06T08:00:00Z".parse().expect("a time")),
            expires_at: Some("2027-01-01T00:00:00Z".parse().expect("a time")),
        },
    );
    let mut history = History::<Access>::new("access", tell_access);
    let mut then = |name: &str, command: AccessCommand| shapes.push(history.then(name, &command));
    then(
        "access-with-an-issuer",
        AccessCommand::AddIssuer {
            name: "github-production".parse().expect("a name"),
            issuer: Issuer {
                url: "https://token.actions.githubusercontent.com"
                    .parse()
                    .expect("an issuer"),
                audience: "traffic-cop".parse().expect("an audience"),
                claims: [("ref", "refs/heads/*"), ("repository", "acme/ivr")]
                    .map(|(name, value)| {
                        let value = value.parse().expect("a value");
                        (name.parse().expect("a claim"), value)
                    })
                    .into(),
                grant: Grant {
                    scopes: [Scope::Operate].into(),
                    reach: Reach::Environments(["Main_IVR".parse().expect("a name")].into()),
                },
            },
        },
    );
    let issuer = "github-production".parse().expect("a name");
    then("access-without-it", AccessCommand::RemoveIssuer(issuer));
    // Of a shape that is passed through more than once, the last counts.
    shapes.reverse();
    let mut seen = std::collections::HashSet::new();
    shapes.retain(|shape| seen.insert(shape.name.clone()));
    shapes.push(bridge());
    shapes
}

fn bridge() -> Shape {
    let position = Position {
        last: Sequence(41),
        hash: RecordHash([7; 32]),
        next: Sequence(42),
    };
    let bridge = Bridge::at(&position, Sequence(1_234));
    Shape {
        name: "bridge".to_owned(),
        item: bridge.to_item(),
        state: Value::Null,
        reads_as: json!({"bridge_to": 1_234}),
    }
}

fn claim(label: &str) -> Command {
    let flow_version = label.parse().expect("a label");
    Claim {
        slot: None,
        flow_version,
        expires_in_minutes: 30,
    }
    .into()
}

/// The variables of interface `number`, of which the additions to an earlier one are stored.
fn define(number: u32, variables: Value) -> Command {
    DefineInterface {
        number: InterfaceNumber(number),
        variables: serde_json::from_value(variables).expect("an interface"),
    }
    .into()
}

fn register(label: &str, interface: u32) -> Command {
    let flow_version = label.parse().expect("a label");
    Register {
        published_version: None,
        slot: None,
        flow_version,
        interface: InterfaceNumber(interface),
        force_incompatible: true,
    }
    .into()
}

fn ani(number: &str) -> TestCalls {
    TestCalls::Ani(number.parse().expect("a number"))
}

fn dnis(number: &str) -> TestCalls {
    TestCalls::Dnis(number.parse().expect("a number"))
}

fn freeze(start: &str) -> Command {
    window(start).into()
}

fn webhook(members: Value) -> SettingsCommand {
    SettingsCommand::AddWebhook(serde_json::from_value(members).expect("a webhook"))
}

fn window(start: &str) -> AddFreeze {
    AddFreeze {
        start: Some(start.parse().expect("a time")),
        end: "2026-12-27T00:00:00Z".parse().expect("a time"),
        reason: "Weihnachten, \u{1f384} & Co".parse().expect("a reason"),
    }
}

fn add_override(calls: TestCalls, expires_in_minutes: u16, owner: &str) -> Command {
    AddOverride {
        calls,
        to: Slot::Blue,
        expires_in_minutes,
        owner: owner.parse().expect("an owner"),
    }
    .into()
}

/// One aggregate as commands change it, ten minutes apart.
struct History<S: Stored> {
    aggregate: AggregateKey,
    tell: fn(&S) -> Value,
    document: Option<Document<S>>,
    position: Position,
    context: Context,
}

impl<S: Stored + std::fmt::Debug> History<S> {
    fn new(aggregate: &str, tell: fn(&S) -> Value) -> Self {
        Self {
            aggregate: aggregate.parse().expect("an aggregate"),
            tell,
            document: None,
            position: Position::default(),
            context: Context {
                frozen: None,
                now: "2026-01-05T08:00:00.125Z".parse().expect("a time"),
                revision: Revision(1),
                sequence: Default::default(),
                draw: std::array::from_fn(|n| u8::try_from(n * 16 + n).expect("a byte")),
                drain_time: Duration::from_secs(60),
                last_calls: Some(Default::default()),
                others: 0,
            },
        }
    }

    fn then(&mut self, name: &str, command: &<S as Aggregate>::Command) -> Shape {
        self.context.now += Duration::from_secs(600);
        self.context.revision = Revision(self.position.next.0);
        self.context.sequence = self.position.next;
        let before = self.document.as_ref();
        let state = before.and_then(|document| document.state.as_ref());
        let Ok(Change::To(state)) = S::apply(state, command, &self.context) else {
            panic!("{name} is refused")
        };
        let revision = Revision(self.position.next.0);
        let operation = Operation {
            id: Digest128::of(&[name.as_bytes(), &revision.0.to_be_bytes()]),
            request: Digest128::of(&[command.fingerprint().as_bytes()]),
            revision,
            sequence: self.position.next,
        };
        let mut operations =
            before.map_or_else(Operations::default, |document| document.operations.clone());
        operations.remember(operation);
        let (format, bytes) = Document::next(before, &operations, state.as_ref(), NEWEST);
        let draft = Draft {
            aggregate: self.aggregate.clone(),
            revision,
            previous: self.position.last,
            operation: operation.id,
            request: operation.request,
            actor: "release-pipeline".parse().expect("an actor"),
            action: command.action().to_owned(),
            reason: format!("for {name}").parse().expect("a reason"),
            at: self.context.now,
            format,
            row: S::row(state.as_ref()),
            state: bytes.clone(),
            bridged_from: (name == "environment-created-again").then_some(Recovered {
                bridge: Sequence(1),
                left: 2,
            }),
        };
        let record = draft.at(&self.position);
        self.position = Entry::Record(Box::new(record.clone())).position();
        let document = Document::<S>::read(format, &bytes).expect("a state");
        let told: Vec<_> = operations.iter().map(tell_operation).collect();
        self.document = Some(document);
        Shape {
            name: name.to_owned(),
            item: record.to_item(),
            state: serde_json::from_slice(&bytes).expect("a state"),
            reads_as: json!({"operations": told, "state": state.as_ref().map(self.tell)}),
        }
    }
}

/// The item in DynamoDB's own JSON.
fn item_to_json(item: &Item) -> Value {
    let members: Map<_, _> = item
        .iter()
        .map(|(name, value)| (name.clone(), value_to_json(value)))
        .collect();
    Value::Object(members)
}

fn value_to_json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(value) => json!({"BOOL": value}),
        AttributeValue::B(bytes) => json!({"B": BASE64.encode(bytes.as_ref())}),
        AttributeValue::M(members) => json!({"M": item_to_json(members)}),
        other => panic!("no record holds {other:?}"),
    }
}

fn item_from_json(json: &Value) -> Item {
    let members = json.as_object().expect("an object");
    members
        .iter()
        .map(|(name, value)| (name.clone(), value_from_json(value)))
        .collect()
}

fn value_from_json(json: &Value) -> AttributeValue {
    let members = json.as_object().expect("an object");
    let (kind, value) = members.iter().next().expect("one member");
    let text = || value.as_str().expect("a text").to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().expect("a truth value")),
        "B" => {
            let bytes = BASE64.decode(text().as_bytes()).expect("base 64");
            AttributeValue::B(Blob::new(bytes))
        }
        "M" => AttributeValue::M(item_from_json(value)),
        other => panic!("no record holds {other}"),
    }
}
