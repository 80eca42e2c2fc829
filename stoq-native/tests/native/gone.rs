//! Ends that do not say goodbye: killed, dropped, unreachable. The other side notices and nothing is left.

use std::time::Duration;

use stoq_native::{
    ClientConfig, ClosedBy, Code, Endpoint, Identity, KeepAlive, ReadError, ServerConfig,
    WriteError,
};
use tokio::runtime::Runtime;

use crate::harness::{Peers, echo, pattern, until, within};

/// A runtime that can be killed, as a process is: its tasks end where they stand and its sockets say nothing.
fn victim() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_killed_server_is_noticed_in_mid_transfer() {
    within(async {
        let idle = Duration::from_millis(500);
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let hash = identity.certificate_hash();
        let runtime = victim();
        let server = {
            let _within = runtime.enter();
            Endpoint::server("[::1]:0".parse().unwrap(), ServerConfig::new(identity)).unwrap()
        };
        let address = server.local_addr().unwrap();
        runtime.spawn(async move {
            while let Some(request) = server.accept().await {
                tokio::spawn(echo(request.accept().await.unwrap()));
            }
        });
        let peers = Peers::with(|_, client| {
            client.policy = stoq_native::Trust::CertificateHashes(vec![hash]).into();
            client.transport.idle_timeout = idle;
            client.transport.keep_alive = KeepAlive::Every(idle / 5);
        });
        let session = peers
            .client
            .connect(&format!("stoq://{address}/echo"))
            .await
            .unwrap();
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        send.write_all(&pattern(100_000)).await.unwrap();
        receive.read_chunk(1).await.unwrap().unwrap();
        runtime.shutdown_background();

        let (sent, received, closed) = tokio::join!(
            async {
                loop {
                    if let Err(error) = send.write(&[0; 1000]).await {
                        break error;
                    }
                }
            },
            async {
                loop {
                    match receive.read_chunk(usize::MAX).await {
                        Ok(chunk) => assert!(chunk.is_some(), "cut off, it must not look complete"),
                        Err(error) => break error,
                    }
                }
            },
            session.closed(),
        );
        assert_eq!((closed.code, closed.by), (Code::TIMEOUT, ClosedBy::Path));
        assert_eq!(sent, WriteError::SessionClosed(closed.clone()));
        assert_eq!(received, ReadError::SessionClosed(closed));
        peers.client.wait_idle().await;
        assert_eq!(peers.client.open_connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_killed_client_is_noticed() {
    within(async {
        let idle = Duration::from_millis(500);
        let peers = Peers::with(|server, _| server.transport.idle_timeout = idle);
        let runtime = victim();
        let (policy, url) = (peers.policy.clone(), peers.url("test"));
        runtime.spawn(async move {
            let mut config = ClientConfig::new(policy);
            config.transport.keep_alive = KeepAlive::Every(idle / 5);
            let client = Endpoint::client(config).unwrap();
            let session = client.connect(&url).await.unwrap();
            let mut send = session.open_uni().await.unwrap();
            loop {
                send.write_all(b"half of it").await.unwrap();
            }
        });
        let session = peers.server.accept().await.unwrap().accept().await.unwrap();
        let mut receive = session.accept_uni().await.unwrap();
        receive.read_chunk(1).await.unwrap().unwrap();
        runtime.shutdown_background();
        let error = loop {
            match receive.read_chunk(usize::MAX).await {
                Ok(chunk) => assert!(chunk.is_some(), "cut off, it must not look complete"),
                Err(error) => break error,
            }
        };
        let closed = session.closed().await;
        assert_eq!((closed.code, closed.by), (Code::TIMEOUT, ClosedBy::Path));
        assert_eq!(error, ReadError::SessionClosed(closed));
        peers.server.wait_idle().await;
        assert_eq!(peers.server.open_connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_endpoint_leaves_its_sessions_alone() {
    within(async {
        let peers = Peers::new();
        let url = peers.url("echo");
        let Peers { server, client, .. } = peers;
        let (session, serving) = tokio::join!(client.connect(&url), async {
            server.accept().await.unwrap().accept().await.unwrap()
        });
        let session = session.unwrap();
        drop((server, client));
        let echo = tokio::spawn(echo(serving));
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        send.write_all(b"alone").await.unwrap();
        send.finish().unwrap();
        assert_eq!(receive.read_to_end(5).await.unwrap(), b"alone");
        session.close(Code::new(1), "");
        echo.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left() {
    within(async {
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = tasks();
        for _ in 0..5 {
            let peers = Peers::new();
            let connection = peers.connection().await;
            let pairs = [peers.session().await, peers.multiplexed(&connection).await];
            let mut held = Vec::new();
            for (client, server) in &pairs {
                held.push(client.open_bi().await.unwrap());
                held.push(server.accept_bi().await.unwrap());
                client
                    .open_uni()
                    .await
                    .unwrap()
                    .write_all(b"x")
                    .await
                    .unwrap();
            }
            peers.close().await;
        }
        until(|| tasks() <= before).await;
    })
    .await;
}
