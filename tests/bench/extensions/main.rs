//! `cargo xtask bench extensions`: what verified streams, messages in shards and relays cost beside raw streams. All
//! contenders run in one process, in turn, round after round; every figure is a ratio within the run.

mod allocations;
mod contenders;
#[path = "../machine.rs"]
mod machine;
mod origin;
mod report;
#[expect(dead_code, reason = "stoq-native's tests also narrow it")]
#[path = "../../../stoq-native/tests/native/road.rs"]
mod road;
mod way;

use std::error::Error;

use contenders::{Contender, echo, round};
use report::Report;
use way::Way;

/// What fails, fails the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Rounds that are measured; one before them warms up.
const ROUNDS: usize = 7;
/// Relays between the client and the origin.
const WAYS: [usize; 3] = [0, 1, 3];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let origin = origin::start()?;
    let mut ways = Vec::new();
    for relays in WAYS {
        ways.push(Way::new(&origin, relays).await?);
    }
    let mut report = Report::new(&WAYS);
    for at in 0..=ROUNDS {
        for (place, way) in ways.iter().enumerate() {
            for contender in Contender::ALL {
                let sample = round(way, &origin, contender).await?;
                if at > 0 {
                    report.add(place, contender, sample);
                }
            }
        }
        // All ways in turn for each round trip, so that what slows the machine slows all of them.
        let echoes = echo(&ways).await?;
        if at > 0 {
            report.add_echoes(echoes);
            eprintln!("round {at} of {ROUNDS}");
        }
    }
    report.print();
    Ok(())
}
