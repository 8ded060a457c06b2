//! The command line as a whole: what parses, what does not, what the help promises.

use clap::{CommandFactory as _, Parser as _};

use super::{Cli, Verb};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("traffic-cop").chain(line.split_whitespace()))
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_subcommand_parses_with_what_its_help_asks_for() {
    for line in [
        "serve --data-dir d --drain-minutes 5 --default-snapshot default.snapshot",
        "table create --region eu-central-1",
        "demo --speed 120 --calls-per-second 80 --plan canary --seed 7 --until-done --admin 127.0.0.1:9001",
        "env create Main --blue-flow a=A --green-flow b=B --flow-version 1 --reason new",
        "env list --server https://admin.example",
        "env show Main --at 7",
        "env delete Main --yes --reason gone",
        "slot claim Main --flow-version 2 --expires-in-minutes 30 --reason r",
        "slot release Main --nothing-published --reason r --if-match 3",
        "slot rebind Main --slot green --flow c=C --reason r",
        "flow register Main --flow-version 2 --slot green --interface 4 --reason r",
        "flow register Main --flow-version 2 --force-incompatible --reason r",
        "interface define Main 4 --file i.yaml --reason r",
        "interface list Main",
        "interface remove Main 4 --reason r",
        "variables set Main A=1 B=x=y --reset C --reason r",
        "variables set Main --reset C --reset D --reason r",
        "variables show Main",
        "env create Main --blue-flow a=A --green-flow b=B --flow-version 1 --interface 1 --interface-file i.yaml --reason new",
        "cutover Main --to green --force-incompatible --reason r",
        "cutover Main --to green --reason r",
        "cutover Main --skip-preflight --reason r",
        "preflight Main",
        "flow register Main --flow-version 2 --published-version 45.0 --reason r",
        "flow register Main --flow-version 2 --published-version current-if-known --reason r",
        "smoke Main --caller +49301 --for 2h --timeout 60 --simulate",
        "smoke Main --dialled 0800 --reason r",
        "smoke Main --direct 7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e",
        "status",
        "watch",
        "watch Main --server https://admin.example --output json",
        "doctor --json --environment Main",
        "man target/man",
        "cutover Main --wait --reason r",
        "rollback Main --wait=10000",
        "rollback Main",
        "weight Main 12.5 --reason r --idempotency-key build-1",
        "override add Main --ani tel:+49-30-1 --to green --minutes 30 --owner anna --reason r",
        "override add Main --dnis 0800 --to green --expires-in-minutes 1440 --owner anna --reason r",
        "override list Main",
        "override remove Main --dnis 0800 --reason r",
        "freeze add --environment Main --start 2026-12-23T18:00:00+01:00 --end 2026-12-27T00:00:00Z --reason r",
        "freeze add --environment Main --end 2026-12-27T00:00:00Z --reason r --if-match 4",
        "freeze list --environment Main",
        "freeze list",
        "freeze add --end 2026-12-27T00:00:00Z --reason r",
        "freeze remove 4 --reason r",
        "settings repair --reason r",
        "freeze remove 4 --environment Main --reason r",
        "genesys export Main --address https://decide.example --out kit",
        "genesys export Main --address https://decide.example/cop --interface 2 --credential oauth --out kit --default-slot green \
         --timeout-seconds 2 --language de-de --traffic-cop-flow T --integration I --table D --last-resort-queue Q",
        "genesys export Main --address https://decide.example --out kit --offline --blue-flow B --green-flow G --interface 1 \
         --interface-file i.yaml --blue-version 1 --green-version 2",
        "genesys fill Main --template ivr.yaml --flow-version 2 --slot green --out green.yaml",
        "webhook add chat --url https://chat.example/x --secret ours --environment A,B --action rollback,cutover --reason r",
        "webhook add chat --url http://localhost:1 --reason r --if-match 3",
        "webhook list",
        "genesys mirror",
        "webhook remove chat --reason r --wait",
        "webhook secret",
        "history Main --limit 5 --before 9",
        "slot drain Main --slot blue --minutes 5",
        "slot drain Main --wait --timeout 60",
        "slot idle Main",
        "events",
        "events Main --after 0",
        "decide Main --conversation-id c --interface 2 --ani +4930 --dnis +4940 --flow-version 1",
        "explain Main --conversation-id c --flow-version 1 --ani +4930 --dnis +4940 --at 7",
        "explain Main --at 2026-11-23T02:00:00Z",
        "rollout start Main --plan plan.yaml --reason r",
        "rollout start Main --force-incompatible --reason r --if-match 3",
        "rollout status Main",
        "rollout evidence Main --output json",
        "rollout watch Main",
        "rollout wait Main --timeout 60",
        "rollout pause Main --reason r",
        "rollout resume Main --reason r",
        "rollout promote Main --now --reason r",
        "rollout abort Main --keep-calls --reason r",
        "token generate",
        "token create pipeline --scope read,operate --environment Main --reason r",
        "token list",
        "token revoke 9f86d081884c7d65 --reason r",
        "journal verify --output json",
        "journal recover --reason r --yes",
        "journal recover --from a/last-good.json b.snapshot --reason r --yes",
        "snapshot export default.snapshot --stale",
        "completions bash",
        "configuration",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn no_drain_time_is_longer_than_calls_are_told_of() {
    assert!(parse("serve --drain-minutes 1440").is_ok());
    assert!(parse("serve --drain-minutes 1441").is_err());
}

#[test]
#[cfg(feature = "embedded")]
fn a_binary_with_the_embedded_store_can_serve_it() {
    assert!(parse("store serve --address 127.0.0.1:9000").is_ok());
}

#[test]
fn what_is_not_well_formed_is_refused_before_anything_is_sent() {
    for line in [
        "",
        "weight Main 5",
        "weight Main 100.01 --reason r",
        "weight Ma/in 5 --reason r",
        "cutover Main --to red --reason r",
        "cutover Main",
        "cutover Main --wait=0 --reason r",
        "cutover Main --wait=10001 --reason r",
        "demo --speed 0",
        "demo --calls-per-second 501",
        "demo --admin localhost",
        "variables set Main --reason r",
        "variables set Main Slot=green --reason r",
        "interface define Main 4 --reason r",
        "slot claim Main --flow-version 2 --expires-in-minutes 0 --reason r",
        "slot claim Main --flow-version 2 --expires-in-minutes 1441 --reason r",
        "override add Main --to green --owner anna --reason r",
        "override add Main --ani 1 --dnis 2 --to green --owner anna --reason r",
        "override add Main --ani anna --to green --owner anna --reason r",
        "override add Main --ani 1 --to green --owner anna --minutes 1441 --reason r",
        "override add Main --ani 1 --to green --reason r",
        "override remove Main --reason r",
        "freeze add --environment Main --reason r",
        "freeze add --environment Main --end tomorrow --reason r",
        "freeze remove --environment Main --reason r",
        "genesys export Main --address http://decide.example --out kit",
        "genesys export Main --address https://127.0.0.1 --out kit",
        "genesys export Main --address https://decide.example?a=b --out kit",
        "genesys export Main --address https://decide.example --out kit --offline --blue-flow B",
        "genesys export Main --address https://decide.example --out kit --blue-flow B --green-flow G",
        "genesys export Main --address https://decide.example --out kit --language en_us",
        "genesys fill Main --template ivr.yaml --out green.yaml",
        "env create Main --blue-flow a --green-flow b=B --flow-version 1 --reason r",
        "env show Main --at yesterday",
        "explain Main --at yesterday",
        "env list --server 127.0.0.1:8081",
        "token create pipeline --reason r",
        "token create pipeline --scope everything --reason r",
        "weight Main 5 --reason r --output yaml",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn a_rollback_needs_nothing_but_the_environment() {
    let cli = parse("rollback Main").unwrap();
    assert!(matches!(cli.verb, Verb::Rollback(_)));
    assert!(format!("{:?}", cli.verb).contains("reason: Reason(\"rollback\")"));
    let cli = parse("rollback Main --keep-calls --reason because --if-match 4").unwrap();
    assert!(format!("{:?}", cli.verb).contains("reason: Reason(\"because\")"));
}

#[test]
fn a_wait_takes_no_argument_away_from_what_follows() {
    for (line, wait) in [
        ("rollback Main", "wait: None"),
        ("rollback --wait Main", "wait: Some(2000)"),
        ("rollback --wait=500 Main", "wait: Some(500)"),
    ] {
        let verb = format!("{:?}", parse(line).unwrap().verb);
        assert!(verb.contains(wait), "{line}: {verb}");
    }
}

#[test]
fn debug_output_does_not_show_the_token() {
    let cli = parse("env list --token tc_secret").unwrap();
    assert!(!format!("{cli:?}").contains("tc_secret"));
}

#[test]
fn the_help_ends_with_the_exit_codes() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("Exit codes:\n  0  done\n"), "{help}");
}

#[test]
fn only_what_is_about_the_connection_is_listed_there() {
    let mut command = Cli::command();
    command.build();
    let rollback = command.find_subcommand("rollback").unwrap();
    let connection = rollback
        .get_arguments()
        .filter(|argument| argument.get_help_heading() == Some(super::connection::HEADING));
    let ids: Vec<_> = connection
        .map(|argument| argument.get_id().as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "server",
            "token",
            "token_file",
            "token_command",
            "data_dir",
            "ca_certificate",
            "client_certificate",
        ]
    );
}
