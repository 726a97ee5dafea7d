//! Tokens and sets of keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use order_service::domain::placing::USER_ID;
use order_service::identity::keys::{KeySource, Keys};
use order_service::identity::scopes::Scopes;
use order_service::identity::token::{Claim, TokenRules, header, verify};
use sha2::Sha256;

const SECRET: &str = "a secret of thirty-two bytes, or more";

fn rules() -> TokenRules {
    let claim = |name: &str, value: &str| Claim {
        name: name.into(),
        value: value.into(),
    };
    TokenRules {
        keys: KeySource::Url(String::new()),
        issuer: None,
        audience: None,
        user_claim: "sub".into(),
        required_claims: vec![claim("type", "access")],
        staff_claims: vec![claim("role", "ADMIN")],
        scope_claim: "scope".into(),
        clock_skew_s: 30,
    }
}

/// A whole token, which nobody has signed, and the claims of one that is signed.
pub fn token(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let keys = Keys::of_secret(SECRET).expect("a secret");
    let public = Keys::of_jwks(include_str!("../corpus/key_set/all.json")).expect("a set");
    for keys in [&keys, &public] {
        if let Ok(header) = header(text) {
            let identity = verify(text, &header, keys, &rules());
            assert!(!matches!(identity, Ok(Some(_))), "nobody has signed it");
        }
    }
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(br#"{"alg":"HS256"}"#), encode(data));
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    let mac = mac.chain_update(&message).finalize().into_bytes();
    let token = format!("{message}.{}", encode(&mac));
    let Ok(header) = header(&token) else {
        return;
    };
    if let Ok(Some(identity)) = verify(&token, &header, &keys, &rules()) {
        assert!(USER_ID.check(&identity.subject).is_none());
        let claims: serde_json::Value = serde_json::from_slice(data).expect("claims");
        assert!(claims.get("exp").is_some_and(serde_json::Value::is_number));
        let is_admin = claims["role"] == "ADMIN" || claims["role"].is_array();
        assert!(is_admin || identity.scopes != Scopes::all() || claims.get("scope").is_some());
    }
}

/// A set of keys, and a search in it for whatever the first line names as a header.
pub fn key_set(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let (first, rest) = text.split_once('\n').unwrap_or(("", text));
    let (Ok(keys), Ok(header)) = (Keys::of_jwks(rest), serde_json::from_str(first)) else {
        return;
    };
    if let Ok(key) = keys.find(&header) {
        assert_eq!(key.algorithm, header.alg);
        assert_ne!(key.algorithm, jsonwebtoken::Algorithm::HS256);
    }
}
