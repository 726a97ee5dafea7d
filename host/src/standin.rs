//! Starting and stopping a host.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::allowed_hosts::AllowedHosts;
use crate::app::App;
use crate::engine;
use crate::manifest::Manifest;
use crate::outbound_http::Clients;
use crate::outbound_pg::Pools;
use crate::output::{Capture, Output};
use crate::runtime_config::RuntimeConfig;
use crate::server::Server;
use crate::telemetry::{self, Telemetry};
use crate::variables::Variables;

/// How long stopping may take before what is left is abandoned.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A host that has not been started yet.
#[derive(Debug, Clone)]
pub struct Standin {
    manifest: PathBuf,
    listen: SocketAddr,
    variables: HashMap<String, String>,
    environment: Vec<(String, String)>,
    runtime_config: Option<PathBuf>,
    output: Output,
    otlp_endpoint: Option<String>,
    threads: Option<usize>,
}

impl Standin {
    /// A host for the application in this manifest, on a free port of the loopback interface.
    #[must_use]
    pub fn new(manifest: impl AsRef<Path>) -> Self {
        Self {
            manifest: manifest.as_ref().to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            variables: HashMap::new(),
            environment: Vec::new(),
            runtime_config: None,
            output: Output::Inherit,
            otlp_endpoint: None,
            threads: None,
        }
    }

    /// Where to listen. Port 0 stands for a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets an application variable; it wins over the environment and the default.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets an environment variable of the guest; it wins over the manifest.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Reads this runtime configuration.
    #[must_use]
    pub fn runtime_config(mut self, path: impl Into<PathBuf>) -> Self {
        self.runtime_config = Some(path.into());
        self
    }

    /// What happens to the guest's output. By default it becomes the process's own.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Exports traces to the collector at this base URL, such as `http://127.0.0.1:4318`.
    #[must_use]
    pub fn otlp_endpoint(mut self, base: impl AsRef<str>) -> Self {
        self.otlp_endpoint = Some(telemetry::traces_url(base.as_ref()));
        self
    }

    /// Exports traces to where OpenTelemetry's environment variables say, if they say so.
    #[must_use]
    pub fn otlp_from_environment(mut self) -> Self {
        self.otlp_endpoint = telemetry::endpoint_from_environment();
        self
    }

    /// How many threads the host has; as many as processors by default.
    #[must_use]
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// Starts the host. It has a runtime of its own, so that it can be stopped at once and does
    /// not depend on the caller's.
    ///
    /// # Errors
    ///
    /// The manifest or the runtime configuration is wrong, a variable has no value, the component
    /// cannot run, or the address is taken. Each fits on one line.
    pub async fn start(self) -> Result<Running> {
        let mut builder = Builder::new_multi_thread();
        if let Some(count) = self.threads {
            builder.worker_threads(count);
        }
        let runtime = builder.thread_name("spin-standin").enable_all().build()?;
        match runtime.spawn(self.launch()).await {
            Ok(Ok(launched)) => Ok(Running {
                runtime: Some(runtime),
                launched,
            }),
            Ok(Err(error)) => {
                runtime.shutdown_background();
                Err(error)
            }
            Err(panic) => {
                runtime.shutdown_background();
                bail!("the host could not start: {panic}")
            }
        }
    }

    /// Everything between reading the manifest and accepting connections.
    async fn launch(self) -> Result<Launched> {
        let manifest = Manifest::load(&self.manifest)?;
        let config = self
            .runtime_config
            .as_deref()
            .map(RuntimeConfig::load)
            .transpose()?;
        let variables =
            Variables::resolve(&manifest, &self.variables, |name| std::env::var(name).ok())?;
        let allowed_hosts = AllowedHosts::parse(variables.allowed_outbound_hosts())?;
        let listener = bind(self.listen).await?;
        let address = listener.local_addr()?;
        let source = manifest.component.source.clone();
        let component = tokio::task::spawn_blocking(move || engine::load(&source)).await??;

        let config = config.unwrap_or_default();
        let mut environment: Vec<_> = manifest.component.environment.into_iter().collect();
        environment.extend(self.environment);
        let telemetry = Telemetry::new(self.otlp_endpoint.as_deref())?;
        let app = Arc::new(App {
            component: manifest.component.id,
            routes: manifest.routes.clone(),
            variables,
            allowed_hosts,
            environment,
            clients: Clients::new(&config),
            config,
            pools: Pools::default(),
            output: self.output.clone(),
            telemetry: telemetry.clone(),
            origin: format!("http://{address}"),
        });
        tokio::spawn(Arc::new(Server::new(app, component)).serve(listener));
        Ok(Launched {
            address,
            routes: manifest.routes,
            output: self.output,
            telemetry,
        })
    }
}

struct Launched {
    address: SocketAddr,
    routes: Vec<String>,
    output: Output,
    telemetry: Telemetry,
}

/// A host that accepts connections. Dropping it stops it.
pub struct Running {
    runtime: Option<Runtime>,
    launched: Launched,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.launched.address
    }

    /// The base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.launched.address)
    }

    /// The routes of the manifest.
    #[must_use]
    pub fn routes(&self) -> &[String] {
        &self.launched.routes
    }

    /// The guest's output so far, if it is captured.
    #[must_use]
    pub fn output(&self) -> Option<String> {
        match &self.launched.output {
            Output::Captured(capture) => Some(Capture::text(capture)),
            Output::Inherit | Output::Quiet => None,
        }
    }

    /// Sends the traces collected so far.
    pub async fn flush_traces(&self) {
        let telemetry = self.launched.telemetry.clone();
        // A failure has been told already; a panic has nobody to tell it to.
        tokio::task::spawn_blocking(move || telemetry.flush())
            .await
            .ok();
    }

    /// Stops at once: what is in flight is lost, all connections are closed. Returns when
    /// nothing of the host is left.
    pub async fn stop(mut self) {
        self.flush_traces().await;
        if let Some(runtime) = self.runtime.take() {
            let stopped =
                tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_PATIENCE));
            stopped.await.ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}
