//! `cargo xtask bench relay`: what STOQ costs over quinn, and what the gateway costs over a server that speaks
//! WebTransport itself. All contenders run in one process, in turn, round after round; every figure is a
//! ratio within the run.

mod contenders;
#[path = "../machine.rs"]
mod machine;
mod measure;
mod report;

use std::error::Error;

use contenders::{Contender, gateway, quinn_alone, stoq, webtransport_alone};
use measure::{Sample, bulk, echo};
use report::Report;

/// What fails, fails the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Rounds that are measured; one before them warms up.
const ROUNDS: usize = 9;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let contenders: Vec<Contender> =
        vec![quinn_alone()?, stoq()?, webtransport_alone()?, gateway()?];
    let mut report = Report::new(contenders.iter().map(|contender| contender.name).collect());
    for round in 0..=ROUNDS {
        let mut samples = Vec::new();
        for contender in &contenders {
            let connection = contender.connect().await?;
            samples.push(Sample {
                bytes_per_second: bulk(&connection).await?,
                echoes: echo(&connection).await?,
            });
        }
        if round == 0 {
            continue;
        }
        eprintln!("round {round} of {ROUNDS}");
        report.add(samples);
    }
    report.print();
    Ok(())
}
