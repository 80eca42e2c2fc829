//! The sockets, and why a gateway may not start.

use std::io;
use std::net::SocketAddr;

use quinn::Endpoint;
use stoq_native::{AccessTokenFileError, Identity, IdentityError, IpVersions};
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

/// quinn for browsers, with what a new certificate goes into.
pub(super) fn udp(
    config: &Config,
    identity: &Identity,
) -> io::Result<(Endpoint, quinn::ServerConfig)> {
    let server = certificate::server_config(identity, config);
    let ip = if config.ipv6_only {
        IpVersions::V6Only
    } else {
        IpVersions::Both
    };
    let endpoint = stoq_native::quinn_server(config.listen, ip, server.clone())?;
    Ok((endpoint, server))
}

/// The socket for the page.
pub(super) async fn tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |error| BindError::Http { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
