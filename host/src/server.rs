//! The server: connections in, requests to the component, responses out.

mod dispatch;
mod headers;
mod reuse;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::handler::{ProxyHandler, ProxyPre};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::bindings::http::types::ErrorCode;

use self::dispatch::InstanceDied;
use self::reuse::Instances;
use crate::app::App;
use crate::routes::{self, Match};
use crate::state::State;
use crate::telemetry::ServerSpan;

/// Paths under this prefix are answered by the host.
const WELL_KNOWN: &str = "/.well-known/spin/";

type Body = UnsyncBoxBody<Bytes, ErrorCode>;

/// Serves one application.
pub struct Server {
    app: Arc<App>,
    handler: ProxyHandler<Instances>,
}

impl Server {
    /// A server for the application with this component.
    #[must_use]
    pub fn new(app: Arc<App>, component: ServicePre<State>) -> Self {
        let instances = Instances::new(app.clone());
        Self {
            app,
            handler: ProxyHandler::new(instances, ProxyPre::P3(component)),
        }
    }

    /// Accepts connections for as long as it is polled.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => drop(tokio::spawn(self.clone().connection(stream, peer))),
                // Out of file descriptors, most likely: others have to go first.
                Err(error) => {
                    eprintln!("spin-standin: cannot accept a connection: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let service = service_fn(|request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.request(request, peer).await) }
        });
        let builder = Builder::new(TokioExecutor::new());
        // A client that goes away in the middle is its own business.
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await
            .ok();
    }

    async fn request(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let span = self.app.telemetry.server_span(&request, peer);
        let response = self.respond(request, peer, &span).await;
        span.set_status(response.status());
        response
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        span: &ServerSpan,
    ) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Some(rest) = path.strip_prefix(WELL_KNOWN) {
            span.set_route(&path);
            return match rest {
                "health" => reply(StatusCode::OK, "OK"),
                _ => reply(StatusCode::NOT_FOUND, ""),
            };
        }
        let Some(route) = routes::find(&self.app.routes, &path) else {
            return reply(StatusCode::NOT_FOUND, "");
        };
        span.set_route(route.route);
        self.run(request, peer, &route, span)
            .await
            .unwrap_or_else(|error| {
                span.fail(&format!("{error:#}"));
                // The death of an instance has been told once for all its requests.
                if !error.is::<InstanceDied>() {
                    eprintln!("spin-standin: request failed: {error:#}");
                }
                reply(StatusCode::INTERNAL_SERVER_ERROR, "")
            })
    }

    async fn run(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        route: &Match<'_>,
        span: &ServerSpan,
    ) -> anyhow::Result<Response<Body>> {
        let request = headers::prepare(request, route, peer)?;
        let component = span.component(&self.app.telemetry, &self.app.component);
        dispatch::run(&self.handler, request, component).await
    }
}

fn reply(status: StatusCode, body: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
