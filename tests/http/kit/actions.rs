//! Data actions.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::Strategy;
use serde_json::{Map, Value, json};
use traffic_cop::genesys::export::{Credential, Kit};

use super::{files, kit, text, variables};
use crate::ask::{Answer, Ask};
use crate::support::contract::violations;
use crate::support::velocity::{Context, render};
use crate::world::{MAIN, TestApp};

const DECIDE: &str = "decide.custom.json";
const VARIABLES: &str = "variables.custom.json";
const OUTCOMES: &str = "outcomes.custom.json";

fn action(kit: &Kit, name: &str) -> Value {
    serde_json::from_str(&text(kit, name)).expect("JSON")
}

/// A kit whose actions an organisation has imported.
struct Imported {
    interface: u64,
    /// By their files.
    actions: BTreeMap<&'static str, Value>,
}

impl Imported {
    fn of(kit: &Kit) -> Self {
        let actions = files(kit).into_iter();
        let actions = actions.filter(|file| file.name.ends_with(".json"));
        Self {
            interface: kit.interface.0.into(),
            actions: actions
                .map(|file| (file.name, serde_json::from_str(&file.text).expect("JSON")))
                .collect(),
        }
    }

    /// The members that a contract names.
    fn promised(&self, name: &str) -> Vec<String> {
        let contract = &self.actions[name]["contract"]["output"]["successSchema"];
        let properties = contract["properties"].as_object().expect("properties");
        properties.keys().cloned().collect()
    }
}

/// The names of what an action takes.
fn inputs(action: &Value) -> Vec<String> {
    let properties = &action["contract"]["input"]["inputSchema"]["properties"];
    let properties = properties.as_object().expect("properties");
    properties.keys().cloned().collect()
}

fn input(action: &Value) -> &str {
    action["config"]["request"]["requestTemplate"]
        .as_str()
        .expect("a template")
}

/// The integration's credential, and what it is good for.
struct Integration {
    kind: Credential,
    name: String,
    text: String,
}

impl Integration {
    async fn of(app: &TestApp, kind: Credential) -> Self {
        let name = format!("genesys-{kind:?}");
        let made = app.admin("POST", "/v1/tokens").json(&json!({
            "name": name, "scopes": ["decide", "report"], "environments": [MAIN], "reason": "a test",
        }));
        let made = made.send().await.ok().json();
        let text = made["token"].as_str().expect("a text").to_owned();
        Self { kind, name, text }
    }

    /// What templates can refer to: fields of the credential, and the answer to the custom auth action.
    async fn context(&self, app: &TestApp, kit: &Imported) -> Context {
        let field = |name: &str, value: &str| (format!("credentials.{name}"), value.to_owned());
        let mut context = Context::from(
            match self.kind {
                Credential::Bearer => [field("token", &self.text)].to_vec(),
                Credential::ApiKey => [field("apiKey", &self.text)].to_vec(),
                Credential::Basic => Vec::new(),
                Credential::Oauth => [
                    field("clientId", &self.name),
                    field("clientSecret", &self.text),
                    field("loginUrl", "https://decide.example/cop/oauth/token"),
                ]
                .to_vec(),
            }
            .into_iter()
            .collect::<Context>(),
        );
        if self.kind == Credential::Oauth {
            let custom_auth = &kit.actions["oauth.custom-auth.json"];
            let answer = self.send(app, custom_auth, &context).await.ok().json();
            let token = answer["access_token"].as_str().expect("a token").to_owned();
            context.insert("authResponse.access_token".to_owned(), token);
        }
        context
    }

    /// Does what Genesys Cloud does with an action.
    async fn send(&self, app: &TestApp, action: &Value, context: &Context) -> Answer {
        let request = &action["config"]["request"];
        let template = |value: &Value| render(value.as_str().expect("a template"), context);
        let url = template(&request["requestUrlTemplate"]);
        let path = url
            .strip_prefix("https://decide.example/cop")
            .expect("our address");
        let mut ask = app.decisions(request["requestType"].as_str().expect("a verb"), path);
        for (name, value) in request["headers"].as_object().expect("headers") {
            ask = ask.header(name.as_str(), &template(value));
        }
        ask = self.prove(ask);
        ask.unlabelled(template(&request["requestTemplate"]))
            .send()
            .await
    }

    /// The header that Genesys Cloud writes by itself.
    fn prove(&self, ask: Ask) -> Ask {
        if self.kind != Credential::Basic {
            return ask;
        }
        let pair = format!("{}:{}", self.name, self.text);
        ask.header(
            AUTHORIZATION,
            &format!("Basic {}", BASE64.encode(pair.as_bytes())),
        )
    }

    /// What a flow gets: the answer, which must be whole.
    async fn run(
        &self,
        app: &TestApp,
        kit: &Imported,
        name: &str,
        inputs: &[(&str, &str)],
    ) -> Map<String, Value> {
        let action = &kit.actions[name];
        let mut context = self.context(app, kit).await;
        for (name, value) in inputs {
            context.insert(format!("input.{name}"), (*value).to_owned());
        }
        let answer = self.send(app, action, &context).await.ok().json();
        assert_eq!(
            action["config"]["response"]["successTemplate"],
            "${rawResult}"
        );
        let contract = &action["contract"]["output"]["successSchema"];
        let violations = violations(contract, &answer);
        assert!(violations.is_empty(), "{violations:?} in {answer}");
        answer.as_object().expect("a flat object").clone()
    }
}

fn names(answer: &Map<String, Value>) -> Vec<String> {
    answer.keys().cloned().collect()
}

/// An app that wants credentials, with two versions and two interfaces, and a kit for each, and for none.
async fn world() -> (TestApp, [Kit; 3]) {
    let app = TestApp::start_for_known_callers().await;
    app.create(MAIN).await;
    let mut more = variables();
    more.as_array_mut()
        .expect("a list")
        .push(json!({ "name": "Added", "type": "string", "default": "" }));
    app.define_interface(MAIN, 1, variables()).await;
    app.define_interface(MAIN, 2, more.clone()).await;
    let register = json!({ "flow_version": "v2", "interface": 2 });
    app.ask(MAIN, "register", register).await.ok();
    let kits = [kit(0, json!([])), kit(1, variables()), kit(2, more)];
    (app, kits)
}

#[tokio::test]
async fn answers_are_whole_in_every_state() {
    let (app, kits) = world().await;
    let kits = kits.each_ref().map(Imported::of);
    let genesys = Integration::of(&app, Credential::Bearer).await;
    let calls: [&[(&str, &str)]; 5] = [
        &[],
        &[
            ("Conversation_ID", "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e"),
            ("ANI", "tel:+4930123"),
            ("DNIS", "+1"),
        ],
        &[("Conversation_ID", "c"), ("Flow_Version", "v1")],
        &[("Conversation_ID", "c"), ("Flow_Version", "v2")],
        &[
            ("Conversation_ID", "c"),
            ("Flow_Version", "never \"heard\" of"),
        ],
    ];
    let mut slots = BTreeSet::new();
    let mut look = async |what: &str| {
        for kit in &kits {
            for call in calls {
                let decision = genesys.run(&app, kit, DECIDE, call).await;
                assert_eq!(names(&decision), kit.promised(DECIDE), "{what}");
                assert_eq!(decision["Schema_Version"], kit.interface, "{what}");
                slots.insert(decision["Slot"].to_string());
            }
            let looked_up = genesys.run(&app, kit, VARIABLES, calls[1]).await;
            assert_eq!(names(&looked_up), kit.promised(VARIABLES), "{what}");
        }
    };
    // Before anything else: a slot that gets calls, by affinity perhaps, cannot be claimed.
    let claim = json!({ "flow_version": "v3", "expires_in_minutes": 5, "slot": "green" });
    app.ask(MAIN, "claim", claim).await.ok();
    look("claimed").await;
    let release = json!({ "slot": "green", "nothing_published": true });
    app.ask(MAIN, "release", release).await.ok();
    look("as created").await;
    for weight in [0.01, 50.0, 100.0] {
        app.set_weight(MAIN, weight).await;
        look("weighted").await;
    }
    app.ask(MAIN, "rollback", json!({})).await.ok();
    look("rolled back").await;
    app.cut_over(MAIN).await;
    look("cut over").await;
    let hostile = "\"}, {\"Slot\": \"green\"</script>\\u0022 \u{2028}\u{0} ä 🚦 ${x} #y\n";
    let values = json!({ "Callback_Offered": true, "Limit": 9_007_199_254_740_991_i64, "Prompt": hostile, "Rate": -1e-7 });
    app.set_variables(MAIN, values).await.ok();
    look("with values").await;
    let decision = genesys.run(&app, &kits[1], DECIDE, &[]).await;
    assert_eq!(decision["Prompt"], hostile);
    let add = json!({ "calls": { "ani": "+4930123" }, "to": "blue", "owner": "a test", "expires_in_minutes": 5 });
    app.ask(MAIN, "add_override", add).await.ok();
    look("with an override").await;
    assert_eq!(slots.len(), 2, "both slots took calls: {slots:?}");
}

/// Should somebody remove an interface that an exported action asks for, calls are decided all the same.
#[tokio::test]
async fn a_decision_is_one_without_its_interface_too() {
    let (app, kits) = world().await;
    let kits = kits.each_ref().map(Imported::of);
    let genesys = Integration::of(&app, Credential::Bearer).await;
    let path = format!("/v1/environments/{MAIN}/interfaces/1?reason=a%20test");
    app.admin("DELETE", &path).if_match("*").send().await.ok();
    let decision = genesys
        .run(&app, &kits[1], DECIDE, &[("Conversation_ID", "c")])
        .await;
    assert_eq!(
        (&decision["Slot"], &decision["Schema_Version"]),
        (&json!("blue"), &json!(0))
    );
}

#[tokio::test]
async fn every_type_of_credential_gets_in_and_none_gets_in_without() {
    let (app, [_, kit, _]) = world().await;
    for credential in Credential::ALL {
        let kit = Kit {
            credential,
            ..kit.clone()
        };
        let kit = Imported::of(&kit);
        let genesys = Integration::of(&app, credential).await;
        let call = [("Conversation_ID", "7f3b3a52-3d0e-4f7e-9b8e-0a4f6b1d2c3e")];
        genesys.run(&app, &kit, DECIDE, &call).await;
        genesys.run(&app, &kit, VARIABLES, &call).await;
        let report = [call[0], ("Abandon", "true"), ("Error", "")];
        let stored = genesys.run(&app, &kit, OUTCOMES, &report).await;
        assert_eq!(
            (&stored["Stored"], &stored["Ignored"]),
            (&json!(1), &json!(0))
        );
        let stranger = Integration {
            kind: credential,
            name: "nobody".to_owned(),
            text: "tc_nothing".to_owned(),
        };
        let context = Context::from([
            ("credentials.token".to_owned(), "tc_nothing".to_owned()),
            ("credentials.apiKey".to_owned(), "tc_nothing".to_owned()),
            (
                "authResponse.access_token".to_owned(),
                "tc_nothing".to_owned(),
            ),
        ]);
        let answer = stranger.send(&app, &kit.actions[DECIDE], &context).await;
        assert_eq!(answer.status.as_u16(), 401, "{credential:?}");
    }
}

#[tokio::test]
async fn decisions_are_asked_for_anew_every_time() {
    let kit = kit(1, variables());
    for name in [DECIDE, VARIABLES, OUTCOMES] {
        let action = action(&kit, name);
        assert_eq!(
            action["config"]["request"]["headers"]["Cache-Control"],
            "no-cache"
        );
        assert_eq!(action["config"]["request"]["requestType"], "POST");
    }
    let url = |name: &str| action(&kit, name)["config"]["request"]["requestUrlTemplate"].clone();
    assert_eq!(
        url(DECIDE),
        "https://decide.example/cop/v1/environments/Main_IVR/decisions?interface=1"
    );
    assert_eq!(
        url(OUTCOMES),
        "https://decide.example/cop/v1/environments/Main_IVR/outcomes"
    );
}

/// A contract that changed under the same name would leave flows with an action that is not the one that they were made for.
#[test]
fn another_interface_is_another_action() {
    let name = |kit: &Kit, file: &str| action(kit, file)["name"].clone();
    for file in [DECIDE, VARIABLES] {
        assert_ne!(
            name(&kit(1, variables()), file),
            name(&kit(2, variables()), file)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_a_call_says_arrives(
        said in prop_oneof![".*", any::<String>(), "[\"\\\\${}#!/+ \n\u{0}-\u{1f}]{0,12}"].prop_map(String::from),
        which in 0_usize..4
    ) {
        let kit = kit(1, variables());
        for name in [DECIDE, VARIABLES, OUTCOMES] {
            let action = action(&kit, name);
            let names = inputs(&action);
            let given = &names[which % names.len()];
            let context = Context::from([(format!("input.{given}"), said.clone())]);
            let body: Value = serde_json::from_str(&render(input(&action), &context)).expect("JSON");
            let expected = names.iter().map(|name| {
                let value = if name == given { said.clone() } else { String::new() };
                (name.clone(), Value::String(value))
            });
            assert_eq!(body, Value::Object(expected.collect()));
        }
    }

    #[test]
    fn whatever_the_address_holds_arrives(path in "(/[ -~äß🚦]{1,8}){0,4}") {
        let Ok(address) = format!("https://decide.example{path}").parse() else {
            // A query or a fragment, which no address may have.
            assert!(path.contains(['?', '#']));
            return Ok(());
        };
        let kit = Kit { address, ..kit(1, variables()) };
        let action = action(&kit, DECIDE);
        let template = action["config"]["request"]["requestUrlTemplate"].as_str().expect("a template");
        let url: reqwest::Url = render(template, &Context::new()).parse().expect("a URL");
        let meant: reqwest::Url = format!("https://decide.example{path}").parse().expect("a URL");
        assert_eq!(url.query(), Some("interface=1"));
        let decoded = |path: &str| path.replace("%24", "$");
        let own = decoded(url.path());
        let own = own.strip_suffix("/v1/environments/Main_IVR/decisions").expect("the resource");
        // Slashes at its end are not part of what it names.
        assert_eq!(own, decoded(meant.path()).trim_end_matches('/'));
    }
}

#[test]
fn every_exported_document_has_the_members_of_genesys_own_exports() {
    for file in files(&kit(1, variables())) {
        if !file.name.ends_with(".custom.json") {
            continue;
        }
        let action: Value = serde_json::from_str(&file.text).expect("JSON");
        let names: Vec<_> = action
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        let expected = [
            "actionType",
            "config",
            "contract",
            "integrationType",
            "name",
            "secure",
        ];
        assert_eq!(names, expected, "{}", file.name);
    }
}
