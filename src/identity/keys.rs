//! The keys that tokens are verified with. Each knows the one algorithm it is for; a token's
//! header picks a key and never an algorithm.

use core::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use super::signatures;

/// Shortest secret, in bytes: the size of HS256's digest (RFC 7518, 3.2).
pub const SECRET_MIN_BYTES: usize = 32;
/// Shortest modulus of an RSA key, in bytes (RFC 7518, 3.3). The library has an upper limit.
const MODULUS_MIN_BYTES: usize = 256;
/// Keys of one set at most.
const KEYS_MAX: usize = 64;

/// Where keys come from.
#[derive(Debug)]
pub enum KeySource {
    Given(Arc<Keys>),
    Url(String),
}

impl KeySource {
    /// Where the keys are fetched, if they are.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Given(_) => None,
            Self::Url(url) => Some(url),
        }
    }
}

/// Every key of one source.
pub struct Keys(Vec<Key>);

/// A key and what it is for.
pub struct Key {
    id: Option<String>,
    pub algorithm: Algorithm,
    pub decoding: DecodingKey,
}

impl fmt::Debug for Keys {
    /// Without the keys: one of them may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// No key has the id; a newer set might.
    Unknown,
    /// No set will ever have a key for it.
    Refused(&'static str),
}

impl Keys {
    /// The one key of a shared secret.
    pub fn of_secret(secret: &str) -> Result<Self, String> {
        if secret.len() < SECRET_MIN_BYTES {
            return Err(format!("must have at least {SECRET_MIN_BYTES} bytes"));
        }
        signatures::install();
        Ok(Self(vec![Key {
            id: None,
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        }]))
    }

    /// The public keys of a JWK set (RFC 7517) that this service can use; others are left out.
    ///
    /// # Errors
    /// It is no JWK set, has no usable key, or holds the secret half of one.
    pub fn of_jwks(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_str(text).map_err(|_| "must be a JWK set")?;
        if set
            .keys
            .iter()
            .any(|key| key.get("d").is_some() || key.get("k").is_some())
        {
            return Err("must have public keys only".into());
        }
        signatures::install();
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .filter_map(key)
            .take(KEYS_MAX)
            .collect();
        if keys.is_empty() {
            return Err("must have a key for EdDSA, ES256 or RS256".into());
        }
        Ok(Self(keys))
    }

    /// The key that the header names. A token without a key id fits if there is only one key
    /// for its algorithm, so that nobody has several tried.
    pub fn find(&self, header: &Header) -> Result<&Key, NoKey> {
        let mut fitting = self.0.iter().filter(|key| key.algorithm == header.alg);
        let Some(first) = fitting.next() else {
            let asymmetric = self.0.iter().any(|key| key.algorithm != Algorithm::HS256);
            let usable = matches!(
                header.alg,
                Algorithm::EdDSA | Algorithm::ES256 | Algorithm::RS256
            );
            return Err(if asymmetric && usable && header.kid.is_some() {
                NoKey::Unknown
            } else {
                NoKey::Refused("its algorithm is not the one of a key")
            });
        };
        // A shared secret has no id, whatever the signer calls it.
        if first.algorithm == Algorithm::HS256 {
            return Ok(first);
        }
        match &header.kid {
            None if fitting.next().is_none() => Ok(first),
            None => Err(NoKey::Refused("it names none of several keys")),
            Some(id) => {
                let named = |key: &&Key| key.id.as_ref() == Some(id);
                let found = Some(first).filter(named).or_else(|| fitting.find(named));
                found.ok_or(NoKey::Unknown)
            }
        }
    }
}

/// A key of a set, if it is one to verify signatures with by one of our algorithms.
fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let operations = common.key_operations.as_deref();
    if operations.is_some_and(|all| !all.contains(&jsonwebtoken::jwk::KeyOperations::Verify)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::RSA(rsa) if length(&rsa.n)? >= MODULUS_MIN_BYTES => Algorithm::RS256,
        _ => return None,
    };
    if let Some(named) = common.key_algorithm
        && Algorithm::try_from(named).ok() != Some(algorithm)
    {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    signatures::fits(algorithm, &decoding).then_some(Key {
        id: common.key_id.clone(),
        algorithm,
        decoding,
    })
}

/// How many bytes a value has.
fn length(base64: &str) -> Option<usize> {
    URL_SAFE_NO_PAD.decode(base64).ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The public key of RFC 8037, A.2.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set(keys: &Value) -> Result<Keys, String> {
        Keys::of_jwks(&json!({ "keys": keys }).to_string())
    }

    #[test]
    fn a_secret_is_long_enough() {
        assert!(Keys::of_secret(&"x".repeat(32)).is_ok());
        let short = Keys::of_secret(&"x".repeat(31)).map(|_| ());
        assert_eq!(short, Err("must have at least 32 bytes".into()));
    }

    #[test]
    fn a_set_may_have_keys_that_are_not_for_us() {
        let others = json!([
            { "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": X },
            { "kty": "OKP", "crv": "Ed25519", "kid": "short", "x": "AAAA" },
            { "kty": "OKP", "crv": "X25519", "kid": "b", "x": X },
            { "kty": "OKP", "crv": "Ed25519", "kid": "c", "x": X, "use": "enc" },
            { "kty": "OKP", "crv": "Ed25519", "kid": "d", "x": X, "alg": "RS256" },
            { "kty": "EC", "crv": "P-256", "kid": "e", "x": X, "y": X },
            { "kty": "RSA", "kid": "f", "n": "AQAB", "e": "AQAB" },
            { "kty": "unheard-of", "kid": "g" },
            7,
        ]);
        let keys = set(&others).unwrap();
        let ids: Vec<_> = keys.0.iter().map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, [Some("a")]);
        assert_eq!(format!("{keys:?}"), "1 keys");
    }

    #[test]
    fn a_set_without_a_usable_key_is_refused() {
        for text in ["", "{}", "[]", "{\"keys\":{}}", "\"keys\""] {
            assert_eq!(
                Keys::of_jwks(text).map(|_| ()),
                Err("must be a JWK set".into())
            );
        }
        let none = "must have a key for EdDSA, ES256 or RS256".to_owned();
        assert_eq!(set(&json!([])).map(|_| ()), Err(none));
    }

    #[test]
    fn a_secret_half_of_a_key_does_not_belong_in_a_set() {
        let refused = Err("must have public keys only".to_owned());
        let private = json!([{ "kty": "OKP", "crv": "Ed25519", "x": X, "d": X }]);
        assert_eq!(set(&private).map(|_| ()), refused);
        let symmetric = json!([{ "kty": "oct", "kid": "a", "k": X }]);
        assert_eq!(set(&symmetric).map(|_| ()), refused);
    }
}
