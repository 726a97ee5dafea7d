//! Pools of connections: one for every address, shared by all instances.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Client;
use crate::allowed_hosts::AllowedHosts;
use crate::bindings::spin::postgres::postgres::Error;

/// Connections of one pool, as in Spin.
const POOL_SIZE: usize = 64;

/// A connection string, and the authority that is trusted beside those of the system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    pub url: String,
    pub ca_root: Option<CertificateDer<'static>>,
}

/// The pools of an application.
#[derive(Default)]
pub struct Pools(Mutex<HashMap<Address, Pool>>);

impl Pools {
    /// Takes a connection to this address, waiting for one when all are taken.
    ///
    /// # Errors
    ///
    /// The address makes no sense, or nobody who can be trusted answers there.
    pub async fn open(&self, address: &Address) -> Result<Client> {
        let pool = self
            .pool(address)
            .context("establishing PostgreSQL connection pool")?;
        Ok(Client::new(pool.get().await?))
    }

    fn pool(&self, address: &Address) -> Result<Pool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(address) {
            return Ok(pool.clone());
        }
        let pool = create(address)?;
        pools.insert(address.clone(), pool.clone());
        Ok(pool)
    }
}

fn create(address: &Address) -> Result<Pool> {
    let config: Config = address
        .url
        .parse()
        .context("parsing Postgres connection string")?;
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Clean,
    };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, recycling)
    } else {
        let tls = ClientConfig::builder()
            .with_root_certificates(authorities(address.ca_root.clone())?)
            .with_no_client_auth();
        Manager::from_config(config, MakeRustlsConnect::new(tls), recycling)
    };
    Pool::builder(manager)
        .max_size(POOL_SIZE)
        .build()
        .context("building Postgres connection pool")
}

/// The authorities of the system (or of `SSL_CERT_FILE`), and this one.
fn authorities(ca_root: Option<CertificateDer<'static>>) -> Result<RootCertStore> {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca_root) = ca_root {
        authorities
            .add(ca_root)
            .context("invalid root certificate")?;
    }
    Ok(authorities)
}

/// # Errors
///
/// The text is no certificate in PEM.
pub fn certificate(pem: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::Other(format!("invalid root certificate: {error}")))
}

/// Checks that the guest may connect to every host in a connection string.
pub fn check(allowed: &AllowedHosts, address: &str) -> Result<(), Error> {
    let config: Config = address
        .parse()
        .map_err(|error: tokio_postgres::Error| Error::ConnectionFailed(error.to_string()))?;
    let ports = config.get_ports();
    for (index, host) in config.get_hosts().iter().enumerate() {
        let Host::Tcp(host) = host else {
            let refusal = "Unix sockets are not supported on WebAssembly";
            return Err(Error::ConnectionFailed(refusal.to_owned()));
        };
        // One port counts for all hosts, otherwise each has its own.
        let port = if let [port] = ports {
            Some(port)
        } else {
            ports.get(index)
        };
        let destination = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        if !allowed.allows(&destination, "postgres") {
            let refusal = format!("address postgres://{destination} is not permitted");
            return Err(Error::ConnectionFailed(refusal));
        }
    }
    Ok(())
}
