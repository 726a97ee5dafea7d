//! The settings of the service: Spin variables, read once per instance.

pub mod callers;
pub mod origins;
mod settings;

use core::cell::RefCell;
use core::fmt::Display;
use core::str::FromStr;
use core::time::Duration;
use std::sync::Arc;

use http::Uri;
use serde::Serialize;

use self::callers::Callers;
use self::settings::Settings;
use crate::platform::{postgres, variables};

/// How long a replica may take for a list, whatever time the request has.
const DATABASE_READ_TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// The newest migration that this version relies on; the prefix of its file's name.
pub const NEWEST_MIGRATION: &str = "20261129100002";

/// Every setting. spin.toml has their defaults, docs/settings.md explains them.
#[derive(Debug)]
pub struct Config {
    /// Connection string of Postgres; holds a password.
    pub database_url: String,
    /// Connection string of replicas of it, if there are any; holds a password.
    pub database_read_url: Option<String>,
    /// How long a replica has for a list before the primary is asked.
    pub database_read_timeout: Duration,
    /// Connection string of Redis; may hold a password.
    pub redis_url: String,
    redis_key_prefix: String,
    pub product_service: ProductService,
    pub environment: String,
    pub service_name: String,
    pub log_level: Level,
    /// How long a request may take in all.
    pub request_timeout: Duration,
    /// How long an order stays in the cache after it was last written there.
    pub order_cache_ttl: Duration,
    /// Who may call. What is wrong with it lets nobody in, and is told at `/ready`.
    pub callers: Result<Callers, BadVariable>,
}

/// How to reach the product service.
#[derive(Debug)]
pub struct ProductService {
    /// Scheme, host and port, without a slash at the end; may have a path.
    pub url: String,
    /// Path of a product, with `{id}` for its percent-encoded id.
    pub path: String,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Attempts for one product at most.
    pub attempts: u32,
    /// Path of its own health check.
    pub health_path: String,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open before a probe may pass.
    pub breaker_open: Duration,
    /// How old a last known price may be; `None` if there is to be none.
    pub price_max_age: Option<Duration>,
}

/// How much a log line matters; the least important come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err("must be error, warn, info or debug"),
        }
    }
}

/// A variable is missing or makes no sense.
#[derive(Debug, Clone, thiserror::Error)]
#[error("variable {name}: {reason}")]
pub struct BadVariable {
    pub name: &'static str,
    reason: String,
}

impl BadVariable {
    pub fn new(name: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { name, reason }
    }
}

thread_local! {
    static CONFIG: RefCell<Option<Arc<Config>>> = const { RefCell::new(None) };
}

impl Config {
    /// The settings of this instance.
    pub async fn get() -> Result<Arc<Self>, BadVariable> {
        if let Some(config) = CONFIG.with_borrow(Clone::clone) {
            return Ok(config);
        }
        let settings = variables::get("settings").await;
        let settings = settings.map_err(|reason| BadVariable::new("settings", reason))?;
        let config = Arc::new(Self::of(&Settings::parse(&settings))?);
        CONFIG.set(Some(config.clone()));
        Ok(config)
    }

    /// A key of this service in Redis, which may be others' too.
    pub fn redis_key(&self, name: impl Display) -> String {
        format!("{}{name}", self.redis_key_prefix)
    }

    fn of(settings: &Settings) -> Result<Self, BadVariable> {
        let request_timeout = Duration::from_millis(settings.number("request_timeout_ms")?);
        if let Some(database_ca) = settings.optional("database_ca")? {
            postgres::trust(lines(&database_ca));
        }
        // The primary must have time left to answer in its place.
        let quarter = request_timeout.checked_div(4).unwrap_or_default();
        let database_read_timeout = quarter.min(DATABASE_READ_TIMEOUT_MAX);
        let database_read_url = settings.optional("database_read_url")?;
        Ok(Self {
            database_url: database_url(settings.text("database_url")?, request_timeout),
            database_read_url: database_read_url
                .map(|url| database_url(&url, database_read_timeout)),
            database_read_timeout,
            redis_url: settings.text("redis_url")?.to_owned(),
            redis_key_prefix: settings.text("redis_key_prefix")?.to_owned(),
            product_service: ProductService::of(settings)?,
            environment: settings.text("environment")?.to_owned(),
            service_name: settings.text("service_name")?.to_owned(),
            log_level: settings.parsed("log_level")?,
            request_timeout,
            order_cache_ttl: Duration::from_secs(settings.number("order_cache_ttl_s")?),
            callers: Callers::of(settings),
        })
    }
}

impl ProductService {
    fn of(settings: &Settings) -> Result<Self, BadVariable> {
        let url = settings.text("product_service_url")?;
        let url = url.trim_end_matches('/').to_owned();
        let absolute = url.parse::<Uri>().is_ok_and(|uri| {
            uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !absolute {
            return Err(BadVariable::new(
                "product_service_url",
                "must be an http or https URL",
            ));
        }
        let path = settings.text("product_path")?.to_owned();
        if !path.starts_with('/') || !path.contains("{id}") {
            return Err(BadVariable::new(
                "product_path",
                "must begin with a slash and contain {id}",
            ));
        }
        let health_path = settings.text("product_health_path")?.to_owned();
        if !health_path.starts_with('/') {
            return Err(BadVariable::new(
                "product_health_path",
                "must begin with a slash",
            ));
        }
        let price_max_age_s: u32 = settings.parsed("product_price_max_age_s")?;
        Ok(Self {
            url,
            path,
            health_path,
            timeout: Duration::from_millis(settings.number("product_timeout_ms")?),
            attempts: settings.number("product_attempts")?,
            breaker_failures: settings.number("product_breaker_failures")?,
            breaker_open: Duration::from_millis(settings.number("product_breaker_open_ms")?),
            price_max_age: (price_max_age_s > 0)
                .then(|| Duration::from_secs(price_max_age_s.into())),
        })
    }
}

/// A text of several lines, where `\n` may stand for their ends: some sources of settings have
/// one line for each.
fn lines(text: &str) -> String {
    text.replace("\\n", "\n")
}

/// Lets Postgres itself give up a statement that the request no longer waits for, unless the
/// address sets options of its own.
fn database_url(url: &str, timeout: Duration) -> String {
    if !url.starts_with("postgres") || url.contains("options=") {
        return url.to_owned();
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let timeout = timeout.as_millis();
    format!("{url}{separator}options=-c%20statement_timeout%3D{timeout}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_may_be_written_in_one_line() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
        assert_eq!(lines(certificate), certificate);
        assert_eq!(lines(&certificate.replace('\n', "\\n")), certificate);
    }

    #[test]
    fn a_statement_ends_with_its_request() {
        let url = |url: &str| database_url(url, Duration::from_secs(5));
        let options = "options=-c%20statement_timeout%3D5000";
        assert_eq!(url("postgres://h/d"), format!("postgres://h/d?{options}"));
        assert_eq!(
            url("postgres://h/d?sslmode=disable"),
            format!("postgres://h/d?sslmode=disable&{options}")
        );
        assert_eq!(url("postgres://h/d?options=x"), "postgres://h/d?options=x");
    }
}
