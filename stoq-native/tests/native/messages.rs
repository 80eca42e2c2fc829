//! Messages in shards, over real sockets: what arrives, what is lost on the way, and what hostile peers send.

use bytes::{Bytes, BytesMut};
use stoq_core::frame::{Frame, Shard};
use stoq_core::shards::{Cutter, Loss, Plan};
use stoq_core::varint::VarInt;
use stoq_native::{Code, MessageCounters, Parity, SendMessageError, Session};

use crate::harness::{Peers, pattern, until, waits, within};
use crate::road::Road;

#[tokio::test]
async fn messages_of_all_sizes_come_back() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let own = peers.session().await;
        let multiplexed = peers.multiplexed(&connection).await;
        for (client, server) in [own, multiplexed] {
            let echo = tokio::spawn(async move {
                while let Ok(message) = server.recv_message().await {
                    server.send_message(message).await.unwrap();
                }
            });
            let largest = client.max_message_size();
            assert!(largest > 200_000);
            for len in [1, 2, 1_000, 1_500, 20_001, largest] {
                let message = Bytes::from(pattern(len));
                client.send_message(message.clone()).await.unwrap();
                assert!(client.recv_message().await.unwrap() == message, "{len}");
            }
            let stats = client.stats();
            assert_eq!((stats.sent_messages, stats.messages.delivered), (6, 6));
            client.close(Code::NO_ERROR, "");
            echo.await.unwrap();
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn messages_and_datagrams_do_not_disturb_each_other() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        client
            .send_message(Bytes::from(pattern(5_000)))
            .await
            .unwrap();
        client
            .send_datagram(Bytes::from_static(b"a datagram"))
            .unwrap();
        assert_eq!(server.recv_datagram().await.unwrap(), "a datagram");
        assert_eq!(server.recv_message().await.unwrap().len(), 5_000);
        assert!(waits(server.recv_datagram()).await);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let limit = client.max_message_size();
        let got = limit + 1;
        let error = client.send_message(vec![0; got].into()).await.unwrap_err();
        assert_eq!(error, SendMessageError::TooLarge { limit, got });
        assert_eq!(error.code(), Code::DATAGRAM_TOO_LARGE);
        let error = client.send_message(Bytes::new()).await.unwrap_err();
        assert_eq!(error, SendMessageError::Empty);
        assert_eq!(error.code(), Code::INVALID_ARGUMENT);
        server.close(Code::new(77), "");
        let closed = client.closed().await;
        let error = client.send_message(vec![1].into()).await.unwrap_err();
        assert_eq!(error, SendMessageError::SessionClosed(closed.clone()));
        assert_eq!(client.recv_message().await.unwrap_err(), closed);
        assert_eq!(client.stats().sent_messages, 0);
        peers.close().await;
    })
    .await;
}

/// Sessions with a road between them.
async fn with_road(peers: &Peers) -> (Session, Session, Road) {
    let road = Road::to(peers.address()).await;
    let url = format!("stoq://{}/test", road.address);
    let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
    let (client, server) = tokio::join!(peers.client.connect(&url), accept);
    (client.unwrap(), server, road)
}

const LAST: &[u8] = b"the last one";

#[tokio::test]
async fn messages_arrive_whole_at_ten_percent_loss() {
    within(async {
        let peers = Peers::new();
        let (client, server, road) = with_road(&peers).await;
        road.lose(100);
        let receiving = tokio::spawn({
            let server = server.clone();
            async move {
                let mut numbers = Vec::new();
                loop {
                    let message = server.recv_message().await.unwrap();
                    if message == LAST {
                        return (numbers, server.stats());
                    }
                    let (number, rest) = message.split_first_chunk().unwrap();
                    assert!(rest == pattern(20_000));
                    numbers.push(u32::from_be_bytes(*number));
                }
            }
        });
        for number in 0..300u32 {
            let mut message = BytesMut::from(&number.to_be_bytes()[..]);
            message.extend_from_slice(&pattern(20_000));
            client.send_message(message.freeze()).await.unwrap();
            all_has_left(&client).await;
        }
        // It leaves after all others; if it is lost too, another one may not be.
        while !receiving.is_finished() {
            client.send_message(Bytes::from_static(LAST)).await.unwrap();
            client.ping().await.unwrap();
        }
        let (mut numbers, stats) = receiving.await.unwrap();
        let delivered = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), delivered, "one came twice");
        // The first few are cut before the loss is known. QUIC takes the loss for a narrower path once, and drops what waits.
        let later = numbers.iter().filter(|number| **number >= 50).count();
        assert!(
            later >= 247,
            "{later} of 250, {stats:?}, {:?}",
            client.connection().stats()
        );
        assert_eq!(stats.messages.mismatched, 0);
        peers.close().await;
    })
    .await;
}

/// As long as datagrams wait, some leave within each round trip.
async fn all_has_left(session: &Session) {
    let sent = || session.connection().stats().sent_datagrams;
    let mut before = sent();
    loop {
        session.ping().await.unwrap();
        let now = sent();
        if now == before {
            return;
        }
        before = now;
    }
}

#[tokio::test]
async fn a_path_that_narrows_carries_messages_again() {
    within(async {
        let peers = Peers::new();
        let (client, server, road) = with_road(&peers).await;
        // Until QUIC has found out that the path carries more than it has to.
        until(|| client.max_datagram_size() > 1_300).await;
        road.narrow(1_280);
        let len = 190_000;
        // Several at once, so that some wait for room while the path narrows, and are cut anew.
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let client = client.clone();
            sending.spawn(async move {
                let message = Bytes::from(pattern(len));
                while client.close_reason().is_none() {
                    let sent = client.send_message(message.clone()).await;
                    if let Err(error) = sent {
                        assert!(
                            matches!(error, SendMessageError::SessionClosed(_)),
                            "{error}"
                        );
                    }
                }
            });
        }
        for _ in 0..20 {
            assert!(server.recv_message().await.unwrap() == pattern(len));
        }
        assert!(client.max_datagram_size() < 1_280);
        client.close(Code::NO_ERROR, "");
        sending.join_all().await;
        peers.close().await;
    })
    .await;
}

/// Sends shards as they are.
fn send_raw(session: &Session, shard: Shard<'_>) {
    let mut content = BytesMut::new();
    Frame::Shard(shard).encode(&mut content);
    session.send_content(content.freeze()).unwrap();
}

fn cut(id: u32, message: &Bytes, parity: u8) -> Cutter {
    let plan = Plan::new(message.len(), 1_000, Parity::Fixed(parity), Loss::UNKNOWN).unwrap();
    Cutter::new(VarInt::from_u32(id), message.clone(), plan)
}

#[tokio::test]
async fn shards_that_contradict_each_other_or_nothing_lose_no_message() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let message = Bytes::from(pattern(5_000));
        let cutter = cut(1, &message, 2);
        let right: Vec<_> = cutter.shards().collect();
        // Wrong ones first: counts, hash; a message in one shard with a hash that is not its own.
        send_raw(
            &client,
            Shard {
                parity: 9,
                ..right[0]
            },
        );
        send_raw(
            &client,
            Shard {
                digest: &[1; 32],
                ..right[0]
            },
        );
        send_raw(
            &client,
            Shard {
                message: VarInt::from_u32(2),
                data: 1,
                parity: 0,
                message_len: VarInt::from_u32(2),
                ..right[0]
            },
        );
        send_raw(&client, right[3]);
        send_raw(&client, right[3]);
        // k = 0, and bytes that are no shard: they begin like one.
        for cut_short in [&[0u8, 0, 0, 0, 0, 0, 1, 1][..], &[7; 9]] {
            let mut content = BytesMut::new();
            VarInt::from(stoq_core::frame::FrameType::SHARD).encode(&mut content);
            VarInt::try_from(cut_short.len())
                .unwrap()
                .encode(&mut content);
            content.extend_from_slice(cut_short);
            client.send_content(content.freeze()).unwrap();
        }
        right.iter().for_each(|shard| send_raw(&client, *shard));
        assert!(server.recv_message().await.unwrap() == message);
        // The parity is late; it is taken by whoever waits for the next.
        let next = Bytes::from_static(b"the next");
        cut(3, &next, 0)
            .shards()
            .for_each(|shard| send_raw(&client, shard));
        assert!(server.recv_message().await.unwrap() == next);
        let stats = server.stats();
        let expected = MessageCounters {
            delivered: 2,
            mismatched: 1,
            contradicting: 2,
            duplicate: 2,
            late: 2,
            ..MessageCounters::default()
        };
        assert_eq!(stats.messages, expected);
        assert_eq!(stats.dropped_datagrams, 2);
        assert_eq!(server.connection().stats().dropped_datagrams, 2);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn messages_beyond_the_bounds_give_way_and_are_counted() {
    within(async {
        let peers = Peers::with(|server, _| {
            server.transport.messages.max_waiting = 4;
            server.transport.messages.buffer = 20_000;
        });
        let (client, server) = peers.session().await;
        let message = Bytes::from(pattern(2_000));
        let cutters: Vec<_> = (0..10).map(|id| cut(id, &message, 0)).collect();
        // The first shard of each: more messages than may be in flight.
        for cutter in &cutters {
            send_raw(&client, cutter.shards().next().unwrap());
        }
        // More than may ever be held.
        let large = cut(20, &Bytes::from(pattern(30_000)), 0);
        large.shards().for_each(|shard| send_raw(&client, shard));
        // What is left of all: only the last four are still known.
        for cutter in cutters.iter().rev() {
            cutter
                .shards()
                .skip(1)
                .for_each(|shard| send_raw(&client, shard));
        }
        for _ in 0..4 {
            assert!(server.recv_message().await.unwrap() == message);
        }
        assert!(waits(server.recv_message()).await);
        let stats = server.stats().messages;
        assert_eq!(
            (stats.delivered, stats.too_large),
            (4, large.plan().data().into())
        );
        assert!(stats.evicted >= 6, "{stats:?}");
        assert!(client.close_reason().is_none());
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_does_not_become_whole_in_time_is_forgotten() {
    within(async {
        let timeout = core::time::Duration::from_millis(20);
        let peers = Peers::with(|server, _| server.transport.messages.timeout = timeout);
        let (client, server) = peers.session().await;
        let cutter = cut(0, &Bytes::from(pattern(2_000)), 0);
        send_raw(&client, cutter.shards().next().unwrap());
        let taking = tokio::spawn({
            let server = server.clone();
            async move { server.recv_message().await }
        });
        until(|| server.stats().messages.expired == 1).await;
        send_raw(&client, cutter.shards().nth(1).unwrap());
        let message = Bytes::from_static(b"whole");
        cut(1, &message, 0)
            .shards()
            .for_each(|shard| send_raw(&client, shard));
        assert!(taking.await.unwrap().unwrap() == message);
        peers.close().await;
    })
    .await;
}
