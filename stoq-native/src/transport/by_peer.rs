//! QUIC's settings for a connection, as far as they depend on where it leads.

use std::net::{IpAddr, SocketAddr};

use super::TransportConfig;
use crate::socket::largest_payload;

impl TransportConfig {
    /// [`quinn`](Self::quinn), for a connection with this peer: packets are made no larger than the route to it takes now. quinn has
    /// no way to change that bound, so a connection that moves to another route keeps it, and probes within it. `local` is the
    /// address that is sent from, if it is known.
    pub(crate) fn quinn_to(
        &self,
        side: quinn::Side,
        local: Option<IpAddr>,
        peer: SocketAddr,
    ) -> quinn::TransportConfig {
        let route = largest_payload(local, peer).unwrap_or(UNKNOWN_ROUTE);
        let mut discovery = quinn::MtuDiscoveryConfig::default();
        discovery.upper_bound(route.min(self.socket.mtu));
        let mut transport = self.quinn(side);
        transport.mtu_discovery_config(Some(discovery));
        transport
    }
}

/// UDP's payload on Ethernet over IPv6: most routes take it, and probes that are lost cost little.
const UNKNOWN_ROUTE: u16 = 1452;
