//! Evidence as bytes: what the kinds have in common.

use jiff::Timestamp;

/// A kind of evidence that is stored in batches.
pub trait Packed: Sized {
    /// Its name in the table: of the partition of an environment's batches, and of the attribute that holds them.
    const NAME: &'static str;
    /// The format this binary writes, and the only one it reads.
    const FORMAT: u32;

    /// Packs `calls`.
    #[must_use]
    fn pack(calls: &[Self]) -> Vec<u8>;

    /// What is packed in `bytes`.
    ///
    /// # Errors
    /// Nothing is, or it has another form.
    fn unpack(bytes: &[u8]) -> Result<Vec<Self>, Unreadable>;
}

/// Bytes that are no evidence of the kind and format asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not evidence of a known format")]
pub struct Unreadable;

/// The earliest of `times`, which the others are counted from: milliseconds since 1970.
pub(super) fn earliest(times: impl Iterator<Item = Timestamp>) -> i64 {
    times
        .map(Timestamp::as_millisecond)
        .min()
        .unwrap_or_default()
}

/// Milliseconds of `time` after the earliest. Seven weeks fit; a later one would count as that late.
pub(super) fn after(earliest: i64, time: Timestamp) -> [u8; 4] {
    let after = time.as_millisecond().saturating_sub(earliest);
    u32::try_from(after).unwrap_or(u32::MAX).to_be_bytes()
}

/// The time that lies so many milliseconds after the earliest.
pub(super) fn time_after(earliest: i64, after: [u8; 4]) -> Result<Timestamp, Unreadable> {
    let after = i64::from(u32::from_be_bytes(after));
    let at = earliest.checked_add(after).ok_or(Unreadable)?;
    Timestamp::from_millisecond(at).map_err(|_| Unreadable)
}

/// Takes the first bytes off.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Unreadable)?;
    *bytes = rest;
    Ok(*first)
}
