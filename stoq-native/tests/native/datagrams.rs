//! What datagrams carry, and what becomes of too many and too large ones.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use bytes::Bytes;
use stoq_native::{Code, SendDatagramError};

use crate::harness::{Peers, echo, until, within};

#[tokio::test]
async fn datagrams_come_back() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let own = peers.session().await;
        let multiplexed = peers.multiplexed(&connection).await;
        for (client, server) in [own, multiplexed] {
            let echo = tokio::spawn(echo(server));
            let largest = Bytes::from(vec![7; client.max_datagram_size()]);
            assert!(largest.len() > 1000);
            for payload in [Bytes::new(), Bytes::from_static(b"x"), largest] {
                client.send_datagram(payload.clone()).unwrap();
                assert_eq!(client.recv_datagram().await.unwrap(), payload);
            }
            let stats = client.stats();
            assert_eq!((stats.sent_datagrams, stats.received_datagrams), (3, 3));
            client.close(Code::NO_ERROR, "");
            echo.await.unwrap();
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_datagram_that_does_not_fit_is_refused() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let limit = client.max_datagram_size();
        let got = limit + 1;
        let error = client.send_datagram(vec![0; got].into()).unwrap_err();
        assert_eq!(error, SendDatagramError::TooLarge { limit, got });
        assert_eq!(error.code(), Code::DATAGRAM_TOO_LARGE);
        drop(server);
        let closed = client.closed().await;
        let error = client.send_datagram(Bytes::new()).unwrap_err();
        assert_eq!(error, SendDatagramError::SessionClosed(closed));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_oldest_datagrams_give_way_and_are_counted() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.datagram_buffer = 5_000);
        let (client, server) = peers.session().await;
        let sent = 20u64;
        for number in 0..sent {
            client
                .send_datagram(vec![number as u8; 1000].into())
                .unwrap();
            // One at a time, so that none is lost on the way.
            until(|| server.stats().received_datagrams > number).await;
        }
        let dropped = server.stats().dropped_datagrams;
        assert_eq!(dropped, server.connection().stats().dropped_datagrams);
        assert_eq!(sent - dropped, 4, "four of a thousand bytes fit");
        for number in dropped..sent {
            assert_eq!(server.recv_datagram().await.unwrap()[0], number as u8);
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_waits_keeps_nothing_of_its_packet() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        // So small and so fast that they share packets.
        let sent = 200;
        for _ in 0..sent {
            client.send_datagram(Bytes::from_static(b"small")).unwrap();
        }
        until(|| server.stats().received_datagrams == sent).await;
        let mut received = Vec::new();
        for _ in 0..sent {
            received.push(server.recv_datagram().await.unwrap());
        }
        assert!(received.iter().all(Bytes::is_unique));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_waits_is_held_back_and_loses_none() {
    within(async {
        let peers = Peers::new();
        let (client, _server) = peers.session().await;
        let size = 1000;
        // The test has one thread, which sends nothing as long as nothing here waits.
        let mut sent = 0_u64;
        let mut held = loop {
            let mut sending = Box::pin(client.send_datagram_wait(vec![7; size].into()));
            match poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await {
                Poll::Ready(done) => done.unwrap(),
                Poll::Pending => break sending,
            }
            sent += 1;
        };
        // Each counts with what QUIC itself keeps of it.
        let bytes = sent as usize * size;
        assert!(bytes <= MIB && bytes > MIB * 9 / 10, "{bytes} bytes wait");
        let mut given_up = Box::pin(client.send_datagram_wait(vec![8; size].into()));
        let waits = poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        drop(given_up);
        held.as_mut().await.unwrap();
        sent += 1;
        assert_eq!(client.stats().sent_datagrams, sent);
        until(|| client.connection().stats().sent_datagrams == sent).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_waits_learns_that_the_session_ends() {
    within(async {
        let peers = Peers::new();
        let (client, _server) = peers.session().await;
        let mut waiting = pin!(async {
            loop {
                if let Err(error) = client.send_datagram_wait(vec![7; 1000].into()).await {
                    break error;
                }
            }
        });
        let waits = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        client.close(Code::CANCELLED, "enough");
        let closed = client.closed().await;
        assert_eq!(waiting.await, SendDatagramError::SessionClosed(closed));
        peers.close().await;
    })
    .await;
}

/// What of a connection's datagrams waits to be sent before its senders do.
const MIB: usize = 1024 * 1024;
