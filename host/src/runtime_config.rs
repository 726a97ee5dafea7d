//! Reading `runtime-config.toml`.
//!
//! The keys are those of Spin 4.0.2; others are refused. Keys that ask for something the
//! stand-in does not have (stores, databases, models, TLS client certificates, variable
//! providers) are refused by name.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// What a runtime configuration says, with Spin's defaults where it is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Whether outbound HTTP connections are kept for later requests.
    pub connection_pooling: bool,
    /// How many outbound HTTP connections may be open at once, less one: Spin counts from zero.
    pub max_concurrent_requests: Option<usize>,
    /// The most memory of one guest instance, in bytes.
    pub max_instance_memory: Option<usize>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            connection_pooling: true,
            max_concurrent_requests: None,
            max_instance_memory: None,
        }
    }
}

impl RuntimeConfig {
    /// Reads the file at this path.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has a key that is unknown or not supported.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the runtime config {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("invalid runtime config {}", path.display()))
    }

    /// Reads a runtime configuration from its text.
    ///
    /// # Errors
    ///
    /// A key is unknown or not supported.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let unsupported = [
            ("client_tls", file.client_tls.is_some()),
            ("config_provider", file.config_provider.is_some()),
            ("variables_provider", file.variables_provider.is_some()),
            ("key_value_store", file.key_value_store.is_some()),
            ("sqlite_database", file.sqlite_database.is_some()),
            ("llm_compute", file.llm_compute.is_some()),
            ("outbound_networking", file.outbound_networking.is_some()),
        ];
        if let Some((key, _)) = unsupported.iter().find(|(_, present)| *present) {
            bail!("the stand-in does not have {key:?}");
        }
        let mut config = Self {
            max_instance_memory: file.max_instance_memory,
            ..Self::default()
        };
        if let Some(http) = file.outbound_http {
            // As in Spin: a table that does not mention pooling turns it off.
            config.connection_pooling = http.connection_pooling;
            config.max_concurrent_requests = http.max_concurrent_requests;
        }
        Ok(config)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Where Spin keeps its state and logs. The stand-in keeps neither.
    #[serde(rename = "state_dir")]
    _state_dir: Option<String>,
    #[serde(rename = "log_dir")]
    _log_dir: Option<String>,
    max_instance_memory: Option<usize>,
    outbound_http: Option<OutboundHttp>,
    client_tls: Option<toml::Value>,
    config_provider: Option<toml::Value>,
    variables_provider: Option<toml::Value>,
    key_value_store: Option<toml::Value>,
    sqlite_database: Option<toml::Value>,
    llm_compute: Option<toml::Value>,
    outbound_networking: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboundHttp {
    #[serde(default)]
    connection_pooling: bool,
    max_concurrent_requests: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_means_spins_defaults() {
        let config = RuntimeConfig::parse("").unwrap();
        assert_eq!(config, RuntimeConfig::default());
        assert!(config.connection_pooling);
    }

    #[test]
    fn an_outbound_http_table_without_pooling_turns_it_off() {
        let config = RuntimeConfig::parse("[outbound_http]\nmax_concurrent_requests = 8").unwrap();
        assert!(!config.connection_pooling);
        assert_eq!(config.max_concurrent_requests, Some(8));
    }

    #[test]
    fn unknown_and_unsupported_keys_are_refused_by_name() {
        for text in ["frobnicate = 1", "[outbound_http]\nfrobnicate = 1"] {
            let error = format!("{:#}", RuntimeConfig::parse(text).unwrap_err());
            assert!(error.contains("frobnicate"), "{error}");
        }
        let error = RuntimeConfig::parse("[sqlite_database.default]\ntype = \"spin\"").unwrap_err();
        assert!(error.to_string().contains("sqlite_database"));
    }
}
