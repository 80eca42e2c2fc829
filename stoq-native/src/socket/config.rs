//! What a caller may choose about the socket.

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::transport::as_text;

/// The UDP socket of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SocketConfig {
    /// Bytes that the system is asked to hold for the socket until they are sent. Default 4 MiB: 3 ms at 10 Gbit/s. What the
    /// system does not hold, the connections do, so less costs throughput and loses nothing. Linux grants at most
    /// `net.core.wmem_max`; a warning in the log says so.
    #[serde(with = "as_text::size")]
    pub send_buffer: u32,
    /// Bytes that the system is asked to hold for the socket until they are read. Default 4 MiB: 3 ms at 10 Gbit/s, as long as
    /// a busy thread may be kept from the socket. What comes beyond it is lost, and sent again by the peers: with Linux's usual
    /// 208 KiB that is measurable even on loopback. Linux grants at most `net.core.rmem_max`; a warning in the log says so. It is
    /// the system's memory, taken only while something waits.
    #[serde(with = "as_text::size")]
    pub receive_buffer: u32,
    /// Bytes of the largest UDP payload that is sent or taken: 1,200 to 65,507. Default 1,452: Ethernet's, over IPv6. Packets begin
    /// at 1,200 bytes and grow as far as probes arrive ([RFC 8899]); where the system tells the MTU of the route (Linux), none
    /// are sent beyond it, elsewhere none beyond 1,452 bytes. It is the route that the connection began on: one that moves keeps
    /// that bound, and probes within it. 9,000, for networks with jumbo frames, takes a third of the time
    /// per byte. Then one lost packet takes several shards of a message with it, so messages want more parity; and each
    /// connection that sends keeps a buffer of ten packets.
    ///
    /// [RFC 8899]: https://www.rfc-editor.org/rfc/rfc8899
    pub mtu: u16,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            send_buffer: BUFFER,
            receive_buffer: BUFFER,
            mtu: ETHERNET,
        }
    }
}

impl SocketConfig {
    /// # Errors
    /// [`ConfigError`] names the field that cannot work.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if (SMALLEST_PAYLOAD..=LARGEST_PAYLOAD).contains(&self.mtu) {
            return Ok(());
        }
        Err(ConfigError {
            setting: "socket.mtu",
            value: self.mtu.to_string(),
            rule: "must be 1200 to 65507 bytes",
        })
    }
}

/// What every path of QUIC takes ([RFC 9000, section 14]).
///
/// [RFC 9000, section 14]: https://www.rfc-editor.org/rfc/rfc9000#section-14
pub(super) const SMALLEST_PAYLOAD: u16 = 1200;
/// What fits into an IPv4 packet of 65,535 bytes behind its header and UDP's. IPv6 could carry 20 bytes more.
pub(super) const LARGEST_PAYLOAD: u16 = 65_507;
const ETHERNET: u16 = 1452;
const BUFFER: u32 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_an_mtu_that_no_packet_has() {
        let with = |mtu| SocketConfig {
            mtu,
            ..SocketConfig::default()
        };
        assert_eq!(with(1200).check(), Ok(()));
        assert_eq!(SocketConfig::default().check(), Ok(()));
        for mtu in [0, 1199, 65_508] {
            assert_eq!(with(mtu).check().unwrap_err().setting, "socket.mtu");
        }
    }
}
