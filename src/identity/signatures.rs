//! The four algorithms by which a token may be signed, for the library that reads tokens. Its own
//! selection has more, and signs too; this one is half as large, and the service signs nothing.

use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey as Ed25519Key};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key};
use rsa::pkcs1v15::{Signature as RsaSignature, VerifyingKey as RsaKey};
use rsa::signature::Verifier as _;
use rsa::{BoxedUint, PublicKey};
use sha2::Sha256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(Signed::by(*algorithm, key)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes these the algorithms of the library; to be called before any token is read.
pub fn install() {
    // Whoever comes second finds the same ones installed.
    let _ = PROVIDER.install_default();
}

/// Whether the key is one for the algorithm.
pub fn fits(algorithm: Algorithm, key: &DecodingKey) -> bool {
    Signed::by(algorithm, key).is_ok()
}

/// A key, ready to verify.
enum Signed {
    Hs256(Hmac<Sha256>),
    EdDsa(Ed25519Key),
    Es256(P256Key),
    Rs256(RsaKey<Sha256>),
}

impl Signed {
    fn by(algorithm: Algorithm, key: &DecodingKey) -> Result<Self> {
        let bad = || ErrorKind::InvalidKeyFormat;
        match (algorithm, key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
                let mac = Hmac::new_from_slice(secret).map_err(|_| bad())?;
                Ok(Self::Hs256(mac))
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => {
                let point = point.as_slice().try_into().map_err(|_| bad())?;
                let key = Ed25519Key::from_bytes(point).map_err(|_| bad())?;
                Ok(Self::EdDsa(key))
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                let key = P256Key::from_sec1_bytes(point).map_err(|_| bad())?;
                Ok(Self::Es256(key))
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let number = BoxedUint::from_be_slice_vartime;
                let key = PublicKey::new(number(n), number(e)).map_err(|_| bad())?;
                Ok(Self::Rs256(RsaKey::new(key)))
            }
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        }
    }
}

impl Verifier<Vec<u8>> for Signed {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> core::result::Result<(), Error> {
        let good = match self {
            // Compares in constant time.
            Self::Hs256(mac) => {
                let mac = mac.clone().chain_update(message);
                mac.verify_slice(signature).is_ok()
            }
            Self::EdDsa(key) => Ed25519Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::Es256(key) => P256Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::Rs256(key) => RsaSignature::try_from(signature.as_slice())
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        };
        good.then_some(()).ok_or_else(Error::new)
    }
}

impl JwtVerifier for Signed {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::HS256,
            Self::EdDsa(_) => Algorithm::EdDSA,
            Self::Es256(_) => Algorithm::ES256,
            Self::Rs256(_) => Algorithm::RS256,
        }
    }
}
