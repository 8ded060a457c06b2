//! What one conversation sees of a release: calls that ask again and again, of three processes in turn, while the weight goes
//! up in steps and is rolled back. Only validated answers count; they are as good as those of one process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use traffic_cop::clock::SystemClock;
use traffic_cop::control::Request;
use traffic_cop::domain::decision::bucket;
use traffic_cop::domain::environment::Salt;
use traffic_cop::domain::ids::Revision;
use traffic_cop::replica::receipt::Status;

use crate::support::engine::cases;
use crate::support::random::{SEED, seed};
use crate::support::{Call, Caller, Process, World, asked, commands};

cases![a_conversation_moves_up_at_most_once_and_back_at_most_once];

const NAME: &str = "Main_IVR";
const PROCESSES: usize = 3;
/// Longer than any proof takes, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(60);
/// The weights, and for each the buckets that it takes beyond those of the one before.
const STEPS: [(&str, Range<u16>); 4] = [
    ("5", 0..500),
    ("25", 500..2_500),
    ("50", 2_500..5_000),
    ("100", 5_000..10_000),
];
/// How often each conversation asks in all.
const ASKS: usize = 200;
/// How often it asks in each stage: one step is made in each, and the rollback in the last.
const ASKS_IN_A_STAGE: usize = 32;
const STAGES: usize = STEPS.len() + 1;
/// Answers that every conversation has in a stage before its step is begun: by then it has seen the one before.
const SEEN_FIRST: usize = 4;

/// Whether a conversation says which version answered it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    LastVersion,
    Nothing,
}

/// One conversation.
#[derive(Debug, Clone)]
struct Conversation {
    id: String,
    /// The stage in which it begins to ask.
    begins_in: usize,
    says: Says,
}

/// How far everyone is.
#[derive(Debug)]
struct Progress {
    /// For each conversation, how often it has asked.
    asked: watch::Sender<Vec<usize>>,
    /// Steps made, the rollback included.
    made: watch::Sender<usize>,
}

/// A conversation whose bucket is in `buckets`: by its UUID, or by a text that is none.
fn crossing(salt: &Salt, buckets: &Range<u16>, random: &mut StdRng) -> String {
    loop {
        let bytes = random.random();
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let id = match random.random_range(0..2) {
            0 => uuid.to_string(),
            _ => format!("conversation {}", uuid.simple()),
        };
        if buckets.contains(&bucket(salt, &id).number()) {
            return id;
        }
    }
}

/// For each step: one conversation that never says where it was, one that always does, and one that does so from an answer
/// of the candidate on.
fn conversations(salt: &Salt, random: &mut StdRng) -> Vec<Conversation> {
    let kinds = |crosses_at: usize| {
        [
            (0, Says::Nothing),
            (0, Says::LastVersion),
            (crosses_at + 1, Says::LastVersion),
        ]
    };
    let all = STEPS
        .iter()
        .enumerate()
        .flat_map(|(crosses_at, (_, buckets))| {
            kinds(crosses_at).map(|(begins_in, says)| (buckets, begins_in, says))
        });
    all.map(|(buckets, begins_in, says)| Conversation {
        id: crossing(salt, buckets, random),
        begins_in,
        says,
    })
    .collect()
}

/// Asks again and again, of one process after the other. The versions of the validated answers, in order, without repeats.
async fn converse(
    number: usize,
    conversation: Conversation,
    callers: Vec<Caller>,
    progress: Arc<Progress>,
) -> Vec<String> {
    let mut made = progress.made.subscribe();
    let (mut versions, mut last) = (Vec::<String>::new(), String::new());
    for n in 0..ASKS {
        // The last stage goes on until all is asked.
        let stage = (conversation.begins_in + n / ASKS_IN_A_STAGE).min(STAGES);
        made.wait_for(|made| *made >= stage).await.expect("steps");
        let is_rolled_back = *made.borrow() == STAGES;
        let call = Call {
            conversation: &conversation.id,
            flow_version: match conversation.says {
                Says::LastVersion => &last,
                Says::Nothing => "",
            },
        };
        let answer = callers[(number + n) % callers.len()]
            .ask_afresh(NAME, call)
            .await;
        // Whatever its source: every process has acknowledged it.
        assert!(
            !is_rolled_back || answer.flow_version == "v1",
            "after the receipt of the rollback: {answer:?} to {conversation:?}; run again with {SEED}={}",
            seed()
        );
        if answer.is_validated() && versions.last() != Some(&answer.flow_version) {
            versions.push(answer.flow_version.clone());
        }
        last = answer.flow_version;
        progress.asked.send_modify(|asked| asked[number] = n + 1);
    }
    versions
}

/// Makes each step in the middle of its stage.
async fn operate(process: &Process, conversations: &[Conversation], progress: &Progress) {
    let mut asked = progress.asked.subscribe();
    for stage in 0..STAGES {
        let has_seen = |(conversation, asked): (&Conversation, &usize)| {
            let stages = stage.checked_sub(conversation.begins_in);
            stages.is_none_or(|stages| *asked >= stages * ASKS_IN_A_STAGE + SEEN_FIRST)
        };
        let have_seen = |asked: &Vec<usize>| conversations.iter().zip(asked).all(has_seen);
        asked.wait_for(have_seen).await.expect("conversations");
        match STEPS.get(stage) {
            Some((weight, _)) => process.set_weight(NAME, weight).await,
            None => roll_back_everywhere(process).await,
        };
        progress.made.send_replace(stage + 1);
    }
}

/// Rolls back, and waits for the receipt of every process.
async fn roll_back_everywhere(process: &Process) -> Revision {
    let request = Request {
        wait: Some(AMPLE),
        ..asked()
    };
    let answer = process.ask(NAME, commands::rollback(), request).await;
    let answer = answer.expect("a commit");
    let receipt = answer.receipt.expect("a receipt");
    assert_eq!(receipt.status, Status::All, "{receipt:?}");
    assert_eq!(receipt.replicas.len(), PROCESSES, "{receipt:?}");
    answer.revision
}

async fn a_conversation_moves_up_at_most_once_and_back_at_most_once(world: &mut World) {
    let mut random = StdRng::seed_from_u64(seed());
    let (mut processes, mut running) = (Vec::new(), Vec::new());
    for _ in 0..PROCESSES {
        let clock = Arc::new(SystemClock::start());
        let process = world.patient_process(clock, AMPLE).await;
        running.push(process.runs_among_others());
        processes.push(process);
    }
    processes[0].create_with_candidate(NAME).await;
    for process in &processes {
        process.catch_up().await;
    }
    let served = processes[0].serves(NAME).expect("it is served");
    let conversations = conversations(&served.environment.salt, &mut random);
    let progress = Arc::new(Progress {
        asked: watch::Sender::new(vec![0; conversations.len()]),
        made: watch::Sender::new(0),
    });
    let callers: Vec<_> = processes.iter().map(Caller::of).collect();
    let mut conversing = JoinSet::new();
    for (number, conversation) in conversations.iter().cloned().enumerate() {
        let converse = converse(number, conversation, callers.clone(), progress.clone());
        conversing.spawn(async move { (number, converse.await) });
    }
    operate(&processes[1], &conversations, &progress).await;
    let versions: BTreeMap<_, _> = conversing.join_all().await.into_iter().collect();

    for (number, conversation) in conversations.iter().enumerate() {
        let expected: &[&str] = match (conversation.says, conversation.begins_in) {
            (Says::Nothing, _) => &["v1", "v2", "v1"],
            // It stays where it was: `v1` admits its own calls throughout, `v2` until the rollback.
            (Says::LastVersion, 0) => &["v1"],
            (Says::LastVersion, _) => &["v2", "v1"],
        };
        assert_eq!(
            versions[&number],
            expected,
            "{conversation:?}; run again with {SEED}={}",
            seed()
        );
    }
    // From memory too.
    for caller in &callers {
        for conversation in &conversations {
            for flow_version in ["", "v1", "v2"] {
                let call = Call {
                    conversation: &conversation.id,
                    flow_version,
                };
                assert_eq!(caller.ask(NAME, call).await.flow_version, "v1");
            }
        }
    }
}
