//! `genesys mirror`.

use clap::Args;

use crate::cli::api::{Mirror, MirroredRow};
use crate::cli::connection::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, table};

/// Arguments of `genesys mirror`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    admin: AdminArgs,
}

impl Show {
    pub(super) async fn run(self, output: Output) -> Result<(), Failure> {
        let client = self.admin.client()?;
        let answer = client.get(client.url(&["v1", "mirror"])).await?;
        output.print(&answer, |mirror: Mirror| describe(&mirror))
    }
}

/// The rows, one a line.
fn describe(mirror: &Mirror) -> String {
    let Some(id) = &mirror.data_table else {
        return "no data table is mirrored: serve has no --genesys-datatable-id".to_owned();
    };
    let rows = mirror.rows.iter().map(|row| {
        let MirroredRow { environment, row } = row;
        let row = row.as_ref();
        let state = row.map_or("?", |row| if row.current { "current" } else { "behind" });
        let seen_at = row.and_then(|row| row.seen_at.clone());
        let held_up = row.and_then(|row| row.held_up.as_ref());
        let held_up = held_up.map(|met| format!("since {}: {}", met.since, met.why));
        [
            environment.clone(),
            state.to_owned(),
            seen_at.unwrap_or_else(|| "never".to_owned()),
            held_up.unwrap_or_default(),
        ]
    });
    let rows = table(["environment", "row", "seen at", "held up"], rows);
    format!("data table {id}\n{rows}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_row_says_how_it_stands() {
        let mirror = json!({
            "data_table": "0c7d",
            "rows": [
                { "environment": "A", "row": { "current": true, "seen_at": "2026-01-05T08:00:00Z", "held_up": null } },
                { "environment": "B", "row": { "current": false, "seen_at": null,
                    "held_up": { "since": "2026-01-05T08:00:00Z", "why": "there is no row B" } } },
                { "environment": "C", "row": null },
            ],
        });
        let told = describe(&serde_json::from_value(mirror).unwrap());
        let lines: Vec<_> = told
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines[0], "data table 0c7d");
        assert_eq!(
            lines[3..],
            [
                "A current 2026-01-05T08:00:00Z",
                "B behind never since 2026-01-05T08:00:00Z: there is no row B",
                "C ? never",
            ]
        );
        let none = json!({ "data_table": null, "rows": [] });
        let told = describe(&serde_json::from_value(none).unwrap());
        assert!(told.contains("--genesys-datatable-id"), "{told}");
    }
}
