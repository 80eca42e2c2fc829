//! Measurements.

use anyhow::Result;
use clap::Subcommand;

use crate::process::cargo;

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Throughput and latency: stock quinn, native STOQ, and the gateway's relay, side by side
    Relay,
    /// Handshakes: stock quinn with Ed25519 and ML-DSA, and STOQ's composite signature, side by side
    Handshake {
        /// Rounds of processor time, in place of the measurement's own number
        #[arg(long)]
        rounds: Option<u32>,
    },
    /// Verified streams, messages in shards, and relays, beside raw streams, side by side
    Extensions,
}

/// Builds with optimisation, then measures.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (binary, options) = match bench {
        Bench::Relay => ("bench-relay", Vec::new()),
        Bench::Extensions => ("bench-extensions", Vec::new()),
        Bench::Handshake { rounds } => ("bench-handshake", rounds_option(*rounds)),
    };
    let run = ["run", "--release", "--package", "stoq-tests", "--bin"];
    crate::process::run(cargo(&run).arg(binary).arg("--").args(options))
}

fn rounds_option(rounds: Option<u32>) -> Vec<String> {
    rounds.map_or_else(Vec::new, |rounds| {
        vec!["--rounds".into(), rounds.to_string()]
    })
}
