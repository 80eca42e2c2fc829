//! What an operator of a relay may choose, and every default with its reason.

use core::net::Ipv6Addr;
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use stoq_core::frame::Hop;
use stoq_core::hops::{HopChain, Passage, PassedHop};
use stoq_core::identity::FalconId;
use stoq_core::service::ServiceName;

use super::LARGEST_DATAGRAM;
use crate::clock;
use crate::config::{ClientConfig, ConfigError, ServerConfig};
use crate::endpoint::BindError;
use crate::identity::Identity;
use crate::policy::{ClientPolicy, Pins};
use crate::target::{Target, TargetError};
use crate::transport::TransportConfig;

/// How a [`Relay`](super::Relay) works.
///
/// # Memory
///
/// What one session can make the relay hold, when neither end reads, is what its streams hold on both sides, and what is in
/// the hands of their pumps:
///
/// ```text
/// 2 × 2 × max_streams × stream_window    received and not yet passed on, from either side (8 times that from a peer that
///                                        multiplexes and opens more than it may; then the session is closed)
/// + 2 × 2 × max_streams × 64 KiB         in the pumps
/// + 2 × datagram_buffer                  datagrams
/// ```
///
/// and each connection `send_window` besides. With [`max_sessions`](Self::max_sessions) of them, and
/// [`max_connections`](Self::max_connections), that is all: the relay keeps nothing of a session that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Who the relay is, to both of its neighbours. It needs a FALCON identity.
    pub identity: Identity,
    /// Who may come in.
    ///
    /// | policy | first hops (no relay passed yet) | relays before this one |
    /// |---|---|---|
    /// | `Off` | anybody | none: nobody is asked who it is, so nobody can be the last of a chain |
    /// | `Prefer` | anybody | those that are trusted |
    /// | `Require` | those that are trusted | those that are trusted |
    ///
    /// A request that has passed relays is taken only from the one that stands last in its chain, and that has proved it.
    pub clients: ClientPolicy,
    /// To whom the relay forwards: these, each at its address and proved by FALCON, and nobody else. Default: none.
    pub next_hops: Vec<NextHop>,
    /// Where requests go whose route is at its end, by their service: to one of [`next_hops`](Self::next_hops). The target
    /// knows the service by the same name, because both ends of a session hash it. Default: nowhere.
    pub services: BTreeMap<ServiceName, FalconId>,
    /// Length of the chain, this relay included, at which a request is refused; at most 16. Default
    /// [`HopChain::DEFAULT_MAX`]. A chain that comes with a lower one keeps it.
    pub max_hops: u8,
    /// Where the relay says in the chain that it is. Default `None`: at the address it listens on.
    pub address: Option<SocketAddr>,
    /// What the relay says of itself in the chain, keys and values: at most 8, each text at most 255 bytes. Default: nothing.
    /// The chain has 6 KiB for all relays together; one that does not fit is refused.
    pub metadata: Vec<(String, String)>,
    /// Sessions at once, of all peers, those that are being opened included; one more is refused with
    /// [`LIMIT`](crate::Code::LIMIT). Default 1024. Whoever may come in may take them all.
    pub max_sessions: NonZeroU32,
    /// Connections of peers at once. Default 1024: each may be a client with a session of its own.
    pub max_connections: usize,
    /// How long connecting to a next hop may take. Default 5 s: somebody waits for it.
    pub connect_timeout: Duration,
    /// How long it may take to open a session at a next hop, from the request to its answer, connecting included. Default
    /// 10 s: twice as long as it may take to connect. For each relay that a request has passed before this one it is a
    /// sixteenth less, so that the relay nearest to a fault is the one that reports it, before the others give up.
    pub answer_timeout: Duration,
    /// How connections work, on both sides. Here a neighbour counts as lost after 10 s, as at a gateway: whoever waits at the
    /// end learns of it before giving up. The rest is as [`TransportConfig`] has it.
    pub transport: TransportConfig,
}

/// Somebody to whom a relay forwards: a relay, or the target itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextHop {
    /// Who it is. It proves that with FALCON, or nothing is forwarded.
    pub id: FalconId,
    /// Where it is.
    pub target: Target,
    /// What people call it; stands in the log and in nothing that is sent.
    pub name: Option<String>,
    /// Sessions on one connection to it. Default 32; see [`PoolSettings`](super::PoolSettings).
    pub sessions_per_connection: NonZeroU32,
}

impl NextHop {
    /// `id`, at `authority`, which is `host:port` (an IPv6 address in brackets).
    ///
    /// # Errors
    /// [`TargetError`] if the authority is not `host:port`.
    pub fn new(id: FalconId, authority: &str) -> Result<Self, TargetError> {
        Ok(Self {
            id,
            target: format!("stoq://{authority}/").parse()?,
            name: None,
            sessions_per_connection: const { NonZeroU32::new(32).expect("not zero") },
        })
    }
}

impl RelayConfig {
    /// Forwards to nobody yet; the rest as documented at each field.
    pub fn new(identity: Identity, clients: ClientPolicy) -> Self {
        Self {
            identity,
            clients,
            next_hops: Vec::new(),
            services: BTreeMap::new(),
            max_hops: HopChain::DEFAULT_MAX,
            address: None,
            metadata: Vec::new(),
            max_sessions: const { NonZeroU32::new(1024).expect("not zero") },
            max_connections: 1024,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(10),
            transport: TransportConfig {
                idle_timeout: Duration::from_secs(10),
                ..TransportConfig::default()
            },
        }
    }

    /// Who the relay is, once everything has been found to make sense.
    pub(super) fn check(&self) -> Result<FalconId, BindError> {
        let bad = |setting, value: String, rule| {
            Err(BindError::Config(ConfigError {
                setting,
                value,
                rule,
            }))
        };
        let Some(own) = self.identity.falcon_id() else {
            return bad(
                "identity",
                "without FALCON".into(),
                "relays prove who they are",
            );
        };
        if !(1..=Hop::MAX_HOPS).contains(&self.max_hops) {
            return bad(
                "max_hops",
                self.max_hops.to_string(),
                "must be from 1 to 16",
            );
        }
        for (at, hop) in self.next_hops.iter().enumerate() {
            let value = || format!("{} at {}", hop.id, hop.target.authority());
            if hop.id == own {
                return bad("next_hops", value(), "that is the relay itself");
            }
            let earlier = &self.next_hops[..at];
            if earlier.iter().any(|earlier| earlier.id == hop.id) {
                return bad("next_hops", value(), "it stands there already");
            }
            let authority = hop.target.authority();
            if (earlier.iter()).any(|earlier| earlier.target.authority() == authority) {
                return bad(
                    "next_hops",
                    value(),
                    "another one is at this address already",
                );
            }
        }
        for (service, id) in &self.services {
            if !self.next_hops.iter().any(|hop| hop.id == *id) {
                let rule = "its target is none of next_hops";
                return bad("services", service.to_string(), rule);
            }
        }
        let unspecified = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        let alone = self.hop(own, unspecified);
        if let Err(error) = Passage::new(None, Vec::new(), alone, self.max_hops) {
            return bad("metadata", error.to_string(), "it must fit the chain");
        }
        Ok(own)
    }

    /// The relay as it stands in a chain. `listening` is the address of its socket.
    pub(super) fn hop(&self, id: FalconId, listening: SocketAddr) -> PassedHop {
        passed_hop(id, self.address.unwrap_or(listening), &self.metadata)
    }

    /// The side on which peers come in.
    pub(super) fn server(&self) -> ServerConfig {
        let mut server = ServerConfig::new(self.identity.clone());
        server.clients = self.clients.clone();
        server.transport = self.transport.clone();
        server.max_connections = self.max_connections;
        server.framed_streams = true;
        server.relay = true;
        server
    }

    /// The side on which requests go on.
    pub(super) fn client(&self) -> ClientConfig {
        let pins = self.next_hops.iter().fold(Pins::new(), |pins, hop| {
            let pins = pins.pin(&hop.target.authority(), hop.id);
            pins.expect("the authority of a target is one")
        });
        let mut client = ClientConfig::new(pins);
        client.identity = Some(self.identity.clone());
        client.connect_timeout = self.connect_timeout;
        client.transport = self.transport.clone();
        client.framed_streams = true;
        let largest = &mut client.transport.limits.max_datagram_size;
        *largest = LARGEST_DATAGRAM.min(*largest);
        client
    }
}

/// A relay as it stands in a chain now: who it is, where it says it is reached, and what else it says of itself.
pub fn passed_hop(id: FalconId, at: SocketAddr, metadata: &[(String, String)]) -> PassedHop {
    PassedHop {
        id,
        address: match at.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        },
        port: at.port(),
        timestamp: clock::now(),
        metadata: metadata.to_vec(),
    }
}
