//! Outbound HTTP: the check of destinations, the pool of connections, timeouts.

mod body;
mod connect;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime_wasi::TrappableError;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p3::{RequestOptions, WasiHttpHooks};

use self::body::{ReplyBody, SyncBody};
use self::connect::{CONNECT_TIMEOUT, Connector};
use crate::app::App;
use crate::runtime_config::RuntimeConfig;
use crate::telemetry::{Call, Scope};

/// How long anything may take when the guest does not say, as in Spin.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

type Body = UnsyncBoxBody<Bytes, ErrorCode>;
type IoResult = Box<dyn Future<Output = Result<(), ErrorCode>> + Send>;
type Reply = Result<(Response<Body>, IoResult), TrappableError<ErrorCode>>;

/// The client with its pool, shared by all instances.
pub struct Clients {
    client: Client<Connector, SyncBody>,
}

impl Clients {
    /// A client with the limits of the runtime configuration.
    #[must_use]
    pub fn new(config: &RuntimeConfig) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        if !config.connection_pooling {
            builder.pool_max_idle_per_host(0);
        }
        // As in Spin, the limit counts from zero.
        let permits = config
            .max_concurrent_requests
            .map(|most| Arc::new(Semaphore::new(most + 1)));
        Self {
            client: builder.build(Connector::new(permits)),
        }
    }
}

/// What Wasmtime asks when an instance sends a request.
pub struct Hooks {
    app: Arc<App>,
    scope: Scope,
}

impl Hooks {
    /// The hooks of one instance.
    #[must_use]
    pub fn new(app: Arc<App>, scope: Scope) -> Self {
        Self { app, scope }
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<Body>,
        options: Option<RequestOptions>,
        _reply_problem: IoResult,
    ) -> Box<dyn Future<Output = Reply> + Send> {
        let call = self.scope.call(|| {
            let method = request.method().to_string();
            (
                method.clone(),
                vec![KeyValue::new("http.request.method", method)],
            )
        });
        let app = self.app.clone();
        let timeouts = Timeouts::new(options);
        Box::new(async move {
            let sent = send(&app, request, &timeouts, &call).await;
            let response = sent.inspect_err(|error| call.fail(error))?;
            call.set(
                "http.response.status_code",
                i64::from(response.status().as_u16()),
            );
            let response = response
                .map(|body| ReplyBody::new(body, timeouts.between_bytes, call).boxed_unsync());
            Ok((response, Box::new(async { Ok(()) }) as IoResult))
        })
    }
}

struct Timeouts {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Timeouts {
    fn new(options: Option<RequestOptions>) -> Self {
        let of = |value: fn(&RequestOptions) -> Option<Duration>| {
            options.as_ref().and_then(value).unwrap_or(DEFAULT_TIMEOUT)
        };
        Self {
            connect: of(|options| options.connect_timeout),
            first_byte: of(|options| options.first_byte_timeout),
            between_bytes: of(|options| options.between_bytes_timeout),
        }
    }
}

async fn send(
    app: &App,
    mut request: Request<Body>,
    timeouts: &Timeouts,
    call: &Call,
) -> Result<Response<hyper::body::Incoming>, ErrorCode> {
    admit(app, request.uri_mut(), call)?;
    // The client writes the header itself, from the address that was checked.
    request.headers_mut().remove(HOST);
    call.inject(request.headers_mut());
    if let Some(authority) = request.uri().authority() {
        call.set("server.address", authority.host().to_owned());
        if let Some(port) = authority.port_u16() {
            call.set("server.port", i64::from(port));
        }
    }
    if request.uri().scheme() == Some(&Scheme::HTTPS) {
        eprintln!(
            "spin-standin: {} refused: the stand-in has no TLS for outbound HTTP",
            request.uri()
        );
        return Err(ErrorCode::TlsProtocolError);
    }
    let sending = app.clients.client.request(request.map(SyncBody::new));
    let sending = CONNECT_TIMEOUT.scope(timeouts.connect, sending);
    let response = timeout(timeouts.first_byte, sending).await;
    response
        .map_err(|_| ErrorCode::ConnectionReadTimeout)?
        .map_err(|error| failure(&error))
}

/// Checks the destination. A request without one goes to the application itself.
fn admit(app: &App, uri: &mut Uri, call: &Call) -> Result<(), ErrorCode> {
    // Wasmtime completes a relative address with an empty host.
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .map(str::to_owned);
    let itself = host.as_deref().is_none_or(|host| host == "self.alt");
    call.set("url.full", uri.to_string());
    let allowed = if itself {
        app.allowed_hosts.allows_itself(&["http", "https"])
    } else {
        app.allowed_hosts.allows(&uri.to_string(), "https")
    };
    if !allowed {
        return Err(ErrorCode::HttpRequestDenied);
    }
    if itself {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let address = format!("{}{path}", app.origin);
        *uri = address
            .parse()
            .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    }
    Ok(())
}

/// Finds the reason that the connector gave, or calls it a violation of the protocol.
fn failure(error: &legacy::Error) -> ErrorCode {
    match error
        .source()
        .and_then(|source| source.downcast_ref::<ErrorCode>())
    {
        Some(code) => code.clone(),
        None => ErrorCode::HttpProtocolError,
    }
}
