//! What a browser does not tell its page: the state of the path to it, as the gateway's end of QUIC measures it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::ConnectionStats;
use stoq_core::frame::Stats;
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
        let mut path = Path::new(quic.stats());
        loop {
            tokio::time::sleep(interval).await;
            if let Some(stats) = path.observe(Instant::now(), quic.stats()) {
                control.send_stats(&stats);
            }
        }
    });
}

/// The last observation, and the variation over all.
#[derive(Debug)]
struct Path {
    seen: ConnectionStats,
    at: Instant,
    variation: Duration,
}

impl Path {
    fn new(seen: ConnectionStats) -> Self {
        Self {
            seen,
            at: Instant::now(),
            variation: Duration::ZERO,
        }
    }

    /// What is to be told; nothing if neither side has sent anything worth it since the last time.
    fn observe(&mut self, now: Instant, stats: ConnectionStats) -> Option<Stats> {
        let before = std::mem::replace(&mut self.seen, stats);
        let passed = now.duration_since(std::mem::replace(&mut self.at, now));
        // quinn keeps the variation of its samples to itself: this is the variation of the smoothed time, between our looks at
        // it, with the weight of RFC 9002, section 5.3.
        let difference = stats.path.rtt.abs_diff(before.path.rtt);
        self.variation = (self.variation * 3 + difference) / 4;

        let sent = |stats: &ConnectionStats| stats.frame_tx.stream + stats.frame_tx.datagram;
        let received = |stats: &ConnectionStats| stats.frame_rx.stream + stats.frame_rx.datagram;
        // One frame is what we said ourselves.
        let idle = received(&stats) == received(&before) && sent(&stats) <= sent(&before) + 1;
        if idle || passed.is_zero() {
            return None;
        }
        let bytes = stats.udp_tx.bytes.saturating_sub(before.udp_tx.bytes);
        Some(Stats {
            rtt: stats.path.rtt,
            rtt_variation: self.variation,
            lost_packets: stats.path.lost_packets,
            congestion_window: stats.path.cwnd,
            send_rate: (bytes as f64 / passed.as_secs_f64()) as u64,
            // Until connections are placed in tiers, the lowest.
            tier: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_changed_and_nothing_when_idle() {
        let mut seen = ConnectionStats::default();
        seen.path.rtt = Duration::from_millis(20);
        let mut path = Path::new(seen);
        let start = path.at;
        seen.frame_rx.stream = 5;
        seen.udp_tx.bytes = 3000;
        seen.path.rtt = Duration::from_millis(28);
        seen.path.cwnd = 12_000;
        let told = path.observe(start + Duration::from_secs(2), seen).unwrap();
        assert_eq!(told.rtt, Duration::from_millis(28));
        assert_eq!(told.rtt_variation, Duration::from_millis(2));
        assert_eq!((told.send_rate, told.congestion_window), (1500, 12_000));
        // Only what we told, and its acknowledgement.
        seen.frame_tx.stream = 1;
        seen.udp_tx.bytes = 3050;
        assert_eq!(path.observe(start + Duration::from_secs(3), seen), None);
    }
}
