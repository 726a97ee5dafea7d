//! What belongs to one instance of the component.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;
use wasmtime_wasi_http::p3::{WasiHttpCtxView, WasiHttpView};

use crate::app::App;
use crate::engine;
use crate::outbound_http::Hooks;
use crate::output::Kind;
use crate::telemetry::Scope;

/// The data of an instance's store.
pub struct State {
    pub app: Arc<App>,
    pub table: ResourceTable,
    pub scope: Scope,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    limits: StoreLimits,
}

impl State {
    /// A store for a new instance.
    ///
    /// # Errors
    ///
    /// The engine cannot be made.
    pub fn store(app: &Arc<App>) -> wasmtime::Result<Store<Self>> {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&app.environment)
            .stdout(app.output.stream(Kind::Stdout))
            .stderr(app.output.stream(Kind::Stderr));
        let mut limits = StoreLimitsBuilder::new();
        if let Some(bytes) = app.config.max_instance_memory {
            limits = limits.memory_size(bytes);
        }
        let scope = Scope::new(app.telemetry.clone());
        let state = Self {
            app: app.clone(),
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: Hooks::new(app.clone(), scope.clone()),
            limits: limits.build(),
            scope,
        };
        let mut store = Store::new(
            engine::engine().map_err(wasmtime::Error::from_anyhow)?,
            state,
        );
        store.limiter(|state| &mut state.limits);
        Ok(store)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
