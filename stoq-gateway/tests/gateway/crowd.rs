//! Many HTTP connections at once.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use stoq_gateway::Gateway;
use stoq_gateway::config::Http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::target::Target;
use crate::{config, http, within};

/// A connection from this address of the machine, which has asked for a file and reads nothing. `None` if it was closed.
async fn reader_of_nothing(gateway: &Gateway, from: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    // So that the answer waits on the gateway's side.
    socket.set_recv_buffer_size(4096).unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    let mut stream = socket.connect(gateway.http_addr().unwrap()).await.unwrap();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .ok()?;
    // The first byte shows that it has a place.
    let mut first = [0];
    let length = stream.read(&mut first).await.ok()?;
    (length == 1).then_some(stream)
}

#[tokio::test]
async fn one_address_that_reads_nothing_keeps_nobody_else_out() {
    within(async {
        let target = Target::start().await;
        let folder = tempfile::tempdir().unwrap();
        let large = std::fs::File::create(folder.path().join("large")).unwrap();
        large.set_len(64 * 1024 * 1024).unwrap();
        let mut config = config(&target, &["echo"]);
        config.http = Some(Http {
            listen: "127.0.0.1:0".parse().unwrap(),
            root: Some(folder.path().into()),
        });
        config.limits.max_http_connections = NonZeroU32::new(4).unwrap();
        config.limits.max_http_connections_per_address = NonZeroU32::new(2).unwrap();
        let gateway = Gateway::bind(config).await.unwrap();

        let mut held = Vec::new();
        for _ in 0..6 {
            held.extend(reader_of_nothing(&gateway, "127.0.0.2").await);
        }
        assert_eq!(held.len(), 2, "its share");
        for _ in 0..4 {
            let (header, _) = http(&gateway, "/stoq.json").await;
            assert!(header.starts_with("HTTP/1.1 200"), "{header}");
        }
        // When one of its connections has ended, there is room for it again.
        held.pop();
        while held.len() < 2 {
            held.extend(reader_of_nothing(&gateway, "127.0.0.2").await);
        }
    })
    .await;
}
