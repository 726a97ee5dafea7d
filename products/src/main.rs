//! `sample-products`: serves the sample catalogue.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sample_products::server::Server;
use sample_products::{Catalogue, faults};

/// Serves a catalogue of sample products, as the order service expects it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8002")]
    listen: SocketAddr,
    /// How long to wait before each reply, in milliseconds.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    delay_ms: u64,
    /// Part of the requests that fail.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    fail: u8,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {
        listen,
        delay_ms,
        fail,
    } = Arguments::parse();
    let catalogue = Catalogue::sample();
    let count = catalogue.products().len();
    let mut router = catalogue.router();
    if fail > 0 {
        router = faults::failing(router, fail);
    }
    if delay_ms > 0 {
        router = faults::delayed(router, Duration::from_millis(delay_ms));
    }
    let server = match Server::start(router, listen).await {
        Ok(server) => server,
        Err(error) => {
            eprintln!("sample-products: cannot listen on {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "Serving {count} sample products on http://{}/api/products/",
        server.address()
    );
    stopped().await;
    ExitCode::SUCCESS
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
