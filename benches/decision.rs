//! What the pure decision costs, rule by rule, and what preparing an environment for it costs.

use std::hint::black_box;

use criterion::Criterion;
use jiff::Timestamp;
use traffic_cop::domain::command::{Create, Flow, Register, SetWeight};
use traffic_cop::domain::decision::{Bucket, Compiled, Reason, Request, decide};
use traffic_cop::domain::environment::{MAX_OVERRIDES, Override, REMEMBERED_VERSIONS};
use traffic_cop::domain::ids::{InterfaceNumber, Revision};
use traffic_cop::domain::interface::{Interface, Variable, VariableType, VariableValue};
use traffic_cop::domain::slot::{BySlot, Slot};
use traffic_cop::domain::test_calls::TestCalls;
use traffic_cop::domain::{Aggregate, Change, Command, Context, Environment};

/// An environment that remembers as many versions as it can; green holds the last one and takes `percent` of new calls.
fn environment(percent: &str) -> Environment {
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
    let flow = |id: &str, name: &str| Flow {
        id: id.parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let create = Create {
        flows: BySlot {
            blue: flow("5f0c9a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e", "Main IVR Blue"),
            green: flow("d2719b5c-8b1f-4f6a-a3a5-6c1f0f9f2b44", "Main IVR Green"),
        },
        active: Slot::Blue,
        flow_version: "2026-11-22.1".parse().unwrap(),
        interface: InterfaceNumber(1),
        variables: Some(interface()),
    };
    let release = |n: usize| Register {
        published_version: None,
        slot: None,
        flow_version: format!("2026-11-23.{n}").parse().unwrap(),
        interface: InterfaceNumber(1),
        force_incompatible: false,
    };
    let weight = SetWeight {
        weight: percent.parse().unwrap(),
        force_incompatible: false,
    };
    let commands = std::iter::once(Command::from(create))
        .chain((0..=REMEMBERED_VERSIONS).map(|n| release(n).into()))
        .chain([weight.into()]);
    let mut environment = None;
    for command in commands {
        if let Change::To(after) =
            Environment::apply(environment.as_ref(), &command, &context).unwrap()
        {
            environment = after;
        }
    }
    environment.unwrap()
}

/// The same with as many overrides as it can hold, those for `calls` last.
fn tested(mut environment: Environment, calls: TestCalls) -> Environment {
    let one = |calls| Override {
        calls,
        to: Slot::Green,
        owner: "a tester".parse().unwrap(),
        expires_at: Timestamp::MAX,
    };
    let others =
        (1..MAX_OVERRIDES).map(|n| TestCalls::Ani(format!("+49301234{n}").parse().unwrap()));
    environment.overrides = others.chain([calls]).map(one).collect();
    environment
}

/// Eight variables, as many as a menu of some size needs.
fn interface() -> Interface {
    let variable = |n: usize| {
        let name = format!("Menu_Option_{n}").parse().unwrap();
        Variable::new(name, VariableType::Boolean, VariableValue::Boolean(true)).unwrap()
    };
    Interface::try_from((1..=8).map(variable).collect::<Vec<_>>()).unwrap()
}

fn compile(environment: &Environment) -> Compiled {
    Compiled::new("Main_IVR".parse().unwrap(), Revision(20), environment)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (canary, calm) = (compile(&environment("5")), compile(&environment("0")));
    // Dialled numbers come last, so this is the longest way.
    let tested = compile(&tested(
        environment("5"),
        TestCalls::Dnis("+4930654321".parse().unwrap()),
    ));
    let uuid = "0197c2f0-7b1c-7c3a-8f00-2b9d4e6a1c55";
    let newest = "2026-11-23.16";
    let cases = [
        (
            "override, last of 32",
            &tested,
            Request {
                conversation_id: uuid,
                flow_version: "",
                ani: "tel:+4930123456",
                dnis: "sip:+4930654321@trunk.example.com;user=phone",
            },
            Reason::Override,
        ),
        (
            "weighted, none of 32 overrides",
            &tested,
            Request {
                conversation_id: uuid,
                flow_version: "",
                ani: "tel:+4930123456",
                dnis: "tel:+4930654320",
            },
            Reason::Weighted,
        ),
        (
            "weighted, numbers but no override",
            &canary,
            Request {
                conversation_id: uuid,
                flow_version: "",
                ani: "tel:+4930123456",
                dnis: "tel:+4930654320",
            },
            Reason::Weighted,
        ),
        (
            "affinity",
            &canary,
            Request {
                conversation_id: uuid,
                flow_version: newest,
                ..Request::default()
            },
            Reason::Affinity,
        ),
        (
            "weighted, UUID",
            &canary,
            Request {
                conversation_id: uuid,
                flow_version: "",
                ..Request::default()
            },
            Reason::Weighted,
        ),
        (
            "weighted, text",
            &canary,
            Request {
                conversation_id: "call-4711",
                flow_version: "",
                ..Request::default()
            },
            Reason::Weighted,
        ),
        (
            "weighted, unknown version",
            &canary,
            Request {
                conversation_id: uuid,
                flow_version: "2026-10-01.1",
                ..Request::default()
            },
            Reason::Weighted,
        ),
        (
            "active",
            &calm,
            Request {
                conversation_id: uuid,
                flow_version: "",
                ..Request::default()
            },
            Reason::Active,
        ),
    ];
    let mut group = criterion.benchmark_group("decide");
    for (name, environment, request, rule) in cases {
        let decide = || {
            decide(
                black_box(environment),
                black_box(&request),
                || black_box(Timestamp::UNIX_EPOCH),
                || Bucket::of(black_box(1 << 63)),
            )
        };
        assert_eq!(decide().reason, rule, "{name}");
        group.bench_function(name, |bencher| bencher.iter(decide));
    }
    group.finish();

    let state = environment("5");
    criterion.bench_function("compile", |bencher| {
        bencher.iter(|| compile(black_box(&state)));
    });
    criterion.final_summary();
}
