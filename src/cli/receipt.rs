//! What is said of a receipt: which replicas decide by a change, and whether the one that answered would after a restart.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::api::{Confirmation, Receipt};
use super::client::Answer;
use super::failure::Failure;
use super::output::{Output, table};

/// Told of a change that the replica which answered could not write down.
const UNSAVED: &str = "\n\nnote: the replica that answered cannot write its last-good file: after a restart while the store is away it would not \
                       know this change; look at the alarm last_good_file";

/// The part of a write's answer that is about the replicas.
#[derive(Debug, Deserialize)]
struct Receipted {
    #[serde(default)]
    saved: Option<bool>,
    #[serde(default)]
    receipt: Option<Receipt>,
}

/// Prints the answer to a write, and its receipt if there is one. A receipt that leaves something open is a failure after
/// that: the change is made, but a script may not go on as if everybody had it.
pub(super) fn print<T: DeserializeOwned>(
    output: Output,
    answer: &Answer,
    describe: impl FnOnce(T) -> String,
) -> Result<(), Failure> {
    let Receipted { saved, receipt } = answer.read()?;
    output.print(answer, |written| {
        describe(written) + &describe_replicas(saved, receipt.as_ref())
    })?;
    match receipt.as_ref().and_then(doubt) {
        Some(doubt) => Err(Failure::pending(doubt)),
        None => Ok(()),
    }
}

fn describe_replicas(saved: Option<bool>, receipt: Option<&Receipt>) -> String {
    let unsaved = if saved == Some(false) { UNSAVED } else { "" };
    unsaved.to_owned() + &receipt.map(describe_receipt).unwrap_or_default()
}

fn describe_receipt(receipt: &Receipt) -> String {
    let rows = receipt
        .replicas
        .iter()
        .map(|replica| [replica.replica.clone(), standing(replica)]);
    format!("\n\n{}", table(["replica", "decides by it"], rows))
}

fn standing(confirmation: &Confirmation) -> String {
    match (confirmation.status.as_str(), confirmation.acknowledged_ms) {
        ("acknowledged", Some(ms)) => format!("after {ms} ms at the most"),
        ("unconfirmed", _) => "not confirmed in time".to_owned(),
        ("silent", _) => "silent before: killed, or cut off".to_owned(),
        (status, _) => status.to_owned(),
    }
}

/// What a receipt leaves open, if it does.
fn doubt(receipt: &Receipt) -> Option<String> {
    match receipt.status.as_str() {
        "all" => None,
        "unknown" => Some(
            "the change is made, but who decides by it is not known: the replicas' heartbeats cannot be read"
                .to_owned(),
        ),
        _ => {
            let open = receipt
                .replicas
                .iter()
                .filter(|replica| replica.status == "unconfirmed");
            let open: Vec<_> = open.map(|replica| replica.replica.as_str()).collect();
            Some(format!(
                "the change is made, but not confirmed in time by {}",
                open.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(json: &str) -> Receipt {
        serde_json::from_str(json).expect("a receipt")
    }

    #[test]
    fn a_receipt_says_of_each_replica_what_is_known() {
        let receipt = receipt(
            r#"{"status":"unconfirmed","replicas":[
                {"replica":"a","status":"acknowledged","acknowledged_ms":12},
                {"replica":"b","status":"unconfirmed","acknowledged_ms":null},
                {"replica":"c","status":"silent","acknowledged_ms":null}
            ]}"#,
        );
        insta::assert_snapshot!(describe_receipt(&receipt).trim_start_matches('\n'), @"
         replica   decides by it
        ─────────────────────────────────────────────
         a         after 12 ms at the most
         b         not confirmed in time
         c         silent before: killed, or cut off
        ");
        assert_eq!(
            doubt(&receipt).expect("a doubt"),
            "the change is made, but not confirmed in time by b"
        );
    }

    #[test]
    fn a_change_that_a_restart_might_lack_is_told_of_and_no_other() {
        let told = |json: &str| {
            let Receipted { saved, receipt } = serde_json::from_str(json).expect("an answer");
            describe_replicas(saved, receipt.as_ref())
        };
        assert_eq!(told(r#"{"outcome":"committed"}"#), "");
        assert_eq!(told(r#"{"outcome":"committed","saved":false}"#), UNSAVED);
    }

    #[test]
    fn only_a_receipt_of_all_leaves_nothing_open() {
        assert_eq!(doubt(&receipt(r#"{"status":"all","replicas":[]}"#)), None);
        for open in ["unknown", "unconfirmed", "of a later version"] {
            let receipt = format!(r#"{{"status":"{open}","replicas":[]}}"#);
            assert!(doubt(&self::receipt(&receipt)).is_some(), "{open}");
        }
    }
}
