//! What relays do not pass on, and with which code.

use std::num::NonZeroU32;
use std::time::Duration;

use stoq_native::relay::{NextHop, Relay, RelayConfig};
use stoq_native::{
    ClientPolicy, Code, ConnectError, ConnectOptions, HopChain, Identity, OpenError, PassedHop,
    Request, Target, UnixMicros,
};

use crate::chain::{
    CLIENT, Chain, STRANGER, TARGET, any_port, client, id, identity, relay, service, target, within,
};
use crate::priority::Apart;

fn options(route: &[usize], max_hops: Option<u8>) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.route = route.iter().copied().map(id).collect();
    options.max_hops = max_hops;
    options
}

fn code(refused: ConnectError) -> Code {
    assert!(
        matches!(refused, ConnectError::Refused { .. }),
        "{refused:?}"
    );
    refused.code()
}

#[tokio::test]
async fn a_way_through_a_relay_twice_is_a_loop() {
    within(async {
        let chain = Chain::new(2);
        for route in [&[1][..], &[2, 1]] {
            let refused = chain
                .client
                .connect_with(&chain.url(), options(route, None))
                .await;
            assert_eq!(code(refused.unwrap_err()), Code::HOP_LOOP, "{route:?}");
        }
        assert_eq!(chain.stats(1).refused_loop, 2);
        // What nobody could do is not even asked for.
        let refused = chain
            .client
            .connect_with(&chain.url(), options(&[2, 2], None))
            .await;
        assert!(matches!(refused, Err(ConnectError::Route(_))));
    })
    .await;
}

#[tokio::test]
async fn relays_whose_services_point_at_each_other_are_a_loop() {
    within(async {
        // The second relay's target is the first: known only once the first has its address.
        let first_address = {
            let probe = std::net::UdpSocket::bind("[::1]:0").unwrap();
            probe.local_addr().unwrap()
        };
        let second = relay(2, &[(1, first_address)], |_| {});
        let mut config = RelayConfig::new(identity(1), ClientPolicy::Prefer(trusted()));
        config.next_hops = vec![NextHop::new(id(2), &second.local_addr().to_string()).unwrap()];
        config.services.insert(service(), id(2));
        let first = Relay::bind(first_address, config).unwrap();
        let client = client(&[(1, first_address)], |_| {});
        let url = format!("stoq://{first_address}/test");
        let refused = client.connect(&url).await.unwrap_err();
        assert_eq!(code(refused), Code::HOP_LOOP);
        assert_eq!(first.stats().refused_loop, 1);
        assert_eq!(first.stats().refused_behind, 1);
    })
    .await;
}

fn trusted() -> stoq_native::ClientTrust {
    stoq_native::ClientTrust::Ids((0..5).map(id).collect())
}

#[tokio::test]
async fn the_maximum_is_the_lowest_that_anybody_on_the_way_has() {
    within(async {
        let chain = Chain::new(3);
        let refused = chain
            .client
            .connect_with(&chain.url(), options(&[2, 3], Some(2)))
            .await;
        assert!(matches!(
            refused,
            Err(ConnectError::Route(_)) | Err(ConnectError::Refused { .. })
        ));
        assert_eq!(refused.unwrap_err().code(), Code::TOO_MANY_HOPS);
        let url = chain.url();
        let passes = chain.client.connect_with(&url, options(&[2, 3], Some(3)));
        let accept = async { chain.target.accept().await.unwrap().accept().await.unwrap() };
        let (session, _target) = tokio::join!(passes, accept);
        assert_eq!(session.unwrap().hops().unwrap().max_hops, 3);

        let strict = Chain::with(3, |config| config.max_hops = 2);
        let refused = strict
            .client
            .connect_with(&strict.url(), strict.route())
            .await;
        assert_eq!(code(refused.unwrap_err()), Code::TOO_MANY_HOPS);
        assert_eq!(strict.stats(1).refused_too_many_hops, 1);
    })
    .await;
}

#[tokio::test]
async fn a_relay_forwards_to_whom_its_operator_lists_and_nobody_else() {
    within(async {
        let chain = Chain::new(1);
        for route in [&[3][..], &[STRANGER]] {
            let refused = chain
                .client
                .connect_with(&chain.url(), options(route, None))
                .await;
            assert_eq!(code(refused.unwrap_err()), Code::NEXT_HOP);
        }
        let other = format!("stoq://{}/other", chain.first());
        let refused = chain.client.connect(&other).await.unwrap_err();
        assert_eq!(code(refused), Code::UNKNOWN_SERVICE);
        assert_eq!(chain.stats(1).refused_next_hop, 3);
        assert_eq!(chain.stats(1).next_hop_connections, 0, "nobody was asked");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_no_relay_takes_no_route() {
    within(async {
        let target = target(|_| {});
        let address = target.local_addr().unwrap();
        let client = client(&[(TARGET, address)], |_| {});
        let url = format!("stoq://{address}/test");
        let refused = client.connect_with(&url, options(&[3], None)).await;
        assert_eq!(code(refused.unwrap_err()), Code::NEXT_HOP);
        let to: Target = url.parse().unwrap();
        let connection = client.connect_to(&to).await.unwrap();
        let mut request = Request::new(service());
        request.route = vec![id(3)];
        let refused = connection.open_session(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::NEXT_HOP);
    })
    .await;
}

fn passed(who: usize) -> PassedHop {
    PassedHop {
        id: id(who),
        address: std::net::Ipv6Addr::LOCALHOST,
        port: 1,
        timestamp: UnixMicros(1),
        metadata: vec![],
    }
}

fn request(hops: &[usize], max_hops: u8) -> Request {
    let mut request = Request::new(service());
    request.hops = Some(HopChain {
        max_hops,
        hops: hops.iter().copied().map(passed).collect(),
    });
    request
}

#[tokio::test]
async fn a_chain_comes_only_from_the_one_who_stands_last_in_it() {
    within(async {
        let chain = Chain::new(1);
        let to: Target = chain.url().parse().unwrap();
        // A client without identity, and one that has proved its own.
        let named = client(&[(1, chain.first())], |config| {
            config.identity = Some(identity(CLIENT));
        });
        for (client, hops, expected) in [
            (&chain.client, &[3][..], Some(Code::UNTRUSTED)),
            (&named, &[3], Some(Code::UNTRUSTED)),
            (&named, &[CLIENT, 3], Some(Code::UNTRUSTED)),
            (&named, &[3, CLIENT], None),
        ] {
            let connection = client.connect_to(&to).await.unwrap();
            let opening = connection.open_session(request(hops, 8));
            let accept = async {
                match expected {
                    Some(_) => None,
                    None => Some(chain.target.accept().await.unwrap().accept().await.unwrap()),
                }
            };
            let (opened, _target) = tokio::join!(opening, accept);
            assert_eq!(
                opened.map_err(|error| error.code()).err(),
                expected,
                "{hops:?}"
            );
        }
        assert_eq!(chain.stats(1).refused_untrusted, 3);
    })
    .await;
}

#[tokio::test]
async fn a_chain_at_its_maximum_or_with_the_relay_in_it_is_refused() {
    within(async {
        let chain = Chain::new(1);
        let to: Target = chain.url().parse().unwrap();
        let named = client(&[(1, chain.first())], |config| {
            config.identity = Some(identity(CLIENT));
        });
        let connection = named.connect_to(&to).await.unwrap();
        for (hops, max_hops, expected) in [
            (&[2, CLIENT][..], 2, Code::TOO_MANY_HOPS),
            (&[1, CLIENT], 8, Code::HOP_LOOP),
            (&[CLIENT, CLIENT], 8, Code::HOP_LOOP),
            (&[], 0, Code::TOO_MANY_HOPS),
        ] {
            let refused = connection
                .open_session(request(hops, max_hops))
                .await
                .unwrap_err();
            assert_eq!(refused.code(), expected, "{hops:?} of {max_hops}");
        }
        // A chain with room for no more words is not cut short.
        let talkative = |who| PassedHop {
            metadata: vec![("k".repeat(255), "v".repeat(255)); 8],
            ..passed(who)
        };
        let mut full = request(&[], 8);
        full.hops.as_mut().unwrap().hops = vec![talkative(CLIENT)];
        let ok = connection.open_session(full.clone());
        let accept = async { chain.target.accept().await.unwrap().accept().await.unwrap() };
        let (ok, _target) = tokio::join!(ok, accept);
        assert_eq!(ok.unwrap().hops().unwrap().hops.len(), 2);
        drop(chain);

        let wordy = Chain::with(1, |config| {
            config.metadata = vec![("k".repeat(255), "v".repeat(255)); 8];
        });
        let to: Target = wordy.url().parse().unwrap();
        let named = client(&[(1, wordy.first())], |config| {
            config.identity = Some(identity(CLIENT));
        });
        let connection = named.connect_to(&to).await.unwrap();
        full.hops.as_mut().unwrap().hops.insert(0, passed(2));
        let refused = connection.open_session(full).await.unwrap_err();
        assert_eq!(refused.code(), Code::LIMIT);
        assert_eq!(wordy.stats(1).refused_too_many_hops, 1);
    })
    .await;
}

#[tokio::test]
async fn a_neighbour_that_is_not_who_was_listed_is_forwarded_nothing() {
    within(async {
        let stranger = target(|config| config.identity = identity(STRANGER));
        let relay = relay(1, &[(TARGET, stranger.local_addr().unwrap())], |_| {});
        let client = client(&[(1, relay.local_addr())], |_| {});
        let url = format!("stoq://{}/test", relay.local_addr());
        let refused = client.connect(&url).await.unwrap_err();
        assert_eq!(code(refused), Code::UPSTREAM_UNREACHABLE);
    })
    .await;
}

#[tokio::test]
async fn what_the_target_refuses_is_refused_with_its_words() {
    within(async {
        let chain = Chain::new(3);
        let refuse = async {
            let request = chain.target.accept().await.unwrap();
            request.refuse(Code::new(99), "not today");
        };
        let url = chain.url();
        let (refused, ()) = tokio::join!(chain.client.connect_with(&url, chain.route()), refuse);
        let Err(ConnectError::Refused { code, reason }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((code.value(), reason.as_str()), (99, "not today"));
    })
    .await;
}

#[tokio::test]
async fn only_so_many_sessions_are_carried_at_once() {
    within(async {
        let chain = Chain::with(1, |config| {
            config.max_sessions = NonZeroU32::new(3).unwrap();
        });
        let to: Target = chain.url().parse().unwrap();
        // A flood, over several connections; nobody at the target answers yet.
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let connection = chain.client.connect_to(&to).await.unwrap();
            for _ in 0..25 {
                let connection = connection.clone();
                asked.spawn(async move { connection.open_session(Request::new(service())).await });
            }
        }
        let mut refused = 0;
        while refused < 97 {
            let answer = asked.join_next().await.unwrap().unwrap();
            assert!(
                matches!(
                    answer,
                    Err(OpenError::Refused {
                        code: Code::LIMIT,
                        ..
                    })
                ),
                "{answer:?}"
            );
            refused += 1;
        }
        assert_eq!(
            (chain.stats(1).sessions_open, chain.stats(1).refused_full),
            (3, 97)
        );
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(chain.target.accept().await.unwrap().accept().await.unwrap());
        }
        while let Some(answer) = asked.join_next().await {
            let session = answer.unwrap().unwrap();
            session.close(Code::NO_ERROR, "");
        }
        crate::chain::until(|| chain.stats(1).sessions_open == 0).await;
        // There is room again.
        let pair = chain.session().await;
        assert_eq!(pair.0.hash(), pair.1.hash());
    })
    .await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let bad = |change: fn(&mut RelayConfig)| {
        let mut config = RelayConfig::new(identity(1), ClientPolicy::Off);
        change(&mut config);
        Relay::bind(any_port(), config).unwrap_err().to_string()
    };
    fn hop(who: usize, at: &str) -> NextHop {
        NextHop::new(id(who), at).unwrap()
    }
    for (change, setting) in [
        (
            (|config| config.identity = Identity::self_signed(["localhost"]).unwrap())
                as fn(&mut RelayConfig),
            "identity is",
        ),
        (|config| config.max_hops = 0, "max_hops is 0"),
        (|config| config.max_hops = 17, "max_hops is 17"),
        (
            |config| config.next_hops = vec![hop(1, "h:1")],
            "the relay itself",
        ),
        (
            |config| config.next_hops = vec![hop(2, "h:1"), hop(2, "h:2")],
            "stands there already",
        ),
        (
            |config| config.next_hops = vec![hop(2, "h:1"), hop(3, "H:1")],
            "at this address",
        ),
        (
            |config| {
                config.services.insert(service(), id(2));
            },
            "services is test",
        ),
        (
            |config| config.metadata = vec![(String::new(), String::new()); 9],
            "metadata is",
        ),
    ] {
        let error = bad(change);
        assert!(error.contains(setting), "{error}");
    }
}

#[tokio::test]
async fn a_target_refuses_a_chain_that_its_connection_disproves() {
    within(async {
        let target = target(|_| {});
        let address = target.local_addr().unwrap();
        let to: Target = format!("stoq://{address}/").parse().unwrap();
        let peers = [(TARGET, address)];
        let nobody = client(&peers, |_| {});
        let named = client(&peers, |config| config.identity = Some(identity(CLIENT)));
        for (client, hops) in [
            (&named, &[3][..]),
            (&named, &[CLIENT, 3]),
            (&named, &[3, CLIENT]),
            (&nobody, &[3]),
        ] {
            let connection = client.connect_to(&to).await.unwrap();
            let opening = connection.open_session(request(hops, 8));
            if hops.last() == Some(&3) && std::ptr::eq(client, &named) {
                assert_eq!(
                    opening.await.unwrap_err().code(),
                    Code::UNTRUSTED,
                    "{hops:?}"
                );
                continue;
            }
            let accept = async {
                let request = target.accept().await.unwrap();
                let authenticated = request.authenticated_hop().cloned();
                request.accept().await.unwrap();
                authenticated
            };
            let (opened, authenticated) = tokio::join!(opening, accept);
            opened.unwrap();
            // The word of a peer that has shown no identity is a claim.
            let expected = std::ptr::eq(client, &named).then(|| passed(CLIENT));
            assert_eq!(authenticated, expected);
        }
    })
    .await;
}

/// The target takes connections, and answers no request.
#[tokio::test]
async fn the_relay_nearest_to_silence_reports_it_and_keeps_its_connection() {
    within(async {
        let chain = Chain::with(3, |config| config.answer_timeout = Duration::from_secs(2));
        for round in 1..=2 {
            let refused = chain
                .client
                .connect_with(&chain.url(), chain.route())
                .await
                .unwrap_err();
            assert_eq!(code(refused), Code::UPSTREAM_UNREACHABLE);
            let counted = |n| (chain.stats(n).unreachable, chain.stats(n).refused_behind);
            assert_eq!(counted(3), (round, 0));
            assert_eq!([counted(1), counted(2)], [(0, round); 2]);
            let connections = |n| chain.stats(n).next_hop_connections;
            assert_eq!([1, 2, 3].map(connections), [1; 3], "they answer pings");
        }
    })
    .await;
}

/// The target is held still for as long as the relay waits.
#[tokio::test]
async fn a_connection_that_answers_nothing_is_given_up_for_new_sessions() {
    within(async {
        let there = Apart::new();
        let target = {
            let _guard = there.runtime().enter();
            target(|_| {})
        };
        let next = [(TARGET, target.local_addr().unwrap())];
        let relay = relay(1, &next, |config| {
            config.answer_timeout = Duration::from_secs(2)
        });
        let client = client(&[(1, relay.local_addr())], |_| {});
        let url = format!("stoq://{}/test", relay.local_addr());
        let (taken, mut sessions) = tokio::sync::mpsc::unbounded_channel();
        there.runtime().spawn(async move {
            while let Some(request) = target.accept().await {
                // What was asked for in vain is withdrawn by now.
                if let Ok(session) = request.accept().await {
                    taken.send(session).unwrap();
                }
            }
        });
        let first = client.connect(&url).await.unwrap();
        let _there = sessions.recv().await.unwrap();

        let release = there.hold();
        let refused = client.connect(&url).await.unwrap_err();
        assert_eq!(code(refused), Code::UPSTREAM_UNREACHABLE);
        drop(release);
        let second = client.connect(&url).await.unwrap();
        assert_eq!(relay.stats().next_hop_connections, 2);
        // The session that was there stays.
        assert!(first.connection().is_open() && second.connection().is_open());
        assert_eq!(relay.stats().sessions_open, 2);
    })
    .await;
}
