//! What holds for every request that passes a relay, whatever the relays before it said.

use core::net::Ipv6Addr;

use proptest::{collection::vec, option, prelude::*};
use stoq_core::{
    Code, FalconId, Frame,
    frame::Hop,
    hops::{HopChain, HopError, Passage, PassedHop, check_route},
    time::UnixMicros,
};

use super::peek;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passages(
        chain in option::of((0u8..20, vec(hop(), 0..18))),
        route in vec(id(), 0..18),
        own in hop(),
        max_hops in 0u8..=Hop::MAX_HOPS,
    ) {
        let chain = chain.map(|(max_hops, hops)| HopChain { max_hops, hops });
        let before = chain.as_ref().map_or(0, |chain| chain.hops.len());
        match Passage::new(chain.clone(), route.clone(), own.clone(), max_hops) {
            Ok(Passage { next, route: rest, hops }) => {
                // Nothing is lost, nothing comes twice, and the next relay can read it.
                prop_assert_eq!(hops.last(), Some(&own));
                prop_assert_eq!(hops.hops.len(), before + 1);
                prop_assert_eq!(next.into_iter().chain(rest.clone()).collect::<Vec<_>>(), route);
                prop_assert!(hops.max_hops <= max_hops);
                prop_assert!(hops.hops.len() + rest.len() <= usize::from(hops.max_hops));
                prop_assert!(chain.is_none_or(|chain| hops.max_hops <= chain.max_hops));
                let mut ids: Vec<_> = hops.hops.iter().map(|hop| hop.id).chain(next).chain(rest).collect();
                let count = ids.len();
                ids.sort();
                ids.dedup();
                prop_assert_eq!(ids.len(), count);
                let mut bytes = Vec::new();
                Frame::Hop(hops.as_hop()).encode(&mut bytes);
                let Ok(Some((Frame::Hop(read), _))) = Frame::decode(&bytes) else {
                    return Err(TestCaseError::fail("cannot be read"));
                };
                prop_assert_eq!(HopChain::from(read), hops);
            }
            Err(HopError::Loop { id }) => {
                let hops = chain.iter().flat_map(|chain| &chain.hops).map(|hop| hop.id);
                let all = hops.chain([own.id]).chain(route);
                prop_assert!(all.filter(|other| *other == id).count() > 1);
            }
            Err(HopError::TooManyHops { limit, got }) => {
                prop_assert_eq!(got, before + 1 + route.len());
                prop_assert!(got > usize::from(limit) && limit <= max_hops);
            }
            Err(error @ HopError::TooLarge { .. }) => prop_assert_eq!(error.code(), Code::LIMIT),
        }
    }

    #[test]
    fn routes(route in vec(id(), 0..18), limit in 0u8..20) {
        let twice = (0..route.len()).any(|at| route[..at].contains(&route[at]));
        let fits = route.len() <= usize::from(limit) && !twice;
        prop_assert_eq!(check_route(&route, limit).is_ok(), fits);
    }

    #[test]
    fn priority_peeks(bytes in vec(any::<u8>(), 0..60), size: u8, frame in vec(0u8..9, 0..6)) {
        peek::priority_peek_bytes(&bytes);
        let mut stream = vec![size];
        stream.resize(17, 7);
        peek::priority_peek_bytes(&[&stream[..], &frame].concat());
        peek::priority_peek_bytes(&[&stream[..], &[2, 2], &frame].concat());
    }
}

/// Few, so that some are met twice.
fn id() -> impl Strategy<Value = FalconId> {
    (0u8..40).prop_map(|n| FalconId::new([n; 32]))
}

fn hop() -> impl Strategy<Value = PassedHop> {
    let pairs = vec(("[a-z]{0,120}", "[a-z]{0,120}"), 0..4);
    (id(), any::<u128>(), any::<u16>(), any::<u64>(), pairs).prop_map(
        |(id, address, port, micros, metadata)| PassedHop {
            id,
            address: Ipv6Addr::from_bits(address),
            port,
            timestamp: UnixMicros(micros),
            metadata,
        },
    )
}
