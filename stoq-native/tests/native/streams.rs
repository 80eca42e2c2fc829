//! What streams carry, and how they end.

use bytes::Bytes;
use stoq_native::{Code, ReadError, WriteError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Peers, echo, pattern, waits, within};

#[tokio::test(flavor = "multi_thread")]
async fn echo_of_megabytes_is_equal() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let echo = tokio::spawn(echo(server));
        let data = Bytes::from(pattern(8 << 20));
        let (mut send, mut receive) = client.open_bi().await.unwrap();
        let sent = data.clone();
        let sending = tokio::spawn(async move {
            send.write_chunk(sent).await.unwrap();
            send.finish().unwrap();
        });
        assert!(receive.read_to_end(data.len()).await.unwrap() == data);
        sending.await.unwrap();
        client.close(Code::NO_ERROR, "");
        echo.await.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn each_half_ends_on_its_own() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let (mut send, mut receive) = client.open_bi().await.unwrap();
        let (mut back, mut there) = server.accept_bi().await.unwrap();

        send.finish().unwrap();
        assert_eq!(there.read_to_end(0).await.unwrap(), b"");
        assert_eq!(
            there.read(&mut [0]).await.unwrap(),
            None,
            "the end stays the end"
        );
        // The request is over; the answer is written and read all the same.
        back.write_all(b"answer").await.unwrap();
        back.finish().unwrap();
        assert_eq!(receive.read_to_end(6).await.unwrap(), b"answer");
        assert_eq!(send.write(b"more").await, Err(WriteError::ClosedStream));
        assert!(send.finish().is_err());
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn codes_of_reset_and_stop_arrive() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let (mut send, mut receive) = client.open_bi().await.unwrap();
        let (mut back, mut there) = server.accept_bi().await.unwrap();

        send.reset(Code::new(7));
        assert_eq!(
            there.read(&mut [0]).await,
            Err(ReadError::Reset(Code::new(7)))
        );
        assert_eq!(
            there.read(&mut [0]).await,
            Err(ReadError::ClosedStream),
            "a reset is never an end"
        );
        receive.stop(Code::new(u32::MAX));
        assert_eq!(
            receive.read(&mut [0]).await,
            Err(ReadError::ClosedStream),
            "nor is a stop"
        );
        assert_eq!(back.stopped().await, Ok(Some(Code::new(u32::MAX))));
        assert_eq!(
            back.write(b"x").await,
            Err(WriteError::Stopped(Code::new(u32::MAX)))
        );
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_dropped_unfinished_is_cancelled() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let (mut send, receive) = client.open_bi().await.unwrap();
        send.write_all(b"half of it").await.unwrap();
        let (back, mut there) = server.accept_bi().await.unwrap();
        drop(receive);
        assert_eq!(back.stopped().await, Ok(Some(Code::CANCELLED)));
        drop(send);
        let error = there.read_to_end(usize::MAX).await.unwrap_err();
        assert_eq!(error, ReadError::Reset(Code::CANCELLED));

        // Cancelled by a select, a timeout, an abort: the same.
        let upload = client.open_uni().await.unwrap();
        let mut arriving = server.accept_uni().await.unwrap();
        let task = tokio::spawn(async move {
            let upload = upload;
            upload.stopped().await
        });
        task.abort();
        assert_eq!(
            arriving.read_to_end(9).await,
            Err(ReadError::Reset(Code::CANCELLED))
        );
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_dropped_finished_still_arrives() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let data = pattern(300_000);
        let mut send = client.open_uni().await.unwrap();
        send.write_all(&data).await.unwrap();
        send.finish().unwrap();
        drop(send);
        let mut receive = server.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(data.len()).await.unwrap(), data);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn too_much_is_an_error_not_a_cut() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"12345").await.unwrap();
        send.finish().unwrap();
        let mut receive = server.accept_uni().await.unwrap();
        assert_eq!(
            receive.read_to_end(4).await,
            Err(ReadError::TooLong { limit: 4 })
        );
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn streams_are_tokio_io() {
    within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let (mut send, mut receive) = client.open_bi().await.unwrap();
        AsyncWriteExt::write_all(&mut send, b"line\n")
            .await
            .unwrap();
        send.shutdown().await.unwrap();
        send.shutdown().await.unwrap();
        let (mut back, mut there) = server.accept_bi().await.unwrap();
        let mut text = String::new();
        there.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "line\n");
        back.reset(Code::new(3));
        let error = receive.read_to_string(&mut text).await.unwrap_err();
        let inner = error
            .get_ref()
            .and_then(|error| error.downcast_ref::<ReadError>());
        assert_eq!(inner, Some(&ReadError::Reset(Code::new(3))));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_opener_waits_for_a_stream_to_end() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.max_streams = 2);
        let (client, server) = peers.session().await;
        let mut open = Vec::new();
        // QUIC's bound has a few to spare.
        while !waits(client.open_bi()).await {
            open.push(client.open_bi().await.unwrap());
        }
        assert!((2..20).contains(&open.len()), "{}", open.len());
        let next = client.open_bi();
        open.remove(0);
        let (_, one) = tokio::join!(async { drop(server.accept_bi().await.unwrap()) }, next);
        one.unwrap();
        peers.close().await;
    })
    .await;
}
