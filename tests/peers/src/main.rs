//! STOQ and its peers, measured side by side: `cargo xtask bench peers`.
//!
//! ```text
//!   bench ── for each round, workload, size, path: for each subject ──▶ child ──▶ `peers serve`   a process
//!     │                                                                   └─────▶ `peers load`    a process
//!     ▼
//!   report: table, plot, README
//! ```

mod bench;
mod child;
mod gate;
mod path;
mod pki;
mod report;
mod subject;
mod transport;
mod usage;
mod workload;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

use self::gate::{Gate, say};
use self::pki::Pki;
use self::subject::Subject;
use self::transport::Setup;
use self::usage::Usage;
use self::workload::{Outcome, Workload};

/// Measures STOQ and its peers side by side.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench peers", disable_help_subcommand = true)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: bench::Options,
}

#[derive(Subcommand)]
enum Part {
    /// One subject's server: started by the measurement
    #[command(hide = true)]
    Serve(End),
    /// One subject's client: started by the measurement
    #[command(hide = true)]
    Load {
        #[command(flatten)]
        end: End,
        #[arg(long)]
        workload: Workload,
        #[arg(long)]
        millis: u64,
        #[arg(long)]
        server: SocketAddr,
        #[arg(long)]
        note: String,
    },
}

#[derive(Args)]
struct End {
    #[arg(long)]
    subject: Subject,
    #[arg(long)]
    address: IpAddr,
    #[arg(long)]
    mtu: u16,
    #[arg(long)]
    pki: PathBuf,
    #[arg(long)]
    workers: Option<usize>,
    #[arg(long)]
    sockets: NonZeroU16,
}

impl End {
    fn setup(&self) -> Setup {
        Setup {
            address: self.address,
            mtu: self.mtu,
            sockets: self.sockets,
            pki: Pki(self.pki.clone()),
            server: None,
            note: String::new(),
        }
    }
}

/// What a client's process says at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) outcome: Outcome,
    pub(crate) before: Usage,
    pub(crate) after: Usage,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.part {
        None => bench::run(&arguments.options),
        Some(Part::Serve(end)) => {
            gate::answer();
            runtime(end.workers)?.block_on(end.subject.serve(&end.setup()))
        }
        Some(Part::Load {
            end,
            workload,
            millis,
            server,
            note,
        }) => {
            let setup = Setup {
                server: Some(server),
                note,
                ..end.setup()
            };
            let time = Duration::from_millis(millis);
            runtime(end.workers)?.block_on(load(end.subject, &setup, workload, time))
        }
    }
}

async fn load(subject: Subject, setup: &Setup, workload: Workload, time: Duration) -> Result<()> {
    let mut gate = Gate::new();
    let outcome = subject.load(setup, workload, time, &mut gate).await?;
    let (_, before) = gate.begun()?;
    let after = Usage::now()?;
    say(&Loaded {
        outcome,
        before,
        after,
    })?;
    // What it holds, it holds until its input ends: the server is looked at meanwhile.
    std::future::pending().await
}

/// tokio's, with as many threads as it takes by itself unless a number is asked for.
fn runtime(workers: Option<usize>) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    Ok(builder.enable_all().build()?)
}
