//! The UDP socket under an endpoint: which IP versions it takes, how much it buffers, and how large its packets are.

mod batch;
mod buffers;
mod config;
mod doorbell;
mod path;
#[cfg(target_os = "linux")]
mod reuseport;
mod siblings;
mod steering;
mod turn;
mod udp;
mod wire;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::transport::IpVersions;
pub use config::SocketConfig;
pub(crate) use path::largest_payload;
use siblings::Siblings;
pub(crate) use steering::{Identifiers, Steering};
pub(crate) use turn::Turns;
pub(crate) use udp::Socket as QuinnSocket;

/// A socket at its address, not yet in anybody's hands.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: UdpSocket,
    /// The others on its port, if there are any; elsewhere than on Linux there are none.
    siblings: Option<Siblings>,
}

/// Binds a socket at `address` that takes exactly the IP versions asked for.
pub(crate) fn bind(
    address: SocketAddr,
    ip: IpVersions,
    config: &SocketConfig,
) -> io::Result<Bound> {
    let socket = unbound(address, ip, config)?;
    socket.bind(&address.into())?;
    Ok(Bound {
        socket: socket.into(),
        siblings: None,
    })
}

/// Binds as many sockets at `address` as [`Steering`] knows workers, and has the kernel steer.
pub(crate) fn bind_group(
    address: SocketAddr,
    ip: IpVersions,
    config: &SocketConfig,
    steering: Steering,
) -> io::Result<Vec<Bound>> {
    #[cfg(target_os = "linux")]
    if steering.workers() > 1 {
        return reuseport::bind(address, steering, || unbound(address, ip, config));
    }
    debug_assert_eq!(steering.workers(), 1, "only Linux can steer");
    Ok(vec![bind(address, ip, config)?])
}

fn unbound(address: SocketAddr, ip: IpVersions, config: &SocketConfig) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // Always said, because the systems' defaults differ.
        socket.set_only_v6(ip == IpVersions::V6Only)?;
    }
    buffers::ask(&socket, config);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Any free port on all interfaces, for a client. Where the system has no IPv6 at all, dual-stack means IPv4.
pub(crate) fn bind_any(ip: IpVersions, config: &SocketConfig) -> io::Result<Bound> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    match ip {
        IpVersions::V4Only => bind(v4, ip, config),
        IpVersions::V6Only => bind(v6, ip, config),
        IpVersions::Both => bind(v6, ip, config).or_else(|error| {
            tracing::debug!(%error, "no IPv6 socket, falling back to IPv4");
            bind(v4, ip, config)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives at a socket of a 4 that is sent over IPv4 and a 6 that is sent over IPv6, if it has an IPv6 address.
    fn arrives(ip: IpVersions) -> Vec<u8> {
        let Bound { socket, .. } = bind_any(ip, &SocketConfig::default()).unwrap();
        let address = socket.local_addr().unwrap();
        let over = |from: SocketAddr, version: u8| {
            let sender = UdpSocket::bind(from).unwrap();
            let to = (from.ip(), address.port());
            sender.send_to(&[version], to).unwrap();
        };
        over((Ipv4Addr::LOCALHOST, 0).into(), 4);
        if address.is_ipv6() {
            over((Ipv6Addr::LOCALHOST, 0).into(), 6);
        }
        let mut arrived = Vec::new();
        let mut datagram = [0];
        // On loopback it is there when it has been sent.
        while socket.recv(&mut datagram).is_ok() {
            arrived.push(datagram[0]);
        }
        arrived
    }

    #[test]
    fn takes_the_versions_asked_for() {
        assert_eq!(arrives(IpVersions::Both), [4, 6]);
        assert_eq!(arrives(IpVersions::V4Only), [4]);
        assert_eq!(arrives(IpVersions::V6Only), [6]);
    }

    /// The kernel chooses the same socket as [`Steering`] does, for every kind of datagram.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_steers_as_we_do() {
        let steering = Steering::new(5);
        let config = SocketConfig::default();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for address in ["127.0.0.1:0", "[::]:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let bound = bind_group(address, IpVersions::Both, &config, steering).unwrap();
            let port = bound[0].socket.local_addr().unwrap().port();
            let mut seen = [0; 5];
            for round in 0..200u32 {
                let mut datagram = vec![0; 40];
                aws_lc_rs::rand::fill(&mut datagram).unwrap();
                datagram.truncate(if round % 10 == 0 { 12 } else { 40 });
                sender
                    .send_to(&datagram, (Ipv4Addr::LOCALHOST, port))
                    .unwrap();
                let worker = steering.of_datagram(&datagram).unwrap();
                let mut got = [0; 64];
                // On loopback it is there when it has been sent.
                let len = bound[worker].socket.recv(&mut got).unwrap();
                assert_eq!(got[..len], datagram);
                seen[worker] += 1;
            }
            assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
        }
    }
}
