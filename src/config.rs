//! The settings of the service: Spin variables, read once per instance.

pub mod callers;
pub mod origins;

use core::cell::RefCell;
use core::str::FromStr;
use core::time::Duration;
use std::sync::Arc;

use http::Uri;
use serde::Serialize;

use self::callers::Callers;
use crate::platform::{postgres, variables};

/// How long a replica may take for a list, whatever time the request has.
const DATABASE_READ_TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// Every setting. spin.toml has their defaults, the README explains them.
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
    /// Put before every Redis key.
    pub redis_key_prefix: String,
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
        let config = Arc::new(Self::read().await?);
        CONFIG.set(Some(config.clone()));
        Ok(config)
    }

    async fn read() -> Result<Self, BadVariable> {
        let request_timeout = Duration::from_millis(number("request_timeout_ms").await?);
        let database_ca = text("database_ca").await?;
        if !database_ca.is_empty() {
            postgres::trust(lines(&database_ca));
        }
        // The primary must have time left to answer in its place.
        let quarter = request_timeout.checked_div(4).unwrap_or_default();
        let database_read_timeout = quarter.min(DATABASE_READ_TIMEOUT_MAX);
        let database_read_url = Some(text("database_read_url").await?);
        Ok(Self {
            database_read_url: database_read_url
                .filter(|url| !url.is_empty())
                .map(|url| database_url(url, database_read_timeout)),
            database_read_timeout,
            database_url: database_url(text("database_url").await?, request_timeout),
            redis_url: text("redis_url").await?,
            redis_key_prefix: text("redis_key_prefix").await?,
            product_service: ProductService::read().await?,
            environment: text("environment").await?,
            service_name: text("service_name").await?,
            log_level: parsed("log_level").await?,
            request_timeout,
            order_cache_ttl: Duration::from_secs(number("order_cache_ttl_s").await?),
            callers: Callers::read().await,
        })
    }
}

impl ProductService {
    async fn read() -> Result<Self, BadVariable> {
        let url = text("product_service_url").await?;
        let url = url.trim_end_matches('/').to_owned();
        let absolute = url.parse::<Uri>().is_ok_and(|uri| {
            uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !absolute {
            return Err(BadVariable {
                name: "product_service_url",
                reason: "must be an http or https URL".into(),
            });
        }
        let path = text("product_path").await?;
        if !path.starts_with('/') || !path.contains("{id}") {
            return Err(BadVariable {
                name: "product_path",
                reason: "must begin with a slash and contain {id}".into(),
            });
        }
        let health_path = text("product_health_path").await?;
        if !health_path.starts_with('/') {
            return Err(BadVariable {
                name: "product_health_path",
                reason: "must begin with a slash".into(),
            });
        }
        let price_max_age_s: u32 = parsed("product_price_max_age_s").await?;
        Ok(Self {
            url,
            path,
            health_path,
            timeout: Duration::from_millis(number("product_timeout_ms").await?),
            attempts: number("product_attempts").await?,
            breaker_failures: number("product_breaker_failures").await?,
            breaker_open: Duration::from_millis(number("product_breaker_open_ms").await?),
            price_max_age: (price_max_age_s > 0)
                .then(|| Duration::from_secs(price_max_age_s.into())),
        })
    }
}

async fn text(name: &'static str) -> Result<String, BadVariable> {
    let value = variables::get(name).await;
    value.map_err(|reason| BadVariable { name, reason })
}

async fn parsed<T: FromStr<Err: ToString>>(name: &'static str) -> Result<T, BadVariable> {
    let value = text(name).await?.parse();
    value.map_err(|error: T::Err| BadVariable {
        name,
        reason: error.to_string(),
    })
}

/// A whole number from 1.
async fn number<T: FromStr<Err: ToString> + PartialOrd + From<u8>>(
    name: &'static str,
) -> Result<T, BadVariable> {
    let number: T = parsed(name).await?;
    if number < T::from(1) {
        let reason = "must be at least 1".into();
        return Err(BadVariable { name, reason });
    }
    Ok(number)
}

/// A text of several lines, where `\n` may stand for their ends: some sources of settings have
/// one line for each.
fn lines(text: &str) -> String {
    text.replace("\\n", "\n")
}

/// Lets Postgres itself give up a statement that the request no longer waits for, unless the
/// address sets options of its own.
fn database_url(url: String, timeout: Duration) -> String {
    if !url.starts_with("postgres") || url.contains("options=") {
        return url;
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
        let url = |url: &str| database_url(url.into(), Duration::from_secs(5));
        let options = "options=-c%20statement_timeout%3D5000";
        assert_eq!(url("postgres://h/d"), format!("postgres://h/d?{options}"));
        assert_eq!(
            url("postgres://h/d?sslmode=disable"),
            format!("postgres://h/d?sslmode=disable&{options}")
        );
        assert_eq!(url("postgres://h/d?options=x"), "postgres://h/d?options=x");
    }
}
