//! `spin:variables`: the guest reads its variables.

use opentelemetry::KeyValue;
use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::spin::variables::variables::{Error, Host, HostWithStore};
use crate::state::State;
use crate::variables::validate_name;

impl Host for State {
    fn convert_error(&mut self, error: Error) -> wasmtime::Result<Error> {
        Ok(error)
    }
}

impl HostWithStore for HasSelf<State> {
    async fn get<T: Send>(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        accessor.with(|mut access| {
            let state = access.get();
            let call = state.scope.call(|| {
                (
                    "spin_variables.get".to_owned(),
                    vec![KeyValue::new("key", name.clone())],
                )
            });
            state.variable(&name).inspect_err(|error| call.fail(error))
        })
    }
}

impl State {
    fn variable(&self, name: &str) -> Result<String, Error> {
        validate_name(name).map_err(Error::InvalidName)?;
        let component = &self.app.component;
        let value = self.app.variables.get(name);
        value
            .map(str::to_owned)
            .ok_or_else(|| Error::Undefined(format!("no variable for {component:?}.{name:?}")))
    }
}
