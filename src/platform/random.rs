//! Randomness.

/// A random number below `bound`; 0 if there is no randomness.
pub fn random(bound: u32) -> u32 {
    let random = getrandom::u32().unwrap_or_default();
    random.checked_rem(bound).unwrap_or_default()
}
