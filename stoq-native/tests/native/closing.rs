//! How sessions and connections end in order.

use std::time::Duration;

use stoq_native::{
    Closed, ClosedBy, Code, ConnectError, ReadError, Request, Session, StreamOpenError, WriteError,
};

use crate::harness::{Peers, echo, service, within};

/// The end that the other side sees.
async fn end_seen_by(other: &Session) -> (u32, String, ClosedBy) {
    let Closed { code, reason, by } = other.closed().await;
    (code.value(), reason, by)
}

#[tokio::test]
async fn code_and_reason_go_both_ways() {
    within(async {
        let peers = Peers::new();
        let reason = "naïve ✓".repeat(20);
        for by_client in [true, false] {
            let (client, server) = peers.session().await;
            let (closer, other) = if by_client {
                (client, server)
            } else {
                (server, client)
            };
            closer.close(Code::new(4_000_000_000), &reason);
            closer.close(Code::new(1), "the first close stands");
            assert_eq!(
                end_seen_by(&other).await,
                (4_000_000_000, reason.clone(), ClosedBy::Peer)
            );
            assert_eq!(
                end_seen_by(&closer).await,
                (4_000_000_000, reason.clone(), ClosedBy::Local)
            );
            assert_eq!(other.connection().closed().await, other.closed().await);
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn all_that_waits_for_a_session_learns_of_its_end() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let pairs = [peers.session().await, peers.multiplexed(&connection).await];
        for (client, server) in pairs {
            let (mut send, mut receive) = client.open_bi().await.unwrap();
            let _held = server.accept_bi().await.unwrap();
            let closing = async {
                tokio::task::yield_now().await;
                server.close(Code::new(9), "over");
            };
            let (read, stopped, bi, uni, datagram, ()) = tokio::join!(
                receive.read_chunk(1),
                send.stopped(),
                client.accept_bi(),
                client.accept_uni(),
                client.recv_datagram(),
                closing,
            );
            let closed = Closed {
                code: Code::new(9),
                reason: "over".into(),
                by: ClosedBy::Peer,
            };
            assert_eq!(read, Err(ReadError::SessionClosed(closed.clone())));
            assert_eq!(stopped, Err(closed.clone()));
            assert_eq!(bi.unwrap_err(), closed);
            assert_eq!(uni.unwrap_err(), closed);
            assert_eq!(datagram, Err(closed.clone()));
            assert_eq!(
                send.write(b"x").await,
                Err(WriteError::SessionClosed(closed.clone()))
            );
            assert_eq!(
                client.open_bi().await.unwrap_err(),
                StreamOpenError::SessionClosed(closed.clone())
            );
            assert_eq!(client.ping().await.unwrap_err().code(), Code::new(9));
            assert_eq!(client.close_reason(), Some(closed));
        }
        assert!(connection.is_open(), "only the sessions have ended");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_came_before_a_close_can_still_be_taken() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        for round in 0..20 {
            let (client, server) = match round % 2 {
                0 => peers.session().await,
                _ => peers.multiplexed(&connection).await,
            };
            for _ in 0..10 {
                let mut send = client.open_uni().await.unwrap();
                send.write_all(b"last words").await.unwrap();
                send.finish().unwrap();
                assert_eq!(send.stopped().await, Ok(None));
            }
            client.send_datagram("a last one".into()).unwrap();
            client.ping().await.unwrap();
            client.close(Code::NO_ERROR, "");
            let closed = server.closed().await;
            for _ in 0..10 {
                let mut receive = server.accept_uni().await.unwrap();
                assert_eq!(receive.read_to_end(10).await.unwrap(), b"last words");
            }
            assert_eq!(server.accept_uni().await.unwrap_err(), closed);
            assert_eq!(server.recv_datagram().await.unwrap(), "a last one");
            assert_eq!(server.recv_datagram().await, Err(closed));
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_last_handle_closes() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        // On a connection of its own: streams are handles too.
        let (client, server) = peers.session().await;
        let (send, receive) = client.open_bi().await.unwrap();
        let clone = client.clone();
        drop(client);
        drop((clone, receive));
        assert!(server.accept_bi().await.is_ok());
        assert_eq!(server.close_reason(), None);
        drop(send);
        assert_eq!(
            end_seen_by(&server).await,
            (0, String::new(), ClosedBy::Peer)
        );
        // Multiplexed: the session ends, not the connection.
        let (client, server) = peers.multiplexed(&connection).await;
        drop(client);
        assert_eq!(
            end_seen_by(&server).await,
            (0, String::new(), ClosedBy::Peer)
        );
        let (client, server) = peers.multiplexed(&connection).await;
        drop(server);
        assert_eq!(
            end_seen_by(&client).await,
            (0, String::new(), ClosedBy::Peer)
        );
        drop(client);
        let (client, server) = peers.multiplexed(&connection).await;
        drop(connection);
        let ended = client.connection().clone();
        assert!(ended.is_open(), "its session holds the connection");
        drop((client, ended));
        assert_eq!(
            end_seen_by(&server).await,
            (0, String::new(), ClosedBy::Peer)
        );
        peers.client.wait_idle().await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn closing_a_connection_closes_its_sessions() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        connection.close(Code::new(5), "all of it");
        for (session, by) in [(client, ClosedBy::Local), (server, ClosedBy::Peer)] {
            assert_eq!(end_seen_by(&session).await, (5, "all of it".into(), by));
        }
        let error = connection
            .open_session(Request::new(service("test")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::new(5));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn closing_an_endpoint_closes_everything() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        peers.server.close(Code::new(6), "end of work");
        assert_eq!(
            end_seen_by(&client).await,
            (6, "end of work".into(), ClosedBy::Peer)
        );
        assert_eq!(
            end_seen_by(&server).await,
            (6, "end of work".into(), ClosedBy::Local)
        );
        assert!(peers.server.accept().await.is_none());
        peers.client.close(Code::NO_ERROR, "");
        let error = peers.client.connect(&peers.url("test")).await.unwrap_err();
        assert!(matches!(error, ConnectError::EndpointClosed), "{error}");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn shutdown_lets_sessions_end() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let (own_client, own_server) = peers.session().await;
        let echoes = [tokio::spawn(echo(server)), tokio::spawn(echo(own_server))];
        let server = peers.server.clone();
        let shutdown = tokio::spawn(async move { server.shutdown(Duration::from_secs(60)).await });

        assert_eq!(connection.going_away().await.code, Code::GOING_AWAY);
        assert!(connection.is_open() && !connection.takes_sessions());
        let error = connection
            .open_session(Request::new(service("test")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::GOING_AWAY);
        assert!(peers.client.connect(&peers.url("test")).await.is_err());
        for session in [&client, &own_client] {
            let (mut send, mut receive) = session.open_bi().await.unwrap();
            send.write_all(b"still here").await.unwrap();
            send.finish().unwrap();
            assert_eq!(receive.read_to_end(10).await.unwrap(), b"still here");
            session.close(Code::NO_ERROR, "");
        }
        shutdown.await.unwrap();
        for echo in echoes {
            echo.await.unwrap();
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn shutdown_ends_what_does_not_end() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        peers.server.shutdown(Duration::ZERO).await;
        assert_eq!(client.closed().await.code, Code::GOING_AWAY);
        assert_eq!(server.closed().await.code, Code::GOING_AWAY);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn pings_come_back() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let (there, back) = tokio::join!(client.ping(), server.ping());
        assert!(
            there.unwrap() < Duration::from_secs(60) && back.unwrap() < Duration::from_secs(60)
        );
        peers.close().await;
    })
    .await;
}
