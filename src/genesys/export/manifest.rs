//! What the other files are and how they belong together, for programs: Terraform reads it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::action::{self, Credential};
use super::{File, Kit, flow, json_file, skeleton};
use crate::domain::slot::BySlot;

/// Its file.
const FILE: &str = "kit.json";
/// Of a data action, in whole seconds, 1 to 60. The flow's own clock is what callers feel.
const ACTION_TIMEOUT_SECONDS: u8 = 2;

#[derive(Serialize)]
struct Manifest<'a> {
    environment: &'a str,
    interface: u32,
    integration: &'a str,
    credential: CredentialView,
    action_timeout_seconds: u8,
    actions: BTreeMap<&'static str, &'static str>,
    flows: Flows<'a>,
    default_slot: &'static str,
    table: Table<'a>,
}

#[derive(Serialize)]
struct CredentialView {
    kind: Credential,
    fields: &'static [&'static str],
    login_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_auth: Option<&'static str>,
}

#[derive(Serialize)]
struct Flows<'a> {
    traffic_cop: Flow<'a>,
    slots: BySlot<Flow<'a>>,
    template: &'static str,
}

#[derive(Serialize)]
struct Flow<'a> {
    file: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_version: Option<&'a str>,
}

#[derive(Serialize)]
struct Table<'a> {
    name: &'a str,
    key: &'a str,
}

pub(super) fn file(kit: &Kit) -> File {
    let is_oauth = kit.credential == Credential::Oauth;
    let manifest = Manifest {
        environment: kit.environment.as_str(),
        interface: kit.interface.0,
        integration: kit.names.integration.as_str(),
        credential: CredentialView {
            kind: kit.credential,
            fields: kit.credential.fields(),
            login_url: kit.address.join(&["oauth", "token"]).to_string(),
            custom_auth: is_oauth.then_some(action::CUSTOM_AUTH),
        },
        action_timeout_seconds: ACTION_TIMEOUT_SECONDS.min(kit.timeout_seconds),
        actions: BTreeMap::from([
            ("decide", action::DECIDE),
            ("outcomes", action::OUTCOMES),
            ("variables", action::VARIABLES),
        ]),
        flows: Flows {
            traffic_cop: Flow {
                file: flow::FILE,
                name: kit.names.traffic_cop.as_str(),
                flow_version: None,
            },
            slots: BySlot::from_fn(|slot| Flow {
                file: skeleton::file_name(slot),
                name: kit.flows[slot].as_str(),
                flow_version: Some(kit.flow_versions[slot].as_str()),
            }),
            template: skeleton::TEMPLATE,
        },
        default_slot: kit.default_slot.as_str(),
        table: Table {
            name: kit.names.table.as_str(),
            key: kit.environment.as_str(),
        },
    };
    json_file(FILE, &manifest)
}
