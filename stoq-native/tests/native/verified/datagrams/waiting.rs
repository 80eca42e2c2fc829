//! Verified datagrams whose sender waits for room: `send_verified_datagram_wait`.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use stoq_native::{Code, DatagramItem, SendDatagramError, VerifiedDatagramError};

use super::peers;
use crate::harness::{until, within};

/// Data of each. With its token and what QUIC itself keeps of it some hundred bytes more.
const SIZE: usize = 1000;
/// What of a connection's datagrams waits to be sent before its senders do.
const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn who_waits_is_held_back_and_what_was_given_up_is_not_sent() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        // The test has one thread, which sends nothing as long as nothing here waits.
        let mut sent = 0_u64;
        let mut held = loop {
            let mut sending = Box::pin(client.send_verified_datagram_wait(&[7; SIZE]));
            match poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await {
                Poll::Ready(done) => done.unwrap(),
                Poll::Pending => break sending,
            }
            sent += 1;
        };
        let bytes = sent as usize * SIZE;
        assert!(bytes <= MIB && bytes > MIB * 4 / 5, "{bytes} bytes wait");
        assert_eq!(client.stats().sent_datagrams, sent, "none made room");
        {
            let mut given_up = pin!(client.send_verified_datagram_wait(&[8; SIZE]));
            let waits = poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx).is_pending()));
            assert!(waits.await);
        }
        let given_up = sent + 1;
        held.as_mut().await.unwrap();
        sent += 1;
        assert_eq!(client.stats().sent_datagrams, sent);
        until(|| client.connection().stats().sent_datagrams == sent).await;

        // To the peer it is one that was lost; of the others as many as the path and its queue have let through come.
        let ends = async {
            loop {
                client.send_verified_datagram_wait(b"end").await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let arrives = async {
            let mut came = 0;
            loop {
                let item = server.recv_verified_datagram().await.unwrap();
                let DatagramItem::Data { sequence, data, .. } = item else {
                    panic!("nothing is signed: {item:?}")
                };
                assert_ne!(sequence.into_inner(), given_up);
                if data == "end" {
                    assert!(sequence.into_inner() > given_up);
                    return came;
                }
                assert_eq!(data, [7; SIZE][..]);
                came += 1;
            }
        };
        let came = tokio::select! {
            never = ends => never,
            came = arrives => came,
        };
        assert!(0 < came && came <= sent, "{came} of {sent}");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_waits_learns_that_the_session_ends() {
    within(async {
        let peers = peers();
        let (client, _server) = peers.session().await;
        let mut waiting = pin!(async {
            loop {
                if let Err(error) = client.send_verified_datagram_wait(&[7; SIZE]).await {
                    break error;
                }
            }
        });
        let waits = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        client.close(Code::CANCELLED, "enough");
        let closed = client.closed().await;
        let ended = VerifiedDatagramError::Send(SendDatagramError::SessionClosed(closed));
        assert_eq!(waiting.await, ended);
        let again = client.send_verified_datagram_wait(b"more").await;
        assert_eq!(again, Err(ended), "and who comes later at once");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_does_not_wait() {
    within(async {
        let peers = peers();
        let (client, _server) = peers.session().await;
        let limit = client.max_verified_datagram_size();
        let got = limit + 1;
        let data = vec![7; got];
        let mut sending = pin!(client.send_verified_datagram_wait(&data));
        let said = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
        let too_large = SendDatagramError::TooLarge { limit, got };
        assert_eq!(said, Poll::Ready(Err(too_large.into())));
        peers.close().await;
    })
    .await;
}
