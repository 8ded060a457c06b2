//! `status`: every environment and every replica at a glance.

use clap::Args;
use serde_json::{Value, json};

use super::api::{Environment, Environments, ReplicaState, Replicas};
use super::client::{Answer, Client};
use super::connection::AdminArgs;
use super::exit::Exit;
use super::failure::Failure;
use super::glance;
use super::output::{Output, table};
use super::paint::{Paint, paint};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    admin: AdminArgs,
}

impl Status {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let environments = client.get(client.url(&["v1", "environments"])).await?;
        let replicas = replicas(&client).await?;
        let list = replicas
            .as_ref()
            .map(Answer::read::<Replicas>)
            .transpose()?;
        let told = describe(&environments.read()?, list.as_ref());
        let raw = json!({
            "environments": environments.read::<Value>()?,
            "replicas": replicas.map(|replicas| replicas.read::<Value>()).transpose()?,
        });
        output.print_own(&raw, &told)
    }
}

/// The replicas; `None` if the token may not look at them.
async fn replicas(client: &Client) -> Result<Option<Answer>, Failure> {
    match client.get(client.url(&["v1", "replicas"])).await {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.exit == Exit::NotAllowed => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn describe(all: &Environments, replicas: Option<&Replicas>) -> String {
    let stale = all.stale.then(|| glance::staleness(all.age_ms));
    let mut parts: Vec<_> = stale
        .map(|stale| paint(Paint::Bad, &stale))
        .into_iter()
        .collect();
    let rows = all.environments.iter().map(row);
    let header = [
        "environment",
        "revision",
        "active",
        "new calls",
        "rollout",
        "note",
    ];
    parts.push(match all.environments.is_empty() {
        true => "no environment that this token may read".to_owned(),
        false => table(header, rows),
    });
    parts.push(match replicas {
        Some(replicas) => {
            let rows = replicas
                .replicas
                .iter()
                .map(|one| [one.replica.clone(), standing(one), one.version.clone()]);
            table(["replica", "standing", "version"], rows)
        }
        None => "replicas: this token may not look at them".to_owned(),
    });
    parts.join("\n\n")
}

fn row(environment: &Environment) -> [String; 6] {
    let active = &environment.slots[environment.active];
    let version = active
        .flow_version
        .as_ref()
        .map_or("–", |version| version.label.as_str());
    let rollout = environment.rollout.as_ref().map(glance::rollout);
    let rollout = rollout.map(|told| told.trim_start_matches("rollout: ").to_owned());
    let is_frozen = environment
        .freezes
        .iter()
        .any(|one| one.status == "in_force");
    let note = match &environment.fault {
        Some(fault) => format!("FAULT: {fault}"),
        None if is_frozen => "frozen".to_owned(),
        None => String::new(),
    };
    [
        environment.environment.clone(),
        environment.revision.to_string(),
        format!("{} ({version})", environment.active),
        glance::shares(environment),
        rollout.unwrap_or_else(|| "–".to_owned()),
        note,
    ]
}

fn standing(replica: &ReplicaState) -> String {
    match (replica.live, replica.lag) {
        (false, _) => format!("silent for {} s", replica.age_ms / 1_000),
        (true, 0) => "live, has every change".to_owned(),
        (true, lag) => format!("live, {lag} changes behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_seen_at_a_glance() {
        let slot = |label: &str, share: u8| {
            json!({
                "flow": { "id": "f", "name": "F" }, "status": "version", "share": share, "claim": null, "share_ended_at": null,
                "flow_version": { "label": label, "interface": 0, "registered_at": "x" },
            })
        };
        let environment = |name: &str, rollout: Value, freezes: Value| {
            json!({
                "environment": name, "revision": 7, "active": "blue", "previously_active": null, "rollout": rollout,
                "slots": { "blue": slot("1.0", 95), "green": slot("2.0", 5) }, "freezes": freezes, "fault": null,
            })
        };
        let freeze =
            json!([{ "number": 1, "start": "a", "end": "b", "reason": "r", "status": "in_force" }]);
        let all = json!({
            "environments": [
                environment("Main_IVR", json!({ "step": 1, "steps": 4, "paused": null }), json!([])),
                environment("Other_IVR", Value::Null, freeze),
            ],
            "stale": false, "age_ms": 0,
        });
        let replicas = json!({ "head": 9, "replicas": [
            { "replica": "a", "live": true, "lag": 0, "age_ms": 10, "version": "0.1.0" },
            { "replica": "b", "live": true, "lag": 2, "age_ms": 10, "version": "0.1.0" },
            { "replica": "c", "live": false, "lag": 5, "age_ms": 61_000, "version": "0.1.0" },
        ] });
        let (all, replicas) = (
            serde_json::from_value(all).unwrap(),
            serde_json::from_value(replicas).unwrap(),
        );
        insta::assert_snapshot!(describe(&all, Some(&replicas)), @"
         environment   revision   active       new calls              rollout       note
        ───────────────────────────────────────────────────────────────────────────────────
         Main_IVR      7          blue (1.0)   blue 95 %, green 5 %   step 1 of 4
         Other_IVR     7          blue (1.0)   blue 95 %, green 5 %   –             frozen

         replica   standing                 version
        ────────────────────────────────────────────
         a         live, has every change   0.1.0
         b         live, 2 changes behind   0.1.0
         c         silent for 61 s          0.1.0
        ");
        assert!(describe(&all, None).ends_with("may not look at them"));
    }
}
