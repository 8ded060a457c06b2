//! The mirror: rows of a data table in Genesys Cloud that end up as the environments are, whatever fails on the way.

mod office;
mod storm;

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use traffic_cop::clock::Clock as _;
use traffic_cop::domain::ids::Sequence;
use traffic_cop::followers::Tick;
use traffic_cop::followers::mirror::KIND;
use traffic_cop::store::cursors::Cursor;

use crate::support::engine::cases;
use crate::support::genesys::Fault;
use crate::support::genesys::data_tables::COLUMNS;
use crate::support::{Ask, Fault as StoreFault, Process, World, commands};
use office::{Mirroring, Office, TABLE, expected, mirror};
use storm::whatever_fails_every_row_ends_as_the_environment_is;

cases![
    a_row_follows_its_environment_and_keeps_what_others_have_in_it,
    whatever_a_reading_comes_to_the_row_is_right_in_the_end,
    whatever_a_write_comes_to_the_row_is_right_in_the_end,
    a_token_that_is_refused_is_fetched_anew_and_refusals_are_waited_out,
    a_write_whose_answer_is_lost_is_looked_at_twice,
    a_day_without_genesys_cloud_loses_no_change,
    a_day_without_a_mirror_loses_no_change,
    a_crash_before_the_cursor_is_written_loses_nothing,
    a_late_write_of_who_led_before_is_put_right,
    what_people_edit_is_put_right_and_counted,
    what_is_newer_than_is_known_here_is_not_taken_back,
    a_missing_row_is_an_obstacle_unless_rows_may_be_added,
    a_table_that_is_missing_or_lacks_columns_needs_a_person,
    a_missing_permission_is_named_and_needs_a_person,
    a_row_in_trouble_delays_no_other,
    too_much_asked_silences_all_for_as_long_as_it_says,
    half_of_the_requests_are_left_to_others,
    the_row_of_a_deleted_environment_stays_and_goes_on_when_it_comes_back,
    without_environments_nobody_asks_for_anything,
    whatever_fails_every_row_ends_as_the_environment_is,
];

const NAME: &str = "Main_IVR";
/// Longer than a reading is fresh.
const STALE: Duration = Duration::from_secs(91);
/// Longer than any pause.
const LONG: Duration = Duration::from_secs(301);
/// Longer than a lease lasts.
const LEASE: Duration = Duration::from_secs(11);
/// Longer than writes may be on their way.
const SETTLED: Duration = Duration::from_secs(31);
/// Longer than rows stay unread.
const CHECK: Duration = Duration::from_secs(601);
const HOUR: Duration = Duration::from_secs(60 * 60);

async fn leads(mirror: &mut Mirroring) {
    assert_eq!(mirror.tick().await.expect("a look"), Tick::Leading);
}

/// Has so many requests come back and taken in, as they come.
async fn requests(mirror: &mut Mirroring, count: u64) {
    leads(mirror).await;
    let end = mirror.taken() + count;
    while mirror.taken() < end {
        mirror.progress().await;
        leads(mirror).await;
    }
}

/// Lets everything be looked at again that is: the table, and the row.
async fn rests(world: &World, mirror: &mut Mirroring) {
    world.clock.advance(CHECK);
    requests(mirror, 2).await;
}

/// The cursor of the one row there is.
async fn cursor(world: &World) -> Cursor {
    let cursors = world.store.cursors(KIND).await.expect("cursors");
    assert_eq!(cursors.len(), 1, "{cursors:?}");
    cursors.into_values().next().expect("a cursor")
}

fn alarm(process: &Process) -> String {
    let raised = process.metrics.alarms.raised();
    assert_eq!(raised.len(), 1, "{raised:?}");
    raised[0].1.clone()
}

fn assert_no_alarm(process: &Process) {
    assert_eq!(process.metrics.alarms.raised(), []);
}

/// A process with an environment whose row in `office` is right, and whoever has made it so.
async fn mirrored(world: &World, office: &Office) -> (Process, Mirroring) {
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let mut mirror = office.mirror(&process);
    requests(&mut mirror, 3).await;
    assert_eq!(
        office.asked(),
        ["GET table", "GET Main_IVR", "PUT Main_IVR"]
    );
    office.assert_mirrors(&process, NAME);
    (process, mirror)
}

async fn a_row_follows_its_environment_and_keeps_what_others_have_in_it(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    let row = json!({
        "key": NAME, "Active_Flow_ID": "flow-blue", "Active_Slot": "blue", "Revision": 2, "Traffic_Weight": 0,
        "Note": "ask Anna",
    });
    assert_eq!(office.row(NAME), row);

    process.set_weight(NAME, "5").await;
    process.set_weight(NAME, "12.5").await;
    requests(&mut mirror, 1).await;
    assert_eq!(office.asked(), ["PUT Main_IVR"], "both at once");
    assert_eq!(office.row(NAME)["Traffic_Weight"], 12.5);
    process.cutover(NAME).await;
    requests(&mut mirror, 1).await;
    let row = json!({
        "key": NAME, "Active_Flow_ID": "flow-green", "Active_Slot": "green", "Revision": 5, "Traffic_Weight": 0,
        "Note": "ask Anna",
    });
    assert_eq!(office.row(NAME), row);

    let after = cursor(world).await;
    assert_eq!((after.sequence, after.obstacle), (Sequence(5), None));
    assert_eq!(after.taken_at, Some(world.clock.now()));
    office.asked();
    leads(&mut mirror).await;
    assert!(office.asked().is_empty(), "there is nothing to do");
    let metrics = process.metrics.exposition();
    for line in [
        "mirror_requests_total{request=\"table\",outcome=\"answered\"} 1",
        "mirror_requests_total{request=\"read\",outcome=\"answered\"} 1",
        "mirror_requests_total{request=\"write\",outcome=\"answered\"} 3",
        "mirror_behind_seconds{environment=\"Main_IVR\"} 0.0",
        "mirror_held_up{environment=\"Main_IVR\"} 0",
        "follower_leads{follower=\"mirror\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("mirror_corrections_total{"), "{metrics}");
}

/// What a request may come to that was not answered as it should be, and what is said of it.
fn failures() -> [(Fault, &'static str); 10] {
    [
        (
            Fault::TooMany(Some(7)),
            "too much is asked; it wants 7s of silence",
        ),
        (Fault::TooMany(None), "too much is asked"),
        (
            Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
            "it answered with status 500",
        ),
        (
            Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
            "it answered with status 503",
        ),
        (Fault::Garbage("<html>"), "the answer is no JSON"),
        (Fault::Garbage("{}"), "the answer is no JSON"),
        (
            Fault::Garbage(r#"{"key": "Other_IVR", "Active_Slot": "blue"}"#),
            "the answer is no JSON",
        ),
        (Fault::Huge, "its answer is larger than"),
        (
            Fault::Redirect("http://127.0.0.1:9".to_owned()),
            "it answered with status 302",
        ),
        (Fault::LostReply, "it did not answer"),
    ]
}

async fn whatever_a_reading_comes_to_the_row_is_right_in_the_end(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    for (fault, why) in failures() {
        rests(world, &mut mirror).await;
        // What was seen is too old to write by.
        world.clock.advance(STALE);
        office.asked();
        process.cutover(NAME).await;
        let begin = world.clock.now();
        office.genesys.fails_once(fault.clone());
        requests(&mut mirror, 1).await;
        leads(&mut mirror).await;
        assert_eq!(office.asked(), ["GET Main_IVR"], "not before it is time");
        let met = cursor(world).await.obstacle.expect("an obstacle");
        assert!(met.why.starts_with(why), "{fault:?}: {}", met.why);
        assert_eq!(met.since, begin, "{fault:?}");
        world.clock.advance(LONG);
        requests(&mut mirror, 2).await;
        assert_eq!(office.asked(), ["GET Main_IVR", "PUT Main_IVR"]);
        office.assert_mirrors(&process, NAME);
        assert_eq!(cursor(world).await.obstacle, None);
        assert_no_alarm(&process);
    }
}

async fn whatever_a_write_comes_to_the_row_is_right_in_the_end(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    for (fault, why) in failures() {
        rests(world, &mut mirror).await;
        world.clock.advance(STALE);
        office.asked();
        process.cutover(NAME).await;
        leads(&mut mirror).await;
        mirror.progress().await;
        office.genesys.fails_once(fault.clone());
        requests(&mut mirror, 1).await;
        assert_eq!(office.asked(), ["GET Main_IVR", "PUT Main_IVR"]);
        let met = cursor(world).await.obstacle.expect("an obstacle");
        assert!(met.why.starts_with(why), "{fault:?}: {}", met.why);
        world.clock.advance(LONG);
        // The write may have been carried out, so that nothing is left to do but to see that.
        let was_made = matches!(fault, Fault::LostReply);
        requests(&mut mirror, if was_made { 1 } else { 2 }).await;
        office.assert_mirrors(&process, NAME);
        assert_eq!(cursor(world).await.obstacle, None);
        assert_no_alarm(&process);
    }
}

async fn a_token_that_is_refused_is_fetched_anew_and_refusals_are_waited_out(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    office.genesys.forgets_tokens();
    process.cutover(NAME).await;
    requests(&mut mirror, 1).await;
    assert_eq!(office.asked(), ["PUT Main_IVR"; 2], "with another token");
    office.assert_mirrors(&process, NAME);

    let refused = Fault::Status(StatusCode::UNAUTHORIZED);
    office.genesys.fails(refused);
    process.roll_back(NAME).await;
    requests(&mut mirror, 1).await;
    let met = cursor(world).await.obstacle.expect("an obstacle");
    assert_eq!(met.why, "it refuses its own access tokens");
    world.clock.advance(LONG);
    requests(&mut mirror, 1).await;
    office.genesys.fails(None);
    world.clock.advance(LONG);
    office.until_right(&process, &mut mirror, world, NAME).await;
    assert_no_alarm(&process);
}

async fn a_write_whose_answer_is_lost_is_looked_at_twice(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    world.clock.advance(SETTLED);
    requests(&mut mirror, 1).await;
    let before = office.row(NAME);
    process.cutover(NAME).await;
    office
        .genesys
        .fails_once(Fault::Status(StatusCode::GATEWAY_TIMEOUT));
    requests(&mut mirror, 1).await;
    world.clock.advance(Duration::from_secs(2));
    process.roll_back(NAME).await;
    requests(&mut mirror, 2).await;
    office.assert_mirrors(&process, NAME);
    office.asked();
    // What was waited for in vain arrives after what came later.
    let mut late = before;
    late["Active_Slot"] = "green".into();
    office.genesys.edits_row(TABLE, NAME, &late);
    world.clock.advance(SETTLED);
    requests(&mut mirror, 2).await;
    assert_eq!(office.asked(), ["GET Main_IVR", "PUT Main_IVR"]);
    office.assert_mirrors(&process, NAME);
}

async fn a_day_without_genesys_cloud_loses_no_change(world: &mut World) {
    let mut office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    office.genesys.go_away();
    process.cutover(NAME).await;
    requests(&mut mirror, 1).await;
    assert_no_alarm(&process);
    for _ in 0..3 {
        world.clock.advance(LONG);
        requests(&mut mirror, 1).await;
    }
    let why = alarm(&process);
    assert!(why.starts_with("Main_IVR: it did not answer"), "{why}");
    for percent in 1..24 {
        world.clock.advance(HOUR);
        process.set_weight(NAME, &percent.to_string()).await;
        requests(&mut mirror, 1).await;
    }
    let lag = &process.metrics.followers.rows()[NAME];
    assert_eq!(lag.behind, 23 * HOUR + 3 * LONG, "since the first change");
    office.genesys.come_back().await;
    world.clock.advance(LONG);
    office.until_right(&process, &mut mirror, world, NAME).await;
    assert_no_alarm(&process);
}

async fn a_day_without_a_mirror_loses_no_change(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mirror) = mirrored(world, &office).await;
    drop(mirror);
    for percent in 1..24 {
        world.clock.advance(HOUR);
        process.set_weight(NAME, &percent.to_string()).await;
    }
    let other = world.process().await;
    let mut other_mirror = office.mirror(&other);
    assert_eq!(other_mirror.tick().await.expect("a look"), Tick::Following);
    world.clock.advance(LEASE);
    requests(&mut other_mirror, 3).await;
    assert_eq!(
        office.asked(),
        ["GET table", "GET Main_IVR", "PUT Main_IVR"],
        "once for all of them"
    );
    office.assert_mirrors(&other, NAME);
}

async fn a_crash_before_the_cursor_is_written_loses_nothing(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    let before = cursor(world).await.sequence;
    process.cutover(NAME).await;
    leads(&mut mirror).await;
    mirror.progress().await;
    office.assert_mirrors(&process, NAME);
    drop(mirror);
    assert_eq!(cursor(world).await.sequence, before);

    let other = world.process().await;
    let mut other_mirror = office.mirror(&other);
    assert_eq!(other_mirror.tick().await.expect("a look"), Tick::Following);
    world.clock.advance(LEASE);
    office.asked();
    requests(&mut other_mirror, 2).await;
    assert_eq!(office.asked(), ["GET table", "GET Main_IVR"], "it is there");
    assert_eq!(cursor(world).await.sequence, before.next());
    assert!(
        !other
            .metrics
            .exposition()
            .contains("mirror_corrections_total{")
    );
}

async fn a_late_write_of_who_led_before_is_put_right(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mirror) = mirrored(world, &office).await;
    let before = office.row(NAME);
    drop(mirror);
    process.cutover(NAME).await;
    let other = world.process().await;
    let mut other_mirror = office.mirror(&other);
    assert_eq!(other_mirror.tick().await.expect("a look"), Tick::Following);
    world.clock.advance(LEASE);
    requests(&mut other_mirror, 3).await;
    office.assert_mirrors(&other, NAME);
    office.asked();

    office.genesys.edits_row(TABLE, NAME, &before);
    world.clock.advance(SETTLED);
    requests(&mut other_mirror, 2).await;
    assert_eq!(office.asked(), ["GET Main_IVR", "PUT Main_IVR"]);
    office.assert_mirrors(&other, NAME);
    let counted = "mirror_corrections_total{environment=\"Main_IVR\"} 1";
    assert!(other.metrics.exposition().contains(counted));
}

async fn what_people_edit_is_put_right_and_counted(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    world.clock.advance(SETTLED);
    requests(&mut mirror, 1).await;
    office.asked();
    let edits = [
        json!({ "Active_Slot": "green" }),
        json!({ "Traffic_Weight": 50, "Note": "by Anna" }),
        json!({ "Revision": 4711 }),
        json!({ "Active_Flow_ID": "", "Note": "" }),
    ];
    let count = |process: &Process| {
        let metrics = process.metrics.exposition();
        let start = "traffic_cop_mirror_corrections_total{environment=\"Main_IVR\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or("0").to_owned()
    };
    for (edit, number) in edits.iter().zip(1..) {
        office.genesys.edits_row(TABLE, NAME, edit);
        leads(&mut mirror).await;
        assert!(office.asked().is_empty(), "nobody looks all the time");
        world.clock.advance(CHECK);
        // The table and the row, then the row.
        requests(&mut mirror, 3).await;
        assert!(office.asked().contains(&"PUT Main_IVR".to_owned()));
        office.assert_mirrors(&process, NAME);
        assert_eq!(count(&process), number.to_string());
    }
    assert_eq!(office.row(NAME)["Note"], "", "what others keep is theirs");

    // A failure in between is no second edit.
    office.genesys.edits_row(TABLE, NAME, &edits[0]);
    world.clock.advance(CHECK);
    leads(&mut mirror).await;
    mirror.progress().await;
    mirror.progress().await;
    let fault = Fault::Status(StatusCode::BAD_GATEWAY);
    office.genesys.fails_once(fault);
    requests(&mut mirror, 1).await;
    world.clock.advance(LONG);
    requests(&mut mirror, 2).await;
    office.assert_mirrors(&process, NAME);
    assert_eq!(count(&process), "5");
}

async fn what_is_newer_than_is_known_here_is_not_taken_back(world: &mut World) {
    let office = Office::with_row().await;
    let writer = world.process().await;
    writer.create_with_candidate(NAME).await;
    let proxy = world.proxy().await;
    let behind = world.process_behind(&proxy).await;
    let mut mirror = office.mirror(&behind);
    requests(&mut mirror, 3).await;
    writer.cutover(NAME).await;
    let newer = expected(&writer, NAME);
    office.genesys.edits_row(TABLE, NAME, &newer);
    office.asked();

    proxy.fail(Ask::Poll, StoreFault::Refuse, usize::MAX);
    world.clock.advance(SETTLED);
    leads(&mut mirror).await;
    mirror.progress().await;
    mirror.tick().await.expect_err("the journal cannot be read");
    assert_eq!(office.asked(), ["GET Main_IVR"], "nothing is written");
    proxy.heal();
    leads(&mut mirror).await;
    assert!(office.asked().is_empty(), "it was right");
    office.assert_mirrors(&writer, NAME);
}

async fn a_missing_row_is_an_obstacle_unless_rows_may_be_added(world: &mut World) {
    let office = Office::open().await;
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let mut mirror = office.mirror(&process);
    requests(&mut mirror, 2).await;
    assert_eq!(office.asked(), ["GET table", "GET Main_IVR"]);
    assert_eq!(alarm(&process), "Main_IVR: there is no row Main_IVR");
    let met = cursor(world).await.obstacle.expect("an obstacle");
    assert_eq!(met.why, "there is no row Main_IVR");
    let lag = &process.metrics.followers.rows()[NAME];
    assert_eq!(lag.obstacle.as_deref(), Some("there is no row Main_IVR"));
    // Somebody makes it.
    office
        .genesys
        .edits_row(TABLE, NAME, &json!({ "Active_Slot": "blue" }));
    world.clock.advance(LONG);
    office.until_right(&process, &mut mirror, world, NAME).await;
    assert_no_alarm(&process);
    drop(mirror);

    process.create_with_candidate("Other_IVR").await;
    office.genesys.loses_row(TABLE, NAME);
    world.clock.advance(LONG);
    let other = world.process().await;
    let mut mirror = office.mirror_that_may_add(&other);
    assert_eq!(mirror.tick().await.expect("a look"), Tick::Following);
    world.clock.advance(LEASE);
    office.asked();
    requests(&mut mirror, 5).await;
    for name in [NAME, "Other_IVR"] {
        office.assert_mirrors(&other, name);
    }
    let asked = office.asked();
    let added = asked.iter().filter(|asked| *asked == "POST rows");
    assert_eq!(added.count(), 2, "{asked:?}");
    assert_no_alarm(&other);
}

async fn a_table_that_is_missing_or_lacks_columns_needs_a_person(world: &mut World) {
    let office = Office::with_row().await;
    office.genesys.loses_table(TABLE);
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let mut mirror = office.mirror_that_may_add(&process);
    requests(&mut mirror, 1).await;
    let why = alarm(&process);
    assert!(why.starts_with("there is no such table"), "{why}");
    let met = cursor(world).await.obstacle.expect("an obstacle");
    assert_eq!(met.why, why);

    office.genesys.has_table(TABLE, &COLUMNS[..3]);
    world.clock.advance(LONG);
    requests(&mut mirror, 1).await;
    let columns = "the table: it has no column Revision of the type integer, it has no column Traffic_Weight of the type number";
    assert_eq!(alarm(&process), columns);
    assert_eq!(office.asked(), ["GET table"; 2], "no row was asked for");

    office.genesys.has_table(TABLE, &COLUMNS);
    world.clock.advance(LONG);
    requests(&mut mirror, 3).await;
    office.assert_mirrors(&process, NAME);
    assert_no_alarm(&process);

    // It goes under the mirror's feet.
    office.genesys.loses_table(TABLE);
    world.clock.advance(LONG);
    process.cutover(NAME).await;
    while process.metrics.alarms.raised().is_empty() {
        requests(&mut mirror, 1).await;
    }
    let why = alarm(&process);
    assert!(why.starts_with("there is no such table"), "{why}");
}

async fn a_missing_permission_is_named_and_needs_a_person(world: &mut World) {
    let office = Office::with_row().await;
    let process = world.process().await;
    process.create_with_candidate(NAME).await;
    let mut mirror = office.mirror(&process);
    let forbidden = Fault::Status(StatusCode::FORBIDDEN);
    let moment = Duration::from_secs(5);
    office.genesys.fails_once(forbidden.clone());
    requests(&mut mirror, 1).await;
    let needed = "the client needs the permission";
    assert_eq!(
        alarm(&process),
        format!("{needed} architect:datatable:view")
    );
    for right in ["view", "edit"] {
        world.clock.advance(moment);
        // What comes before it goes well: the look at the table, then at the row.
        leads(&mut mirror).await;
        mirror.progress().await;
        office.genesys.fails_once(forbidden.clone());
        requests(&mut mirror, 1).await;
        let why = format!("Main_IVR: {needed} architect:datatableRow:{right}");
        assert_eq!(alarm(&process), why);
    }
    world.clock.advance(moment);
    requests(&mut mirror, 2).await;
    office.assert_mirrors(&process, NAME);
    assert_no_alarm(&process);

    // The same of what tokens are fetched with.
    std::fs::write(office.directory.path().join("secret"), "another").expect("a file");
    office.genesys.forgets_tokens();
    process.cutover(NAME).await;
    requests(&mut mirror, 1).await;
    let why = alarm(&process);
    assert!(why.contains("refuses the client's id and secret"), "{why}");
}

async fn a_row_in_trouble_delays_no_other(world: &mut World) {
    let office = Office::open().await;
    let process = world.process().await;
    for name in ["A", "B", "C"] {
        process.create_with_candidate(name).await;
    }
    office.genesys.edits_row(TABLE, "B", &json!({}));
    office.genesys.edits_row(TABLE, "C", &json!({ "Note": 5 }));
    let mut mirror = office.mirror(&process);
    requests(&mut mirror, 6).await;
    office.assert_mirrors(&process, "B");
    process.cutover("B").await;
    requests(&mut mirror, 1).await;
    office.assert_mirrors(&process, "B");
    let why = alarm(&process);
    let told: Vec<_> = why.split("; ").collect();
    assert_eq!(told[0], "A: there is no row A");
    assert!(
        told[1].starts_with("C: it answered with status 400"),
        "{why}"
    );
    assert_eq!(told.len(), 2);
}

async fn too_much_asked_silences_all_for_as_long_as_it_says(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    process.create_with_candidate("Other_IVR").await;
    office.genesys.edits_row(TABLE, "Other_IVR", &json!({}));
    requests(&mut mirror, 2).await;
    office.genesys.fails(Fault::TooMany(Some(40)));
    process.cutover(NAME).await;
    requests(&mut mirror, 1).await;
    office.asked();
    // It has not been refused anything itself.
    process.cutover("Other_IVR").await;
    for _ in 0..40 {
        leads(&mut mirror).await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert!(office.asked().is_empty());
    assert_no_alarm(&process);
    office.genesys.fails(None);
    requests(&mut mirror, 3).await;
    let mut asked = office.asked();
    asked.sort_unstable();
    assert_eq!(asked, ["GET Main_IVR", "PUT Main_IVR", "PUT Other_IVR"]);
    office.assert_mirrors(&process, NAME);
    office.assert_mirrors(&process, "Other_IVR");
}

async fn half_of_the_requests_are_left_to_others(world: &mut World) {
    let office = Office::open().await;
    let process = world.process().await;
    for number in 0..12 {
        process.create_with_candidate(&format!("N{number}")).await;
    }
    let client = office.client(&process, 20);
    let mut mirror = mirror(&process, client.clone(), true);
    let minute = Duration::from_secs(60);
    let mut minutes = 0;
    while (0..12).any(|number| office.row(&format!("N{number}")).is_null()) {
        office.asked();
        for _ in 0..20 {
            leads(&mut mirror).await;
            let moment = Duration::from_millis(5);
            let _ = tokio::time::timeout(moment, mirror.progress()).await;
        }
        let asked = office.asked();
        assert!(asked.len() <= 10, "{asked:?}");
        assert!(client.may_ask(), "there is room for others");
        world.clock.advance(minute);
        minutes += 1;
        assert!(minutes < 20, "it comes to no end");
    }
    // One look at the table, and two requests for each row.
    assert!(minutes >= 3, "{minutes}");
    assert_no_alarm(&process);
}

async fn the_row_of_a_deleted_environment_stays_and_goes_on_when_it_comes_back(world: &mut World) {
    let office = Office::with_row().await;
    let (process, mut mirror) = mirrored(world, &office).await;
    process.create_with_candidate("Other_IVR").await;
    office.genesys.edits_row(TABLE, "Other_IVR", &json!({}));
    requests(&mut mirror, 2).await;
    let before = office.row(NAME);
    process.commits(NAME, commands::delete()).await;
    world.clock.advance(CHECK);
    leads(&mut mirror).await;
    assert!(!process.metrics.followers.rows().contains_key(NAME));
    assert_eq!(office.row(NAME), before);
    process.create_with_candidate(NAME).await;
    let revision = expected(&process, NAME)["Revision"].clone();
    assert!(revision.as_u64() > before["Revision"].as_u64());
    office.until_right(&process, &mut mirror, world, NAME).await;
}

async fn without_environments_nobody_asks_for_anything(world: &mut World) {
    let office = Office::open().await;
    let process = world.process().await;
    let mut mirror = office.mirror_that_may_add(&process);
    let before = process.metrics.store_requests.get();
    assert_eq!(mirror.tick().await.expect("a look"), Tick::Idle);
    assert_eq!(process.metrics.store_requests.get(), before);
    assert!(world.tables.evidence("lease").await.is_empty());
    assert!(office.asked().is_empty());
}
