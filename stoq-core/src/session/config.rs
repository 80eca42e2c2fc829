use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::access::TokenHash;
use crate::identity::FalconId;
use crate::service::ServiceName;

/// Which end of the carrier connection this is. Only clients open sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that connected: sends SETTINGS first, opens sessions.
    Client,
    /// The end that was connected to: answers SETTINGS and requests.
    Server,
}

/// What a caller chooses when it starts a [`Session`](super::Session).
#[derive(Clone, Debug)]
pub struct Config {
    /// Which end this is.
    pub side: Side,
    /// A client: the service asked of session 0, or none when the connection only carries multiplexed
    /// sessions. A server: the service that the carrier itself names (the path of a WebTransport request);
    /// a client that asks for another one is refused. `None` leaves the choice to the client.
    pub service: Option<ServiceName>,
    /// A client: what it shows to be let in to session 0, in the bounds of [`AccessTokens`](crate::frame::AccessTokens).
    pub access_tokens: Vec<Bytes>,
    /// A client: those of the tokens whose holder it is. [`Output::Prove`](super::Output::Prove) asks for the proof of each, and
    /// session 0 opens when all have been confirmed. Hashes of the tokens' bytes.
    pub holders: Vec<TokenHash>,
    /// A client: the relays that its request for session 0 has to pass behind the server, at most
    /// [`Route::MAX_COUNT`](crate::frame::Route::MAX_COUNT).
    pub route: Vec<FalconId>,
    /// A client: the most relays that its request for session 0 may pass, at most
    /// [`Hop::MAX_HOPS`](crate::frame::Hop::MAX_HOPS). `None` leaves the maximum to the first of them.
    pub max_hops: Option<u8>,
    /// This end's 32 fresh random bytes. A client's are the first half of the session hash; a server gives
    /// its own with each [`Answer`](super::Answer), so here they are ignored.
    pub random: [u8; 32],
    /// What the peer may make this end hold.
    pub limits: Limits,
}

impl Config {
    /// No service, nothing to show, and default limits.
    pub fn new(side: Side, random: [u8; 32]) -> Self {
        Self {
            side,
            service: None,
            access_tokens: Vec::new(),
            holders: Vec::new(),
            route: Vec::new(),
            max_hops: None,
            random,
            limits: Limits::default(),
        }
    }
}

/// Bounds on what a peer can make this end hold; announced to the peer in SETTINGS where it must know them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Multiplexed sessions open at once on this connection. Default 64: with `max_streams` it bounds the
    /// streams of a connection, so each costs `max_streams` × 2 table entries even when idle.
    pub max_sessions: u32,
    /// Streams open at once in each session, in each direction and of each kind. Default 64.
    pub max_streams: u32,
    /// Largest datagram payload, in bytes, that this end takes. Default 65,535: the carrier's own limit
    /// is nearly always smaller.
    pub max_datagram_size: u32,
    /// How long the peer's SETTINGS may take. Default 10 s: three lost handshake flights.
    pub settings_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 64,
            max_streams: 64,
            max_datagram_size: 65_535,
            settings_timeout: Duration::from_secs(10),
        }
    }
}
