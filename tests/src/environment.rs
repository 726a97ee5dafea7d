//! Where the servers are: `DATABASE_URL` and `REDIS_URL`.

use std::path::{Path, PathBuf};

use reqwest::Url;

/// The Postgres server; its role may create databases.
///
/// # Panics
/// When `DATABASE_URL` is not set: nothing can be tested without it.
#[must_use]
pub fn database_url() -> Url {
    url("DATABASE_URL")
}

/// The Redis server. `host:port` is understood too, as the service does.
///
/// # Panics
/// When `REDIS_URL` is not set.
#[must_use]
pub fn redis_url() -> Url {
    url("REDIS_URL")
}

/// The top folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The manifest of the service, or that of another release, which `TEST_MANIFEST` names.
#[must_use]
pub fn manifest() -> PathBuf {
    let other = std::env::var_os("TEST_MANIFEST").map(PathBuf::from);
    other.unwrap_or_else(|| repository().join("spin.toml"))
}

/// `host:port` of a server.
///
/// # Panics
/// When the URL names no host.
#[must_use]
pub fn host_and_port(url: &Url, default_port: u16) -> String {
    let host = url.host_str().expect("the URL names a host");
    format!("{host}:{}", url.port().unwrap_or(default_port))
}

fn url(name: &str) -> Url {
    let text = std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; `make test` starts the servers that the tests need")
    });
    let text = if text.contains("://") {
        text
    } else {
        format!("redis://{text}")
    };
    Url::parse(&text).unwrap_or_else(|error| panic!("{name} is not a URL: {error}"))
}
