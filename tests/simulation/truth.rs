//! What was said and acknowledged, held against what must always be so.
//!
//! While the course runs: an answer comes in time; within a process no environment goes back a revision; an answer that says it
//! is `validated` has every revision acknowledged before the call.
//!
//! At the end, from the journal alone: what was acknowledged is there, and the chain is whole; every answer is what its revision
//! says, so equal calls had equal answers everywhere; a higher weight took no caller from the candidate; nobody went to a version
//! that was rolled back; nothing was promoted, since nobody reported anything; a state that nobody can read held up its own
//! environment alone; and everybody has come to the same end.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Add;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use traffic_cop::domain::Environment;
use traffic_cop::domain::decision::{self, Compiled};
use traffic_cop::domain::environment::Standing;
use traffic_cop::domain::ids::{AggregateKey, EnvironmentName, Revision, Sequence};
use traffic_cop::store::format::Document;
use traffic_cop::store::record::Entry;
use traffic_cop::store::verify::Verification;

use crate::deployment::Report;
use crate::support::caller::Decided;

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    courses: usize,
    answers: usize,
    validated: usize,
    acknowledged: usize,
    records: usize,
    processes: usize,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            courses: self.courses + other.courses,
            answers: self.answers + other.answers,
            validated: self.validated + other.validated,
            acknowledged: self.acknowledged + other.acknowledged,
            records: self.records + other.records,
            processes: self.processes + other.processes,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            courses,
            answers,
            validated,
            acknowledged,
            records,
            processes,
        } = self;
        write!(
            f,
            "{courses} courses: {answers} answers, {validated} of them validated; {acknowledged} changes acknowledged, {records} in \
             journals; {processes} processes"
        )
    }
}

/// What was known when a call came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    acknowledged: u64,
    seen: u64,
}

/// An answer to a call.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) process: usize,
    pub(crate) environment: &'static str,
    pub(crate) conversation: String,
    /// The version that the caller named.
    pub(crate) named: String,
    pub(crate) decided: Decided,
    pub(crate) is_in_time: bool,
}

/// A change that somebody was told of.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    environment: &'static str,
    revision: Revision,
    sequence: Sequence,
}

#[derive(Debug)]
pub(crate) struct Truth {
    started: Instant,
    answers: Vec<Answered>,
    acknowledged: Vec<Acknowledged>,
    /// The highest revision that each process has answered by.
    seen: BTreeMap<(usize, &'static str), u64>,
    /// The version that each conversation was in last.
    versions: BTreeMap<(&'static str, String), String>,
    /// Where each process is at the end.
    ends: Vec<(usize, &'static str, u64)>,
    trace: Vec<(Duration, String)>,
    broken: Option<String>,
    records: usize,
}

impl Truth {
    /// Nothing has happened yet. Needs a runtime.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            answers: Vec::new(),
            acknowledged: Vec::new(),
            seen: BTreeMap::new(),
            versions: BTreeMap::new(),
            ends: Vec::new(),
            trace: Vec::new(),
            broken: None,
            records: 0,
        }
    }

    pub(crate) fn note(&mut self, event: String) {
        self.trace.push((self.started.elapsed(), event));
    }

    fn breaks(&mut self, why: String) {
        self.note(format!("BROKEN: {why}"));
        self.broken.get_or_insert(why);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(crate) fn panicked(&mut self, panic: &JoinError) {
        if panic.is_panic() {
            self.breaks(format!("a panic: {panic}"));
        }
    }

    pub(crate) fn last_version(
        &self,
        environment: &'static str,
        conversation: &str,
    ) -> Option<String> {
        let key = (environment, conversation.to_owned());
        self.versions.get(&key).cloned()
    }

    /// A call comes in.
    pub(crate) fn asks(&self, process: usize, environment: &'static str) -> Asked {
        let of = |change: &&Acknowledged| change.environment == environment;
        let revisions = self.acknowledged.iter().filter(of);
        Asked {
            acknowledged: revisions.map(|change| change.revision.0).max().unwrap_or(0),
            seen: self.seen.get(&(process, environment)).copied().unwrap_or(0),
        }
    }

    /// It is answered.
    pub(crate) fn answers(&mut self, asked: Asked, answered: Answered) {
        let Answered {
            process,
            environment,
            decided,
            ..
        } = &answered;
        let (process, environment, revision) = (*process, *environment, decided.revision);
        self.note(format!("{process} answers {answered:?}"));
        if !answered.is_in_time {
            self.breaks(format!("an answer came late: {answered:?}"));
        }
        if revision < asked.seen {
            self.breaks(format!(
                "process {process} went back from {} to {answered:?}",
                asked.seen
            ));
        }
        if answered.decided.is_validated() && revision < asked.acknowledged {
            self.breaks(format!(
                "{} was acknowledged before {answered:?}",
                asked.acknowledged
            ));
        }
        let seen = self.seen.entry((process, environment)).or_default();
        *seen = revision.max(*seen);
        let key = (environment, answered.conversation.clone());
        self.versions
            .insert(key, answered.decided.flow_version.clone());
        self.answers.push(answered);
    }

    /// A change is acknowledged.
    pub(crate) fn acknowledges(
        &mut self,
        process: usize,
        environment: &'static str,
        revision: Revision,
        sequence: Sequence,
    ) {
        self.note(format!(
            "{process} acknowledges {environment} at {revision}, {sequence}"
        ));
        self.acknowledged.push(Acknowledged {
            environment,
            revision,
            sequence,
        });
    }

    /// Where a process is when all is over.
    pub(crate) fn ends_at(&mut self, process: usize, environment: &'static str, revision: u64) {
        self.ends.push((process, environment, revision));
    }

    pub(crate) fn report(&mut self) -> Report {
        // What happens in one moment has no order of its own.
        self.trace.sort();
        let is_validated = |answer: &&Answered| answer.decided.is_validated();
        Report {
            tally: Tally {
                courses: 1,
                answers: self.answers.len(),
                validated: self.answers.iter().filter(is_validated).count(),
                acknowledged: self.acknowledged.len(),
                records: self.records,
                processes: self
                    .trace
                    .iter()
                    .filter(|event| event.1.contains(" starts in "))
                    .count(),
            },
            trace: std::mem::take(&mut self.trace),
        }
    }

    /// Holds everything against the journal.
    pub(crate) fn judge(
        &mut self,
        entries: &[Entry],
        verification: &Verification,
        spoiled: Option<&str>,
    ) -> Result<(), Broken> {
        self.records = entries.len();
        let states = states(entries);
        let checks = [
            self.broken.clone().map_or(Ok(()), Err),
            check_chain(verification, spoiled),
            self.check_acknowledged(entries),
            self.check_answers(&states),
            self.check_weights(&states),
            check_silence(entries),
            self.check_ends(&states, spoiled),
        ];
        match checks.into_iter().find_map(Result::err) {
            Some(why) => Err(Broken(why)),
            None => Ok(()),
        }
    }

    fn check_acknowledged(&self, entries: &[Entry]) -> Result<(), String> {
        for change in &self.acknowledged {
            let is_there = entries.iter().any(|entry| match entry {
                Entry::Record(record) => {
                    record.sequence == change.sequence
                        && record.change.revision == change.revision
                        && name(&record.change.aggregate) == Some(change.environment.to_owned())
                }
                Entry::Bridge(_) | Entry::Unreadable(_) => false,
            });
            if !is_there {
                return Err(format!("{change:?} is not in the journal"));
            }
        }
        Ok(())
    }

    /// Every answer is what the state at its revision says, and goes nowhere that a rollback has closed.
    fn check_answers(&self, states: &States) -> Result<(), String> {
        for answer in &self.answers {
            let state = states.get(&(answer.environment.to_owned(), answer.decided.revision));
            let state = state.ok_or_else(|| format!("no revision of {answer:?}"))?;
            let key: EnvironmentName = answer.environment.parse().expect("a name");
            let compiled = Compiled::new(key, Revision(answer.decided.revision), state);
            let call = decision::Request {
                conversation_id: &answer.conversation,
                flow_version: &answer.named,
                ..decision::Request::default()
            };
            let no_clock = || panic!("there are no overrides");
            let expected = decision::decide(&compiled, &call, no_clock, || panic!("it has an id"));
            let version = state.slots[expected.slot].version.as_ref();
            let label = version.map(|version| version.label.to_string());
            if expected.reason.as_str() != answer.decided.reason
                || label.as_deref() != Some(answer.decided.flow_version.as_str())
            {
                return Err(format!(
                    "{answer:?}, but its revision says {expected:?}, {label:?}"
                ));
            }
            let standing = version.map(|version| version.standing);
            if standing == Some(Standing::RolledBack { keep_calls: false }) {
                return Err(format!("{answer:?} goes to a version that was rolled back"));
            }
        }
        Ok(())
    }

    /// While the candidate is the same and the weight does not fall, whoever went there goes there.
    fn check_weights(&self, states: &States) -> Result<(), String> {
        let mut calls: BTreeMap<_, Vec<&Answered>> = BTreeMap::new();
        for answer in self.answers.iter().filter(|answer| answer.named.is_empty()) {
            let key = (answer.environment, answer.conversation.as_str());
            calls.entry(key).or_default().push(answer);
        }
        for ((environment, _), mut answers) in calls {
            answers.sort_by_key(|answer| answer.decided.revision);
            for pair in answers.windows(2) {
                let [before, after] = pair else { continue };
                let between = before.decided.revision..=after.decided.revision;
                let between: Vec<_> = between
                    .filter_map(|revision| states.get(&(environment.to_owned(), revision)))
                    .collect();
                let candidate = |state: &&Environment| {
                    let version = state.slots[state.candidate()].version.as_ref();
                    (
                        state.candidate(),
                        version.map(|version| version.label.to_string()),
                    )
                };
                let is_rising = between.windows(2).all(|two| {
                    candidate(&two[0]) == candidate(&two[1]) && two[0].weight <= two[1].weight
                });
                let Some(label) = between.first().and_then(|state| candidate(state).1) else {
                    continue;
                };
                if is_rising
                    && before.decided.flow_version == label
                    && after.decided.flow_version != label
                {
                    return Err(format!(
                        "{before:?} was taken from the candidate: {after:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Everybody knows everything, but for what cannot be read.
    fn check_ends(&self, states: &States, spoiled: Option<&str>) -> Result<(), String> {
        for (process, environment, revision) in &self.ends {
            let of = |((name, revision), _): (&(String, u64), _)| {
                (name == environment).then_some(*revision)
            };
            let last = states.iter().filter_map(of).max();
            let last = last.ok_or_else(|| format!("{environment} is not in the journal"))?;
            if *revision != last {
                return Err(format!(
                    "process {process} ended at {revision} of {environment}, the last that can be read is {last}; spoiled: {spoiled:?}"
                ));
            }
        }
        Ok(())
    }
}

/// The journal is whole, and so is every row but that of an environment whose last state cannot be read.
fn check_chain(verification: &Verification, spoiled: Option<&str>) -> Result<(), String> {
    let is_expected = |problem: &str| {
        let row = spoiled.map(|name| format!("the row of environment/{name} "));
        row.is_some_and(|row| problem.starts_with(&row))
    };
    let mut findings = verification.findings.iter();
    match findings.find(|finding| !is_expected(&finding.problem)) {
        Some(finding) => Err(format!("the journal is not whole: {finding:?}")),
        None => Ok(()),
    }
}

/// Nobody reported anything, so nothing was promoted by itself.
fn check_silence(entries: &[Entry]) -> Result<(), String> {
    let promoted = entries.iter().find(|entry| match entry {
        Entry::Record(record) => {
            ["advance_rollout", "finish_rollout"].contains(&record.change.action.as_str())
        }
        Entry::Bridge(_) | Entry::Unreadable(_) => false,
    });
    promoted.map_or(Ok(()), |entry| {
        Err(format!("promoted by silence: {entry:?}"))
    })
}

/// What can be read of each environment, by revision.
type States = BTreeMap<(String, u64), Environment>;

fn states(entries: &[Entry]) -> States {
    let records = entries.iter().filter_map(|entry| match entry {
        Entry::Record(record) => Some(&record.change),
        Entry::Bridge(_) | Entry::Unreadable(_) => None,
    });
    records
        .filter_map(|change| {
            let name = name(&change.aggregate)?;
            let document = Document::<Environment>::read(change.format, &change.state).ok()?;
            Some(((name, change.revision.0), document.state?))
        })
        .collect()
}

fn name(aggregate: &AggregateKey) -> Option<String> {
    match aggregate {
        AggregateKey::Environment(name) => Some(name.to_string()),
        AggregateKey::Access | AggregateKey::Settings | AggregateKey::Other(_) => None,
    }
}
