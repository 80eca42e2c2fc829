//! Many sessions on one connection: none may stand in another's way.

use bytes::Bytes;
use stoq_native::{Code, Limits, ReadError, Session};

use crate::harness::{Peers, echo, pattern, until, waits, within};

/// Sends `data` through an echo and compares.
async fn transfer(session: &Session, data: &Bytes) {
    let (mut send, mut receive) = session.open_bi().await.unwrap();
    let sent = data.clone();
    let (sending, received) = tokio::join!(
        async {
            send.write_chunk(sent).await.unwrap();
            send.finish().unwrap();
        },
        receive.read_to_end(data.len()),
    );
    let () = sending;
    assert!(received.unwrap() == *data);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_connection_run_side_by_side() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (client, server) = peers.multiplexed(&connection).await;
            tasks.spawn(echo(server));
            tasks.spawn(async move {
                transfer(&client, &pattern(500_000).into()).await;
                client.close(Code::NO_ERROR, "");
            });
        }
        tasks.join_all().await;
        until(|| connection.session_count() == 0).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_read_stalls_no_other() {
    within(async {
        let mut limits = Limits::default();
        limits.stream_window = 64 * 1024;
        limits.max_streams = 16;
        let peers = Peers::with_limits(limits);
        let connection = peers.connection().await;
        let (stalled, _not_read) = peers.multiplexed(&connection).await;
        let (client, server) = peers.multiplexed(&connection).await;
        let echo = tokio::spawn(echo(server));

        // Every stream that the stalled session may have, each with its window full, in both directions.
        let full = vec![0; limits.stream_window as usize - 16];
        let mut held = Vec::new();
        for _ in 0..limits.max_streams {
            let (mut send, receive) = stalled.open_bi().await.unwrap();
            send.write_all(&full).await.unwrap();
            while !waits(send.write(b"x")).await {}
            held.push((send, receive));
        }
        assert!(waits(stalled.open_bi()).await, "its allowance is used up");

        transfer(&client, &pattern(8 << 20).into()).await;
        client.close(Code::NO_ERROR, "");
        echo.await.unwrap();
        assert_eq!(stalled.close_reason(), None);
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_accepted_stalls_no_other() {
    within(async {
        let mut limits = Limits::default();
        limits.max_streams = 4;
        let peers = Peers::with_limits(limits);
        let connection = peers.connection().await;
        let (piling, not_accepted) = peers.multiplexed(&connection).await;
        let (client, server) = peers.multiplexed(&connection).await;
        let echo = tokio::spawn(echo(server));
        let one_more = async || {
            let mut send = piling.open_uni().await?;
            send.write_all(b"whole").await?;
            send.finish()?;
            // The stop of the one too many may overtake the session's close.
            match send.stopped().await? {
                None => Ok::<(), Box<dyn std::error::Error>>(()),
                Some(code) => Err(format!("stopped with {code}").into()),
            }
        };
        // Streams that have arrived whole leave the opener's allowance, so they pile up. None is lost.
        for _ in 0..8 * limits.max_streams {
            one_more().await.unwrap();
        }
        for _ in 0..32 {
            transfer(&client, &Bytes::from_static(b"not in the way")).await;
        }
        for _ in 0..8 * limits.max_streams {
            let mut receive = not_accepted.accept_uni().await.unwrap();
            assert_eq!(receive.read_to_end(5).await.unwrap(), b"whole");
        }
        // There is room again; but not without end.
        while one_more().await.is_ok() {}
        assert_eq!(piling.closed().await.code, Code::LIMIT);
        assert_eq!(not_accepted.closed().await.code, Code::LIMIT);
        transfer(&client, &Bytes::from_static(b"unharmed")).await;
        client.close(Code::NO_ERROR, "");
        echo.await.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn streams_end_with_their_session() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let (other, other_server) = peers.multiplexed(&connection).await;
        let (mut send, _receive) = client.open_bi().await.unwrap();
        let (back, mut there) = server.accept_bi().await.unwrap();
        let waiting = server.accept_uni();
        let _waits_to_be_accepted = client.open_uni().await.unwrap();

        client.close(Code::new(77), "");
        let closed = server.closed().await;
        assert_eq!(there.read_chunk(1).await, Err(ReadError::SessionClosed(closed.clone())));
        assert_eq!(back.stopped().await, Err(closed.clone()));
        assert!(matches!(send.write(b"x").await, Err(stoq_native::WriteError::SessionClosed(own)) if own.code == Code::new(77)));
        // The stream that was on its way may have been first.
        let _ = waiting.await;
        assert_eq!(server.accept_uni().await.unwrap_err(), closed);

        let (mut send, _) = other.open_bi().await.unwrap();
        send.write_all(b"unharmed").await.unwrap();
        send.finish().unwrap();
        let (_, mut receive) = other_server.accept_bi().await.unwrap();
        assert_eq!(receive.read_to_end(8).await.unwrap(), b"unharmed");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_thousand_sessions_one_after_the_other_leave_nothing() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = tasks();
        for _ in 0..1000 {
            let (client, server) = peers.multiplexed(&connection).await;
            let (mut send, mut receive) = client.open_bi().await.unwrap();
            let (mut back, mut there) = server.accept_bi().await.unwrap();
            send.finish().unwrap();
            back.finish().unwrap();
            there.read_to_end(0).await.unwrap();
            receive.read_to_end(0).await.unwrap();
            client.close(Code::NO_ERROR, "");
            server.closed().await;
        }
        until(|| tasks() <= before && connection.session_count() == 0).await;
        peers.close().await;
    })
    .await;
}
