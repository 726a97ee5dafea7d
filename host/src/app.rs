//! What all instances of one running application share.

use crate::allowed_hosts::AllowedHosts;
use crate::outbound_http::Clients;
use crate::outbound_pg::Pools;
use crate::output::Output;
use crate::runtime_config::RuntimeConfig;
use crate::telemetry::Telemetry;
use crate::variables::Variables;

/// The application behind the server.
pub struct App {
    pub component: String,
    pub routes: Vec<String>,
    pub variables: Variables,
    pub allowed_hosts: AllowedHosts,
    pub environment: Vec<(String, String)>,
    pub config: RuntimeConfig,
    pub clients: Clients,
    pub pools: Pools,
    pub output: Output,
    pub telemetry: Telemetry,
    /// Where the server listens: the origin of requests to the application itself.
    pub origin: String,
}
