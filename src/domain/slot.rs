//! The two slots, and a value for each.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One of the two places a flow version can live. Each is bound to one Architect flow.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The blue slot.
    Blue,
    /// The green slot.
    Green,
}

impl Slot {
    /// Both slots, blue first.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// The slot that this one is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// The token of the wire, the tables and the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text names neither slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid slot: expected blue or green")]
pub struct InvalidSlot;

impl FromStr for Slot {
    type Err = InvalidSlot;

    fn from_str(text: &str) -> Result<Self, InvalidSlot> {
        Self::BOTH
            .into_iter()
            .find(|slot| slot.as_str() == text)
            .ok_or(InvalidSlot)
    }
}

/// One value per slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct BySlot<T> {
    /// The value of the blue slot.
    pub blue: T,
    /// The value of the green slot.
    pub green: T,
}

impl<T> BySlot<T> {
    /// The value that `make` gives for each slot.
    pub fn from_fn(mut make: impl FnMut(Slot) -> T) -> Self {
        Self {
            blue: make(Slot::Blue),
            green: make(Slot::Green),
        }
    }

    /// Both values with their slots, blue first.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        Slot::BOTH.into_iter().map(|slot| (slot, &self[slot]))
    }
}

impl<T> Index<Slot> for BySlot<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }
}

impl<T> IndexMut<Slot> for BySlot<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        match slot {
            Slot::Blue => &mut self.blue,
            Slot::Green => &mut self.green,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for slot in Slot::BOTH {
            assert_eq!(slot.to_string().parse(), Ok(slot));
            assert_eq!(serde_json::to_string(&slot).unwrap(), format!("\"{slot}\""));
        }
        assert_eq!("Blue".parse::<Slot>(), Err(InvalidSlot));
    }
}
