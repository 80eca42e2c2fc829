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
    /// Ten thousand connections between two processes, an echo a second each; nothing lost, nothing left behind
    Crowd {
        /// Connections at once, in place of 10,000
        #[arg(long)]
        connections: Option<u32>,
        /// Seconds of echoes, in place of 60
        #[arg(long)]
        seconds: Option<u32>,
    },
    /// Paths with delay and loss: goodput, queues and losses of STOQ and quinn with each congestion control, and fairness
    Paths {
        /// Rounds, in place of the measurement's own number
        #[arg(long)]
        rounds: Option<u32>,
        /// Mbit/s of the short path, in place of the highest that the emulator passes
        #[arg(long)]
        rate: Option<u32>,
        /// One short round, to see that it works
        #[arg(long)]
        quick: bool,
    },
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
    let (binary, words) = match bench {
        Bench::Peers { options } => return peers(options),
        Bench::Relay => ("bench-relay", Vec::new()),
        Bench::Extensions => ("bench-extensions", Vec::new()),
        Bench::Handshake { rounds } => ("bench-handshake", options(&[("--rounds", *rounds)])),
        Bench::Crowd {
            connections,
            seconds,
        } => {
            let named = [("--connections", *connections), ("--seconds", *seconds)];
            ("bench-crowd", options(&named))
        }
        Bench::Paths {
            rounds,
            rate,
            quick,
        } => {
            let mut words = options(&[("--rounds", *rounds), ("--rate", *rate)]);
            words.extend(quick.then(|| "--quick".into()));
            ("bench-paths", words)
        }
    };
    let run = ["run", "--release", "--package", "stoq-tests", "--bin"];
    process::run(cargo(&run).arg(binary).arg("--").args(words))
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

/// Those that were given; the others are the measurement's own.
fn options(named: &[(&str, Option<u32>)]) -> Vec<String> {
    let given = named
        .iter()
        .filter_map(|(name, value)| Some([name.to_string(), (*value)?.to_string()]));
    given.flatten().collect()
}
