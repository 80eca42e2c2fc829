//! The command: settings, start, wait for a signal, drain, exit code.
//!
//! SIGHUP renews the certificate (another self-signed one, or the files again) and reads the revoked nonces again. SIGTERM and SIGINT end the command.
//!
//! Exit codes: 0 after an orderly end, 64 for a setting that cannot be used, 1 for anything else.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stoq_gateway::{BindError, Config, Gateway};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Relays STOQ sessions from browsers to native services.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// TOML file with the settings; see gateway.example.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() {
            BAD_SETTING.into()
        } else {
            0
        });
    });
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stoq-gateway: {error:#}");
            let setting = matches!(
                error.downcast_ref(),
                Some(
                    BindError::Config(_)
                        | BindError::Certificate(_)
                        | BindError::Revocations(_)
                        | BindError::Upstream { .. }
                        | BindError::Relay(stoq_native::BindError::Config(_))
                )
            );
            ExitCode::from(if setting { BAD_SETTING } else { 1 })
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let config = Config::from_file(arguments.config).map_err(BindError::Config)?;
    let grace = config.timing.grace;
    let (mut interrupt, mut terminate, mut hangup) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    );
    let gateway = Gateway::bind(config).await?;
    println!("{}", gateway.url());
    if let Some(http) = gateway.http_addr() {
        println!("http://{http}");
    }
    if let Some(relay) = gateway.relay_addr() {
        println!("stoq://{relay}");
    }
    if let Some(id) = gateway.falcon_id() {
        println!("{id}");
    }
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            Some(()) = hangup.recv() => {
                // First, because it is what cannot wait.
                match gateway.reload_revocations().await {
                    Ok(0) => {}
                    Ok(nonces) => tracing::info!(nonces, "access tokens are revoked"),
                    Err(error) => tracing::error!(%error, "the revoked nonces stay as they are"),
                }
                if let Err(error) = gateway.renew_certificate().await {
                    tracing::error!(%error, "the certificate stays as it is");
                }
            }
        }
    }
    tracing::info!(?grace, "shutting down; a second signal ends at once");
    tokio::select! {
        drained = gateway.shutdown(grace) => tracing::info!(?drained, "done"),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// EX_USAGE of sysexits.h.
const BAD_SETTING: u8 = 64;
