//! Format 1 of the settings aggregate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::freezes::{self, WireFreezes};
use super::webhooks::{self, WireWebhooks};
use super::{FormatError, Stored};
use crate::domain::ids::AggregateKey;
use crate::domain::settings::Settings;
use crate::store::item::Item;

#[derive(Serialize, Deserialize)]
pub struct WireSettings {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    freezes: WireFreezes,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    webhooks: WireWebhooks,
}

impl Stored for Settings {
    const MEMBER: &'static str = "settings";
    const MAX_STATE_BYTES: usize = 32 * 1024;
    type Wire = WireSettings;

    fn to_wire(&self) -> WireSettings {
        WireSettings {
            freezes: freezes::to_wire(&self.freezes),
            webhooks: webhooks::to_wire(&self.webhooks),
        }
    }

    fn from_wire(wire: WireSettings, _: u32) -> Result<Self, FormatError> {
        let settings = Self {
            freezes: freezes::from_wire(wire.freezes),
            webhooks: webhooks::from_wire(wire.webhooks),
        };
        let contradiction = settings.freezes.inconsistency();
        match contradiction.or_else(|| settings.webhooks.inconsistency()) {
            None => Ok(settings),
            Some(contradiction) => Err(FormatError::Inconsistent(contradiction)),
        }
    }

    fn row(_: Option<&Self>) -> Item {
        Item::new()
    }

    fn is_kind(key: &AggregateKey) -> bool {
        matches!(key, AggregateKey::Settings)
    }
}
