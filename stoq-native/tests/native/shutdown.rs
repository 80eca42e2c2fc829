//! An endpoint that ends in order while something runs on it, and whose address another takes over.

use std::num::NonZeroU16;
use std::time::Duration;

use stoq_native::{Closed, ClosedBy, Code, Endpoint, Identity, ReadError, ServerConfig};
use tokio::sync::watch;

use crate::harness::{Peers, pattern, waits, within};

#[tokio::test]
async fn a_transfer_that_ends_within_the_grace_ends_whole() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let content = pattern(10_000_000);
        let (arrived, mut changes) = watch::channel(0);
        let send = async {
            let mut send = server.open_uni().await.unwrap();
            send.write_all(&content).await.unwrap();
            send.finish().unwrap();
            // The session's end would take back what is still on its way.
            send.stopped().await.unwrap();
        };
        let receive = async {
            let mut receive = client.accept_uni().await.unwrap();
            let mut came = Vec::new();
            while let Some(chunk) = receive.read_chunk(usize::MAX).await.unwrap() {
                came.extend_from_slice(&chunk);
                arrived.send_replace(came.len());
            }
            assert!(came == content, "what came is not what was sent");
            client.close(Code::NO_ERROR, "");
        };
        let shutdown = async {
            changes.wait_for(|&arrived| arrived > 0).await.unwrap();
            peers.server.shutdown(Duration::from_secs(600)).await;
            assert_eq!(*changes.borrow(), content.len());
        };
        let told = async {
            let closed = connection.going_away().await;
            assert_eq!(closed.code, Code::GOING_AWAY);
            assert!(*arrived.borrow() < content.len(), "it was told too late");
        };
        tokio::join!(send, receive, shutdown, told);
        assert_eq!(peers.server.open_connections(), 0);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_outlives_the_grace_is_told_so() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"and so on").await.unwrap();
        let mut receive = server.accept_uni().await.unwrap();
        receive.read_chunk(9).await.unwrap().unwrap();
        let grace = Duration::from_millis(300);
        let began = std::time::Instant::now();
        let shutdown = peers.server.shutdown(grace);
        let reading = async {
            let error = receive.read_chunk(9).await.unwrap_err();
            // Never before.
            assert!(began.elapsed() >= grace);
            let closed = Closed {
                code: Code::GOING_AWAY,
                reason: "the endpoint has shut down".into(),
                by: ClosedBy::Local,
            };
            assert_eq!(error, ReadError::SessionClosed(closed));
        };
        let ((), (), closed) = tokio::join!(shutdown, reading, client.closed());
        assert_eq!(closed.code, Code::GOING_AWAY);
        assert_eq!(closed.by, ClosedBy::Peer);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_address_is_free_when_its_endpoint_says_so() {
    within(async {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        for workers in [1, 3] {
            let start = |address| {
                let mut config = ServerConfig::new(identity.clone());
                config.workers = NonZeroU16::new(workers).unwrap();
                Endpoint::server(address, config).unwrap()
            };
            let mut server = start("[::1]:0".parse().unwrap());
            let address = server.local_addr().unwrap();
            let peers = Peers::with(|_, client| {
                let hashes = vec![identity.certificate_hash()];
                client.policy = stoq_native::Trust::CertificateHashes(hashes).into();
            });
            for _ in 0..10 {
                let url = format!("stoq://{address}/test");
                let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
                let (session, accepted) = tokio::join!(peers.client.connect(&url), accept);
                session.unwrap().ping().await.unwrap();
                drop(accepted);
                server.shutdown(Duration::ZERO).await;
                let mut released = Box::pin(server.released());
                assert!(waits(&mut released).await, "the endpoint holds its socket");
                drop(server);
                released.await;
                server = start(address);
            }
            peers.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_client_leaves_behind_is_released_too() {
    within(async {
        let peers = Peers::new();
        let (session, _accepted) = peers.session().await;
        let left = peers.client.local_addr().unwrap();
        peers.client.rebind().unwrap();
        session.ping().await.unwrap();
        let released = peers.client.released();
        let mut released = Box::pin(released);
        peers.client.close(Code::NO_ERROR, "");
        peers.client.wait_idle().await;
        drop(peers);
        assert!(waits(&mut released).await, "a session holds the socket");
        drop(session);
        released.await;
        std::net::UdpSocket::bind(left).unwrap();
    })
    .await;
}
