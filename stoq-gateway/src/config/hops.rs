//! The gateway as one relay among others.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use stoq_core::hops::HopChain;
use stoq_core::service::ServiceName;
use stoq_native::relay::{NextHop, RelayConfig};
use stoq_native::{ClientPolicy, FalconId, Identity, IpVersions, KeepAlive};

use super::Config;

/// What the gateway does with the chain of relays that travels with a request, and where pages may ask it to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hops {
    /// Length of the chain, the gateway included, at which a request is refused; at most 16. Default 8. A page can set a lower
    /// one.
    pub max: u8,
    /// Where the gateway says in the chain that it is. Default: the address listened on.
    pub address: Option<SocketAddr>,
    /// What it says of itself in the chain, keys and values: at most 8, each text at most 255 bytes. Default: nothing.
    pub metadata: Vec<(String, String)>,
    /// Relays to which a page may ask to be forwarded, by a route of its own. Default: none, and a page that names a route is
    /// refused with [`NEXT_HOP`](stoq_core::close::Code::NEXT_HOP).
    pub next: Vec<NextHop>,
}

impl Default for Hops {
    fn default() -> Self {
        Self {
            max: HopChain::DEFAULT_MAX,
            address: None,
            metadata: Vec::new(),
            next: Vec::new(),
        }
    }
}

/// A relay between native peers that runs in the gateway's process: an address of its own, the gateway's
/// [`identity`](Config::identity), limits, times, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// UDP address for native peers. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where it says in the chain that it is. Default: at the address listened on.
    pub address: Option<SocketAddr>,
    /// Who may come in; see [`RelayConfig::clients`].
    pub clients: ClientPolicy,
    /// To whom it forwards, and nobody else. Default: none.
    pub next: Vec<NextHop>,
    /// Where requests go whose route is at its end: to one of [`next`](Self::next). Default: nowhere.
    pub services: BTreeMap<ServiceName, FalconId>,
}

impl Relay {
    /// Forwards to nobody yet.
    pub fn new(listen: SocketAddr, clients: ClientPolicy) -> Self {
        Self {
            listen,
            address: None,
            clients,
            next: Vec::new(),
            services: BTreeMap::new(),
        }
    }

    /// With what it shares with the gateway.
    pub(crate) fn settings(&self, identity: Identity, config: &Config) -> RelayConfig {
        let mut relay = RelayConfig::new(identity, self.clients.clone());
        relay.next_hops.clone_from(&self.next);
        relay.services.clone_from(&self.services);
        relay.address = self.address;
        relay.max_hops = config.hops.max;
        relay.metadata.clone_from(&config.hops.metadata);
        if config.ipv6_only && self.listen.is_ipv6() {
            relay.transport.ip = IpVersions::V6Only;
        }
        relay.max_sessions = config.limits.max_sessions;
        relay.max_connections = config.limits.max_sessions.get() as usize;
        relay.transport.limits.max_streams = config.limits.max_streams.get();
        relay.transport.limits.stream_window = config.limits.stream_window.get();
        relay.connect_timeout = config.timing.upstream_connect;
        relay.answer_timeout = config.timing.upstream_answer();
        relay.transport.idle_timeout = config.timing.upstream_idle;
        relay.transport.keep_alive = KeepAlive::Every(config.timing.keep_alive);
        relay
    }
}
