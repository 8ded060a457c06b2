//! The pure decision allocates nothing, by any rule and for any spelling of the conversation id: counted by an allocator
//! that stands in for the whole process, hence a test binary of its own.

use std::hint::black_box;

use allocation_counter::measure;
use jiff::Timestamp;
use traffic_cop::domain::command::{AddOverride, Create, Flow, Register, SetWeight};
use traffic_cop::domain::decision::{Bucket, Compiled, Reason, Request, decide};
use traffic_cop::domain::ids::{InterfaceNumber, Revision};
use traffic_cop::domain::interface::{Interface, Variable, VariableType, VariableValue};
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::domain::test_calls::TestCalls;
use traffic_cop::domain::{Aggregate, Change, Command, Context, Environment};

/// An environment whose blue slot is active and holds v1, and whose green slot holds v2 and takes `percent` of new calls.
fn environment(percent: &str) -> Compiled {
    environment_with(percent, [])
}

/// The same with these overrides, which lead to green and last a day from the epoch on.
fn environment_with(percent: &str, overrides: impl IntoIterator<Item = TestCalls>) -> Compiled {
    let context = Context {
        frozen: None,
        now: Timestamp::UNIX_EPOCH,
        revision: Revision(1),
        sequence: Default::default(),
        draw: [7; 16],
        drain_time: Default::default(),
        last_calls: Some(Default::default()),
        others: 0,
    };
    let flow = |id: &str| Flow {
        id: id.parse().unwrap(),
        name: id.parse().unwrap(),
    };
    let mut commands: Vec<Command> = vec![
        Create {
            flows: BySlot {
                blue: flow("b"),
                green: flow("g"),
            },
            active: Slot::Blue,
            flow_version: "v1".parse().unwrap(),
            interface: InterfaceNumber(1),
            variables: Some(interface()),
        }
        .into(),
        Register {
            published_version: None,
            slot: None,
            flow_version: "v2".parse().unwrap(),
            interface: InterfaceNumber(1),
            force_incompatible: false,
        }
        .into(),
    ];
    let weight = SetWeight {
        weight: percent.parse().unwrap(),
        force_incompatible: false,
    };
    if !weight.weight.is_zero() {
        commands.push(weight.into());
    }
    commands.extend(overrides.into_iter().map(|calls| {
        Command::from(AddOverride {
            calls,
            to: Slot::Green,
            expires_in_minutes: 1440,
            owner: "a tester".parse().unwrap(),
        })
    }));
    let mut environment: Option<Environment> = None;
    for command in &commands {
        match Environment::apply(environment.as_ref(), command, &context).unwrap() {
            Change::To(after) => environment = after,
            Change::Nothing(unchanged) => panic!("{command:?} changes nothing: {unchanged:?}"),
        }
    }
    Compiled::new(
        "Main_IVR".parse().unwrap(),
        Revision(3),
        &environment.unwrap(),
    )
}

fn interface() -> Interface {
    let name = "Callback_Offered".parse().unwrap();
    let variable =
        Variable::new(name, VariableType::Boolean, VariableValue::Boolean(true)).unwrap();
    Interface::try_from(vec![variable]).unwrap()
}

/// How often deciding the call allocates; checks on the way that the rule is the one meant.
fn allocations(
    environment: &Compiled,
    conversation_id: &str,
    flow_version: &str,
    rule: Reason,
) -> u64 {
    let request = Request {
        conversation_id,
        flow_version,
        ..Request::default()
    };
    allocations_for(environment, &request, rule)
}

/// How often deciding the call allocates; checks on the way that the rule is the one meant.
fn allocations_for(environment: &Compiled, request: &Request<'_>, rule: Reason) -> u64 {
    let mut reason = None;
    let count = measure(|| {
        reason = Some(
            decide(
                black_box(environment),
                black_box(request),
                || black_box(Timestamp::UNIX_EPOCH),
                || Bucket::of(black_box(1 << 63)),
            )
            .reason,
        );
    })
    .count_total;
    assert_eq!(reason, Some(rule), "{request:?}");
    count
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(black_box(Box::new(1)))).count_total, 1);
    assert!(measure(|| drop(black_box(environment("5")))).count_total > 10);
}

#[test]
fn no_decision_allocates() {
    let (canary, calm) = (environment("5"), environment("0"));
    let long = "é".repeat(10_000);
    let ids = [
        "",
        "5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e",
        "{5F0C9A52-3D0E-4F7E-9B8E-0A4F6B1D2C3E}",
        "5f0c9a523d0e4f7e9b8e0a4f6b1d2c3e",
        "5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3",
        "call-1",
        &long,
    ];
    for id in ids {
        for version in ["", "never heard of", &long] {
            assert_eq!(
                allocations(&canary, id, version, Reason::Weighted),
                0,
                "weighted: {id:.40?}, {version:.40?}"
            );
            assert_eq!(
                allocations(&calm, id, version, Reason::Active),
                0,
                "active: {id:.40?}, {version:.40?}"
            );
        }
        for version in ["v1", "v2"] {
            assert_eq!(
                allocations(&canary, id, version, Reason::Affinity),
                0,
                "affinity: {id:.40?}, {version}"
            );
        }
    }
}

#[test]
fn no_decision_allocates_for_the_numbers_of_a_call() {
    let under_test = "+4930123456".parse().unwrap();
    let environment = environment_with(
        "5",
        (0..30)
            .map(|n| TestCalls::Ani(format!("+49{n}").parse().unwrap()))
            .chain([TestCalls::Ani(under_test), TestCalls::Dnis(under_test)]),
    );
    let long = "1".repeat(10_000);
    let others = ["", "+4930123457", "sip:anna@example.com", &long];
    let spellings = [
        "+4930123456",
        "tel:+49 (30) 123-456",
        "sip:+4930123456@trunk.example.com:5060;user=phone",
    ];
    let call = |ani, dnis, flow_version| Request {
        conversation_id: "call-1",
        flow_version,
        ani,
        dnis,
    };
    for version in ["", "v1", &long] {
        let rule = match version {
            "v1" => Reason::Affinity,
            _ => Reason::Weighted,
        };
        for other in others {
            let request = call(other, other, version);
            assert_eq!(allocations_for(&environment, &request, rule), 0);
            for number in spellings {
                for request in [call(number, other, version), call(other, number, version)] {
                    assert_eq!(
                        allocations_for(&environment, &request, Reason::Override),
                        0,
                        "{number}"
                    );
                }
            }
        }
    }
}
