//! Early data: what arrives before the handshake is done, and what does not arrive at all.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stoq_native::{
    ClientConfig, Code, EarlyStreamError, Endpoint, FalconKey, FalconSigner as _, FalconTrust,
    Identity, Pins, PqPolicy, ServerConfig,
};

use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{waits, within};

/// A server with a FALCON identity, and a client that requires it.
struct World {
    server: Endpoint,
    client: Endpoint,
    url: String,
    policy: PqPolicy,
}

fn world(early_data: bool) -> World {
    let key = Arc::new(FalconKey::generate());
    let id = key.verifying_key().id();
    let identity = Identity::falcon(key, ["localhost"]).unwrap();
    let mut config = ServerConfig::new(identity);
    config.early_data = early_data;
    let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
    let authority = server.local_addr().unwrap().to_string();
    let pins = Pins::new().pin(&authority, id).unwrap();
    let policy = PqPolicy::Require(FalconTrust::Pins(pins));
    let client = Endpoint::client(ClientConfig::new(policy.clone())).unwrap();
    World {
        server,
        client,
        url: format!("stoq://{authority}/test"),
        policy,
    }
}

impl World {
    /// A session, after which the client has a ticket.
    async fn visit(&self) {
        let accept = async { self.server.accept().await.unwrap().accept().await.unwrap() };
        let (session, accepted) = tokio::join!(self.client.connect(&self.url), accept);
        let session = session.unwrap();
        session.ping().await.unwrap();
        session.close(Code::NO_ERROR, "");
        accepted.closed().await;
    }

    async fn close(self) {
        for endpoint in [&self.client, &self.server] {
            endpoint.close(Code::NO_ERROR, "");
        }
        self.client.wait_idle().await;
        self.server.wait_idle().await;
    }
}

#[tokio::test]
async fn a_request_is_answered_before_the_session_is_open() {
    within(async {
        let world = world(true);
        world.visit().await;
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(early.can_send());
        let (mut send, mut receive) = early.open_bi().await.unwrap();
        send.write_all(b"what time is it?").await.unwrap();
        send.finish().unwrap();
        let serve = async {
            let mut request = world.server.accept_early().await.unwrap();
            assert_eq!(request.service.as_str(), "test");
            assert!(request.peer.is_none());
            let asked = request.receive.read_to_end(64).await.unwrap();
            let mut answer = request.send.take().unwrap();
            answer.write_all(&asked).await.unwrap();
            answer.finish().unwrap();
            // The client has not asked for a session yet: it does so when it is told to.
            assert_eq!(asked, b"what time is it?");
        };
        let (answer, ()) = tokio::join!(receive.read_to_end(64), serve);
        assert_eq!(answer.unwrap(), b"what time is it?");

        // The session comes about on the same connection, after the handshake.
        let accept = async { world.server.accept().await.unwrap().accept().await.unwrap() };
        let (established, accepted) = tokio::join!(early.established(), accept);
        let (session, taken) = established.unwrap();
        assert!(taken);
        let security = session.connection().security();
        assert!(security.resumed && security.early_data && security.is_falcon_verified());
        assert!(security.key_exchange.is_post_quantum());
        session.ping().await.unwrap();
        drop(accepted);
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_session_to_resume_nothing_is_sent_early() {
    within(async {
        let world = world(true);
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(!early.can_send());
        let error = early.open_bi().await.unwrap_err();
        assert_eq!(error, EarlyStreamError::NothingToResume);
        assert_eq!(error.code(), Code::EARLY_DATA_REJECTED);
        let accept = async { world.server.accept().await.unwrap().accept().await.unwrap() };
        let (established, accepted) = tokio::join!(early.established(), accept);
        let (session, taken) = established.unwrap();
        assert!(!taken && !session.connection().security().resumed);
        drop(accepted);
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_takes_none_offers_none() {
    within(async {
        let world = world(false);
        world.visit().await;
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(!early.can_send());
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_has_forgotten_rejects_and_the_session_comes_about() {
    within(async {
        let world = world(true);
        world.visit().await;
        // Sessions to resume are forgotten with the policy under which they were made.
        world.server.set_clients(Default::default()).unwrap();
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(early.can_send());
        let (mut send, mut receive) = early.open_bi().await.unwrap();
        send.write_all(b"lost").await.unwrap();
        let accept = async { world.server.accept().await.unwrap().accept().await.unwrap() };
        let (established, accepted) = tokio::join!(early.established(), accept);
        let (session, taken) = established.unwrap();
        assert!(!taken && !session.connection().security().resumed);
        let error = receive.read_to_end(64).await.unwrap_err();
        assert_eq!(error, EarlyStreamError::Rejected);
        drop(accepted);
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_changed_policy_sends_nothing_early() {
    within(async {
        let world = world(true);
        world.visit().await;
        world.client.set_policy(world.policy.clone()).unwrap();
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(!early.can_send());
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_drops_a_request_resets_its_streams() {
    within(async {
        let world = world(true);
        world.visit().await;
        let early = world.client.connect_early(&world.url).await.unwrap();
        let (mut send, mut receive) = early.open_bi().await.unwrap();
        send.write_all(b"no").await.unwrap();
        let (error, ()) = tokio::join!(receive.read_to_end(64), async {
            drop(world.server.accept_early().await.unwrap());
        });
        assert_eq!(error, Err(EarlyStreamError::Reset(Code::CANCELLED)));
        world.close().await;
    })
    .await;
}

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
