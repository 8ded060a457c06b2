use super::*;

const CALL: &str = "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e";

fn calls(body: &str) -> Vec<Call> {
    match Report::parse(body.as_bytes()).expect("a report") {
        Report::Calls(calls) => calls,
        Report::Event(event) => panic!("an event: {event:?}"),
    }
}

fn bad(members: &str) -> Vec<Metric> {
    let body = format!(r#"{{"Conversation_ID":"{CALL}"{members}}}"#);
    calls(&body)[0].bad().iter().collect()
}

#[test]
fn a_flow_says_true_or_false_or_nothing_in_the_forms_that_architect_has() {
    let (abandon, containment) = (vec![Metric::Abandon], vec![Metric::Containment]);
    for (members, expected) in [
        ("", vec![]),
        (r#","Abandon":true"#, abandon.clone()),
        (r#","Abandon":"true""#, abandon.clone()),
        (r#","Abandon":" True ""#, abandon),
        (r#","Abandon":false"#, vec![]),
        (r#","Abandon":"FALSE""#, vec![]),
        (r#","Abandon":"","Error":null"#, vec![]),
        (r#","Containment":true"#, vec![]),
        (r#","Containment":"false""#, containment),
        (
            r#","Error":"true","Transfer":"true""#,
            vec![Metric::Error, Metric::Transfer],
        ),
    ] {
        assert_eq!(bad(members), expected, "{members}");
    }
}

#[test]
fn what_does_not_read_is_refused_and_not_repeated() {
    let long = format!(
        r#"{{"Outcomes":[{}]}}"#,
        vec![format!(r#"{{"Conversation_ID":"{CALL}"}}"#); MOST_OUTCOMES + 1].join(",")
    );
    for (body, expected) in [
        (
            r#"{"Abandon":true}"#,
            "member .: missing member `Conversation_ID`",
        ),
        (
            r#"{"Conversation_ID":""}"#,
            "member Conversation_ID: expected the id of a conversation",
        ),
        (
            r#"{"Conversation_ID":"c","Abandon":"S3CRET"}"#,
            "member Abandon: expected true or false",
        ),
        (
            r#"{"Conversation_ID":"c","Abandon":1}"#,
            "member Abandon: wrong type or value; expected true or false",
        ),
        (
            r#"{"Conversation_ID":"c","Time":"S3CRET"}"#,
            "member Time: expected a time as in RFC 3339",
        ),
        (
            r#"{"Outcomes":[{"Conversation_ID":"c"},{}]}"#,
            "member Outcomes[1]: missing member `Conversation_ID`",
        ),
        (r#"[]"#, "the body must be one JSON object"),
        (&long, "member Outcomes: at most 500 at once"),
    ] {
        let problem = Report::parse(body.as_bytes()).expect_err("no report");
        let document: serde_json::Value = serde_json::from_str(&problem.document()).unwrap();
        let detail = document["detail"].as_str().unwrap();
        assert_eq!(
            detail.trim_start_matches("member .: "),
            expected.trim_start_matches("member .: ")
        );
    }
    // A metric that is misspelt is not a call that went well.
    let problem = Report::parse(br#"{"Conversation_ID":"c","Abandoned":true}"#).unwrap_err();
    assert!(problem.document().contains("unknown member"));
}
