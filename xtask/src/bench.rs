//! Measurements.

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::process::{self, cargo, command, output};
use crate::workspace;

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
    /// STOQ beside raw UDP, quinn, noq, s2n-quic and quiche: see tests/peers/README.md, and --help after it
    #[command(disable_help_flag = true)]
    Peers {
        /// Given on as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// Builds with optimisation, then measures.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    let (binary, options) = match bench {
        Bench::Peers { options } => return peers(options),
        Bench::Relay => ("bench-relay", Vec::new()),
        Bench::Extensions => ("bench-extensions", Vec::new()),
        Bench::Handshake { rounds } => ("bench-handshake", rounds_option(*rounds)),
    };
    let run = ["run", "--release", "--package", "stoq-tests", "--bin"];
    process::run(cargo(&run).arg(binary).arg("--").args(options))
}

/// The peers are a workspace of their own, with a lock file of its own.
fn peers(options: &[String]) -> Result<()> {
    output(&mut command("cmake", &["--version"])).context(
        "quiche is built with cmake and libclang (Debian: `apt-get install cmake libclang-dev`)",
    )?;
    let run = ["run", "--release", "--locked", "--manifest-path"];
    let mut run = cargo(&run);
    run.arg(workspace::path("tests/peers/Cargo.toml"));
    process::run(run.arg("--").args(options))
}

fn rounds_option(rounds: Option<u32>) -> Vec<String> {
    rounds.map_or_else(Vec::new, |rounds| {
        vec!["--rounds".into(), rounds.to_string()]
    })
}
