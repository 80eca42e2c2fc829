//! The service `echo`.

use bytes::Bytes;
use stoq_native::{Code, ReadError};
use tempfile::TempDir;

use crate::process::Server;

#[tokio::test(flavor = "multi_thread")]
async fn streams_datagrams_and_messages_come_back_as_they_went() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let (_endpoint, session) = server.connect("echo").await;

    // More than the windows hold, so both directions must move at once.
    let sent: Vec<u8> = (0..4_000_000u32).map(|i| (i % 251) as u8).collect();
    let (mut send, mut receive) = session.open_bi().await.unwrap();
    let write = async {
        send.write_all(&sent).await.unwrap();
        send.finish().unwrap();
    };
    let (back, ()) = tokio::join!(receive.read_to_end(sent.len()), write);
    assert!(back.unwrap() == sent);

    let mut send = session.open_uni().await.unwrap();
    send.write_all(b"one way").await.unwrap();
    send.finish().unwrap();
    let mut receive = session.accept_uni().await.unwrap();
    assert_eq!(receive.read_to_end(100).await.unwrap(), b"one way");

    session
        .send_datagram(Bytes::from_static(b"datagram"))
        .unwrap();
    assert_eq!(session.recv_datagram().await.unwrap(), "datagram");

    // In datagrams, which can be lost: until one comes back.
    let message = Bytes::from(vec![7; 20_000]);
    let back = loop {
        session.send_message(message.clone()).await.unwrap();
        let back = session.recv_message();
        if let Ok(back) = tokio::time::timeout(core::time::Duration::from_secs(2), back).await {
            break back.unwrap();
        }
    };
    assert!(back == message);
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_and_stops_come_back_with_their_codes() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let (_endpoint, session) = server.connect("echo").await;

    let (mut send, mut receive) = session.open_bi().await.unwrap();
    send.write_all(b"half").await.unwrap();
    let mut half = [0; 4];
    receive.read(&mut half).await.unwrap();
    send.reset(Code::new(42));
    let error = receive.read_to_end(100).await.unwrap_err();
    assert_eq!(error, ReadError::Reset(Code::new(42)));

    let (mut send, mut receive) = session.open_bi().await.unwrap();
    receive.stop(Code::new(43));
    // The server learns of it when it has something to send back.
    let stopped = async {
        while send.write_all(b"more").await.is_ok() {
            tokio::task::yield_now().await;
        }
        send.stopped().await
    };
    assert_eq!(stopped.await, Ok(Some(Code::new(43))));
}
