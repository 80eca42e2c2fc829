//! How a verified stream ends, and what waits for what meanwhile.

use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use stoq_native::{
    ChannelConfig, Code, Domain, FalconSigner, Item, SignError, Signature, VerifiedWriteError,
    VerifyingKey, WriteError,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::plain::peers;
use super::{ORIGIN, signing, trusting};
use crate::harness::{pattern, within};

/// The origin's key, which says when it signs.
#[derive(Debug, Default)]
struct Told(Notify);

impl FalconSigner for Told {
    fn verifying_key(&self) -> &VerifyingKey {
        ORIGIN.verifying_key()
    }

    fn sign(&self, domain: Domain, message: &[&[u8]]) -> Result<Signature, SignError> {
        let signature = ORIGIN.sign(domain, message);
        self.0.notify_one();
        signature
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_signed_while_somebody_waits_for_a_stop() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        send.write("data".into()).await.unwrap();
        let read = async {
            let config = trusting(&ORIGIN);
            let mut receive = server.accept_verified_uni(&config).await.unwrap();
            while !matches!(receive.next().await, Ok(Some(Item::Data { .. }))) {}
        };
        let (stopped, ()) = tokio::join!(send.stopped(), read);
        assert_eq!(stopped, Ok(Some(Code::CANCELLED)), "when it was dropped");
        peers.close().await;
    })
    .await;
}

/// The origin's key, which counts how often it signs at once.
#[derive(Debug, Default)]
struct Counted {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl FalconSigner for Counted {
    fn verifying_key(&self) -> &VerifyingKey {
        ORIGIN.verifying_key()
    }

    fn sign(&self, domain: Domain, message: &[&[u8]]) -> Result<Signature, SignError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // As a device would.
        std::thread::sleep(Duration::from_millis(20));
        let signature = ORIGIN.sign(domain, message);
        self.now.fetch_sub(1, Ordering::SeqCst);
        signature
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_runs_are_signed_at_once_than_there_are_processors() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let processors = std::thread::available_parallelism().unwrap().get();
        let signer = Arc::new(Counted::default());
        let config = ChannelConfig::default().signed_by(signer.clone());
        let mut ending = tokio::task::JoinSet::new();
        for _ in 0..(4 * processors).min(60) {
            let mut send = client.open_verified_uni(&config).await.unwrap();
            ending.spawn(async move { send.finish().await });
        }
        while let Some(ended) = ending.join_next().await {
            assert_eq!(ended.unwrap(), Ok(()));
        }
        let most = signer.most.load(Ordering::SeqCst);
        assert!((1..=processors).contains(&most), "{most}");
        drop(server);
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_peer_does_not_read_is_reset_at_once() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let signer = Arc::new(Told::default());
        let config = ChannelConfig::default().signed_by(signer.clone());
        let mut send = client.open_verified_uni(&config).await.unwrap();
        let config = trusting(&ORIGIN);
        let _unread = server.accept_verified_uni(&config).await.unwrap();
        let write = send.write(pattern(32 << 20).into());
        let waits = timeout(Duration::from_secs(1), write).await;
        assert!(waits.is_err(), "the peer does not read");
        // What is signed now cannot be sent.
        signer.0.notified().await;
        let stopped = timeout(Duration::from_millis(300), send.stopped()).await;
        assert!(stopped.is_err(), "the peer has not said anything");
        let reset = timeout(Duration::from_secs(1), send.reset(Code::new(7))).await;
        assert_eq!(reset, Ok(()), "it waits for nobody");
        let closed = Err(VerifiedWriteError::Write(WriteError::ClosedStream));
        assert_eq!(send.flush().await, closed);
        assert_eq!(send.finish().await, closed);
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_given_up_is_gone_on_with() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut gone = 0;
        for _ in 0..5 {
            let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
            let data = Bytes::from(pattern(3 << 20));
            let write = async {
                send.write(data.clone()).await.unwrap();
                // Each is given up as soon as it has to wait.
                while poll_fn(|cx| Poll::Ready(pin!(send.finish()).poll(cx))).await
                    != Poll::Ready(Ok(()))
                {
                    gone += 1;
                    tokio::task::yield_now().await;
                }
                assert_eq!(send.finish().await, Ok(()), "it has ended");
                drop(send);
            };
            let read = async {
                let config = trusting(&ORIGIN);
                let mut receive = server.accept_verified_uni(&config).await.unwrap();
                assert!(receive.read_to_end(data.len()).await.unwrap() == data);
            };
            tokio::join!(write, read);
        }
        assert!(gone > 0, "signing takes its time");
        peers.close().await;
    })
    .await;
}
