//! Pools of connections: one for every address, shared by all instances.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};

use super::Client;
use crate::allowed_hosts::AllowedHosts;
use crate::bindings::spin::postgres::postgres::Error;

/// Connections of one pool, as in Spin.
const POOL_SIZE: usize = 64;

/// Why connections that insist on encryption fail.
pub const NO_TLS: &str = "the stand-in has no TLS for Postgres: use sslmode=disable or prefer";

/// The pools of an application.
#[derive(Default)]
pub struct Pools(Mutex<HashMap<String, Pool>>);

impl Pools {
    /// Takes a connection to this address, waiting for one when all are taken.
    ///
    /// # Errors
    ///
    /// The address makes no sense, asks for encryption, or nobody answers there.
    pub async fn open(&self, address: &str) -> Result<Client> {
        let pool = self
            .pool(address)
            .context("establishing PostgreSQL connection pool")?;
        Ok(Client::new(pool.get().await?))
    }

    fn pool(&self, address: &str) -> Result<Pool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(address) {
            return Ok(pool.clone());
        }
        let pool = create(address)?;
        pools.insert(address.to_owned(), pool.clone());
        Ok(pool)
    }
}

fn create(address: &str) -> Result<Pool> {
    let mut config: Config = address
        .parse()
        .context("parsing Postgres connection string")?;
    match config.get_ssl_mode() {
        SslMode::Disable => (),
        // "Prefer" allows for a server without encryption, so it allows for a client without.
        SslMode::Prefer => drop(config.ssl_mode(SslMode::Disable)),
        _ => bail!(NO_TLS),
    }
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Clean,
    };
    let manager = Manager::from_config(config, NoTls, recycling);
    Pool::builder(manager)
        .max_size(POOL_SIZE)
        .build()
        .context("building Postgres connection pool")
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
