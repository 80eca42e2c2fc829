//! `stoq ping`: how long the way to the server and back takes.

use crate::arguments::PingArguments;
use crate::client::{self, Client};
use crate::error::CommandError;
use crate::terminal;
use core::time::Duration;
use std::net::SocketAddr;
use tokio::time::{MissedTickBehavior, interval};

/// Between one ping and the next: a tenth of the control frames that a peer may send in a second.
const INTERVAL: Duration = Duration::from_millis(10);

/// Says which relays the session passes, if any, pings in band, one after the other, and prints each time and their
/// distribution. A ping is answered by the neighbour, which is the first relay then.
///
/// # Errors
/// [`CommandError`].
pub(crate) async fn run(arguments: PingArguments) -> Result<(), CommandError> {
    let count = arguments.count.get();
    let mut times =
        client::with(&arguments.peer, async |client| measure(client, count).await).await?;
    times.sort_unstable();
    let at = |percent| milliseconds(percentile(&times, percent));
    terminal::say(format_args!(
        "{} pings: min {} p50 {} p99 {} max {}",
        times.len(),
        at(0),
        at(50),
        at(99),
        at(100)
    ))
}

async fn measure(client: &Client, count: u32) -> Result<Vec<Duration>, CommandError> {
    let hops = client.session.hops();
    let proven = client.session.authenticated_hop();
    for (number, hop) in (1..).zip(hops.iter().flat_map(|chain| &chain.hops)) {
        let at = SocketAddr::new(hop.address.to_canonical(), hop.port);
        let how = match proven == Some(hop) {
            true => "proved, and who is pinged",
            false => "as it is said",
        };
        terminal::say(format_args!("hop {number}: {} at {at} ({how})", hop.id))?;
    }
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::new();
    for number in 1..=count {
        ticks.tick().await;
        let time = client.session.ping().await?;
        terminal::say(format_args!("ping {number}: {}", milliseconds(time)))?;
        times.push(time);
    }
    Ok(times)
}

/// The smallest of the sorted times that at least `percent` of them do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<_> = (1..=10).map(Duration::from_millis).collect();
        let at = |percent| percentile(&times, percent).as_millis();
        assert_eq!([at(0), at(50), at(99), at(100)], [1, 5, 10, 10]);
        assert_eq!(percentile(&times[..1], 50).as_millis(), 1);
    }
}
