//! Format 1 of an environment.

mod interfaces;

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::interfaces::WireInterface;
use super::freezes::{self, WireFreezes};
use super::{FormatError, NEWEST, Stored, hex};
use crate::domain::command::Flow;
use crate::domain::environment::{
    Environment, FlowVersion, Override, RetiredVersion, Salt, SlotClaim, SlotState, Standing,
};
use crate::domain::ids::{
    AggregateKey, InterfaceNumber, Owner, PublishedVersion, VariableName, VersionLabel,
};
use crate::domain::interface::VariableValue;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::rollout::Rollout;
use crate::domain::slot::{BySlot, Slot};
use crate::domain::test_calls::TestCalls;
use crate::domain::weight::Weight;
use crate::store::item::{Item, text};
use aws_sdk_dynamodb::types::AttributeValue;

#[derive(Serialize, Deserialize)]
pub struct WireEnvironment {
    salt: String,
    active: Slot,
    weight_bps: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previously_active: Option<VersionLabel>,
    slots: BySlot<WireSlot>,
    retired: Vec<WireRetired>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<WireOverride>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    freezes: WireFreezes,
    /// A document of its own, understood whole or not at all: a judge that knows half of what another knew would judge
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    interfaces: BTreeMap<InterfaceNumber, WireInterface>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<VariableName, VariableValue>,
}

#[derive(Serialize, Deserialize)]
struct WireSlot {
    flow: WireFlow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<WireVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<WireClaim>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share_ended_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct WireFlow {
    id: crate::domain::ids::FlowId,
    name: crate::domain::ids::FlowName,
}

#[derive(Serialize, Deserialize)]
struct WireVersion {
    label: VersionLabel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<PublishedVersion>,
    interface: InterfaceNumber,
    registered_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rolled_back: Option<WireRollback>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    breaks: Option<InterfaceNumber>,
}

#[derive(Serialize, Deserialize)]
struct WireRollback {
    keep_calls: bool,
}

#[derive(Serialize, Deserialize)]
struct WireClaim {
    label: VersionLabel,
    expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct WireRetired {
    label: VersionLabel,
    interface: InterfaceNumber,
}

#[derive(Serialize, Deserialize)]
struct WireOverride {
    #[serde(flatten)]
    calls: WireCalls,
    to: Slot,
    owner: Owner,
    expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireCalls {
    Ani(PhoneNumber),
    Dnis(PhoneNumber),
}

impl Stored for Environment {
    const MEMBER: &'static str = "environment";
    const MAX_STATE_BYTES: usize = 32 * 1024;
    type Wire = WireEnvironment;

    fn to_wire(&self) -> WireEnvironment {
        WireEnvironment {
            salt: HEXLOWER.encode(&self.salt.0),
            active: self.active,
            weight_bps: self.weight.bps(),
            previously_active: self.previously_active.clone(),
            slots: BySlot::from_fn(|slot| WireSlot::from(&self.slots[slot])),
            retired: self
                .retired
                .iter()
                .map(|version| WireRetired {
                    label: version.label.clone(),
                    interface: version.interface,
                })
                .collect(),
            overrides: self.overrides.iter().map(WireOverride::from).collect(),
            freezes: freezes::to_wire(&self.freezes),
            // A struct of texts, numbers and lists: nothing that JSON cannot say.
            rollout: self
                .rollout
                .as_ref()
                .map(|rollout| serde_json::to_value(rollout).unwrap_or_default()),
            interfaces: interfaces::to_wire(&self.interfaces),
            values: self.values.clone(),
        }
    }

    fn from_wire(wire: WireEnvironment, format: u32) -> Result<Self, FormatError> {
        let BySlot { blue, green } = wire.slots;
        let retired = wire.retired.into_iter();
        let rollout = wire
            .rollout
            .map(|rollout| read_rollout(rollout, format))
            .transpose()?
            .flatten();
        let mut environment = Self {
            salt: Salt(
                hex(&wire.salt).map_err(|_| {
                    FormatError::Inconsistent("the salt is not 32 hexadecimal digits")
                })?,
            ),
            active: wire.active,
            weight: Weight::from_bps(wire.weight_bps)
                .map_err(|_| FormatError::Inconsistent("the weight is above 10000 basis points"))?,
            previously_active: wire.previously_active,
            slots: BySlot {
                blue: blue.into(),
                green: green.into(),
            },
            retired: retired
                .map(|version| RetiredVersion {
                    label: version.label,
                    interface: version.interface,
                })
                .collect(),
            overrides: wire.overrides.into_iter().map(Override::from).collect(),
            freezes: freezes::from_wire(wire.freezes),
            rollout,
            interfaces: interfaces::from_wire(wire.interfaces)?,
            values: wire.values,
        };
        environment.drop_overtaken_rollout();
        match environment.inconsistency() {
            None => Ok(environment),
            Some(contradiction) => Err(FormatError::Inconsistent(contradiction)),
        }
    }

    fn row(state: Option<&Self>) -> Item {
        let Some(environment) = state else {
            return Item::from([("Deleted".to_owned(), AttributeValue::Bool(true))]);
        };
        let flow = &environment.slots[environment.active].flow;
        Item::from([
            ("Active_Flow_ID".to_owned(), text(&flow.id)),
            ("Active_Slot".to_owned(), text(environment.active)),
            (
                "Traffic_Weight".to_owned(),
                AttributeValue::N(environment.weight.to_string()),
            ),
        ])
    }

    fn is_kind(key: &AggregateKey) -> bool {
        matches!(key, AggregateKey::Environment(_))
    }
}

/// The rollout that `value` describes; `None` if a newer binary wrote one that this binary does not understand.
fn read_rollout(value: Value, format: u32) -> Result<Option<Box<Rollout>>, FormatError> {
    match serde_json::from_value(value) {
        Ok(rollout) => Ok(Some(rollout)),
        Err(_) if format > NEWEST => Ok(None),
        Err(source) => Err(FormatError::Malformed { format, source }),
    }
}

impl From<&SlotState> for WireSlot {
    fn from(slot: &SlotState) -> Self {
        Self {
            flow: WireFlow {
                id: slot.flow.id.clone(),
                name: slot.flow.name.clone(),
            },
            version: slot.version.as_ref().map(|version| WireVersion {
                label: version.label.clone(),
                published: version.published.clone(),
                interface: version.interface,
                registered_at: version.registered_at,
                rolled_back: match version.standing {
                    Standing::Good => None,
                    Standing::RolledBack { keep_calls } => Some(WireRollback { keep_calls }),
                },
                breaks: version.breaks,
            }),
            claim: slot.claim.as_ref().map(|claim| WireClaim {
                label: claim.flow_version.clone(),
                expires_at: claim.expires_at,
            }),
            share_ended_at: slot.share_ended_at,
        }
    }
}

impl From<WireSlot> for SlotState {
    fn from(wire: WireSlot) -> Self {
        Self {
            flow: Flow {
                id: wire.flow.id,
                name: wire.flow.name,
            },
            version: wire.version.map(|version| FlowVersion {
                label: version.label,
                published: version.published,
                interface: version.interface,
                registered_at: version.registered_at,
                standing: version
                    .rolled_back
                    .map_or(Standing::Good, |mark| Standing::RolledBack {
                        keep_calls: mark.keep_calls,
                    }),
                breaks: version.breaks,
            }),
            claim: wire.claim.map(|claim| SlotClaim {
                flow_version: claim.label,
                expires_at: claim.expires_at,
            }),
            share_ended_at: wire.share_ended_at,
        }
    }
}

impl From<&Override> for WireOverride {
    fn from(one: &Override) -> Self {
        Self {
            calls: match one.calls {
                TestCalls::Ani(number) => WireCalls::Ani(number),
                TestCalls::Dnis(number) => WireCalls::Dnis(number),
            },
            to: one.to,
            owner: one.owner.clone(),
            expires_at: one.expires_at,
        }
    }
}

impl From<WireOverride> for Override {
    fn from(wire: WireOverride) -> Self {
        Self {
            calls: match wire.calls {
                WireCalls::Ani(number) => TestCalls::Ani(number),
                WireCalls::Dnis(number) => TestCalls::Dnis(number),
            },
            to: wire.to,
            owner: wire.owner,
            expires_at: wire.expires_at,
        }
    }
}
