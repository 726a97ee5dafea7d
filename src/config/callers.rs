//! The settings of who may call, and how often. docs/settings.md explains them.

use std::sync::Arc;

use http::{HeaderName, Uri};

use super::BadVariable;
use super::origins::Origins;
use super::settings::Settings;
use crate::identity::keys::{KeySource, Keys};
use crate::identity::token::{Claim, TokenRules};

/// Longest skew of clocks that is forgiven, in seconds.
const CLOCK_SKEW_MAX_S: u64 = 300;
/// Highest rate and largest bucket.
const RATE_MAX: u32 = 1_000_000;

/// Who may call, and how often.
#[derive(Debug)]
pub struct Callers {
    /// What a token must be like; `None` lets everybody do everything.
    pub tokens: Option<TokenRules>,
    /// `None` is no limit.
    pub rate_limit: Option<RateLimit>,
    /// The header in which a trusted gateway says who the client is.
    pub client_address_header: Option<HeaderName>,
    /// Pages of other origins that may call; `None` is none.
    pub origins: Option<Origins>,
    pub expose_metrics: bool,
    pub expose_docs: bool,
}

/// How many requests one caller may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a second, for long.
    pub per_s: u32,
    /// Requests at once, after a pause.
    pub burst: u32,
}

impl RateLimit {
    /// The limit, if there is one: a rate of 0 is none. Without a size, the bucket holds what comes
    /// in two seconds.
    fn new(per_s: u32, burst: Option<u32>) -> Result<Option<Self>, String> {
        if per_s == 0 {
            return Ok(None);
        }
        let burst = burst.unwrap_or(per_s.saturating_mul(2));
        if burst == 0 || burst.max(per_s) > RATE_MAX {
            return Err(format!("must be from 1 to {RATE_MAX}, like the rate"));
        }
        Ok(Some(Self { per_s, burst }))
    }
}

impl Callers {
    pub fn of(settings: &Settings) -> Result<Self, BadVariable> {
        let tokens = token_rules(settings)?;
        let origins = Origins::parse(settings.text("cors_allowed_origins")?, tokens.is_none());
        Ok(Self {
            rate_limit: rate_limit(settings)?,
            client_address_header: client_address_header(settings)?,
            origins: origins.map_err(|reason| BadVariable::new("cors_allowed_origins", reason))?,
            expose_metrics: settings.parsed("expose_metrics")?,
            expose_docs: settings.parsed("expose_docs")?,
            tokens,
        })
    }
}

fn rate_limit(settings: &Settings) -> Result<Option<RateLimit>, BadVariable> {
    let per_s = settings.parsed("rate_limit_per_s")?;
    let burst = match settings.text("rate_limit_burst")? {
        "" => None,
        _ => Some(settings.parsed("rate_limit_burst")?),
    };
    RateLimit::new(per_s, burst).map_err(|reason| BadVariable::new("rate_limit_burst", reason))
}

fn client_address_header(settings: &Settings) -> Result<Option<HeaderName>, BadVariable> {
    const NAME: &str = "client_address_header";
    let name = settings.optional(NAME)?.map(HeaderName::try_from);
    let name = name.transpose();
    name.map_err(|_| BadVariable::new(NAME, "must be the name of a header"))
}

/// The rules, if callers have to show tokens at all.
fn token_rules(settings: &Settings) -> Result<Option<TokenRules>, BadVariable> {
    let bad = |reason| Err(BadVariable::new("auth_mode", reason));
    match (settings.text("auth_mode")?, key_source(settings)?) {
        ("none", None) => Ok(None),
        // Whoever gives a key wants it to be used.
        ("none", Some(_)) => bad("is none, but there is a key"),
        ("jwt", None) => bad("is jwt: set auth_secret, auth_jwks or auth_jwks_url"),
        ("jwt", Some(keys)) => with(keys, settings).map(Some),
        _ => bad("must be none or jwt"),
    }
}

fn with(keys: KeySource, settings: &Settings) -> Result<TokenRules, BadVariable> {
    let clock_skew_s = settings.parsed("auth_clock_skew_s")?;
    if clock_skew_s > CLOCK_SKEW_MAX_S {
        let reason = format!("must be at most {CLOCK_SKEW_MAX_S}");
        return Err(BadVariable::new("auth_clock_skew_s", reason));
    }
    Ok(TokenRules {
        keys,
        issuer: settings.optional("auth_issuer")?,
        audience: settings.optional("auth_audience")?,
        user_claim: settings.required("auth_user_claim")?,
        required_claims: claims(settings, "auth_required_claims")?,
        staff_claims: claims(settings, "auth_staff_claims")?,
        scope_claim: settings.required("auth_scope_claim")?,
        clock_skew_s,
    })
}

/// Where the keys come from; `None` if nothing names any.
fn key_source(settings: &Settings) -> Result<Option<KeySource>, BadVariable> {
    let given = |keys| Some(KeySource::Given(Arc::new(keys)));
    match [
        settings.text("auth_secret")?,
        settings.text("auth_jwks")?,
        settings.text("auth_jwks_url")?,
    ] {
        ["", "", ""] => Ok(None),
        [secret, "", ""] => {
            let keys = Keys::of_secret(secret);
            let keys = keys.map_err(|reason| BadVariable::new("auth_secret", reason));
            keys.map(given)
        }
        ["", set, ""] => {
            let keys = Keys::of_jwks(set);
            let keys = keys.map_err(|reason| BadVariable::new("auth_jwks", reason));
            keys.map(given)
        }
        ["", "", url] => {
            check_url(url, settings.text("auth_jwks_host")?)?;
            Ok(Some(KeySource::Url(url.to_owned())))
        }
        ["", _, _] => {
            let reason = "must not be set together with auth_jwks";
            Err(BadVariable::new("auth_jwks_url", reason))
        }
        _ => {
            let reason = "must not be set together with auth_jwks or auth_jwks_url";
            Err(BadVariable::new("auth_secret", reason))
        }
    }
}

/// The host lets the component connect to `auth_jwks_host`; with another URL nobody would ever
/// get a key.
fn check_url(url: &str, host: &str) -> Result<(), BadVariable> {
    match (origin(url), origin(host)) {
        (None, _) => Err(BadVariable::new(
            "auth_jwks_url",
            "must be an http or https URL",
        )),
        (Some(of_url), Some(of_host)) if of_url == of_host => Ok(()),
        _ => {
            let reason = "must be scheme, host and port of auth_jwks_url";
            Err(BadVariable::new("auth_jwks_host", reason))
        }
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let host = uri.host()?.to_ascii_lowercase();
    Some((scheme.to_owned(), host, uri.port_u16().unwrap_or(usual)))
}

fn claims(settings: &Settings, name: &'static str) -> Result<Vec<Claim>, BadVariable> {
    parse_claims(settings.text(name)?)
        .ok_or_else(|| BadVariable::new(name, "must be name=value, separated by commas"))
}

/// `name=value`, separated by commas.
fn parse_claims(list: &str) -> Option<Vec<Claim>> {
    let claims = list
        .split(',')
        .map(str::trim)
        .filter(|claim| !claim.is_empty());
    let parse = |claim: &str| {
        let (name, value) = claim.split_once('=')?;
        let claim = Claim {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        };
        (!claim.name.is_empty() && !claim.value.is_empty()).then_some(claim)
    };
    claims.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_claims_is_whole_or_refused() {
        let claim = |name: &str, value: &str| Claim {
            name: name.into(),
            value: value.into(),
        };
        assert_eq!(parse_claims(""), Some(Vec::new()));
        assert_eq!(
            parse_claims("type=access, role = ADMIN"),
            Some(vec![claim("type", "access"), claim("role", "ADMIN")])
        );
        for bad in ["type", "type=", "=access", "type=access,role"] {
            assert_eq!(parse_claims(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_host_of_the_key_set_must_be_the_one_of_its_url() {
        let name = |url, host| check_url(url, host).map_err(|bad| bad.name);
        let url = "https://id.example/keys?v=1";
        assert_eq!(name(url, "https://ID.example:443"), Ok(()));
        assert_eq!(name(url, "http://id.example"), Err("auth_jwks_host"));
        assert_eq!(name(url, "https://id.example:8443"), Err("auth_jwks_host"));
        assert_eq!(
            name("ftp://id.example/keys", "ftp://id.example"),
            Err("auth_jwks_url")
        );
    }
}
