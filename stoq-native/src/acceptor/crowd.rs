//! Who has how many handshakes under way.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::HashMap;

/// Handshakes under way, by network: an IPv4 address, or the first 64 bits of an IPv6 one, of which anybody has many.
#[derive(Debug, Default)]
pub(super) struct Crowd(HashMap<IpAddr, usize>);

impl Crowd {
    /// How many come from this network.
    pub(super) fn from(&self, network: IpAddr) -> usize {
        self.0.get(&network).copied().unwrap_or_default()
    }

    pub(super) fn enter(&mut self, network: IpAddr) {
        *self.0.entry(network).or_default() += 1;
    }

    /// What has entered leaves once.
    pub(super) fn leave(&mut self, network: IpAddr) {
        if let Some(count) = self.0.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&network);
            }
        }
    }
}

/// The network that an address belongs to.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(prefix).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_network_and_forgets() {
        let at = |text: &str| network(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));

        let (one, other) = (at("2001:db8::1"), at("192.0.2.1"));
        let mut crowd = Crowd::default();
        crowd.enter(one);
        crowd.enter(one);
        crowd.enter(other);
        assert_eq!((crowd.from(one), crowd.from(other)), (2, 1));
        crowd.leave(one);
        crowd.leave(one);
        crowd.leave(one);
        assert_eq!((crowd.from(one), crowd.from(other)), (0, 1));
        assert_eq!(crowd.0.len(), 1);
    }
}
