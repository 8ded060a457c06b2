//! A deployment as it is: what `status` prints once and `watch` keeps on showing.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::{
    Alarms, Drain, Environment, Environments, ReplicaState, Replicas, RolloutEvidence,
};
use super::client::{Answer, Client};
use super::exit::Exit;
use super::failure::Failure;
use super::glance;
use super::output::table;
use super::paint::{Paint, paint};
use crate::domain::ids::EnvironmentName;

/// Minutes over which calls are counted.
const MINUTES: u16 = 5;
/// Environments of which details are asked for at the most. Each is a question or two of its own.
const MOST_DETAILED: usize = 16;

/// What is known of a deployment.
#[derive(Debug)]
pub(super) struct Overview {
    environments: Environments,
    /// `None` if the token may not look at them; the same for alarms, which are those of the replica that answered.
    replicas: Option<Replicas>,
    alarms: Option<Alarms>,
    /// The answers.
    raw: Value,
}

/// What takes more than a look at the list of environments.
#[derive(Debug, Clone, Default)]
pub(super) struct Detail {
    /// New and returning calls in [`MINUTES`].
    calls: Option<u64>,
    /// What a rollout under way waits for.
    waits: Option<Vec<String>>,
}

impl Overview {
    /// Looks at a whole deployment, or at one environment of it.
    pub(super) async fn look(
        client: &Client,
        only: Option<&EnvironmentName>,
    ) -> Result<Self, Failure> {
        let (environments, raw) = match only {
            Some(name) => {
                let url = client.url(&["v1", "environments", name.as_str()]);
                let answer = client.get(url).await?;
                let one: Environment = answer.read()?;
                let (stale, age_ms) = (one.stale, one.age_ms);
                let all = Environments {
                    environments: vec![one],
                    stale,
                    age_ms,
                };
                (all, json!({ "environments": [answer.read::<Value>()?] }))
            }
            None => {
                let answer = client.get(client.url(&["v1", "environments"])).await?;
                (answer.read()?, answer.read()?)
            }
        };
        let replicas = allowed(client, &["v1", "replicas"]).await?;
        let health = allowed(client, &["v1", "health", "detail"]).await?;
        let read = |answer: &Option<Answer>| answer.as_ref().map(Answer::read).transpose();
        let alarms = read(&health)?.map(|health: Value| health["alarms"].clone());
        let raw = json!({ "environments": raw, "replicas": read(&replicas)?, "alarms": alarms });
        Ok(Self {
            environments,
            replicas: replicas.as_ref().map(Answer::read).transpose()?,
            alarms: health.as_ref().map(Answer::read).transpose()?,
            raw,
        })
    }

    /// The answers that it is made of.
    pub(super) fn raw(&self) -> &Value {
        &self.raw
    }

    /// Asks for the calls of each environment, and for what its rollout waits for. What cannot be told at the moment is left out.
    pub(super) async fn details(&self, client: &Client) -> BTreeMap<String, Detail> {
        let mut details = BTreeMap::new();
        for environment in self.environments.environments.iter().take(MOST_DETAILED) {
            let name = environment.environment.as_str();
            let of = |resource: &[&str]| {
                let path = ["v1", "environments", name];
                client.url(&[&path, resource].concat())
            };
            let mut url = of(&["drain"]);
            url.query_pairs_mut()
                .append_pair("minutes", &MINUTES.to_string());
            let drain: Option<Drain> = answered(client, url).await;
            let waits = match &environment.rollout {
                Some(rollout) if rollout.paused.is_none() => {
                    let evidence = answered(client, of(&["rollout", "evidence"])).await;
                    evidence.map(|evidence: RolloutEvidence| evidence.waits)
                }
                Some(_) | None => None,
            };
            let calls = drain.map(|drain| drain.slots.iter().map(|(_, slot)| slot.calls).sum());
            details.insert(name.to_owned(), Detail { calls, waits });
        }
        details
    }

    /// For people at a terminal.
    pub(super) fn describe(&self) -> String {
        self.describe_with(&BTreeMap::new())
    }

    /// The same with what was asked for besides.
    pub(super) fn describe_with(&self, details: &BTreeMap<String, Detail>) -> String {
        let all = &self.environments;
        let mut parts = Vec::new();
        if all.stale {
            parts.push(paint(Paint::Bad, &glance::staleness(all.age_ms)));
        }
        let known = self.alarms.iter().flat_map(|known| &known.alarms);
        let known = known.map(|alarm| format!("ALARM {}: {}", alarm.condition, alarm.why));
        let elsewhere = self.alarms_elsewhere().into_iter();
        let elsewhere = elsewhere.map(|(condition, replica)| {
            format!("ALARM {condition}: at replica {replica}, whose log says why")
        });
        let alarms = known.chain(elsewhere);
        let alarms: Vec<_> = alarms.map(|line| paint(Paint::Bad, &line)).collect();
        if !alarms.is_empty() {
            parts.push(alarms.join("\n"));
        }
        parts.push(self.describe_environments(details));
        parts.push(match &self.replicas {
            Some(Replicas { replicas }) => {
                let rows = replicas
                    .iter()
                    .map(|one| [one.replica.clone(), standing(one), one.version.clone()]);
                let paints = replicas.iter().map(|one| (!one.live).then_some(Paint::Bad));
                painted(&table(["replica", "standing", "version"], rows), paints)
            }
            None => "replicas: this token may not look at them".to_owned(),
        });
        parts.join("\n\n")
    }

    fn describe_environments(&self, details: &BTreeMap<String, Detail>) -> String {
        let all = &self.environments.environments;
        if all.is_empty() {
            return "no environment that this token may read".to_owned();
        }
        let rows = all.iter().map(|environment| {
            let detail = details.get(&environment.environment);
            row(environment, detail.unwrap_or(&Detail::default()))
        });
        let header = [
            "environment",
            "revision",
            "active",
            "new calls",
            "rollout",
            "note",
        ];
        painted(&table(header, rows), all.iter().map(concern))
    }

    /// What somebody who only hears of changes wants to hear of, under what it is about.
    pub(super) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        if self.environments.stale {
            let store = "STALE: the store does not answer; what changed since is not known";
            facts.insert("store".to_owned(), store.to_owned());
        }
        for environment in &self.environments.environments {
            let name = &environment.environment;
            let [_, revision, active, calls, rollout, note] = row(environment, &Detail::default());
            let rollout = environment.rollout.as_ref().map(|_| rollout);
            let rollout = rollout.map(|rollout| format!("; rollout {rollout}"));
            let note = (!note.is_empty()).then(|| format!("; {note}"));
            let (rollout, note) = (rollout.unwrap_or_default(), note.unwrap_or_default());
            let told =
                format!("{name} revision {revision}: active {active}; {calls}{rollout}{note}");
            facts.insert(name.clone(), told);
        }
        for replica in self.replicas.iter().flat_map(|all| &all.replicas) {
            let about = format!("replica {}", replica.replica);
            let state = if replica.live { "live" } else { "silent" };
            facts.insert(about.clone(), format!("{about}: {state}"));
        }
        for alarm in self.alarms.iter().flat_map(|all| &all.alarms) {
            let about = format!("alarm {}", alarm.condition);
            facts.insert(about.clone(), format!("{about}: {}", alarm.why));
        }
        for (condition, replica) in self.alarms_elsewhere() {
            let about = format!("alarm {condition} at replica {replica}");
            facts.insert(about.clone(), format!("{about}: its log says why"));
        }
        facts
    }

    /// The alarms of live replicas of which the answers do not say why they are raised, and the replica of each. Behind a balancer each
    /// look may be answered by another one.
    fn alarms_elsewhere(&self) -> Vec<(&str, &str)> {
        let answered_by = self.alarms.as_ref().map(|known| known.replica.as_str());
        let replicas = self.replicas.iter().flat_map(|all| &all.replicas);
        let others = replicas.filter(|one| one.live && Some(one.replica.as_str()) != answered_by);
        let alarms = others.flat_map(|one| {
            let alarms = one.alarms.iter();
            alarms.map(|condition| (condition.as_str(), one.replica.as_str()))
        });
        let mut alarms: Vec<_> = alarms.collect();
        alarms.sort_unstable();
        alarms
    }
}

/// What is new in `after`, a line each.
pub(super) fn news(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<String> {
    let over = before.keys().filter(|about| !after.contains_key(*about));
    let over = over.map(|about| format!("{about}: over"));
    let told = after
        .iter()
        .filter(|(about, told)| before.get(*about) != Some(*told))
        .map(|(_, told)| told.clone());
    over.chain(told).collect()
}

/// What is at `path`; `None` if the token may not look at it.
async fn allowed(client: &Client, path: &[&str]) -> Result<Option<Answer>, Failure> {
    match client.get(client.url(path)).await {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.exit == Exit::NotAllowed => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What is at `url`, if it is told.
async fn answered<T: DeserializeOwned>(client: &Client, url: Url) -> Option<T> {
    client.get(url).await.and_then(|answer| answer.read()).ok()
}

fn row(environment: &Environment, detail: &Detail) -> [String; 6] {
    let active = &environment.slots[environment.active];
    let version = active
        .flow_version
        .as_ref()
        .map_or("–", |version| version.label.as_str());
    let rollout = environment.rollout.as_ref().map(glance::rollout);
    let rollout = rollout.map(|told| told.trim_start_matches("rollout: ").to_owned());
    let waits = detail.waits.as_ref().map(|waits| match waits.as_slice() {
        [] => "; moves on".to_owned(),
        [one] => format!("; {one}"),
        [first, others @ ..] => format!("; {first}, and {} more", others.len()),
    });
    let calls = detail.calls.map(|calls| {
        let calls = calls as f64 / f64::from(MINUTES);
        let calls = if calls < 10.0 && calls > 0.0 {
            format!("{calls:.1}")
        } else {
            format!("{calls:.0}")
        };
        format!("; {calls} a minute")
    });
    let note = match &environment.fault {
        Some(fault) => format!("FAULT: {fault}"),
        None if is_frozen(environment) => "frozen".to_owned(),
        None => String::new(),
    };
    [
        environment.environment.clone(),
        environment.revision.to_string(),
        format!("{} ({version})", environment.active),
        glance::shares(environment) + &calls.unwrap_or_default(),
        rollout.map_or_else(|| "–".to_owned(), |told| told + &waits.unwrap_or_default()),
        note,
    ]
}

/// How much an environment wants to be looked at.
fn concern(environment: &Environment) -> Option<Paint> {
    let is_paused = environment
        .rollout
        .as_ref()
        .is_some_and(|rollout| rollout.paused.is_some());
    match environment.fault {
        Some(_) => Some(Paint::Bad),
        None if is_paused || is_frozen(environment) => Some(Paint::Doubtful),
        None => None,
    }
}

fn is_frozen(environment: &Environment) -> bool {
    let freezes = &environment.freezes;
    freezes.iter().any(|one| one.status == "in_force")
}

fn standing(replica: &ReplicaState) -> String {
    match (replica.live, replica.lag) {
        (false, _) => format!("silent for {} s", replica.age_ms / 1_000),
        (true, 0) => "live, has every change".to_owned(),
        (true, lag) => format!("live, {lag} changes behind"),
    }
}

/// A table whose rows are painted, header and rule aside.
fn painted(table: &str, paints: impl IntoIterator<Item = Option<Paint>>) -> String {
    let paints = [None, None].into_iter().chain(paints);
    let lines = table.lines().zip(paints.chain(std::iter::repeat(None)));
    let lines: Vec<_> = lines
        .map(|(line, colour)| match colour {
            Some(colour) => paint(colour, line),
            None => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
