//! `spin-standin up`: the words of `spin up`, for a machine without the Spin CLI.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use spin_standin::{Output, Standin};
use tokio::signal::unix::{SignalKind, signal};

/// Stand-in for the Spin CLI, for development and tests. Not for production.
#[derive(Parser)]
#[command(name = "spin-standin", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the application of a manifest
    Up(Up),
}

#[derive(Args)]
struct Up {
    /// The manifest, or the folder with spin.toml in it
    #[arg(short = 'f', long, default_value = "spin.toml")]
    from: PathBuf,
    /// Where to listen
    #[arg(long, env = "SPIN_HTTP_LISTEN_ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// An environment variable of the component
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// An application variable; wins over SPIN_VARIABLE_<NAME>
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    variable: Vec<(String, String)>,
    /// The runtime configuration
    #[arg(long, env = "RUNTIME_CONFIG_FILE")]
    runtime_config_file: Option<PathBuf>,
    /// Throw the component's output away
    #[arg(short, long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let Command::Up(up) = Cli::parse().command;
    match run(up) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A chain of causes may come with line breaks of its own.
            let line = format!("{error:#}")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            eprintln!("spin-standin: {line}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(up: Up) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut standin = Standin::new(&up.from)
        .listen(up.listen)
        .otlp_from_environment();
    for (name, value) in up.variable {
        standin = standin.variable(name, value);
    }
    for (name, value) in up.env {
        standin = standin.env(name, value);
    }
    if let Some(path) = up.runtime_config_file {
        standin = standin.runtime_config(path);
    }
    if up.quiet {
        standin = standin.output(Output::Quiet);
    }
    let host = tokio::select! {
        started = standin.start() => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    eprintln!(
        "spin-standin: a stand-in for `spin up`, for development and tests, not for production"
    );
    println!("Serving {}", host.url());
    println!("Available Routes:");
    for route in host.routes() {
        println!("  {}{route}", host.url());
    }
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    host.flush_traces().await;
    // As `spin up` does: at once, without waiting for requests in flight.
    drop(host);
    Ok(())
}

fn pair(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').context("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
