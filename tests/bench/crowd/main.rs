//! `cargo xtask bench crowd`: ten thousand connections at once between two processes on loopback. Each echoes once a second for a
//! minute, then all close; and all of it once more, because memory that is kept for the next crowd shows only when there is one.
//!
//! ```text
//!   this process ── opens, at most 128 at once ──▶ ┌────────────────────┐
//!                ── 64 bytes a second, each ─────▶ │ its child: a server│
//!                ◀─────────────────── the same ─── │                    │
//!                ── "sample" on its standard input │                    │
//!                ◀── memory, tasks, connections ── └────────────────────┘
//! ```
//! Both ends use the public API with its defaults. Of the settings of a server these bound a crowd: `retry_above` (100 a second: above
//! that a handshake takes one round trip more, and none fails), `max_connections` (16,384: raised here for more than that), the fixed
//! 256 handshakes at once from one address (which the 128 stay below), `max_waiting` (1,024). The file-descriptor limit does not: each
//! end has one socket.
//!
//! How to read it: a row is a moment. `open` is idle connections, `echoed` the end of the minute, `closed` is when no connection is
//! left. Tasks are those of tokio that are alive. `heap` is what Rust code holds, `RSS` what the system counts as resident: an
//! allocator keeps much of what is freed for the next crowd, so RSS stays high, and what tells is the heap, and that RSS stops
//! growing with more `--crowds`. Some heap stays with the endpoints: tables keep their size, and sessions that can be resumed wait.
//! It fails when a connection or an echo was lost, when tasks or connections do not return to their number before, or when the
//! heap after the last crowd is larger than after the first by more than a hundredth of what a crowd takes.

mod client;
mod heap;
#[path = "../machine.rs"]
mod machine;
mod report;
mod sample;
mod server;

use std::error::Error;

use clap::Parser;
use client::Crowd;
use report::Report;
use server::Child;

/// What fails, fails the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How much to measure.
#[derive(Clone, Copy, Parser)]
pub(crate) struct Options {
    /// Connections at once
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// Seconds of echoes, one a second from each
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
    /// How often all of them come and go
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) crowds: u32,
    /// The child's part
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if options.serve {
        return server::run(&runtime, options);
    }
    let mut child = Child::start(options)?;
    let report = runtime.block_on(measure(options, &mut child))?;
    report.print();
    report.verdict()
}

async fn measure(options: Options, child: &mut Child) -> Result<Report> {
    let crowd = Crowd::new(options, &child.address, child.certificate_hash)?;
    // What every first connection makes once is there before anything is compared.
    crowd.visit().await?;
    let before = crowd.alone(child).await?;
    let mut report = Report::new(options, before);
    for number in 1..=options.crowds {
        eprintln!("crowd {number} of {}: opening", options.crowds);
        let gathering = crowd.open().await?;
        let opened_in = gathering.opened_in;
        let open = crowd.sample(child)?;
        eprintln!("crowd {number} of {}: echoing", options.crowds);
        let (echoed, outcome) = gathering.echo(async || crowd.sample(child)).await?;
        let closed = crowd.alone(child).await?;
        report.add(opened_in, [open, echoed, closed], outcome);
    }
    report.server = child.said()?;
    Ok(report)
}
