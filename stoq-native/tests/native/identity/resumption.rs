//! Resumed sessions: what they save, and what they must not do.

use std::net::SocketAddr;
use std::sync::Arc;

use stoq_native::{ClientConfig, Code, Connection, Endpoint, Identity, Pins, ServerConfig, Target};

use super::counting::Counting;
use crate::harness::within;

fn server(address: &str) -> (Arc<Counting>, ServerConfig, Endpoint) {
    let (signer, config) = Counting::server();
    let endpoint = Endpoint::server(address.parse().unwrap(), config.clone()).unwrap();
    (signer, config, endpoint)
}

fn client(addresses: &[SocketAddr]) -> Endpoint {
    let pins = addresses.iter().fold(Pins::new(), |pins, address| {
        pins.pin(&address.to_string(), Counting::id()).unwrap()
    });
    Endpoint::client(ClientConfig::new(pins)).unwrap()
}

async fn connect(client: &Endpoint, address: SocketAddr) -> Connection {
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    client.connect_to(&target).await.unwrap()
}

#[tokio::test]
async fn a_second_connection_costs_no_signature() {
    within(async {
        let (signer, _, server) = server("[::1]:0");
        let address = server.local_addr().unwrap();
        let client = client(&[address]);
        assert!(!connect(&client, address).await.security().resumed);
        assert_eq!(signer.count(), 1);
        // Each connection brings new tickets, so it can go on like this.
        for _ in 0..10 {
            let security = connect(&client, address).await.security();
            assert!(security.resumed);
            assert_eq!(security.peer, Some(Counting::id()));
        }
        assert_eq!(signer.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn sessions_are_of_one_client() {
    within(async {
        let (signer, _, server) = server("[::1]:0");
        let address = server.local_addr().unwrap();
        for count in 1..=2 {
            let client = client(&[address]);
            assert!(!connect(&client, address).await.security().resumed);
            assert_eq!(signer.count(), count);
        }
    })
    .await;
}

/// Even where the two are one and the same server, for all that their certificates say.
#[tokio::test]
async fn another_port_does_not_share_sessions() {
    within(async {
        let (signer, config, first) = server("[::1]:0");
        let second = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
        let addresses = [&first, &second].map(|server| server.local_addr().unwrap());
        let client = client(&addresses);
        for (address, count) in addresses.into_iter().zip(1..) {
            assert!(!connect(&client, address).await.security().resumed);
            assert_eq!(signer.count(), count);
        }
        for address in addresses {
            assert!(connect(&client, address).await.security().resumed);
        }
        assert_eq!(signer.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_was_restarted_does_a_full_handshake() {
    within(async {
        let (signer, config, first) = server("[::1]:0");
        let address = first.local_addr().unwrap();
        let client = client(&[address]);
        connect(&client, address).await;
        assert!(connect(&client, address).await.security().resumed);
        first.close(Code::NO_ERROR, "");
        first.wait_idle().await;
        drop(first);
        // The socket is closed when the last task of the endpoint lets it go.
        let second = loop {
            match Endpoint::server(address, config.clone()) {
                Ok(endpoint) => break endpoint,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let security = connect(&client, address).await.security();
        assert!(!security.resumed);
        assert_eq!(security.peer, Some(Counting::id()));
        assert_eq!(signer.count(), 2);
        assert!(connect(&client, address).await.security().resumed);
        drop(second);
    })
    .await;
}

#[tokio::test]
async fn a_server_with_another_identity_does_not_resume() {
    within(async {
        let (signer, config, server) = server("[::1]:0");
        let address = server.local_addr().unwrap();
        let client = client(&[address]);
        connect(&client, address).await;
        let falcon = Identity::falcon(signer.clone(), ["localhost"]).unwrap();
        server
            .set_identity(config.identity.with_falcon(falcon))
            .unwrap();
        assert!(!connect(&client, address).await.security().resumed);
        assert_eq!(signer.count(), 2);
    })
    .await;
}
