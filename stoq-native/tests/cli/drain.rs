//! The server is asked to end.
#![cfg(unix)]

use stoq_native::{Code, ReadError, RecvStream, SendStream};
use tempfile::TempDir;

use crate::process::Server;

/// A put that is half under way.
async fn half_put(server: &mut Server, session: &stoq_native::Session) -> (SendStream, RecvStream) {
    let (mut send, receive) = session.open_bi().await.unwrap();
    let request = b"{\"op\":\"put\",\"name\":\"a\",\"size\":10}\n12345";
    send.write_all(request).await.unwrap();
    server.process.wait_for("received left=5");
    (send, receive)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_may_end_and_nothing_new_begins() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--grace", "60"]);
    let (endpoint, session) = server.connect("files").await;
    let (_idle_endpoint, idle) = server.connect("files").await;
    let (mut send, mut receive) = half_put(&mut server, &session).await;
    server.process.signal("TERM");
    assert_eq!(idle.closed().await.code, Code::GOING_AWAY);
    assert!(endpoint.connect(&server.url("files")).await.is_err());
    send.write_all(b"67890").await.unwrap();
    send.finish().unwrap();
    let answer = receive.read_to_end(4096).await.unwrap();
    assert!(answer.starts_with(b"{\"name\":\"a\",\"size\":10,"));
    assert_eq!(session.closed().await.code, Code::GOING_AWAY);
    let ended = server.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        std::fs::read(server.store.join("a")).unwrap(),
        b"1234567890"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stalls_is_ended_after_the_grace() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--grace", "1"]);
    let (_endpoint, session) = server.connect("files").await;
    let (_send, mut receive) = half_put(&mut server, &session).await;
    server.process.signal("INT");
    let error = receive.read_to_end(4096).await.unwrap_err();
    assert!(
        matches!(error, ReadError::SessionClosed(ref closed) if closed.code == Code::GOING_AWAY),
        "{error}"
    );
    let ended = server.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Server::start(&directory, &[]).assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--grace", "86400"]);
    let (_endpoint, session) = server.connect("files").await;
    let (_send, _receive) = half_put(&mut server, &session).await;
    server.process.signal("TERM");
    server.process.wait_for("draining");
    server.process.signal("TERM");
    assert_eq!(session.closed().await.code, Code::GOING_AWAY);
    let ended = server.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
