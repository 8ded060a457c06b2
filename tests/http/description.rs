//! The description of the API and its viewer.

use http::header::CONTENT_TYPE;
use insta::{assert_snapshot, with_settings};
use serde_json::Value;

use crate::world::TestApp;

#[tokio::test]
async fn the_description_is_the_one_that_clients_were_made_for() {
    let app = TestApp::start().await;
    let answer = app
        .admin("GET", "/openapi.json")
        .by_nobody()
        .send()
        .await
        .ok();
    assert_eq!(answer.header(CONTENT_TYPE), Some("application/json"));
    let mut description = answer.json();
    assert_eq!(description["openapi"], "3.1.0");
    description["info"]["version"] = "[version]".into();
    with_settings!({ snapshot_path => ".", prepend_module_to_snapshot => false, omit_expression => true }, {
        assert_snapshot!("openapi.json", format!("{description:#}"));
    });
}

#[tokio::test]
async fn every_operation_is_named_summarised_and_may_answer_with_a_problem() {
    let app = TestApp::start().await;
    let description = app.admin("GET", "/openapi.json").send().await.json();
    let mut ids = std::collections::BTreeSet::new();
    for (path, operations) in description["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(
                ids.insert(id.to_owned()),
                "{method} {path}: the id {id} is taken"
            );
            assert!(operation["summary"].is_string(), "{method} {path}");
            // OAuth has errors of its own.
            let kind = match path.as_str() {
                "/oauth/token" => "application~1json",
                _ => "application~1problem+json",
            };
            let problem = operation.pointer(&format!("/responses/default/content/{kind}/schema"));
            assert!(problem.is_some(), "{method} {path}");
        }
    }
    assert_references_lead_somewhere(&description, &description);
}

/// Every `$ref` names something that is in the document.
fn assert_references_lead_somewhere(part: &Value, whole: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference
                    .strip_prefix('#')
                    .unwrap_or_else(|| panic!("{reference} leads elsewhere"));
                assert!(
                    whole.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            members
                .values()
                .for_each(|member| assert_references_lead_somewhere(member, whole));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| assert_references_lead_somewhere(item, whole)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_viewer_works_without_the_internet() {
    let app = TestApp::start().await;
    let page = app.admin("GET", "/docs/").by_nobody().send().await.ok();
    assert!(
        page.header(CONTENT_TYPE)
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    let links = ["href=\"", "src=\""]
        .into_iter()
        .flat_map(|attribute| page.text().split(attribute).skip(1));
    let links = links.map(|rest| rest.split('"').next().unwrap_or_default());
    let mut files = 0;
    for link in links {
        let name = link.strip_prefix("./").unwrap_or(link);
        assert!(
            !name.contains(':') && !name.starts_with('/'),
            "{link} leads elsewhere"
        );
        let file = app
            .admin("GET", &format!("/docs/{name}"))
            .by_nobody()
            .send()
            .await
            .ok();
        assert!(!file.body.is_empty(), "{name}");
        if name.ends_with(".css") {
            assert!(
                !file.text().contains("url(http") && !file.text().contains("@import"),
                "{name}"
            );
        }
        files += 1;
    }
    assert!(
        files >= 4,
        "the page refers to its scripts and styles: {}",
        page.text()
    );
    let settings = app
        .admin("GET", "/docs/swagger-initializer.js")
        .by_nobody()
        .send()
        .await
        .ok();
    assert!(settings.text().contains("/openapi.json"));
    assert!(
        !settings.text().contains("http://") && !settings.text().contains("https://"),
        "{}",
        settings.text()
    );
    assert_eq!(
        app.admin("GET", "/docs")
            .by_nobody()
            .send()
            .await
            .status
            .as_u16()
            / 100,
        3,
        "it leads to /docs/"
    );
}
