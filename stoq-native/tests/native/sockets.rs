//! The socket: how large packets become, and that none is lost by it.

#[cfg(target_os = "linux")]
mod namespaces;

use stoq_native::{NewConnectionProfile, Session, SocketConfig, Tier};

use crate::harness::{Peers, pattern, within};

fn with_mtu(mtu: u16) -> SocketConfig {
    let mut socket = SocketConfig::default();
    socket.mtu = mtu;
    socket
}

/// Sends there and back until the packets of both ends have grown to this size, and finds that they grow no further and that no
/// black hole was met.
async fn grows_to(client: &Session, server: &Session, largest: u16) {
    // A search ends when there is less than this to be won.
    let enough = largest - 19;
    let ends = [client.connection(), server.connection()];
    let content = pattern(4_000_000);
    let mut rounds = 0;
    while ends.iter().any(|end| end.stats().mtu < enough) {
        echoed(client, server, &content).await;
        rounds += 1;
        assert!(rounds < 50, "{:?}", client.connection().stats());
    }
    echoed(client, server, &content).await;
    for end in ends {
        let stats = end.stats();
        assert!((enough..=largest).contains(&stats.mtu), "{stats:?}");
        assert_eq!(stats.black_holes, 0, "{stats:?}");
    }
}

/// The content comes back as it was sent.
async fn echoed(client: &Session, server: &Session, content: &[u8]) {
    let (mut send, mut receive) = client.open_bi().await.unwrap();
    let echo = async {
        let (mut send, mut receive) = server.accept_bi().await.unwrap();
        while let Some(chunk) = receive.read_chunk(usize::MAX).await.unwrap() {
            send.write_chunk(chunk).await.unwrap();
        }
        send.finish().unwrap();
    };
    let write = async {
        send.write_all(content).await.unwrap();
        send.finish().unwrap();
    };
    let read = receive.read_to_end(content.len());
    let ((), (), came) = tokio::join!(echo, write, read);
    assert!(came.unwrap() == content, "what came is not what was sent");
}

/// Where the route's MTU is not known, packets stay small.
fn known(mtu: u16) -> u16 {
    if cfg!(target_os = "linux") { mtu } else { 1452 }
}

#[tokio::test]
async fn packets_grow_to_those_of_ethernet_by_default() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        grows_to(&client, &server, 1452).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn packets_grow_to_what_loopback_takes() {
    within(async {
        let peers = Peers::with(|server, client| {
            server.transport.socket = with_mtu(65_507);
            client.transport.socket = with_mtu(65_507);
        });
        let (client, server) = peers.session().await;
        grows_to(&client, &server, known(65_488)).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn packets_grow_to_those_of_a_profile() {
    within(async {
        let profile = NewConnectionProfile::of(Tier::Performance);
        let peers = Peers::with(|server, client| {
            profile.apply(&mut server.transport);
            profile.apply(&mut client.transport);
        });
        let (client, server) = peers.session().await;
        assert_eq!(profile.max_datagram, 8952, "that of jumbo frames");
        grows_to(&client, &server, known(profile.max_datagram)).await;
        peers.close().await;
    })
    .await;
}

/// Ten packets of this size are more than the system takes at once.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn packets_grow_no_larger_than_asked_for() {
    within(async {
        let peers = Peers::with(|server, client| {
            server.transport.socket = with_mtu(16_000);
            client.transport.socket = with_mtu(65_507);
        });
        let (client, server) = peers.session().await;
        grows_to(&client, &server, 16_000).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_smallest_packets_that_quic_has_will_do() {
    within(async {
        let peers = Peers::with(|server, client| {
            server.transport.socket = with_mtu(1200);
            client.transport.socket = with_mtu(1200);
        });
        let (client, server) = peers.session().await;
        grows_to(&client, &server, 1200).await;
        peers.close().await;
    })
    .await;
}

#[test]
fn an_mtu_that_no_packet_has_is_refused() {
    use stoq_native::{BindError, ClientConfig, Endpoint, Trust};
    let mut config = ClientConfig::new(Trust::CertificateHashes(vec![[0; 32]]));
    config.transport.socket = with_mtu(1199);
    let Err(BindError::Config(error)) = Endpoint::client(config) else {
        panic!("bound");
    };
    assert_eq!(error.setting, "socket.mtu");
}
