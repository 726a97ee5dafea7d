//! Randomness.

use core::cell::Cell;
use std::time::SystemTime;

use uuid::{Builder, Uuid};

/// A random number below `bound`; 0 if there is no randomness.
pub fn random(bound: u32) -> u32 {
    let random = getrandom::u32().unwrap_or_default();
    random.checked_rem(bound).unwrap_or_default()
}

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A new `UUIDv7` that nobody must be kept from guessing. The host is asked for randomness once
/// per instance; from then on it is stretched.
pub fn request_id(now: SystemTime) -> Uuid {
    let since_1970 = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or_default();
    let random = [stretched().to_be_bytes(), stretched().to_be_bytes()].concat();
    let random = random.first_chunk().copied().unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The next number of `SplitMix64`.
fn stretched() -> u64 {
    let state = STATE.get().or_else(|| getrandom::u64().ok());
    let state = state
        .unwrap_or_default()
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(Some(state));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_of_one_moment_differ() {
        let now = SystemTime::now();
        let ids: BTreeSet<Uuid> = (0..1000).map(|_| request_id(now)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
