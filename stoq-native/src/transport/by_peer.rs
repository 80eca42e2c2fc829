//! QUIC's settings for each new connection, which depend on where it leads.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use super::TransportConfig;
use crate::config::ConfigError;
use crate::socket::largest_payload;

/// Makes the settings of new connections.
#[derive(Debug)]
pub(crate) struct Transports {
    config: TransportConfig,
    side: quinn::Side,
    /// For peers of whose way nothing is known.
    unknown: Arc<quinn::TransportConfig>,
    /// The last that were made, with their MTU: most peers are on ways of the same kind.
    last: Mutex<(u16, Arc<quinn::TransportConfig>)>,
}

impl Transports {
    /// # Errors
    /// [`ConfigError`] if a setting cannot work.
    pub(crate) fn new(config: &TransportConfig, side: quinn::Side) -> Result<Self, ConfigError> {
        let mtu = UNKNOWN_PATH.min(config.socket.mtu);
        let mut transport = config.quinn(side)?;
        discover(&mut transport, mtu);
        let unknown = Arc::new(transport);
        Ok(Self {
            config: config.clone(),
            side,
            last: Mutex::new((mtu, unknown.clone())),
            unknown,
        })
    }

    /// For any peer.
    pub(crate) fn unknown(&self) -> Arc<quinn::TransportConfig> {
        self.unknown.clone()
    }

    /// For this peer: packets are made no larger than the route to it takes. `local` is the address that is sent from, if it is
    /// known.
    pub(crate) fn to(
        &self,
        local: Option<IpAddr>,
        peer: SocketAddr,
    ) -> Arc<quinn::TransportConfig> {
        let Some(payload) = largest_payload(local, peer) else {
            return self.unknown();
        };
        let mtu = payload.min(self.config.socket.mtu);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != mtu
            // It has succeeded in `new`.
            && let Ok(mut transport) = self.config.quinn(self.side)
        {
            discover(&mut transport, mtu);
            *last = (mtu, Arc::new(transport));
        }
        last.1.clone()
    }
}

/// Packets grow up to this size, as far as they arrive.
fn discover(transport: &mut quinn::TransportConfig, mtu: u16) {
    let mut discovery = quinn::MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu);
    transport.mtu_discovery_config(Some(discovery));
}

/// UDP's payload on Ethernet over IPv6: most ways take it, and probes that are lost cost little.
const UNKNOWN_PATH: u16 = 1452;
