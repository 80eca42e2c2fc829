//! Retry packets: addresses prove themselves before a signature is spent on them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stoq_native::{ClientConfig, Connection, Endpoint, Target};

use super::counting::Counting;
use super::rogue::{self, Schemes, client_tls};
use super::tap::{Tap, first_packets, flood};
use crate::harness::{until, within};

fn server(retry_above: u32) -> (Arc<Counting>, Endpoint) {
    let (signer, mut config) = Counting::server();
    config.retry_above = retry_above;
    let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
    (signer, server)
}

fn client(address: SocketAddr) -> Endpoint {
    Endpoint::client(ClientConfig::new(Counting::pins(address))).unwrap()
}

async fn connect(address: SocketAddr) -> Connection {
    connect_again(&client(address), address).await
}

async fn connect_again(client: &Endpoint, address: SocketAddr) -> Connection {
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    client.connect_to(&target).await.unwrap()
}

#[tokio::test]
async fn above_the_rate_an_address_proves_itself_and_below_it_does_not() {
    within(async {
        for (retry_above, retries) in [(0, 1), (1000, 0)] {
            let (signer, server) = server(retry_above);
            let tap = Tap::new(server.local_addr().unwrap()).await;
            let connection = connect(tap.address).await;
            assert_eq!(connection.security().peer, Some(Counting::id()));
            assert_eq!(tap.retries(), retries);
            assert_eq!(signer.count(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_is_resumed_across_a_retry() {
    within(async {
        let (signer, server) = server(0);
        let tap = Tap::new(server.local_addr().unwrap()).await;
        let client = client(tap.address);
        for (resumed, retries) in [(false, 1), (true, 2)] {
            let connection = connect_again(&client, tap.address).await;
            assert_eq!(connection.security().resumed, resumed);
            assert_eq!(tap.retries(), retries);
        }
        assert_eq!(signer.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn stock_quinn_answers_a_retry_as_well() {
    within(async {
        let (signer, server) = server(0);
        for (schemes, signatures) in [(Schemes::Classical, 0), (Schemes::WithComposite, 1)] {
            let tap = Tap::new(server.local_addr().unwrap()).await;
            let tls = client_tls(None, schemes);
            let connection = rogue::connect(tls, tap.address).await.unwrap();
            // The server's control stream: it has let the client in.
            connection.accept_uni().await.unwrap();
            assert_eq!(tap.retries(), 1);
            assert_eq!(signer.count(), signatures);
        }
    })
    .await;
}

#[tokio::test]
async fn a_flood_from_addresses_that_do_not_answer_costs_no_signature() {
    within(async {
        let packets = first_packets(300).await;
        let (signer, server) = server(0);
        let address = server.local_addr().unwrap();
        let retries = flood(address, &packets).await;
        assert!(retries >= 300, "{retries} Retry packets for 600 datagrams");
        // The socket gives the server these packets after those of the flood. And this client gets in meanwhile.
        connect(address).await;
        assert_eq!(signer.count(), 1);
        assert_eq!(server.open_connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_flood_costs_the_allowance_and_no_more() {
    within(async {
        let packets = first_packets(300).await;
        let (signer, server) = server(10);
        let address = server.local_addr().unwrap();
        let start = Instant::now();
        flood(address, &packets).await;
        connect(address).await;
        let took = start.elapsed().as_secs_f64();
        // One second's worth at once, the rate from then on, and the client that proved itself.
        let allowed = 10.0 + 10.0 * took + 1.0;
        let spent = signer.count();
        assert!(
            (11..=allowed as usize).contains(&spent),
            "{spent} in {took} s"
        );
    })
    .await;
}

/// So it is the Retry that kept the flood from costing anything.
#[tokio::test]
async fn the_same_flood_without_retry_costs_a_signature_each() {
    within(async {
        let packets = first_packets(50).await;
        let (signer, server) = server(1000);
        let address = server.local_addr().unwrap();
        assert_eq!(flood(address, &packets).await, 0);
        connect(address).await;
        assert_eq!(signer.count(), 51);
    })
    .await;
}

/// The token in a Retry is from before the change, the packet that brings it back comes after.
#[tokio::test]
async fn a_new_identity_does_not_spoil_a_retry_that_is_under_way() {
    within(async {
        let (signer, server) = server(0);
        let tap = Tap::new(server.local_addr().unwrap()).await;
        let mut connecting = Box::pin(connect(tap.address));
        tokio::select! {
            biased;
            _ = &mut connecting => unreachable!("the Retry has not come back yet"),
            () = until(|| tap.retries() == 1) => {}
        }
        let (successor, config) = Counting::server();
        server.set_identity(config.identity).unwrap();
        let connection = connecting.await;
        assert_eq!(connection.security().peer, Some(Counting::id()));
        assert_eq!(
            (tap.retries(), signer.count(), successor.count()),
            (1, 0, 1)
        );
    })
    .await;
}
