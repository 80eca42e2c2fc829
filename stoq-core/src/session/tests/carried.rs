//! What a request brings along from end to end.

use core::net::Ipv6Addr;

use super::*;
use crate::hops::{HopChain, PassedHop};
use crate::identity::FalconId;
use crate::time::UnixMicros;

fn chain() -> HopChain {
    HopChain {
        max_hops: 3,
        hops: vec![PassedHop {
            id: FalconId::new([5; 32]),
            address: Ipv6Addr::LOCALHOST,
            port: 4433,
            timestamp: UnixMicros(7),
            metadata: vec![("dc".into(), "fra".into())],
        }],
    }
}

#[test]
fn a_request_carries_tokens_route_and_hops_and_the_answer_hops() {
    let mut pair = Pair::open();
    let request = Request {
        access_tokens: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
        route: vec![FalconId::new([1; 32]), FalconId::new([2; 32])],
        hops: Some(chain()),
        ..request("files")
    };
    let id = pair
        .client(|client, out| client.open(&request, out))
        .unwrap();
    let [Output::Requested(asked)] = &pair.server_saw[..] else {
        panic!("{:?}", pair.server_saw)
    };
    assert_eq!(asked.access_tokens, request.access_tokens);
    assert_eq!(asked.route, request.route);
    assert_eq!(asked.hops, request.hops);
    let answer = Answer {
        hops: asked.hops.clone(),
        ..answer()
    };
    pair.server(|server, out| server.accept(START, id, &answer, out));
    for saw in [&pair.client_saw, &pair.server_saw] {
        let Some(Output::Opened { hops, .. }) = saw.last() else {
            panic!("{saw:?}")
        };
        assert_eq!(*hops, Some(chain()));
    }
}

#[test]
fn session_0_carries_them_in_settings() {
    let mut first = Vec::new();
    let config = Config {
        access_tokens: vec![Bytes::from_static(b"one")],
        route: vec![FalconId::new([1; 32])],
        max_hops: Some(3),
        ..config(Side::Client, Some("files"))
    };
    let mut client = Session::new(START, config.clone(), &mut first).unwrap();
    let (mut server, _) = start(Side::Server, None);
    let [Output::Send(settings)] = &first[..] else {
        panic!("{first:?}")
    };
    let mut out = Vec::new();
    let settings = Input::Control(&settings[1..]);
    server.handle(START, settings, &mut out).unwrap();
    let [Output::Requested(asked)] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(asked.access_tokens, config.access_tokens);
    assert_eq!(asked.route, config.route);
    assert_eq!(asked.hops, Some(HopChain::new(3)));
    out.clear();
    let answer = Answer {
        hops: Some(chain()),
        ..answer()
    };
    server.accept(START, SessionId::ZERO, &answer, &mut out);
    let [Output::Send(settings), _] = &out[..] else {
        panic!("{out:?}")
    };
    let mut saw = Vec::new();
    client
        .handle(START, Input::Control(settings), &mut saw)
        .unwrap();
    let [Output::Opened { hops, .. }] = &saw[..] else {
        panic!("{saw:?}")
    };
    assert_eq!(*hops, Some(chain()));
}

#[test]
fn what_is_over_its_bounds_is_not_sent() {
    let too_far = Config {
        max_hops: Some(Hop::MAX_HOPS + 1),
        ..config(Side::Client, None)
    };
    assert!(matches!(
        Session::new(START, too_far, &mut Vec::new()),
        Err(OpenError::TooLarge { .. })
    ));
    let too_long = vec![FalconId::new([1; 32]); Route::MAX_COUNT + 1];
    let too_many = vec![Bytes::new(); AccessTokens::MAX_COUNT + 1];
    for (route, access_tokens) in [(too_long, vec![]), (vec![], too_many)] {
        let mut out = Vec::new();
        let config = Config {
            route: route.clone(),
            access_tokens: access_tokens.clone(),
            ..config(Side::Client, None)
        };
        assert!(matches!(
            Session::new(START, config, &mut out),
            Err(OpenError::TooLarge { .. })
        ));
        assert_eq!(out, []);

        let mut pair = Pair::open();
        let request = Request {
            route,
            access_tokens,
            ..request("files")
        };
        let opened = pair.client(|client, out| client.open(&request, out));
        assert!(matches!(opened, Err(OpenError::TooLarge { .. })));
        assert_eq!(pair.server_saw, []);
    }
}
