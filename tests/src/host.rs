//! What runs the component: the stand-in inside the test process, or a process of its own (the
//! Spin that `SPIN` names, or the stand-in's program where a test watches the process).

mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub use process::Process;
use spin_standin::{Capture, Output, Running, Standin};

use crate::artifacts;
use crate::environment::{manifest, repository};

/// A running host with the component on it. Dropping it ends it.
pub struct Host {
    url: String,
    kind: Kind,
}

enum Kind {
    InProcess(Running),
    Process(Process),
}

impl Host {
    /// Starts the service with these Spin variables on a free port and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(variables: &BTreeMap<String, String>, as_process: bool) -> Self {
        Self::start_from(&manifest(), variables, as_process).await
    }

    /// Starts the application of any manifest.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_from(
        manifest: &Path,
        variables: &BTreeMap<String, String>,
        as_process: bool,
    ) -> Self {
        // Compiling takes long, and the test's other tasks must go on meanwhile.
        tokio::task::spawn_blocking(artifacts::component_built)
            .await
            .expect("a component");
        let spin = std::env::var_os("SPIN");
        if as_process || spin.is_some() {
            let program = spin.map_or_else(artifacts::stand_in_program, Into::into);
            let process = Process::start(&program, manifest, variables).await;
            return Self {
                url: process.url().to_owned(),
                kind: Kind::Process(process),
            };
        }
        let stand_in = Standin::new(manifest)
            .runtime_config(repository().join("runtime-config.toml"))
            .output(Output::Captured(Capture::default()));
        let stand_in = variables.iter().fold(stand_in, |stand_in, (name, value)| {
            stand_in.variable(name, value)
        });
        let running = stand_in
            .start()
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        Self {
            url: running.url(),
            kind: Kind::InProcess(running),
        }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the component has printed so far, among other things.
    #[must_use]
    pub fn output(&self) -> String {
        match &self.kind {
            Kind::InProcess(running) => running.output().unwrap_or_default(),
            Kind::Process(process) => process.output(),
        }
    }

    /// The process, if it is one of its own.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match &self.kind {
            Kind::InProcess(_) => None,
            Kind::Process(process) => Some(process),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Host")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
