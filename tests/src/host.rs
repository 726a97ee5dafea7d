//! What runs the component: the stand-in inside the test process, or a process of its own (the
//! Spin that `SPIN` names, or the stand-in's program where a test watches the process).

mod process;

use std::collections::BTreeMap;

pub use process::Process;

use crate::artifacts;

/// A running host with the component on it. Dropping it ends it.
#[derive(Debug)]
pub struct Host {
    url: String,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Process(Process),
}

impl Host {
    /// Starts the application with these Spin variables on a free port and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(variables: &BTreeMap<String, String>, as_process: bool) -> Self {
        artifacts::component_built();
        let spin = std::env::var_os("SPIN");
        if as_process || spin.is_some() {
            let program = spin.map_or_else(artifacts::stand_in_program, Into::into);
            let process = Process::start(&program, variables).await;
            return Self {
                url: process.url().to_owned(),
                running: Running::Process(process),
            };
        }
        let program = artifacts::stand_in_program();
        let process = Process::start(&program, variables).await;
        Self {
            url: process.url().to_owned(),
            running: Running::Process(process),
        }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process, if it is one of its own.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        match &self.running {
            Running::Process(process) => Some(process),
        }
    }
}
