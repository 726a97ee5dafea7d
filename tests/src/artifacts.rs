//! What has to be built before the first test, built by the tests themselves: a plain `cargo test`
//! never runs against yesterday's component.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::environment::repository;

/// Builds the component once per run, which takes no time when nothing has changed.
///
/// # Panics
/// When it does not compile.
pub fn component_built() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        cargo(&[
            "build",
            "--release",
            "--target",
            "wasm32-wasip2",
            "-p",
            "order-service",
        ]);
    });
}

/// The component itself.
#[must_use]
pub fn component() -> PathBuf {
    component_built();
    repository().join("target/wasm32-wasip2/release/order_service.wasm")
}

/// The stand-in as a program, for tests that watch its process. Cargo builds it with the suite.
///
/// # Panics
/// When this program is not where cargo puts tests.
#[must_use]
pub fn stand_in_program() -> PathBuf {
    let suite = std::env::current_exe().expect("the path of this program");
    let profile = suite
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<program>");
    profile.join("suite-host")
}

fn cargo(arguments: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--quiet")
        .current_dir(repository())
        .output()
        .expect("cargo can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo {} failed:\n{errors}",
        arguments.join(" ")
    );
}
