//! Verifying a token: signature, time, issuer, audience and claims. Pure but for the clock.

use std::collections::HashSet;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::keys::{Key, KeySource, Keys, NoKey};
use super::scopes::Scopes;
use crate::domain::placing::USER_ID;

/// Longest token that is looked at, in bytes.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// What a token must be like.
#[derive(Debug)]
pub struct TokenRules {
    pub keys: KeySource,
    pub issuer: Option<String>,
    pub audience: Option<String>,
    /// The claim that names the user.
    pub user_claim: String,
    /// A token must have all of them.
    pub required_claims: Vec<Claim>,
    /// Whoever has one of them has every scope.
    pub staff_claims: Vec<Claim>,
    pub scope_claim: String,
    pub clock_skew_s: u64,
}

/// A claim and the value that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub value: String,
}

/// Who a token says the caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user, in the service's own terms: a `user_id`.
    pub subject: Arc<str>,
    pub scopes: Scopes,
    /// The last second in which the token is good, since 1970; `None` if it has to be verified
    /// each time.
    pub good_until: Option<u64>,
}

/// Why a token is refused, for the log alone.
pub type Reason = &'static str;

/// The header of a token.
pub fn header(token: &str) -> Result<Header, Reason> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err("it is too long");
    }
    let header = decode_header(token).map_err(|_| "it is no signed JWT of a known algorithm")?;
    // Whoever does not understand what is critical must refuse it (RFC 7515, 4.1.11).
    match header.crit {
        Some(_) => Err("it has critical extensions"),
        None => Ok(header),
    }
}

/// The identity in a token that one of the keys has signed. `Ok(None)`: a newer set of keys might
/// have the one that is missing.
pub fn verify(
    token: &str,
    header: &Header,
    keys: &Keys,
    rules: &TokenRules,
) -> Result<Option<Identity>, Reason> {
    match keys.find(header) {
        Ok(key) => identity(&claims(token, key, rules)?, rules).map(Some),
        Err(NoKey::Unknown) => Ok(None),
        Err(NoKey::Refused(reason)) => Err(reason),
    }
}

/// The claims of a token whose signature, times, issuer and audience are right.
fn claims(token: &str, key: &Key, rules: &TokenRules) -> Result<Map<String, Value>, Reason> {
    let mut validation = Validation::new(key.algorithm);
    validation.leeway = rules.clock_skew_s;
    validation.validate_nbf = true;
    validation.validate_aud = rules.audience.is_some();
    validation.aud = rules.audience.iter().cloned().map(only).next();
    validation.iss = rules.issuer.iter().cloned().map(only).next();
    // What is to be compared must be there.
    let compared = [
        ("aud", rules.audience.is_some()),
        ("iss", rules.issuer.is_some()),
    ];
    let compared = compared.iter().filter(|(_, wanted)| *wanted);
    validation
        .required_spec_claims
        .extend(compared.map(|(name, _)| (*name).to_owned()));
    let data = decode::<Map<String, Value>>(token, &key.decoding, &validation);
    data.map(|data| data.claims)
        .map_err(|error| reason(error.kind()))
}

fn only(value: String) -> HashSet<String> {
    HashSet::from([value])
}

fn reason(kind: &ErrorKind) -> Reason {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidIssuer => "it has another issuer",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidAlgorithm => "its algorithm is not the one of its key",
        ErrorKind::MissingRequiredClaim(_) => "it lacks exp, iss or aud",
        _ => "it is malformed",
    }
}

/// What the claims say about the caller.
fn identity(claims: &Map<String, Value>, rules: &TokenRules) -> Result<Identity, Reason> {
    if !rules.required_claims.iter().all(|claim| has(claims, claim)) {
        return Err("it lacks a required claim");
    }
    let subject = match claims.get(&rules.user_claim) {
        Some(Value::String(text)) => text.clone(),
        // The user service numbers its users, or may have done so.
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        _ => return Err("it names no user"),
    };
    if USER_ID.check(&subject).is_some() {
        return Err("its user cannot be one");
    }
    let staff = rules.staff_claims.iter().any(|claim| has(claims, claim));
    let scopes = if staff {
        Scopes::all()
    } else {
        scopes(claims.get(&rules.scope_claim))
    };
    let expires_at = claims.get("exp").and_then(Value::as_u64);
    Ok(Identity {
        subject: subject.into(),
        scopes,
        good_until: expires_at.map(|at| at.saturating_add(rules.clock_skew_s)),
    })
}

/// Whether a claim has the value, or, being a list, contains it.
fn has(claims: &Map<String, Value>, wanted: &Claim) -> bool {
    let is = |value: &Value| match value {
        Value::String(text) => *text == wanted.value,
        Value::Bool(is_so) => wanted.value == if *is_so { "true" } else { "false" },
        Value::Number(number) => wanted.value == number.to_string(),
        _ => false,
    };
    match claims.get(&wanted.name) {
        Some(Value::Array(values)) => values.iter().any(is),
        Some(value) => is(value),
        None => false,
    }
}

/// The scopes of a claim: text with spaces, or a list.
fn scopes(claim: Option<&Value>) -> Scopes {
    match claim {
        Some(Value::String(text)) => Scopes::named(text.split(' ')),
        Some(Value::Array(values)) => Scopes::named(values.iter().filter_map(Value::as_str)),
        _ => Scopes::default(),
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
