//! Tokens that this instance has verified, so that a caller's next request costs a look-up.
//!
//! A token is remembered as long as it is good and its key is: when the keys change, everything
//! is forgotten.

use core::cell::RefCell;
use std::collections::HashMap;

use crate::identity::token::Identity;

/// Tokens that are remembered at most.
const TOKENS_MAX: usize = 256;

thread_local! {
    static TOKENS: RefCell<HashMap<String, Identity>> = RefCell::new(HashMap::new());
}

/// The identity in the token, if it was verified before and is still good.
pub fn get(token: &str, now_s: u64) -> Option<Identity> {
    TOKENS.with_borrow_mut(|tokens| {
        let identity = tokens.get(token)?;
        if identity.good_until >= Some(now_s) {
            return Some(identity.clone());
        }
        tokens.remove(token);
        None
    })
}

/// Remembers a verified token, unless nothing says how long it is good.
pub fn put(token: &str, identity: &Identity) {
    if identity.good_until.is_none() {
        return;
    }
    TOKENS.with_borrow_mut(|tokens| {
        // An instance lives for a moment; what it has no room for is verified again.
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(token.to_owned(), identity.clone());
    });
}

/// The keys have changed: what they have verified counts no more.
pub fn forget_all() {
    TOKENS.with_borrow_mut(HashMap::clear);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::scopes::Scopes;

    fn identity(good_until: Option<u64>) -> Identity {
        Identity {
            subject: "user123".into(),
            scopes: Scopes::default(),
            good_until,
        }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires_or_the_keys_change() {
        put("a", &identity(Some(100)));
        put("b", &identity(Some(200)));
        assert_eq!(get("a", 100), Some(identity(Some(100))));
        assert_eq!(get("a", 101), None);
        assert_eq!(get("b", 101), Some(identity(Some(200))));
        forget_all();
        assert_eq!(get("b", 101), None);
    }

    #[test]
    fn a_token_whose_end_is_unknown_is_not_remembered() {
        put("a", &identity(None));
        assert_eq!(get("a", 0), None);
    }

    #[test]
    fn a_flood_of_tokens_does_not_grow_the_memory() {
        for number in 0..TOKENS_MAX * 3 {
            put(&number.to_string(), &identity(Some(1)));
            assert!(TOKENS.with_borrow(HashMap::len) <= TOKENS_MAX);
        }
    }
}
