//! A client that is elsewhere all at once: by its own will, or by that of a NAT.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use stoq_native::{BindError, ClosedBy, Code, KeepAlive, Session};

use crate::harness::{Peers, pattern, until, within};
use crate::road::Road;
use crate::transfer::{Both, LENGTH};

/// Streams, datagrams and messages go both ways.
async fn all_goes_on(client: &Session, server: &Session) {
    for (from, to) in [(client, server), (server, client)] {
        let mut send = from.open_uni().await.unwrap();
        send.write_all(b"a stream").await.unwrap();
        send.finish().unwrap();
        let mut receive = to.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(8).await.unwrap(), b"a stream");
        // Nothing makes up for datagrams that are lost, so they are sent until one arrives.
        let datagram = async {
            loop {
                from.send_datagram("a datagram".into()).unwrap();
                from.ping().await.unwrap();
            }
        };
        tokio::select! {
            came = to.recv_datagram() => assert_eq!(came.unwrap(), "a datagram"),
            () = datagram => {}
        }
        let message = Bytes::from(pattern(20_000));
        let messages = async {
            loop {
                from.send_message(message.clone()).await.unwrap();
                from.ping().await.unwrap();
            }
        };
        tokio::select! {
            came = to.recv_message() => assert!(came.unwrap() == message),
            () = messages => {}
        }
    }
}

#[tokio::test]
async fn a_transfer_goes_on_from_a_new_socket() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let (other_client, other_server) = peers.multiplexed(&connection).await;
        let content = pattern(LENGTH);
        let both = Both::new(&content);
        let moving = async {
            for quarters in [1, 2] {
                both.have(quarters).await;
                let before = (peers.client.local_addr().unwrap(), port(&server));
                peers.client.rebind().unwrap();
                let now = peers.client.local_addr().unwrap();
                assert_ne!(now, before.0);
                until_at(&server, now).await;
                assert_ne!(port(&server), before.1);
                all_goes_on(&other_client, &other_server).await;
            }
            both.may_end();
        };
        tokio::join!(both.run(&client, &server), moving);
        assert_eq!(peers.client.stats().connections_opened, 1);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn connections_of_their_own_move_together() {
    within(async {
        let peers = Peers::new();
        let pairs = [peers.session().await, peers.session().await];
        peers.client.rebind().unwrap();
        let now = peers.client.local_addr().unwrap();
        for (client, server) in &pairs {
            all_goes_on(client, server).await;
            assert_eq!(port(server), now.port());
        }
        let (client, server) = peers.session().await;
        all_goes_on(&client, &server).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_transfer_goes_on_when_a_nat_gives_it_another_port() {
    within(async {
        let peers = Peers::new();
        let road = Road::to(peers.address()).await;
        let url = format!("stoq://{}/test", road.address);
        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(peers.client.connect(&url), accept);
        let client = client.unwrap();
        let content = pattern(LENGTH);
        let both = Both::new(&content);
        let moving = async {
            for quarters in [1, 2] {
                both.have(quarters).await;
                let before = port(&server);
                road.moves().await;
                until(|| port(&server) != before).await;
            }
            both.may_end();
        };
        tokio::join!(both.run(&client, &server), moving);
        all_goes_on(&client, &server).await;
        assert_eq!(client.connection().remote_address(), road.address);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_migration_hears_no_more() {
    within(async {
        let idle = Duration::from_millis(700);
        let peers = Peers::with(|server, client| {
            server.transport.migration = false;
            for transport in [&mut server.transport, &mut client.transport] {
                transport.idle_timeout = idle;
                transport.keep_alive = KeepAlive::Every(idle / 5);
            }
        });
        let (client, server) = peers.session().await;
        let before = server.connection().remote_address();
        client.ping().await.unwrap();
        peers.client.rebind().unwrap();
        let closed = server.closed().await;
        assert_eq!((closed.code, closed.by), (Code::TIMEOUT, ClosedBy::Path));
        // Its time is up too, or it hears first that the server has forgotten it (RFC 9000, section 10.3).
        let closed = client.closed().await;
        assert_eq!(closed.by, ClosedBy::Path);
        assert!(
            [Code::TIMEOUT, Code::CONNECTION_LOST].contains(&closed.code),
            "{closed}"
        );
        assert_eq!(server.connection().remote_address(), before);
        // It is the connection that cannot move, not the client.
        let (client, _server) = peers.session().await;
        client.ping().await.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_does_not_move() {
    let peers = Peers::new();
    let before = peers.server.local_addr().unwrap();
    let error = peers.server.rebind().unwrap_err();
    assert!(matches!(error, BindError::NotAClient), "{error}");
    assert_eq!(peers.server.local_addr().unwrap(), before);
}

#[tokio::test]
async fn a_client_moves_wherever_it_is_asked_to() {
    within(async {
        let peers = Peers::new();
        let (client, _server) = peers.session().await;
        let endpoint = peers.client.clone();
        // No runtime there: the socket goes to the endpoint's own.
        let outside = std::thread::spawn(move || endpoint.rebind());
        outside.join().unwrap().unwrap();
        client.ping().await.unwrap();
        peers.close().await;
    })
    .await;
}

fn port(session: &Session) -> u16 {
    session.connection().remote_address().port()
}

/// Waits until a session's client is seen at the port of this address.
async fn until_at(session: &Session, address: SocketAddr) {
    until(|| port(session) == address.port()).await;
}
