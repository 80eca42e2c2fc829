//! Handshakes with FALCON take one round trip: seen on the wire, by a proxy that keeps back what the client says after its
//! first flight until the client is done without it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use stoq_native::{
    Authority, ClientConfig, ClientPolicy, ClientTrust, Code, ConnectError, Domain, Endpoint,
    FalconKey, FalconSigner as _, FalconTrust, Grant, Identity, Pins, PqPolicy, ServerConfig,
    SignedGrant, Target, UnixMicros,
};
use tokio::net::UdpSocket;

use crate::harness::within;

/// Bytes of the first flights. The server sent all of its own before it heard more of the client, and the client was done.
struct Flights {
    client: usize,
    server: usize,
}

impl Flights {
    /// What a server may send to an address that has not proved itself (RFC 9000, section 8.1).
    fn allowance(&self) -> usize {
        3 * self.client
    }
}

/// Carries one handshake, and what comes after it. Resolves when the client has shown that it is done: all it had by then
/// was one flight of the server. A client that needs a second round trip waits for ever.
async fn one_round_trip(front: UdpSocket, server: SocketAddr) -> Flights {
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    back.connect(server).await.unwrap();
    let mut flights = Flights {
        client: 0,
        server: 0,
    };
    let mut kept = Vec::new();
    let mut server_has_all = false;
    let (mut to_server, mut to_client) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut client, mut done) = (None, false);
    while !done {
        tokio::select! {
            received = front.recv_from(&mut to_server) => {
                let (length, from) = received.unwrap();
                client = Some(from);
                let datagram = &to_server[..length];
                if server_has_all {
                    done = kinds(datagram).contains(&Kind::OneRtt);
                    kept.push(datagram.to_vec());
                } else {
                    flights.client += length;
                    back.send(datagram).await.unwrap();
                }
            }
            received = back.recv(&mut to_client) => {
                let datagram = &to_client[..received.unwrap()];
                // The keys of these packets come from the client's whole first message.
                server_has_all |= kinds(datagram).contains(&Kind::Handshake);
                flights.server += datagram.len();
                front.send_to(datagram, client.unwrap()).await.unwrap();
            }
        }
    }
    for datagram in kept {
        back.send(&datagram).await.unwrap();
    }
    tokio::spawn(async move {
        let client = client.unwrap();
        loop {
            tokio::select! {
                received = front.recv_from(&mut to_server) => {
                    let (length, _) = received.unwrap();
                    let _ = back.send(&to_server[..length]).await;
                }
                received = back.recv(&mut to_client) => {
                    // The other end may be gone already.
                    let Ok(length) = received else { return };
                    let _ = front.send_to(&to_client[..length], client).await;
                }
            }
        }
    });
    flights
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Initial,
    Handshake,
    OneRtt,
    Other,
}

/// The packets of a datagram, by what is not encrypted of them (RFC 9000, section 17.2).
fn kinds(mut datagram: &[u8]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    while let Some(&first) = datagram.first() {
        if first & 0x80 == 0 {
            kinds.push(Kind::OneRtt);
            break;
        }
        // Type and version, then two connection ids.
        let mut at = 5;
        for _ in 0..2 {
            at += 1 + usize::from(datagram[at]);
        }
        let kind = match (first >> 4) & 3 {
            0 => Kind::Initial,
            2 => Kind::Handshake,
            _ => Kind::Other,
        };
        if kind == Kind::Initial {
            at += varint(datagram, &mut at);
        }
        at += varint(datagram, &mut at);
        kinds.push(kind);
        datagram = &datagram[at..];
    }
    kinds
}

fn varint(bytes: &[u8], at: &mut usize) -> usize {
    let (start, length) = (*at, 1 << (bytes[*at] >> 6));
    *at += length;
    bytes[start + 1..*at]
        .iter()
        .fold(usize::from(bytes[start] & 0x3f), |number, &byte| {
            (number << 8) | usize::from(byte)
        })
}

/// Connects through the proxy, which the policy is made for, and closes.
async fn handshake(
    server: ServerConfig,
    policy: impl FnOnce(SocketAddr) -> PqPolicy,
    change: impl FnOnce(&mut ClientConfig),
) -> (Flights, Result<(), ConnectError>) {
    let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = front.local_addr().unwrap();
    let server = Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), server).unwrap();
    let mut config = ClientConfig::new(policy(address));
    // The test's own limit is the nearer one.
    config.connect_timeout = Duration::from_secs(600);
    change(&mut config);
    let client = Endpoint::client(config).unwrap();
    let target: Target = format!("stoq://{address}").parse().unwrap();
    let (flights, connected) = tokio::join!(
        one_round_trip(front, server.local_addr().unwrap()),
        client.connect_to(&target)
    );
    let connected = connected.map(|connection| {
        assert!(connection.security().is_falcon_verified());
        assert!(!connection.security().resumed);
    });
    for endpoint in [&client, &server] {
        endpoint.close(Code::NO_ERROR, "");
    }
    (flights, connected)
}

fn pinned(address: SocketAddr, key: &FalconKey) -> PqPolicy {
    let pins = Pins::new().pin(&address.to_string(), key.id()).unwrap();
    pins.into()
}

fn grant(names: Vec<String>) -> (Identity, PqPolicy) {
    let (authority, key) = (FalconKey::generate(), Arc::new(FalconKey::generate()));
    let grant = Grant {
        authority: authority.id(),
        subject: key.id(),
        serial: 1,
        not_before: UnixMicros(0),
        not_after: UnixMicros(u64::MAX),
        names,
    };
    let signature = authority
        .sign(Domain::GRANT, &[&grant.to_be_signed().unwrap()])
        .unwrap();
    let grant = SignedGrant::new(grant, signature).unwrap();
    let identity = Identity::granted(key, &grant).unwrap();
    let authority = Authority::new(authority.verifying_key().clone());
    let policy = PqPolicy::Require(FalconTrust::Authority(authority));
    (identity, policy)
}

/// What the design promises for the first flight of a server, whatever the client is allowed to make it send.
const FIRST_FLIGHT: usize = 7200;

#[tokio::test]
async fn a_pinned_server_proves_itself_in_one_round_trip() {
    within(async {
        let key = Arc::new(FalconKey::generate());
        let server = ServerConfig::new(Identity::falcon(key.clone(), ["127.0.0.1"]).unwrap());
        let policy = |address| pinned(address, &key);
        let (flights, connected) = handshake(server, policy, |_| ()).await;
        connected.unwrap();
        assert!(flights.server <= flights.allowance(), "{}", flights.server);
        assert!(flights.server < FIRST_FLIGHT, "{}", flights.server);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_proves_itself_too_takes_no_more() {
    within(async {
        let (key, client) = (
            Arc::new(FalconKey::generate()),
            Arc::new(FalconKey::generate()),
        );
        let mut server = ServerConfig::new(Identity::falcon(key.clone(), ["127.0.0.1"]).unwrap());
        server.clients = ClientPolicy::Require(ClientTrust::Ids([client.id()].into()));
        let policy = |address| pinned(address, &key);
        let identity = Identity::falcon(client, ["client"]).unwrap();
        let (flights, connected) =
            handshake(server, policy, |config| config.identity = Some(identity)).await;
        connected.unwrap();
        assert!(flights.server <= flights.allowance(), "{}", flights.server);
        assert!(flights.server < FIRST_FLIGHT, "{}", flights.server);
    })
    .await;
}

#[tokio::test]
async fn a_grant_fits_the_first_flight() {
    within(async {
        let (identity, policy) = grant(vec!["127.0.0.1".into()]);
        let server = ServerConfig::new(identity);
        let (flights, connected) = handshake(server, |_| policy, |_| ()).await;
        connected.unwrap();
        assert!(flights.server <= flights.allowance(), "{}", flights.server);
        assert!(flights.server < FIRST_FLIGHT, "{}", flights.server);
    })
    .await;
}

#[tokio::test]
async fn a_grant_of_eight_names_fits_too() {
    within(async {
        let mut names: Vec<_> = (1..8)
            .map(|number| format!("host-{number:03}.example.org"))
            .collect();
        assert!(names.iter().all(|name| name.len() == 20));
        names.push("127.0.0.1".into());
        names.sort();
        let (identity, policy) = grant(names);
        let server = ServerConfig::new(identity);
        let (flights, connected) = handshake(server, |_| policy, |_| ()).await;
        connected.unwrap();
        assert!(flights.server <= flights.allowance(), "{}", flights.server);
        assert!(flights.server < FIRST_FLIGHT, "{}", flights.server);
    })
    .await;
}
