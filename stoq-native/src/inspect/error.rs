//! Why there is nothing to show of a peer.

use std::io;
use std::net::SocketAddr;

use crate::connect::ConnectError;
use crate::endpoint::BindError;

/// A peer could not be inspected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The system does not give a socket.
    #[error("cannot bind a UDP port: {0}")]
    Socket(io::Error),
    /// The endpoint cannot be made.
    #[error(transparent)]
    Endpoint(BindError),
    /// Nobody answers there in QUIC, or not for long enough.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Somebody speaks QUIC there, but not STOQ.
    #[error("{address} speaks QUIC, but not STOQ version 1 (ALPN){}", if *http3 { "; it speaks HTTP/3" } else { "" })]
    NotStoq {
        /// The address that answered.
        address: SocketAddr,
        /// It speaks HTTP/3: perhaps it is a gateway, and this its port for browsers.
        http3: bool,
    },
    /// It ended both handshakes before it had shown anything.
    #[error("it ended each handshake: with FALCON, {falcon}; without, {classical}")]
    Refused {
        /// What it says to who takes composite signatures.
        falcon: String,
        /// What it says to who takes classical ones.
        classical: String,
    },
}

impl InspectError {
    /// Whether somebody has answered: then no other address need be asked.
    pub(super) fn is_answer(&self) -> bool {
        use ConnectError::{Address, EndpointClosed, Lost, Timeout};
        match self {
            Self::Socket(_) | Self::Endpoint(_) => false,
            Self::Connect(Address { .. } | EndpointClosed | Lost(_) | Timeout { .. }) => false,
            Self::Connect(_) | Self::NotStoq { .. } | Self::Refused { .. } => true,
        }
    }
}
