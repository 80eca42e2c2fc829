//! How large a packet the way to a peer takes, as far as this machine knows.

use std::net::{IpAddr, SocketAddr};

use super::config::{LARGEST_PAYLOAD, SMALLEST_PAYLOAD};

/// Bytes of the largest UDP payload that the route to the peer takes without fragments: the MTU of the interface, or what routers
/// on the way have said. `local`, where known, is the address that is sent from. `None` where the system does not tell.
pub(crate) fn largest_payload(local: Option<IpAddr>, peer: SocketAddr) -> Option<u16> {
    let peer = canonical(peer);
    let headers = if peer.is_ipv6() { 40 + 8 } else { 20 + 8 };
    let mtu = mtu(local.map(|local| local.to_canonical()), peer)
        .inspect_err(|error| tracing::debug!(%peer, %error, "MTU of the route unknown"))
        .ok()?;
    let payload = mtu.saturating_sub(headers);
    // Below the first, QUIC does not work, and the system may be wrong about the way. The second is loopback's.
    let bounds = (SMALLEST_PAYLOAD.into(), LARGEST_PAYLOAD.into());
    u16::try_from(payload.clamp(bounds.0, bounds.1)).ok()
}

/// An IPv4 address as such, also if it came as one of IPv6. Others stay as they are: link-local ones mean nothing without the
/// interface that they name.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(mapped) if mapped.ip().to_ipv4_mapped().is_some() => {
            (mapped.ip().to_canonical(), mapped.port()).into()
        }
        other => other,
    }
}

/// Of a socket that is connected to the peer, because only then it has a route. Nothing is sent.
#[cfg(target_os = "linux")]
fn mtu(local: Option<IpAddr>, peer: SocketAddr) -> std::io::Result<u32> {
    use rustix::net::sockopt::{ip_mtu, ipv6_mtu};
    use socket2::{Domain, Socket, Type};

    let probe = Socket::new(Domain::for_address(peer), Type::DGRAM, None)?;
    if let Some(local) = local
        && local.is_ipv6() == peer.is_ipv6()
    {
        // Where routes depend on it. One that cannot be bound, say a link-local one without its interface, only makes the answer
        // less exact.
        let _ = probe.bind(&SocketAddr::new(local, 0).into());
    }
    probe.connect(&peer.into())?;
    Ok(if peer.is_ipv6() {
        ipv6_mtu(&probe)?
    } else {
        ip_mtu(&probe)?
    })
}

#[cfg(not(target_os = "linux"))]
fn mtu(_: Option<IpAddr>, _: SocketAddr) -> std::io::Result<u32> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_takes_what_ip_can_carry() {
        let of = |address: &str| largest_payload(None, address.parse().unwrap());
        assert_eq!(of("127.0.0.1:1"), Some(65_507));
        assert_eq!(of("[::ffff:127.0.0.1]:1"), Some(65_507));
        assert_eq!(of("[::1]:1"), Some(65_488));
        let local = Some("127.0.0.1".parse().unwrap());
        assert_eq!(
            largest_payload(local, "127.0.0.1:1".parse().unwrap()),
            Some(65_507)
        );
    }

    #[test]
    fn the_interface_of_an_address_is_kept() {
        use std::net::SocketAddrV6;
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 0, 7);
        assert_eq!(canonical(link_local.into()), link_local.into());
        let mapped = SocketAddrV6::new("::ffff:10.0.0.1".parse().unwrap(), 1, 0, 7);
        assert_eq!(canonical(mapped.into()), "10.0.0.1:1".parse().unwrap());
    }

    #[test]
    fn where_nothing_may_be_sent_nothing_is_known() {
        // Only sockets that asked for broadcasts reach it.
        let broadcast = "255.255.255.255:1".parse().unwrap();
        assert_eq!(largest_payload(None, broadcast), None);
    }
}
