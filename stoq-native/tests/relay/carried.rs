//! What passes through relays: everything, as it was.

use bytes::Bytes;
use stoq_native::relay::LARGEST_DATAGRAM;
use stoq_native::{
    AccessToken, Code, ConnectOptions, FalconKey, Payload, ReadError, Request, Session,
    StreamOpenError, Target, UnixMicros, WriteError, fresh_nonce, issue_access_token,
};

use crate::chain::{Chain, TARGET, client, id, pattern, relay, service, target, until, within};
use crate::road::Road;

/// Both kinds of session, through three relays; once for each direction.
async fn each_way(mut test: impl AsyncFnMut(&Session, &Session)) {
    within(async {
        let chain = Chain::new(3);
        for (client, target) in [chain.session().await, chain.multiplexed().await] {
            test(&client, &target).await;
            test(&target, &client).await;
        }
        until(|| (1..=3).all(|n| chain.stats(n).streams_open == 0)).await;
    })
    .await;
}

#[tokio::test]
async fn both_ends_share_the_session_hash_and_know_the_hops() {
    within(async {
        for relays in [1, 3] {
            let chain = Chain::with(relays, |config| {
                config.metadata = vec![("region".into(), "eu".into())];
            });
            for (client, target) in [chain.session().await, chain.multiplexed().await] {
                assert_eq!(client.hash(), target.hash());
                assert_eq!(client.random(), target.random());
                assert_eq!(client.hops(), target.hops());
                let hops = client.hops().unwrap();
                let ids: Vec<_> = hops.hops.iter().map(|hop| hop.id).collect();
                assert_eq!(ids, Vec::from_iter((1..=relays).map(id)));
                for (hop, relay) in hops.hops.iter().zip(&chain.relays) {
                    assert_eq!(hop.port, relay.local_addr().port());
                    assert_eq!(std::net::IpAddr::from(hop.address), relay.local_addr().ip());
                    assert_eq!(hop.metadata, [("region".into(), "eu".into())]);
                    assert!(hop.timestamp.0 > 0);
                }
                // The one hop that each end can be sure of.
                assert_eq!(client.authenticated_hop(), hops.hops.first());
                assert_eq!(target.authenticated_hop(), hops.hops.last());
            }
        }
        let chain = Chain::new(0);
        let (client, target) = chain.session().await;
        assert_eq!((client.hops(), target.hops()), (None, None));
        assert_eq!(client.authenticated_hop(), None);
    })
    .await;
}

#[tokio::test]
async fn each_relay_keeps_the_access_tokens_that_are_for_itself() {
    within(async {
        let chain = Chain::new(2);
        let issuer = FalconKey::generate();
        let token = |audience| {
            let token = AccessToken {
                issuer: issuer.id(),
                audience,
                nonce: fresh_nonce(),
                not_before: UnixMicros(1),
                expiry: UnixMicros(2),
                holder: None,
                subject: "alice".into(),
                service: service(),
                permissions: vec!["read".into()],
            };
            Bytes::from(issue_access_token(token, &issuer).unwrap().encode())
        };
        let for_target = token(id(TARGET));
        let unreadable = Bytes::from_static(b"?");
        let to: Target = chain.url().parse().unwrap();
        let connection = chain.client.connect_to(&to).await.unwrap();
        let mut request = Request::new(service());
        request.access_tokens = vec![
            token(id(1)),
            for_target.clone(),
            token(id(2)),
            unreadable.clone(),
        ];
        let accept = async {
            let request = chain.target.accept().await.unwrap();
            let came = request.access_tokens().to_vec();
            request.accept().await.unwrap();
            came
        };
        let (opened, came) = tokio::join!(connection.open_session(request), accept);
        opened.unwrap();
        assert_eq!(came, [for_target, unreadable]);
    })
    .await;
}

#[tokio::test]
async fn bytes_and_ends_pass_on_every_kind_of_stream() {
    let sent = pattern(3_000_000);
    each_way(async |from, to| {
        for payload in [Payload::Raw, Payload::Framed] {
            let (mut send, mut answer) = from.open_bi_with(payload).await.unwrap();
            let send_all = async {
                send.write_all(&sent).await.unwrap();
                send.finish().unwrap();
                answer.read_to_end(sent.len()).await.unwrap()
            };
            let receive_all = async {
                let (mut back, mut receive) = to.accept_any_bi().await.unwrap();
                assert_eq!(receive.payload(), payload);
                let read = receive.read_to_end(sent.len()).await.unwrap();
                back.write_all(&read).await.unwrap();
                back.finish().unwrap();
                // An unfinished half would be reset when it is dropped.
                back.stopped().await.unwrap();
                read
            };
            let (answer, read) = tokio::join!(send_all, receive_all);
            assert!(read == sent && answer == sent);
        }
        for payload in [Payload::Raw, Payload::Framed, Payload::Announce] {
            let mut send = from.open_uni_with(payload).await.unwrap();
            let send_all = async {
                send.write_all(&sent[..100_000]).await.unwrap();
                send.finish().unwrap();
            };
            let receive_all = async {
                let mut receive = to.accept_any_uni().await.unwrap();
                assert_eq!(receive.payload(), payload);
                receive.read_to_end(100_000).await.unwrap()
            };
            let ((), read) = tokio::join!(send_all, receive_all);
            assert!(read == sent[..100_000]);
        }
        // Nothing, and its end.
        let mut send = from.open_uni().await.unwrap();
        send.finish().unwrap();
        let mut receive = to.accept_uni().await.unwrap();
        assert_eq!(receive.read_chunk(1).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn resets_and_stops_pass_with_their_codes() {
    each_way(async |from, to| {
        let (mut send, answer) = from.open_bi().await.unwrap();
        send.write_all(b"half").await.unwrap();
        let (back, mut receive) = to.accept_bi().await.unwrap();
        assert_eq!(&receive.read_chunk(4).await.unwrap().unwrap()[..], b"half");
        send.reset(Code::new(4_000_000_000));
        let read = receive.read_chunk(1).await;
        assert_eq!(read, Err(ReadError::Reset(Code::new(4_000_000_000))));
        let mut answer = answer;
        answer.stop(Code::new(77));
        assert_eq!(back.stopped().await.unwrap(), Some(Code::new(77)));

        let mut send = from.open_uni().await.unwrap();
        send.write_all(b"more").await.unwrap();
        let mut receive = to.accept_uni().await.unwrap();
        receive.stop(Code::LIMIT);
        assert_eq!(send.stopped().await.unwrap(), Some(Code::LIMIT));
        assert_eq!(
            send.write_all(b"more").await,
            Err(WriteError::Stopped(Code::LIMIT))
        );
    })
    .await;
}

#[tokio::test]
async fn datagrams_pass_unread_whatever_they_are() {
    each_way(async |from, to| {
        // DATA, TOKEN with DATA, SHARD: by their first bytes, and nothing that the relays would have to understand.
        let mut token = vec![0xc0, 0, 0, 0, 0xfe, 0, 0, 1, 45];
        token.resize(9 + 45, 3);
        token.extend([0, b'x']);
        let mut shard = vec![0xc0, 0, 0, 0, 0xfe, 0, 0, 2, 60];
        shard.resize(9 + 60, 4);
        for content in [b"\0data".to_vec(), token, shard, b"\0".to_vec()] {
            let content = Bytes::from(content);
            // A datagram may be lost even here, when the buffers of a socket are full.
            let arrived = loop {
                from.send_content(content.clone()).unwrap();
                tokio::select! {
                    arrived = to.recv_content() => break arrived.unwrap(),
                    () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
                }
            };
            assert_eq!(arrived, content);
        }
        assert!(
            from.max_datagram_size() > 1000,
            "{}",
            from.max_datagram_size()
        );
    })
    .await;
}

#[tokio::test]
async fn a_hop_that_narrows_carries_the_largest_datagrams_and_messages_of_both_ends() {
    within(async {
        let target = target(|_| {});
        let relay = relay(1, &[(0, target.local_addr().unwrap())], |_| {});
        let road = Road::to(relay.local_addr()).await;
        let client = client(&[(1, road.address)], |_| {});
        let url = format!("stoq://{}/test", road.address);
        let asked = async { target.accept().await.unwrap().accept().await.unwrap() };
        let connect = client.connect_with(&url, ConnectOptions::default());
        let (client, target) = tokio::join!(connect, asked);
        let client = client.unwrap();
        // Until the hops have found out that they carry more than they have to, and only one of them will go on to.
        for session in [&client, &target] {
            until(|| session.connection().stats().mtu > 1_300).await;
        }
        road.narrow(1_200);
        for (from, to) in [(&client, &target), (&target, &client)] {
            assert_eq!(from.max_datagram_size(), LARGEST_DATAGRAM as usize);
            let datagram = Bytes::from(pattern(LARGEST_DATAGRAM as usize));
            let message = Bytes::from(pattern(20_000));
            // The hop's own packets are too large for it until QUIC sees that, and may take some of these with them.
            let (datagram, message) = (&datagram, &message);
            let mut sending = std::pin::pin!(async {
                loop {
                    from.send_datagram(datagram.clone()).unwrap();
                    from.send_message(message.clone()).await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            });
            let arrived = async { tokio::join!(to.recv_datagram(), to.recv_message()) };
            tokio::select! {
                never = &mut sending => never,
                (one, other) = arrived => {
                    assert_eq!(one.unwrap(), *datagram);
                    assert_eq!(other.unwrap(), *message);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_target_that_takes_no_framed_streams_rejects_them_through_relays() {
    within(async {
        let target = target(|config| config.framed_streams = false);
        let relay = relay(1, &[(0, target.local_addr().unwrap())], |_| {});
        let client = client(&[(1, relay.local_addr())], |_| {});
        let url = format!("stoq://{}/test", relay.local_addr());
        let accept = async { target.accept().await.unwrap().accept().await.unwrap() };
        let (client, _target) = tokio::join!(client.connect(&url), accept);
        let client = client.unwrap();
        let opened = client.open_uni_with(Payload::Framed).await;
        let code = match opened {
            Ok(send) => send.stopped().await.unwrap().unwrap(),
            Err(StreamOpenError::Rejected(code)) => code,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(code, Code::UNSUPPORTED);
    })
    .await;
}

#[tokio::test]
async fn one_stream_that_nobody_reads_holds_up_no_other() {
    within(async {
        let chain = Chain::new(2);
        let (client, target) = chain.session().await;
        let mut stuck = client.open_uni().await.unwrap();
        let flood = pattern(1 << 20);
        let full = async {
            // Until the windows of both hops are full.
            while let Ok(Ok(())) = tokio::time::timeout(
                std::time::Duration::from_millis(300),
                stuck.write_all(&flood),
            )
            .await
            {}
        };
        full.await;
        let _unread = target.accept_uni().await.unwrap();
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"past it").await.unwrap();
        send.finish().unwrap();
        let mut receive = target.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(10).await.unwrap(), b"past it");
    })
    .await;
}
