//! The UDP socket under an endpoint: which IP versions it takes, and how much it buffers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::transport::IpVersions;

/// Binds a socket at `address` that takes exactly the IP versions asked for.
pub(crate) fn bind(address: SocketAddr, ip: IpVersions) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // Always said, because the systems' defaults differ.
        socket.set_only_v6(ip == IpVersions::V6Only)?;
    }
    ask_for_buffers(&socket);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Any free port on all interfaces, for a client. Where the system has no IPv6 at all, dual-stack means IPv4.
pub(crate) fn bind_any(ip: IpVersions) -> io::Result<UdpSocket> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    match ip {
        IpVersions::V4Only => bind(v4, ip),
        IpVersions::V6Only => bind(v6, ip),
        IpVersions::Both => bind(v6, ip).or_else(|error| {
            tracing::debug!(%error, "no IPv6 socket, falling back to IPv4");
            bind(v4, ip)
        }),
    }
}

/// The kernel may give less (Linux: `net.core.rmem_max`, `wmem_max`), which costs throughput, never correctness.
fn ask_for_buffers(socket: &Socket) {
    if let Err(error) = socket.set_recv_buffer_size(BUFFER_SIZE) {
        tracing::debug!(%error, "receive buffer left at the system's default");
    }
    if let Err(error) = socket.set_send_buffer_size(BUFFER_SIZE) {
        tracing::debug!(%error, "send buffer left at the system's default");
    }
    if let Ok(size) = socket.recv_buffer_size()
        && size < BUFFER_SIZE
    {
        tracing::debug!(
            asked = BUFFER_SIZE,
            size,
            "receive buffer is smaller than asked for"
        );
    }
}

/// 4 MiB is 3 ms at 10 Gbit/s: as long as a busy thread may be kept from the socket.
const BUFFER_SIZE: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a datagram to this IPv4 port arrives at the socket.
    fn takes_v4(socket: &UdpSocket) -> bool {
        let port = socket.local_addr().unwrap().port();
        // If the port is free for IPv4, nothing listens for IPv4 on it.
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_err()
    }

    #[test]
    fn takes_the_versions_asked_for() {
        assert!(takes_v4(&bind_any(IpVersions::Both).unwrap()));
        assert!(takes_v4(&bind_any(IpVersions::V4Only).unwrap()));
        assert!(!takes_v4(&bind_any(IpVersions::V6Only).unwrap()));
    }
}
