//! Early data as an attacker uses it: recorded and sent again, or filled with what must not be early.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stoq_native::{
    ClientConfig, EarlyStreamError, Endpoint, FalconKey, FalconSigner as _, Identity, Pins,
    ServerConfig,
};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::World;
use crate::bare::AnyCertificate;
use crate::harness::{Peers, until, waits, within};
use crate::hostile::settings;

#[tokio::test]
async fn what_somebody_recorded_is_not_taken_twice_while_the_server_remembers() {
    within(async {
        let key = Arc::new(FalconKey::generate());
        let id = key.verifying_key().id();
        let mut config = ServerConfig::new(Identity::falcon(key, ["localhost"]).unwrap());
        config.early_data = true;
        // A repeated packet is to be answered as a first one is.
        config.retry_above = 1000;
        let server = Endpoint::server("127.0.0.1:0".parse().unwrap(), config).unwrap();
        let recorder = Recorder::start(server.local_addr().unwrap()).await;
        let authority = recorder.address.to_string();
        let pins = Pins::new().pin(&authority, id).unwrap();
        let world = World {
            server,
            client: Endpoint::client(ClientConfig::new(pins.clone())).unwrap(),
            url: format!("stoq://{authority}/test"),
            policy: pins.into(),
        };
        world.visit().await;

        recorder.recorded.lock().unwrap().clear();
        let early = world.client.connect_early(&world.url).await.unwrap();
        let mut send = early.open_uni().await.unwrap();
        send.write_all(b"pay").await.unwrap();
        send.finish().unwrap();
        let mut request = world.server.accept_early().await.unwrap();
        assert!(request.send.is_none());
        assert_eq!(request.receive.read_to_end(9).await.unwrap(), b"pay");

        let recorded = recorder.recorded.lock().unwrap().clone();
        drop(early);
        let attacker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut answer = [0; 2048];
        // As long as the server remembers the connection it is silent. Then it answers, as it does to a client whose
        // session it does not know, and takes nothing.
        let again = Duration::from_millis(100);
        loop {
            for datagram in &recorded {
                let server = world.server.local_addr().unwrap();
                attacker.send_to(datagram, server).await.unwrap();
            }
            if timeout(again, attacker.recv(&mut answer)).await.is_ok() {
                break;
            }
        }
        world.visit().await;
        assert!(waits(world.server.accept_early()).await);
        world.close().await;
    })
    .await;
}

/// Stands between a client and the server, and keeps what the client sends.
struct Recorder {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    _task: AbortOnDropHandle<()>,
}

impl Recorder {
    async fn start(server: SocketAddr) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(server).await.unwrap();
        let address = front.local_addr().unwrap();
        let recorded = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let keep = recorded.clone();
        let task = tokio::spawn(async move {
            let (mut from_client, mut from_server) = ([0; 65536], [0; 65536]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut from_client) => {
                        client = Some(from);
                        let datagram = &from_client[..length];
                        keep.lock().unwrap().push(datagram.to_vec());
                        back.send(datagram).await.unwrap();
                    }
                    Ok(length) = back.recv(&mut from_server) => {
                        front.send_to(&from_server[..length], client.unwrap()).await.unwrap();
                    }
                }
            }
        });
        Self {
            address,
            recorded,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

/// A client that sends as early data what ours sends only later: SETTINGS, and a stream of its session. Recorded, and sent
/// again, it would be as good as new.
#[tokio::test]
async fn nothing_but_early_requests_is_taken_before_the_handshake_is_done() {
    within(async {
        let peers = Peers::with(|server, _| server.early_data = true);
        let gate = Gate::start(peers.address()).await;
        let early = held_back(&gate).await;
        let mut control = early.open_uni().await.unwrap();
        control.write_all(&[0]).await.unwrap();
        control.write_all(&settings(1)).await.unwrap();
        let (mut data, _answer) = early.open_bi().await.unwrap();
        data.write_all(b"\x01pay").await.unwrap();
        data.finish().unwrap();
        let (mut request, _answer) = early.open_bi().await.unwrap();
        request.write_all(b"\x03\x04testread").await.unwrap();
        request.finish().unwrap();

        // The request that says that it is early arrives; what came before it has arrived too, and waits.
        let mut taken = peers.server.accept_early().await.unwrap();
        assert_eq!(taken.receive.read_to_end(9).await.unwrap(), b"read");
        assert!(waits(peers.server.accept()).await);
        assert_eq!(peers.server.open_connections(), 0);

        // The handshake goes on, and with it the rest.
        gate.holds.store(false, Ordering::SeqCst);
        let session = peers.server.accept().await.unwrap().accept().await.unwrap();
        let (_, mut receive) = session.accept_bi().await.unwrap();
        assert_eq!(receive.read_to_end(9).await.unwrap(), b"pay");
        drop(session);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_early_request_ends_with_a_handshake_that_is_not_finished() {
    within(async {
        let peers = Peers::with(|server, _| {
            server.early_data = true;
            server.handshake_timeout = Duration::from_millis(500);
        });
        let gate = Gate::start(peers.address()).await;
        let early = held_back(&gate).await;
        let (mut request, _answer) = early.open_bi().await.unwrap();
        request.write_all(b"\x03\x04testread").await.unwrap();
        let mut taken = peers.server.accept_early().await.unwrap();
        // The rest never comes.
        let lost = taken.receive.read_to_end(9).await.unwrap_err();
        assert!(matches!(lost, EarlyStreamError::Lost(_)), "{lost:?}");
        peers.close().await;
    })
    .await;
}

/// A connection of stock quinn with early data, to whose first packets the gate keeps the server's answer.
async fn held_back(gate: &Gate) -> quinn::Connection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![stoq_native::ALPN.to_vec()];
    tls.enable_early_data = true;
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let endpoint = quinn::Endpoint::client("[::1]:0".parse().unwrap()).unwrap();
    let connect = || {
        endpoint
            .connect_with(config.clone(), gate.address, "localhost")
            .unwrap()
    };
    loop {
        gate.holds.store(true, Ordering::SeqCst);
        match connect().into_0rtt() {
            Ok((early, _)) => return early,
            // There is no ticket yet, or it has not arrived.
            Err(connecting) => {
                gate.holds.store(false, Ordering::SeqCst);
                let connection = connecting.await.unwrap();
                until(|| connection.stats().frame_rx.handshake_done > 0).await;
                connection.close(0u8.into(), b"");
            }
        }
    }
}

/// Stands between a client and the server, and can hold back what the server says.
struct Gate {
    address: SocketAddr,
    holds: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl Gate {
    async fn start(server: SocketAddr) -> Self {
        let front = UdpSocket::bind("[::1]:0").await.unwrap();
        let address = front.local_addr().unwrap();
        let holds = Arc::new(AtomicBool::new(false));
        let closed = holds.clone();
        let task = tokio::spawn(async move {
            let back = UdpSocket::bind("[::1]:0").await.unwrap();
            back.connect(server).await.unwrap();
            let (mut from_client, mut from_server) = ([0; 65536], [0; 65536]);
            let (mut client, mut held) = (None, Vec::new());
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut from_client) => {
                        client = Some(from);
                        back.send(&from_client[..length]).await.unwrap();
                    }
                    Ok(length) = back.recv(&mut from_server) => {
                        held.push(from_server[..length].to_vec());
                    }
                    _ = looks.tick() => {}
                }
                if !closed.load(Ordering::SeqCst) {
                    for datagram in held.drain(..) {
                        front.send_to(&datagram, client.unwrap()).await.unwrap();
                    }
                }
            }
        });
        Self {
            address,
            holds,
            _task: AbortOnDropHandle::new(task),
        }
    }
}
