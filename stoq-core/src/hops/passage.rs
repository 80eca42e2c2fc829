//! What a relay does with a request: whether it passes it on, to whom, and with what.

use alloc::vec::Vec;

use super::{HopChain, PassedHop};
use crate::close::Code;
use crate::identity::FalconId;
use crate::reader::Fault;

/// A request as it leaves a relay.
///
/// ```
/// use core::net::Ipv6Addr;
/// use stoq_core::hops::{HopChain, PassedHop, Passage};
/// use stoq_core::{FalconId, time::UnixMicros};
///
/// let [first, second] = [1, 2].map(|n| FalconId::new([n; 32]));
/// let own = PassedHop {
///     id: first,
///     address: Ipv6Addr::LOCALHOST,
///     port: 4433,
///     timestamp: UnixMicros(0),
///     metadata: vec![],
/// };
/// let passage = Passage::new(None, vec![second], own, HopChain::DEFAULT_MAX)?;
/// assert_eq!((passage.next, passage.route.len()), (Some(second), 0));
/// assert_eq!(passage.hops.last().unwrap().id, first);
/// # Ok::<(), stoq_core::hops::HopError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The next relay; `None` when the route is at its end, and the next is the target.
    pub next: Option<FalconId>,
    /// The relays to pass behind the next one.
    pub route: Vec<FalconId>,
    /// The chain that came in, with this relay at its end.
    pub hops: HopChain,
}

impl Passage {
    /// Appends `relay` to the chain that came in, and takes the next one from the front of the route.
    ///
    /// A chain that is not there begins here. Its maximum is the lower one of what it says and `max_hops`, so nobody behind
    /// this relay can raise it. That the neighbour is the last of the chain is the caller's to check, who knows the neighbour.
    ///
    /// # Errors
    /// [`HopError`], whichever is found first; the request is not to be passed on.
    pub fn new(
        chain: Option<HopChain>,
        mut route: Vec<FalconId>,
        relay: PassedHop,
        max_hops: u8,
    ) -> Result<Self, HopError> {
        let mut hops = chain.unwrap_or_else(|| HopChain::new(max_hops));
        hops.max_hops = hops.max_hops.min(max_hops);
        hops.hops.push(relay);
        let passed = hops.hops.iter().map(|hop| hop.id);
        let all: Vec<_> = passed.chain(route.iter().copied()).collect();
        if let Some(id) = repeated(&all) {
            return Err(HopError::Loop { id });
        }
        if all.len() > usize::from(hops.max_hops) {
            return Err(HopError::TooManyHops {
                limit: hops.max_hops,
                got: all.len(),
            });
        }
        hops.as_hop()
            .check()
            .map_err(|fault| HopError::TooLarge { fault })?;
        let next = (!route.is_empty()).then(|| route.remove(0));
        Ok(Self { next, route, hops })
    }
}

/// A route that can be walked: no longer than `limit`, and through no relay twice.
///
/// # Errors
/// [`HopError::Loop`] or [`HopError::TooManyHops`].
pub fn check_route(route: &[FalconId], limit: u8) -> Result<(), HopError> {
    if route.len() > usize::from(limit) {
        let got = route.len();
        return Err(HopError::TooManyHops { limit, got });
    }
    match repeated(route) {
        Some(id) => Err(HopError::Loop { id }),
        None => Ok(()),
    }
}

/// The first that stands there a second time. Chains and routes have at most sixteen each, so that looking back is cheap.
fn repeated(ids: &[FalconId]) -> Option<FalconId> {
    let again = |&(at, id): &(usize, &FalconId)| ids[..at].contains(id);
    ids.iter().enumerate().find(again).map(|(_, id)| *id)
}

/// A request is not passed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HopError {
    /// A relay stands twice in what the request has passed and has still to pass.
    #[error("the relay {id} would be passed twice")]
    Loop {
        /// Which relay.
        id: FalconId,
    },
    /// The request would pass more relays than it may.
    #[error("the request would pass {got} relays, {limit} are allowed")]
    TooManyHops {
        /// Relays that are allowed.
        limit: u8,
        /// Relays passed, this one, and those that the route still names.
        got: usize,
    },
    /// What the relays say of themselves is more than goes with a request.
    #[error("the chain of relays is too large: {fault}")]
    TooLarge {
        /// What is too large, and how large it may be.
        fault: Fault,
    },
}

impl HopError {
    /// The code that the peer and the user see.
    pub fn code(&self) -> Code {
        match self {
            Self::Loop { .. } => Code::HOP_LOOP,
            Self::TooManyHops { .. } => Code::TOO_MANY_HOPS,
            Self::TooLarge { .. } => Code::LIMIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use core::net::Ipv6Addr;

    use super::*;
    use crate::frame::Hop;
    use crate::time::UnixMicros;

    fn id(n: u8) -> FalconId {
        FalconId::new([n; 32])
    }

    fn relay(n: u8) -> PassedHop {
        PassedHop {
            id: id(n),
            address: Ipv6Addr::LOCALHOST,
            port: 4433,
            timestamp: UnixMicros(1),
            metadata: Vec::new(),
        }
    }

    fn chain(max_hops: u8, relays: &[u8]) -> Option<HopChain> {
        Some(HopChain {
            max_hops,
            hops: relays.iter().copied().map(relay).collect(),
        })
    }

    fn pass(chain: Option<HopChain>, route: &[u8], own: u8, max: u8) -> Result<Passage, HopError> {
        Passage::new(
            chain,
            route.iter().copied().map(id).collect(),
            relay(own),
            max,
        )
    }

    #[test]
    fn a_relay_stands_at_the_end_and_takes_the_front_of_the_route() {
        let passage = pass(chain(5, &[1, 2]), &[4, 5], 3, 8).unwrap();
        assert_eq!(passage.next, Some(id(4)));
        assert_eq!(passage.route, [id(5)]);
        assert_eq!(Some(passage.hops), chain(5, &[1, 2, 3]));
        let last = pass(chain(5, &[1, 2]), &[], 3, 8).unwrap();
        assert_eq!((last.next, last.route.len()), (None, 0));
    }

    #[test]
    fn a_chain_begins_with_the_relays_maximum_and_keeps_a_lower_one() {
        assert_eq!(pass(None, &[], 1, 6).unwrap().hops.max_hops, 6);
        assert_eq!(pass(chain(3, &[]), &[], 1, 6).unwrap().hops.max_hops, 3);
        assert_eq!(pass(chain(16, &[]), &[], 1, 6).unwrap().hops.max_hops, 6);
    }

    #[test]
    fn refuses_to_be_passed_twice() {
        for (before, route) in [
            (&[1, 3][..], &[][..]),
            (&[1], &[3]),
            (&[1], &[4, 4]),
            (&[1], &[4, 1]),
            (&[1, 1], &[]),
        ] {
            let error = pass(chain(8, before), route, 3, 8).unwrap_err();
            assert_eq!(error.code(), Code::HOP_LOOP, "{before:?} then {route:?}");
        }
    }

    #[test]
    fn refuses_more_than_the_maximum_before_the_way_is_begun() {
        let error = |before: &[u8], route: &[u8], max, own_max| {
            pass(chain(max, before), route, 9, own_max).map_err(|error| error.code())
        };
        assert!(error(&[1, 2], &[], 3, 8).is_ok());
        for (before, route, max, own_max) in [
            (&[1, 2][..], &[][..], 2, 8),
            (&[1, 2], &[], 8, 2),
            (&[1], &[2, 3], 3, 8),
            (&[], &[], 0, 8),
        ] {
            assert_eq!(
                error(before, route, max, own_max),
                Err(Code::TOO_MANY_HOPS),
                "{before:?} then {route:?}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_not_dropped() {
        let talkative = |n| PassedHop {
            metadata: (0..4)
                .map(|_| {
                    (
                        String::from_utf8(alloc::vec![b'k'; 200]).unwrap(),
                        String::new(),
                    )
                })
                .collect(),
            ..relay(n)
        };
        let mut hops = HopChain::new(16);
        let error = (0..16).find_map(|n| {
            match Passage::new(Some(hops.clone()), Vec::new(), talkative(n), 16) {
                Ok(passage) => {
                    hops = passage.hops;
                    None
                }
                Err(error) => Some(error),
            }
        });
        let error = error.unwrap();
        assert!(matches!(error, HopError::TooLarge { .. }), "{error}");
        assert_eq!(error.code(), Code::LIMIT);
        assert!(hops.hops.len() > 5, "{} fit", hops.hops.len());
        assert!(hops.as_hop().check().is_ok());
        assert_eq!(Hop::MAX_LEN, 6 * 1024);
    }

    #[test]
    fn a_route_goes_nowhere_twice() {
        assert_eq!(check_route(&[id(1), id(2)], 2), Ok(()));
        assert_eq!(
            check_route(&[id(1), id(2), id(1)], 8),
            Err(HopError::Loop { id: id(1) })
        );
        let too_many = HopError::TooManyHops { limit: 1, got: 2 };
        assert_eq!(check_route(&[id(1), id(2)], 1), Err(too_many));
    }
}
