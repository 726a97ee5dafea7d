//! Tokens as identity providers sign them. They are put together by hand, so that every part of
//! them can be wrong.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa;
use rsa::Generate as _;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

/// Somebody who signs tokens, with one key.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The key's id, in the header of its tokens.
    pub id: String,
    key: Key,
}

#[derive(Debug, Clone)]
enum Key {
    Secret(String),
    EdDsa(ed25519_dalek::SigningKey),
    Es256(ecdsa::SigningKey),
    Rs256(rsa::PrivateKey),
}

/// Making one takes a second, so all tests share it.
static RSA: LazyLock<rsa::PrivateKey> = LazyLock::new(rsa::PrivateKey::generate);

impl Signer {
    /// HS256, with a secret that is shared with the service.
    #[must_use]
    pub fn with_secret(secret: &str) -> Self {
        Self {
            id: "none".to_owned(),
            key: Key::Secret(secret.to_owned()),
        }
    }

    /// `EdDSA`, with a new key.
    #[must_use]
    pub fn ed25519(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            key: Key::EdDsa(ed25519_dalek::SigningKey::from_bytes(&random())),
        }
    }

    /// ES256, with a new key.
    ///
    /// # Panics
    /// Practically never: nearly every number is a key.
    #[must_use]
    pub fn p256(id: &str) -> Self {
        let key = ecdsa::SigningKey::from_slice(&random()).expect("a key");
        Self {
            id: id.to_owned(),
            key: Key::Es256(key),
        }
    }

    /// RS256, always with the same key.
    #[must_use]
    pub fn rsa(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            key: Key::Rs256(RSA.clone()),
        }
    }

    /// Its public key as a member of a JWK set.
    ///
    /// # Panics
    /// When there is none: a secret has no public half.
    #[must_use]
    pub fn jwk(&self) -> Value {
        match &self.key {
            Key::Secret(_) => panic!("a secret is not published"),
            Key::EdDsa(key) => {
                let x = base64url(key.verifying_key().as_bytes());
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x, "use": "sig" })
            }
            Key::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                let (x, y) = (base64url(x), base64url(y));
                json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "x": x, "y": y })
            }
            Key::Rs256(key) => {
                let (n, e) = (base64url(&key.n_bytes()), base64url(&key.e_bytes()));
                json!({ "kty": "RSA", "kid": self.id, "n": n, "e": e, "alg": "RS256" })
            }
        }
    }

    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Secret(_) => "HS256",
            Key::EdDsa(_) => "EdDSA",
            Key::Es256(_) => "ES256",
            Key::Rs256(_) => "RS256",
        }
    }

    /// A token with these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({ "typ": "JWT", "alg": self.algorithm(), "kid": self.id });
        self.sign_with(&header, claims)
    }

    /// A token with this header, whatever it says.
    ///
    /// # Panics
    /// When the key cannot sign.
    #[must_use]
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let bytes = message.as_bytes();
        let signature = match &self.key {
            Key::Secret(secret) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
                mac.chain_update(bytes).finalize().into_bytes().to_vec()
            }
            Key::EdDsa(key) => key.sign(bytes).to_vec(),
            Key::Es256(key) => {
                let signature: ecdsa::Signature = ecdsa::signature::Signer::sign(key, bytes);
                signature.to_bytes().to_vec()
            }
            Key::Rs256(key) => key.pkcs1v15_sign::<Sha256>(bytes).expect("a signature"),
        };
        format!("{message}.{}", base64url(&signature))
    }
}

/// A set with the public keys of all of them.
#[must_use]
pub fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// Header and claims, not signed.
#[must_use]
pub fn message(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}", encode(header), encode(claims))
}

/// The least that a token has to say: who, and until when.
#[must_use]
pub fn claims(user: &str) -> Value {
    json!({ "sub": user, "exp": now_s() + 600 })
}

/// Claims with one more, or another one.
///
/// # Panics
/// When they are no object.
#[must_use]
pub fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    let fields = claims.as_object_mut().expect("claims");
    fields.insert(name.to_owned(), value.into());
    claims
}

/// Seconds since 1970.
///
/// # Panics
/// Before that.
#[must_use]
pub fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time after 1970").as_secs()
}

#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}
