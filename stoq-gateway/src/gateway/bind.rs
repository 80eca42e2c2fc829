//! The sockets, and why a gateway may not start.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use socket2::{Domain, Protocol, Socket, Type};
use stoq_native::{AccessTokenFileError, Identity, IdentityError};
use tokio::net::TcpListener;

use crate::certificate;
use crate::config::{Config, ConfigError};
use crate::record::RecordError;

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no usable certificate.
    #[error("certificate: {0}")]
    Certificate(#[from] IdentityError),
    /// The list of revoked nonces cannot be used.
    #[error("access.revoked: {0}")]
    Revocations(#[from] AccessTokenFileError),
    /// The first endpoint record could not be signed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The UDP socket.
    #[error("cannot listen on UDP {address}: {error}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The TCP socket of the page.
    #[error("cannot listen on TCP {address}: {error}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The relay between native peers.
    #[error("relay: {0}")]
    Relay(stoq_native::BindError),
    /// The way to a target.
    #[error("route {service}: {error}")]
    Upstream {
        /// Which route.
        service: String,
        /// Why not.
        error: stoq_native::BindError,
    },
}

/// The socket for browsers, and quinn on it, with what a new certificate goes into.
pub(super) fn udp(
    config: &Config,
    identity: &Identity,
) -> io::Result<(Endpoint, quinn::ServerConfig)> {
    let address = config.listen;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // Always said, because the systems' defaults differ.
        socket.set_only_v6(config.ipv6_only)?;
    }
    // The system may give less, which costs throughput, never correctness.
    for asked in [
        socket.set_recv_buffer_size(SOCKET_BUFFER),
        socket.set_send_buffer_size(SOCKET_BUFFER),
    ] {
        if let Err(error) = asked {
            tracing::debug!(%error, "socket buffer left at the system's default");
        }
    }
    socket.bind(&address.into())?;
    let server = certificate::server_config(identity, config);
    let socket = UdpSocket::from(socket);
    let endpoint = Endpoint::new(
        EndpointConfig::default(),
        Some(server.clone()),
        socket,
        Arc::new(TokioRuntime),
    )?;
    Ok((endpoint, server))
}

/// The socket for the page.
pub(super) async fn tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |error| BindError::Http { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// 4 MiB is 3 ms at 10 Gbit/s: as long as a busy thread may be kept from the socket.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
