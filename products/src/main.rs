//! `sample-products`: serves the sample catalogue.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use sample_products::Catalogue;
use sample_products::server::Server;

/// Serves a catalogue of sample products, as the order service expects it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8002")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    let catalogue = Catalogue::sample();
    let count = catalogue.products().len();
    let server = match Server::start(catalogue.router(), listen).await {
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
