//! `cargo xtask bench paths`: STOQ and quinn on paths with delay, a bounded queue and loss, with each congestion control.
//!
//! The path is an emulator between UDP sockets of this machine (`tests/harness/link/emulator.rs`): packets wait for the narrowest place in
//! a queue of one bandwidth-delay product, then travel; random loss, by a seed that is printed, comes before the queue and strikes
//! both directions. Packets of more than 1,472 bytes of UDP payload vanish. Delay is that of a round trip, half of it in each direction;
//! rates count 28 bytes of headers for each packet.
//!
//! What is measured, of a sender that always has more to send, after a warm-up:
//!
//! | column | is |
//! |---|---|
//! | goodput | bytes that the receiving application has read |
//! | of rate | the same, of what the path could carry |
//! | queue | how long packets of data waited for the narrowest place: mean, and the time that 95 % did not exceed |
//! | lost | QUIC packets that the sender counts as lost, whose data it sends again, of those that it sent |
//! | random, full | packets of data that the path dropped: by chance, and because the queue was full |
//! | own | packets that a socket of the emulator or of an end had no room for: a fault of this machine, and 0 in a fair run |
//!
//! Every figure is a median over the rounds; contenders take turns within a round, and on the long path as many run at once as this
//! machine carries twice. Rows of the same algorithm can be compared: both ends
//! have the same windows (16 MiB) and socket buffers (4 MiB). `fairness` is of two flows of one contender at once: Jain's index
//! of their goodputs, 1 when both got the same, 0.5 when one got all. A connection that breaks is told of at the end; its run does not
//! count.
//!
//! First of all it is measured which rate the emulator passes without any loss of its own: to bare UDP, and to a QUIC transfer
//! whose ends take their part of the same cores. The second is the rate of the short path.

mod ceiling;
mod contenders;
#[path = "../machine.rs"]
mod machine;
mod quinn_flows;
mod report;
mod run;
mod stoq_flows;

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use contenders::{ALL, Contender};
use report::Report;
use run::{Path, Plan, Sample, run};

/// What fails, fails the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How much to measure.
#[derive(Clone, Parser)]
struct Options {
    /// Rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each run that are measured; on the short path a fifth of that
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Seconds before them; on the short path a fifth of that
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    warm_up: u32,
    /// As --seconds, for two flows at once, which take their time to share
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    fair_seconds: u32,
    /// Seconds by which the second of two flows begins later; the warm-up comes after that
    #[arg(long, default_value_t = 0)]
    apart: u32,
    /// What is lost follows from this and the number of the round
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rate of the short path in Mbit/s, in place of the highest that is found
    #[arg(long)]
    rate: Option<u64>,
    /// Measure only the contenders whose name contains this, such as "STOQ" or "BBR"
    #[arg(long)]
    only: Option<String>,
    /// Measure only the path with this round trip in milliseconds, 10 or 100
    #[arg(long)]
    delay: Option<u64>,
    /// Measure only with so many percent of losses, 0, 1 or 3
    #[arg(long)]
    loss: Option<u32>,
    /// One round of 2 s after 1 s, and 4 s of two flows, a fifth of that on the short path: to see that it works
    #[arg(long)]
    quick: bool,
}

impl Options {
    /// A plan for this path, of which so many seconds are measured.
    fn plan(&self, path: Path, seconds: u32, round: u32) -> Plan {
        // What takes a hundred round trips takes less time where they are shorter.
        let part = if path.round_trip < LONG { 5 } else { 1 };
        let time = |seconds: u32| Duration::from_secs(seconds.into()) / part;
        Plan {
            path,
            loss_per_mille: 0,
            flows: 1,
            apart: time(self.apart),
            warm_up: time(self.warm_up),
            lasts: time(seconds),
            seed: self.seed + u64::from(round),
        }
    }

    /// All that is to be measured on this path in a round.
    fn plans(&self, path: Path, round: u32) -> Vec<Plan> {
        let alone = LOSSES.into_iter().map(|loss_per_mille| Plan {
            loss_per_mille,
            ..self.plan(path, self.seconds, round)
        });
        let two = Plan {
            flows: 2,
            ..self.plan(path, self.fair_seconds, round)
        };
        let asked = |plan: &Plan| {
            let loss = self
                .loss
                .is_none_or(|percent| plan.loss_per_mille == percent * 10);
            let delay = self.delay.map(Duration::from_millis);
            loss && delay.is_none_or(|delay| plan.path.round_trip == delay)
        };
        alone.chain([two]).filter(asked).collect()
    }
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.quick {
        (options.rounds, options.seconds, options.warm_up) = (1, 2, 1);
        options.fair_seconds = 4;
    }
    let (bare, highest) = match options.rate {
        Some(rate) => (None, rate * 1_000_000),
        None => {
            let bare = ceiling::bare()?;
            (Some(bare), ceiling::carried(bare, options.seed)?)
        }
    };
    let paths = [
        Path::new(highest, Duration::from_millis(10)),
        Path::new(50_000_000, LONG),
    ];
    let measured = |contender: &Contender| {
        let only = options.only.as_deref().unwrap_or_default();
        contender.to_string().contains(only)
    };
    let contenders: Vec<_> = ALL.into_iter().filter(measured).collect();
    let (seed, rounds) = (options.seed, options.rounds);
    let mut report = Report::new(contenders.clone(), seed, rounds, bare, paths);
    for round in 0..options.rounds {
        for path in paths {
            // As many at once as take half of what this machine carries, each on a path of its own.
            let together = (highest / 2 / path.bits_per_second).max(1) as usize;
            for plan in options.plans(path, round) {
                for group in contenders.chunks(together) {
                    for (contender, sample) in at_once(group, plan) {
                        report.add(contender, plan, sample);
                        report.progress(round, contender, plan);
                    }
                }
            }
        }
    }
    report.print();
    Ok(())
}

/// Runs each of them, at the same time.
fn at_once(contenders: &[Contender], plan: Plan) -> Vec<(Contender, Result<Sample>)> {
    std::thread::scope(|scope| {
        let start = |&contender| (contender, scope.spawn(move || run(contender, plan)));
        let running: Vec<_> = contenders.iter().map(start).collect();
        let end = |(contender, thread): (_, std::thread::ScopedJoinHandle<'_, Result<Sample>>)| {
            let sample = thread.join();
            (
                contender,
                sample.unwrap_or_else(|_| Err("the run panicked".into())),
            )
        };
        running.into_iter().map(end).collect()
    })
}

/// Round trip of the long path.
const LONG: Duration = Duration::from_millis(100);
/// Packets of a thousand.
const LOSSES: [u32; 3] = [0, 10, 30];
