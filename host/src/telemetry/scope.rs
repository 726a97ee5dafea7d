//! Which request a guest's call belongs to.
//!
//! Wasmtime does not tell a host function which of the concurrent requests of an instance has
//! called it. So, with traces on, an instance takes one request at a time, and this is that
//! request's place in its trace.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};

use super::Telemetry;

/// The request an instance is working on.
#[derive(Clone)]
pub struct Scope {
    telemetry: Telemetry,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    current: Option<Context>,
    open_calls: usize,
}

impl Scope {
    /// The scope of a new instance.
    #[must_use]
    pub fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            inner: Arc::default(),
        }
    }

    /// From now on calls belong below this span.
    pub fn enter(&self, context: Option<Context>) {
        self.with(|inner| inner.current = context);
    }

    /// How many calls have not returned.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.with(|inner| inner.open_calls)
    }

    /// Begins a call. Name and attributes are asked for only if somebody looks at them.
    pub fn call<F>(&self, describe: F) -> Call
    where
        F: FnOnce() -> (String, Vec<KeyValue>),
    {
        if !self.telemetry.is_on() {
            return Call { open: None };
        }
        let parent = self.with(|inner| {
            inner.open_calls += 1;
            inner.current.clone()
        });
        let (name, attributes) = describe();
        let parent = parent.unwrap_or_default();
        let span = self
            .telemetry
            .span(name, SpanKind::Client, &parent, attributes);
        Call {
            open: Some((self.clone(), span.unwrap_or(parent))),
        }
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call of the guest to something outside; its span ends when this is dropped.
pub struct Call {
    open: Option<(Scope, Context)>,
}

impl Call {
    /// Adds an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some((_, context)) = &self.open {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Marks the call as failed.
    pub fn fail(&self, error: &dyn std::fmt::Display) {
        if let Some((_, context)) = &self.open {
            context.span().set_status(Status::error(error.to_string()));
        }
    }

    /// Passes its own place in the trace on to the callee.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let Some((scope, context)) = &self.open {
            scope.telemetry.inject(context, headers);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((scope, context)) = &self.open {
            context.span().end();
            scope.with(|inner| inner.open_calls -= 1);
        }
    }
}
