//! What a connection of each tier works with.

use core::ops::{Index, IndexMut};
use core::time::Duration;

use serde::{Deserialize, Serialize};
use stoq_core::tier::Tier;

use super::LiveConfig;
use crate::congestion::CongestionAlgorithm;
use crate::transport::{AckFrequency, TransportConfig};

/// What a connection is changed to when it comes into a tier, for each of them.
///
/// What cannot be changed on a connection that runs is in [`NewConnectionProfile`].
///
/// | tier | windows | for | streams | congestion |
/// |---|---|---|---|---|
/// | slow | 2.5 MB | 100 Mbit/s over 200 ms: a radio, or a path around the world | 32 | Cubic |
/// | home | 10 MB | 1 Gbit/s over 80 ms: a continent | 64 | Cubic |
/// | standard | 16 MB | 2.5 Gbit/s over 50 ms | 96 | Cubic |
/// | performance | 32 MB | 10 Gbit/s over 25 ms: between sites of a country | 128 | Cubic |
/// | enterprise | 64 MB | 25 Gbit/s over 20 ms | 192 | Cubic |
/// | data-center | 128 MB | 100 Gbit/s over 10 ms: a region | 256 | NewReno |
///
/// - A window, for sending as for receiving, is what the fastest path of the tier holds over that time. Memory of a connection ≤
///   the window, in each direction. Faster tiers are given shorter paths, or the table would end at gigabytes for one connection.
/// - Streams: at home the 64 of [`Limits::max_streams`](crate::Limits::max_streams); below that half of them, so that those that
///   are open get done; above it as many more as there is more to fill, up to four times, because each can make the other
///   end hold a stream's window.
/// - Cubic, because it comes back after a loss in a time that hardly depends on the round trip. NewReno needs a round trip for
///   each packet that it gave up: 13,000 times 25 ms, five minutes, at 10 Gbit/s. Within a data centre round trips are below a
///   millisecond, and it takes less than a second; there Cubic does what NewReno does (RFC 9438, section 4.3), with more
///   arithmetic for every packet. Who has such a rate over longer ways sets Cubic there too.
/// - BBR is in no tier: see [`CongestionAlgorithm::Bbr`]. It is there for who chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profiles {
    slow: LiveConfig,
    home: LiveConfig,
    standard: LiveConfig,
    performance: LiveConfig,
    enterprise: LiveConfig,
    data_center: LiveConfig,
}

impl Default for Profiles {
    fn default() -> Self {
        let profile = |window, streams, congestion| LiveConfig {
            congestion: Some(congestion),
            send_window: Some(window),
            receive_window: Some(window),
            max_streams: Some(streams),
        };
        use CongestionAlgorithm::{Cubic, NewReno};
        Self {
            slow: profile(2_500_000, 32, Cubic),
            home: profile(10_000_000, 64, Cubic),
            standard: profile(16_000_000, 96, Cubic),
            performance: profile(32_000_000, 128, Cubic),
            enterprise: profile(64_000_000, 192, Cubic),
            data_center: profile(128_000_000, 256, NewReno),
        }
    }
}

impl Index<Tier> for Profiles {
    type Output = LiveConfig;

    fn index(&self, tier: Tier) -> &LiveConfig {
        match tier {
            Tier::Slow => &self.slow,
            Tier::Home => &self.home,
            Tier::Standard => &self.standard,
            Tier::Performance => &self.performance,
            Tier::Enterprise => &self.enterprise,
            Tier::DataCenter => &self.data_center,
        }
    }
}

impl IndexMut<Tier> for Profiles {
    fn index_mut(&mut self, tier: Tier) -> &mut LiveConfig {
        match tier {
            Tier::Slow => &mut self.slow,
            Tier::Home => &mut self.home,
            Tier::Standard => &mut self.standard,
            Tier::Performance => &mut self.performance,
            Tier::Enterprise => &mut self.enterprise,
            Tier::DataCenter => &mut self.data_center,
        }
    }
}

/// What suits a path of a tier, and has to be known when the connection begins: QUIC's handshake tells it to the peer once, or
/// quinn reads it once. Live adaptation leaves it alone; who knows the tier of the paths to come (from the
/// [statistics](crate::ConnectionStats::tier) of those before) makes an endpoint with it.
///
/// | tier | stream window | packets per acknowledgement | delay of acknowledgements | datagrams up to | idle time-out |
/// |---|---|---|---|---|---|
/// | slow | 1.25 MB | 2 | 25 ms | 1452 bytes | 60 s |
/// | home | 1.25 MB | 2 | 25 ms | 1452 bytes | 30 s |
/// | standard | 4 MB | 4 | 10 ms | 1452 bytes | 30 s |
/// | performance | 8 MB | 10 | 5 ms | 8952 bytes | 30 s |
/// | enterprise | 16 MB | 10 | 2 ms | 8952 bytes | 30 s |
/// | data-center | 32 MB | 10 | 1 ms | 8952 bytes | 10 s |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewConnectionProfile {
    /// Bytes that may wait unread in one stream: the default, and from standard on a quarter of the connection's window, so
    /// that a single stream comes to a fair rate. Told in the handshake (RFC 9000, section 18.2).
    pub stream_window: u32,
    /// The standard's two packets for each acknowledgement while those are rare anyway, and more where they would be a load of
    /// their own; and a wait that is a fraction of the tier's round trips. quinn asks for it when a connection begins.
    pub ack_frequency: AckFrequency,
    /// Bytes of UDP payload in the largest packet, [`SocketConfig::mtu`](crate::SocketConfig::mtu): the 1500 of Ethernet or the
    /// 9000 of its jumbo frames, less 48 of IPv6 and UDP. It bounds what the endpoint's socket takes, and where the search of each
    /// connection ends; no connection sends more than its route is known to take, or 1452 bytes where the system does not
    /// tell. So jumbo packets on a path without them cost the socket's larger buffers, and a larger one for each connection that
    /// sends.
    pub max_datagram: u16,
    /// Silence after which the connection counts as lost: longer where radios come and go, shorter where a peer that is
    /// silent for long has failed. Told in the handshake.
    pub idle_timeout: Duration,
}

impl NewConnectionProfile {
    /// For connections whose paths are of this tier.
    pub const fn of(tier: Tier) -> Self {
        let (stream_window, packets, ack_millis, max_datagram, idle_secs) = match tier {
            Tier::Slow => (1_250_000, 2, 25, 1452, 60),
            Tier::Home => (1_250_000, 2, 25, 1452, 30),
            Tier::Standard => (4_000_000, 4, 10, 1452, 30),
            Tier::Performance => (8_000_000, 10, 5, 8952, 30),
            Tier::Enterprise => (16_000_000, 10, 2, 8952, 30),
            Tier::DataCenter => (32_000_000, 10, 1, 8952, 10),
        };
        Self {
            stream_window,
            ack_frequency: AckFrequency {
                packets,
                delay: Duration::from_millis(ack_millis),
            },
            max_datagram,
            idle_timeout: Duration::from_secs(idle_secs),
        }
    }

    /// Changes the settings of an endpoint to these. Its connections are taken to have such paths from the beginning. What was set
    /// there before is replaced.
    ///
    /// ```
    /// use stoq_native::{NewConnectionProfile, Tier, TransportConfig};
    ///
    /// let mut config = TransportConfig::default();
    /// NewConnectionProfile::of(Tier::Performance).apply(&mut config);
    /// assert_eq!(config.limits.stream_window, 8_000_000);
    /// assert_eq!(config.socket.mtu, 8952);
    /// ```
    pub fn apply(&self, config: &mut TransportConfig) {
        config.limits.stream_window = self.stream_window;
        config.ack_frequency = Some(self.ack_frequency);
        config.socket.mtu = self.max_datagram;
        config.idle_timeout = self.idle_timeout;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_tier_has_no_less_of_anything() {
        let profiles = Profiles::default();
        for pair in Tier::ALL.windows(2) {
            let (slower, faster) = (profiles[pair[0]], profiles[pair[1]]);
            assert!(slower.send_window < faster.send_window);
            assert!(slower.receive_window < faster.receive_window);
            assert!(slower.max_streams < faster.max_streams);
            let (slower, faster) = (
                NewConnectionProfile::of(pair[0]),
                NewConnectionProfile::of(pair[1]),
            );
            assert!(slower.stream_window <= faster.stream_window);
            assert!(slower.max_datagram <= faster.max_datagram);
        }
    }

    #[test]
    fn a_stream_fits_into_its_connection_and_an_endpoint_works_with_it() {
        for tier in Tier::ALL {
            let profile = NewConnectionProfile::of(tier);
            let mut config = TransportConfig::default();
            profile.apply(&mut config);
            assert_eq!(config.check(), Ok(()), "{tier}");
            let stream = u64::from(profile.stream_window);
            let live = Profiles::default()[tier];
            assert!(live.receive_window >= Some(2 * stream), "{tier}");
        }
    }
}
