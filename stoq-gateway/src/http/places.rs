//! Who may hold how many HTTP connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// The places of all, and how many of them each address has. Clones are the same places.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    share: u32,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A place for somebody whose address is not known yet. Given back when dropped.
pub(super) struct Free {
    _permit: OwnedSemaphorePermit,
}

/// A place, and one of the share of an address. Given back when dropped.
pub(super) struct Place {
    _free: Free,
    holder: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.max_http_connections.get() as usize)),
            share: limits.max_http_connections_per_address.get(),
            taken: Arc::default(),
        }
    }

    /// Waits until there is one.
    ///
    /// # Cancel safety
    /// If dropped, no place is taken; it is the last in the line when it is called again.
    pub(super) async fn free(&self) -> Free {
        let permit = self.all.clone().acquire_owned().await;
        Free {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Gives the place to an address, unless that has its share already: then it is free again.
    pub(super) fn give(&self, free: Free, address: IpAddr) -> Option<Place> {
        let holder = holder(address);
        let mut taken = lock(&self.taken);
        let count = taken.entry(holder).or_default();
        if *count >= self.share {
            return None;
        }
        *count += 1;
        Some(Place {
            _free: free,
            holder,
            taken: self.taken.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            // Addresses that have none are forgotten, or the map would grow.
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<IpAddr, u32>>) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose share an address counts for: its own with IPv4, that of its /64 with IPv6, because whoever has one address of those
/// has them all.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn places(all: u32, share: u32) -> Places {
        Places::new(&Limits {
            max_http_connections: NonZeroU32::new(all).unwrap(),
            max_http_connections_per_address: NonZeroU32::new(share).unwrap(),
            ..Limits::default()
        })
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_others_have_theirs() {
        let places = places(8, 2);
        let give = async |address: &str| {
            let free = places.free().await;
            places.give(free, address.parse().unwrap())
        };
        let first = give("192.0.2.1").await.unwrap();
        // As a socket for both families shows it.
        let second = give("::ffff:192.0.2.1").await.unwrap();
        assert!(give("192.0.2.1").await.is_none());
        let other = give("192.0.2.2").await.unwrap();
        drop(first);
        let again = give("192.0.2.1").await.unwrap();
        assert!(give("192.0.2.1").await.is_none());
        drop((second, other, again));
        assert!(lock(&places.taken).is_empty(), "nothing is kept");
        assert_eq!(places.all.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_address() {
        let places = places(8, 1);
        let give = async |address: &str| {
            let free = places.free().await;
            places.give(free, address.parse().unwrap())
        };
        let _one = give("2001:db8:0:1::1").await.unwrap();
        assert!(give("2001:db8:0:1:ffff::2").await.is_none());
        let _other = give("2001:db8:0:2::1").await.unwrap();
    }
}
