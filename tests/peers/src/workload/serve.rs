//! The server's part, whatever the client does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;

use super::{ANSWER, kind};
use crate::gate::{Listening, say};
use crate::transport::{Connection, ReceiveHalf, SendHalf, Server as _, Setup, Transport};

/// Serves until the process ends.
pub(crate) async fn run<T: Transport>(setup: &Setup) -> Result<()> {
    let mut server = T::server(setup).await?;
    say(&Listening {
        port: server.port()?,
        note: server.note(),
    })?;
    while let Some(connecting) = server.accept().await {
        tokio::spawn(async move {
            match connecting.await {
                Ok(connected) => match connected.runtime() {
                    Some(runtime) => drop(runtime.spawn(connection(connected))),
                    None => connection(connected).await,
                },
                Err(error) => eprintln!("a handshake failed: {error:#}"),
            }
        });
    }
    bail!("the server ended")
}

/// Until it is closed.
async fn connection<C: Connection>(connection: C) {
    let received = Arc::new(AtomicU64::new(0));
    let datagrams = tokio::spawn({
        let (connection, received) = (connection.clone(), received.clone());
        async move {
            while connection.datagram().await.is_ok() {
                received.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    while let Ok((send, receive)) = connection.accept().await {
        let received = received.clone();
        // A stream that ends otherwise belongs to a client that has gone.
        tokio::spawn(async move { stream(send, receive, &received).await.ok() });
    }
    datagrams.abort();
}

async fn stream(
    mut send: impl SendHalf,
    mut receive: impl ReceiveHalf,
    datagrams: &AtomicU64,
) -> Result<()> {
    let first = receive.read().await?.context("an empty stream")?;
    let kind = *first.first().context("an empty chunk")?;
    let mut bytes = first.len() as u64;
    while let Some(chunk) = receive.read().await? {
        bytes += chunk.len() as u64;
    }
    static REPLY: [u8; ANSWER] = [0x5a; ANSWER];
    let answer = match kind {
        kind::BULK => Bytes::copy_from_slice(&bytes.to_le_bytes()),
        kind::REQUEST => Bytes::from_static(&REPLY),
        kind::DATAGRAMS => Bytes::copy_from_slice(&datagrams.load(Ordering::Relaxed).to_le_bytes()),
        other => bail!("a stream of kind {other}"),
    };
    send.write(answer).await?;
    send.finish().await
}
