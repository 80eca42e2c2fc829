//! The relays that a request has passed, as values that outlive the bytes they came in, and what a relay does with them.

mod passage;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use crate::frame::{Hop, Relay};
use crate::identity::FalconId;
use crate::time::UnixMicros;
pub use passage::{HopError, Passage, check_route};

/// The relays that a request has passed, in order.
///
/// Only the last is authenticated, and only to the peer that it is connected to: whoever reads the chain further away reads
/// claims. A relay can leave out those before it, or make some up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopChain {
    /// A relay refuses a chain that has so many, at most [`Hop::MAX_HOPS`].
    pub max_hops: u8,
    /// The relays, the first one passed first.
    pub hops: Vec<PassedHop>,
}

/// One relay of a [`HopChain`], in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedHop {
    /// Who it says it is.
    pub id: FalconId,
    /// Where it says it is reached; an IPv4 address stands in its mapped form, `::ffff:a.b.c.d`.
    pub address: Ipv6Addr,
    /// The UDP port there.
    pub port: u16,
    /// When it says it passed the request on.
    pub timestamp: UnixMicros,
    /// What else it says: keys and values.
    pub metadata: Vec<(String, String)>,
}

impl HopChain {
    /// The length at which a relay refuses a chain, where nobody says otherwise: each relay adds a handshake and its own
    /// distance to every byte, and eight in a row are more than anybody needs who has not built a loop.
    pub const DEFAULT_MAX: u8 = 8;

    /// No relay has been passed yet. A client that sets a maximum of its own begins with this; at most [`Hop::MAX_HOPS`].
    pub const fn new(max_hops: u8) -> Self {
        Self {
            max_hops,
            hops: Vec::new(),
        }
    }

    /// The relay that passed the request on last: the only one that the receiver's connection can prove.
    pub fn last(&self) -> Option<&PassedHop> {
        self.hops.last()
    }

    /// The chain as a frame's body, borrowed.
    pub fn as_hop(&self) -> Hop<'_> {
        Hop {
            max_hops: self.max_hops,
            relays: self.hops.iter().map(PassedHop::as_relay).collect(),
        }
    }
}

impl PassedHop {
    fn as_relay(&self) -> Relay<'_> {
        let metadata = self.metadata.iter();
        Relay {
            id: self.id,
            address: self.address,
            port: self.port,
            timestamp: self.timestamp,
            metadata: metadata.map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        }
    }
}

impl From<Hop<'_>> for HopChain {
    fn from(hop: Hop<'_>) -> Self {
        Self {
            max_hops: hop.max_hops,
            hops: hop.relays.into_iter().map(PassedHop::from).collect(),
        }
    }
}

impl From<Relay<'_>> for PassedHop {
    fn from(relay: Relay<'_>) -> Self {
        let metadata = relay.metadata.into_iter();
        Self {
            id: relay.id,
            address: relay.address,
            port: relay.port,
            timestamp: relay.timestamp,
            metadata: metadata.map(|(k, v)| (k.into(), v.into())).collect(),
        }
    }
}
