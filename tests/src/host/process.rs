//! A host as a process of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::Client;
use crate::environment::repository;
use crate::link::free_port;

/// A first start compiles the component, on a machine that may be busy.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A host that was started with `<program> up`.
#[derive(Debug)]
pub struct Process {
    url: String,
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts `program up --from manifest` with these Spin variables on a free port and waits until
    /// the component answers.
    ///
    /// # Panics
    /// When it ends instead, or does not answer in time; the message has what it printed.
    pub async fn start(
        program: &Path,
        manifest: &Path,
        variables: &BTreeMap<String, String>,
    ) -> Self {
        let address = free_port()
            .await
            .local_addr()
            .expect("the address that was bound");
        let log = std::env::temp_dir().join(format!("order-tests-{}.log", address.port()));
        let output = File::create(&log).expect("a log file");
        let child = Command::new(program)
            .args(["up", "--from"])
            .arg(manifest)
            .arg("--runtime-config-file")
            .arg(repository().join("runtime-config.toml"))
            .args(["--listen", &address.to_string()])
            .envs(
                variables
                    .iter()
                    .map(|(name, value)| (format!("SPIN_VARIABLE_{}", name.to_uppercase()), value)),
            )
            .current_dir(repository())
            // With backtraces Spin is up to a third slower: Wasmtime captures one for internal
            // errors several times a request.
            .env_remove("RUST_BACKTRACE")
            .env_remove("RUST_LIB_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            // Spin runs its trigger as a child; a group of their own lets both be ended.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
        let process = Self {
            url: format!("http://{address}"),
            child: Mutex::new(child),
            log,
        };
        process.until_it_answers().await;
        process
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The memory that the host holds at the moment, in KiB, with that of its children.
    ///
    /// # Panics
    /// When there is no `/proc`, or the process has ended.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let group = self.child.lock().expect("not poisoned").id();
        let folders = std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(Result::ok);
        let members = folders.filter(|entry| process_group(&entry.path()) == Some(group));
        let resident: u64 = members
            .filter_map(|entry| resident_kib(&entry.path()))
            .sum();
        assert!(resident > 0, "the host has ended: {}", self.output());
        resident
    }

    /// The processor time that the host has used, with that of its children.
    ///
    /// # Panics
    /// When there is no `/proc`, or the process has ended.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        // Linux counts in hundredths of a second, whatever its timer does.
        const TICK: Duration = Duration::from_millis(10);
        let group = self.child.lock().expect("not poisoned").id();
        let folders = std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(Result::ok);
        let members = folders.filter(|entry| process_group(&entry.path()) == Some(group));
        let ticks: u32 = members.filter_map(|entry| cpu_ticks(&entry.path())).sum();
        assert!(ticks > 0, "the host has ended: {}", self.output());
        TICK * ticks
    }

    async fn until_it_answers(&self) {
        let api = Client::new(&self.url);
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let ended = self
                .child
                .lock()
                .expect("not poisoned")
                .try_wait()
                .ok()
                .flatten();
            assert!(
                ended.is_none(),
                "the host ended ({ended:?}): {}",
                self.output()
            );
            // The host's own: the component has not done anything before the test begins.
            let call = api.call(reqwest::Method::GET, "/.well-known/spin/health");
            let health = call.try_send().await;
            if health.is_ok_and(|reply| reply.status == 200) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the host does not answer: {}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Ok(child) = self.child.get_mut() else {
            return;
        };
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// The group of a process, the fifth field of its `stat`; the second one is a name in parentheses.
fn process_group(folder: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(2)?
        .parse()
        .ok()
}

/// Time in user and in kernel mode, the fields 14 and 15 of its `stat`.
fn cpu_ticks(folder: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let kernel: u32 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn resident_kib(folder: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
