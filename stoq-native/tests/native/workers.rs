//! Several threads behind one port: each connection stays on its own, wherever the client goes.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

use stoq_native::{
    ClientConfig, ClosedBy, Code, Endpoint, Identity, KeepAlive, ResetKey, ServerConfig, Session,
    Trust,
};
use tokio::task::JoinSet;

use crate::harness::{Peers, echo, until, within};

const CLIENTS: usize = 40;

fn with_workers(workers: u16) -> Peers {
    Peers::with(|server, _| server.workers = NonZeroU16::new(workers).unwrap())
}

/// As many workers as there can be here.
fn expected(workers: usize) -> usize {
    if cfg!(target_os = "linux") {
        workers
    } else {
        1
    }
}

/// Echoes on all sessions until it is aborted.
fn serve(server: Endpoint) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut sessions = JoinSet::new();
        while let Some(request) = server.accept().await {
            let runtime = request.connection().runtime().clone();
            let serving = async move { echo(request.accept().await.unwrap()).await };
            sessions.spawn_on(serving, &runtime);
        }
        while sessions.join_next().await.is_some() {}
    });
    tasks
}

async fn answers(session: &Session, said: &[u8]) {
    let (mut send, mut receive) = session.open_bi().await.unwrap();
    send.write_all(said).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(100_000).await.unwrap(), said);
}

async fn spreads_and_follows(workers: u16) {
    let peers = with_workers(workers);
    let serving = serve(peers.server.clone());
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = Endpoint::client(ClientConfig::new(peers.policy.clone())).unwrap();
        let session = client.connect(&peers.url("echo")).await.unwrap();
        clients.push((client, session));
    }
    let spread = peers.server.connections_by_worker();
    assert_eq!(spread.len(), expected(workers.into()));
    assert_eq!(spread.iter().sum::<usize>(), CLIENTS);
    assert!(
        spread.iter().all(|&connections| connections > 0),
        "{spread:?}"
    );

    let mut reached = 0;
    for (client, session) in &clients {
        let before = client.local_addr().unwrap();
        client.rebind().unwrap();
        assert_ne!(client.local_addr().unwrap(), before);
        answers(session, &[7; 30_000]).await;
        reached += 1;
    }
    assert_eq!(reached, CLIENTS);
    assert_eq!(peers.server.connections_by_worker(), spread);

    for (client, _) in &clients {
        client.close(Code::NO_ERROR, "");
    }
    until(|| peers.server.open_connections() == 0).await;
    drop(serving);
    peers.close().await;
}

#[tokio::test]
async fn two_workers_share_the_clients_and_keep_those_who_move() {
    within(spreads_and_follows(2)).await;
}

#[tokio::test]
async fn four_workers_share_the_clients_and_keep_those_who_move() {
    within(spreads_and_follows(4)).await;
}

#[tokio::test]
async fn connections_of_one_socket_spread_too() {
    within(async {
        let peers = with_workers(3);
        let serving = serve(peers.server.clone());
        let mut sessions = Vec::new();
        for _ in 0..CLIENTS {
            sessions.push(peers.client.connect(&peers.url("echo")).await.unwrap());
        }
        let spread = peers.server.connections_by_worker();
        assert!(
            spread.iter().all(|&connections| connections > 0),
            "{spread:?}"
        );
        let mut transfers = JoinSet::new();
        for session in sessions {
            transfers.spawn(async move { answers(&session, &[9; 100_000]).await });
        }
        while let Some(done) = transfers.join_next().await {
            done.unwrap();
        }
        drop(serving);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn shutdown_reaches_all_workers() {
    within(async {
        let peers = with_workers(4);
        let serving = serve(peers.server.clone());
        let mut sessions = Vec::new();
        for _ in 0..8 {
            sessions.push(peers.client.connect(&peers.url("echo")).await.unwrap());
        }
        peers.server.shutdown(Duration::ZERO).await;
        for session in sessions {
            assert_eq!(session.closed().await.code, Code::GOING_AWAY);
        }
        assert_eq!(peers.server.open_connections(), 0);
        drop(serving);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn sessions_outlive_their_endpoint_and_then_the_port_is_free() {
    within(async {
        let Peers { server, client, .. } = with_workers(2);
        let address = server.local_addr().unwrap();
        let url = format!("stoq://[::1]:{}/echo", address.port());
        let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
        let (session, serving) = tokio::join!(client.connect(&url), accept);
        let session = session.unwrap();
        drop(server);
        let serving = tokio::spawn(echo(serving));
        answers(&session, b"alone").await;
        let taken = || UdpSocket::bind(address).is_err();
        assert!(taken());
        session.close(Code::NO_ERROR, "");
        serving.await.unwrap();
        until(|| !taken()).await;
    })
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_not_shared() {
    let peers = with_workers(2);
    let address = peers.server.local_addr().unwrap();
    let mut config = ServerConfig::new(Identity::self_signed(["localhost"]).unwrap());
    config.workers = NonZeroU16::new(2).unwrap();
    let error = Endpoint::server(address, config).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    peers.close().await;
}

/// Whichever worker sent the client away to prove its address, any takes the proof.
#[tokio::test]
async fn proofs_of_addresses_hold_for_all_workers() {
    within(async {
        let peers = Peers::with(|server, _| {
            server.workers = NonZeroU16::new(4).unwrap();
            server.retry_above = 0;
        });
        let serving = serve(peers.server.clone());
        for _ in 0..8 {
            let session = peers.client.connect(&peers.url("echo")).await.unwrap();
            answers(&session, b"here").await;
        }
        drop(serving);
        peers.close().await;
    })
    .await;
}

/// The client has tickets of some workers and comes to others.
#[tokio::test]
async fn sessions_are_resumed_on_all_workers() {
    within(async {
        let peers = Peers::with(|server, _| {
            server.workers = NonZeroU16::new(4).unwrap();
            server.early_data = true;
        });
        let serving = serve(peers.server.clone());
        let session = peers.client.connect(&peers.url("echo")).await.unwrap();
        session.ping().await.unwrap();
        // Of 12 connections, the worker of the first gets all once in 16 million times.
        for visit in 0..12 {
            let early = peers
                .client
                .connect_early(&peers.url("echo"))
                .await
                .unwrap();
            assert!(early.can_send(), "{visit}");
            let (session, taken) = early.established().await.unwrap();
            assert!(taken, "{visit}");
            session.ping().await.unwrap();
        }
        drop(serving);
        peers.close().await;
    })
    .await;
}

/// What a client hears of a server that was killed and is there again, with this key.
async fn after_a_restart(key: ResetKey, key_then: ResetKey) -> (Code, ClosedBy) {
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let mut config = ServerConfig::new(identity);
    config.reset_key = Some(key);
    // A runtime that is dropped is like a process that is killed: its sockets say nothing.
    let process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (server, address) = {
        let _within = process.enter();
        let server = Endpoint::server("[::1]:0".parse().unwrap(), config.clone()).unwrap();
        let address: SocketAddr = server.local_addr().unwrap();
        (server, address)
    };
    process.spawn(async move { serve(server).join_next().await });

    let mut client = ClientConfig::new(trust);
    client.transport.keep_alive = KeepAlive::Every(Duration::from_millis(200));
    client.transport.idle_timeout = Duration::from_secs(4);
    let client = Endpoint::client(client).unwrap();
    let session = client.connect(&format!("stoq://{address}/echo")).await;
    let session = session.unwrap();
    answers(&session, b"before").await;
    process.shutdown_background();
    until(|| UdpSocket::bind(address).is_ok()).await;

    config.reset_key = Some(key_then);
    config.workers = NonZeroU16::new(2).unwrap();
    let server = Endpoint::server(address, config).unwrap();
    let closed = session.closed().await;
    server.close(Code::NO_ERROR, "");
    (closed.code, closed.by)
}

#[tokio::test]
async fn a_restarted_server_with_its_key_ends_old_connections() {
    within(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reset.pem");
        let made = ResetKey::from_file(&file).unwrap();
        let kept = ResetKey::from_file(&file).unwrap();
        let heard = after_a_restart(made.clone(), kept).await;
        assert_eq!(heard, (Code::CONNECTION_LOST, ClosedBy::Path));
        // With another key nobody believes it, and only silence tells.
        let heard = after_a_restart(made, ResetKey::generate()).await;
        assert_eq!(heard, (Code::TIMEOUT, ClosedBy::Path));
    })
    .await;
}
