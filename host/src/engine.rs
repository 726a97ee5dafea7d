//! The WebAssembly engine and the compiled components, shared by all hosts in this process.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Cache, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{LinkOptions, cli, filesystem, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bindings::spin;
use crate::state::State;

/// Instances that may live at the same time, as in Spin.
const MAX_INSTANCES: u32 = 1000;

/// A file as it was when it was compiled.
type Version = (PathBuf, SystemTime, u64);

static ENGINE: OnceLock<Engine> = OnceLock::new();
static COMPILED: Mutex<Option<HashMap<Version, ServicePre<State>>>> = Mutex::new(None);

/// Compiles a component, or finds it compiled: in this process, or in Wasmtime's cache on disk.
///
/// # Errors
///
/// The file cannot be read, is not a component, imports something that the stand-in does not
/// have, or does not export the `wasi:http` handler of WASIp3.
pub fn load(path: &Path) -> Result<ServicePre<State>> {
    let version = version(path)?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_default();
    if let Some(component) = compiled.get(&version) {
        return Ok(component.clone());
    }
    let component = compile(engine()?, path)
        .with_context(|| format!("cannot run the component {}", path.display()))?;
    compiled.insert(version, component.clone());
    Ok(component)
}

/// The engine, made on first use.
///
/// # Errors
///
/// The machine cannot run it.
pub fn engine() -> Result<&'static Engine> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = match Engine::new(&config(true)) {
        Ok(engine) => engine,
        // The pool reserves terabytes of address space, which some machines do not have.
        Err(_) => Engine::new(&config(false))?,
    };
    Ok(ENGINE.get_or_init(|| engine))
}

fn config(pooling: bool) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true);
    // Without a cache directory every start compiles anew, which is slower and nothing else.
    config.cache(Cache::from_file(None).ok());
    if pooling {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(MAX_INSTANCES)
            .total_memories(MAX_INSTANCES)
            .total_tables(2 * MAX_INSTANCES)
            .total_stacks(MAX_INSTANCES)
            .total_core_instances(4 * MAX_INSTANCES)
            .table_elements(100_000)
            .max_component_instance_size(10 << 20)
            .max_core_instance_size(10 << 20)
            .max_core_instances_per_component(200)
            .max_tables_per_component(64)
            .max_memories_per_component(32)
            .max_memory_size(4 << 30)
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(1 << 19);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn version(path: &Path) -> Result<Version> {
    let found = fs::metadata(path).with_context(|| {
        format!(
            "cannot read the component {}: build it first",
            path.display()
        )
    })?;
    let path = path.canonicalize()?;
    Ok((path, found.modified()?, found.len()))
}

fn compile(engine: &Engine, path: &Path) -> Result<ServicePre<State>> {
    let component = Component::from_file(engine, path)?;
    let linked = linker(engine)?
        .instantiate_pre(&component)
        .map_err(|error| {
            anyhow!("it imports something that the stand-in does not have: {error:#}")
        })?;
    ServicePre::new(linked).map_err(|error| anyhow!("it is not a WASIp3 HTTP component: {error:#}"))
}

fn linker(engine: &Engine) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    add_wasi_p2(&mut linker)?;
    // Of WASIp3, a component has no use for more than these: output, files and environment reach
    // it through WASIp2 and Rust's standard library.
    wasmtime_wasi::p3::clocks::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    spin::variables::variables::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    spin::postgres::postgres::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    spin::redis::redis::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// What of WASIp2 the standard library of a component may ask for; the first release asked for files
/// too. Each interface takes its time to compile, so sockets stay out.
fn add_wasi_p2(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(linker)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, &LinkOptions::default().into(), State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, State::random)
}
