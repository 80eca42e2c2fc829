//! What a browser does not tell its page: the state of the path to it, as the gateway's end of QUIC measures it.

use std::sync::Arc;
use std::time::Duration;

use quinn::ConnectionStats;
use stoq_native::meter;
use wtransport::Connection;

use crate::control::Control;
use crate::tasks::Spawner;

/// Tells the browser every `interval`, as long as there is something going on.
pub(crate) fn report(
    connection: &Connection,
    control: &Arc<Control>,
    interval: Duration,
    spawner: &Spawner,
) {
    let (quic, control) = (connection.quic_connection().clone(), control.clone());
    spawner.spawn(async move {
        let mut seen = quic.stats();
        loop {
            tokio::time::sleep(interval).await;
            let before = std::mem::replace(&mut seen, quic.stats());
            // Until all of it has been measured there is nothing to tell.
            if goes_on(&before, &seen)
                && let Some(stats) = meter::read(&quic).to_frame()
            {
                control.send_stats(&stats);
            }
        }
    });
}

/// Whether either side has sent anything worth it since `before`.
fn goes_on(before: &ConnectionStats, now: &ConnectionStats) -> bool {
    let sent = |stats: &ConnectionStats| stats.frame_tx.stream + stats.frame_tx.datagram;
    let received = |stats: &ConnectionStats| stats.frame_rx.stream + stats.frame_rx.datagram;
    // One frame is what we said ourselves.
    received(now) != received(before) || sent(now) > sent(before) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_said_ourselves_is_nothing_new() {
        let before = ConnectionStats::default();
        let mut now = before;
        now.frame_tx.stream = 1;
        assert!(!goes_on(&before, &now));
        now.frame_tx.stream = 2;
        assert!(goes_on(&before, &now));
        now = before;
        now.frame_rx.datagram = 1;
        assert!(goes_on(&before, &now));
    }
}
