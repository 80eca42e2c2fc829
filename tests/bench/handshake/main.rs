//! `cargo xtask bench handshake`: what a handshake costs with STOQ's composite signature, and with others: processor
//! time, bytes, round trips, and time on a path that delays and loses. All contenders run in one process, in turn, round
//! after round.

mod client;
mod contenders;
#[path = "../machine.rs"]
mod machine;
mod measure;
mod packets;
mod proxy;
mod report;
mod server;
mod verifier;

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use contenders::Contender;
use measure::{Journey, cpu, journey, signatures};
use proxy::Path;
use report::Report;
use rustls::CipherSuite;
use tokio::task::JoinSet;

/// What fails, fails the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How much to measure.
#[derive(Clone, Copy, Parser)]
pub(crate) struct Options {
    /// Rounds of processor time; one before them warms up
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Connections of each contender per round
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Connections of each contender over the path that delays
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) journeys: u32,
    /// Connections of each contender over the path that delays and loses
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lossy_journeys: u32,
}

/// In each direction.
pub(crate) const DELAY: Duration = Duration::from_millis(25);
/// In each direction.
pub(crate) const LOSS_PER_MILLE: u32 = 30;

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(run(options)))
}

async fn run(options: Options) -> Result<()> {
    let contenders = contenders::all()?;
    let mut report = Report::new(options, &contenders, signatures()?);
    for round in 0..=options.rounds {
        for (place, contender) in contenders.iter().enumerate() {
            let sample = cpu(contender, options.connections).await?;
            if round > 0 {
                report.cpu[place].push(sample);
            }
        }
        eprintln!("processor time: round {round} of {}", options.rounds);
    }
    let travel = |contender: &&Contender| !contender.resumes;
    for run in 0..options.journeys {
        for (place, contender) in contenders.iter().enumerate() {
            if travel(&contender) {
                report.journeys[place].push(journey(contender, path(0, run)).await?);
            }
        }
        eprintln!("delay: run {} of {}", run + 1, options.journeys);
    }
    eprintln!(
        "delay and loss: {} runs of all at once",
        options.lossy_journeys
    );
    let mut travellers = JoinSet::new();
    for (place, contender) in contenders.iter().enumerate() {
        // The suite makes no difference to what is lost.
        if travel(&contender) && contender.suite == CipherSuite::TLS13_AES_256_GCM_SHA384 {
            travellers.spawn_local(lossy(place, contender.clone(), options.lossy_journeys));
        }
    }
    while let Some(done) = travellers.join_next().await {
        let (place, journeys) = done?;
        report.failed[place] = options.lossy_journeys as usize - journeys.len();
        report.lossy[place] = journeys;
    }
    report.print();
    Ok(())
}

/// One after the other; the others do the same meanwhile, because nearly all of the time is waiting. A connection that does
/// not come about is missing from what is returned.
async fn lossy(place: usize, contender: Contender, runs: u32) -> (usize, Vec<Journey>) {
    let mut journeys = Vec::new();
    for run in 0..runs {
        match journey(&contender, path(LOSS_PER_MILLE, run)).await {
            Ok(journey) => journeys.push(journey),
            Err(error) => eprintln!("{}, run {run}: {error}", contender.name),
        }
    }
    (place, journeys)
}

/// The run is the seed: in the same run all contenders lose the same datagrams, counted from the first.
fn path(loss_per_mille: u32, run: u32) -> Path {
    Path {
        delay: DELAY,
        loss_per_mille,
        seed: run.into(),
    }
}
