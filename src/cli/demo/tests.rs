//! Addresses, ends and words.

use super::*;
use crate::cli::exit::Exit;

#[test]
fn a_demonstration_is_for_this_host_alone() {
    let failure = address(Some("0.0.0.0:8081".parse().unwrap()), 8081).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    let wanted = "127.0.0.1:9".parse().unwrap();
    assert_eq!(address(Some(wanted), 8081).unwrap(), wanted);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_eq!(address(None, port).unwrap().port(), 0, "any that is free");
    drop(taken);
    assert_eq!(address(None, port).unwrap().port(), port);
}

#[test]
fn only_the_ends_that_they_deserve_are_a_success() {
    assert!(verdict([End::Promoted, End::Stopped]).is_ok());
    let failure = verdict([End::Held, End::Promoted]).unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    let said = failure.problem.message();
    assert!(
        said.starts_with("Main_IVR waits for a person, Payments_IVR was promoted"),
        "{said}"
    );
}

#[test]
fn the_speed_is_told_in_words() {
    let told = [1, 7, 60, 240].map(second);
    let expected = [
        "a second is a second",
        "a second is 7 seconds",
        "a second is a minute",
        "a second is 4 minutes",
    ];
    assert_eq!(told, expected);
    assert_eq!(minutes(Duration::from_secs(125)), " 2:05");
}
