//! Measurements.

use anyhow::Result;
use clap::Subcommand;

use crate::process::cargo;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Throughput and latency: stock quinn, native STOQ, and the gateway's relay, side by side
    Relay,
}

/// Builds with optimisation, then measures.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    let binary = match bench {
        Bench::Relay => "bench-relay",
    };
    crate::process::run(&mut cargo(&[
        "run",
        "--release",
        "--package",
        "stoq-tests",
        "--bin",
        binary,
    ]))
}
