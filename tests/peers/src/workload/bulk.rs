//! Bytes from the client to the server, as many as go.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Outcome, WARM, kind};
use crate::gate::Gate;
use crate::transport::{Client, Connection, ReceiveHalf, SendHalf};

/// Bytes that are handed over at once: as much as one batch of packets.
const BLOCK: usize = 64 * 1024;

pub(crate) async fn run<C: Client>(
    client: &C,
    connections: usize,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(client.connect().await?);
    }
    all(&opened, WARM).await?;
    let begun = gate.open().await?;
    let bytes = all(&opened, time).await?;
    let time = begun.elapsed();
    let packet = opened.iter().filter_map(Connection::packet).min();
    opened.iter().for_each(Connection::close);
    Ok(Outcome {
        bytes: Some(bytes),
        packet,
        time,
        ..Outcome::default()
    })
}

async fn all<C: Connection>(connections: &[C], time: Duration) -> Result<u64> {
    let mut pushing = JoinSet::new();
    for connection in connections {
        pushing.spawn(push(connection.clone(), time));
    }
    let mut bytes = 0;
    while let Some(pushed) = pushing.join_next().await {
        bytes += pushed??;
    }
    Ok(bytes)
}

/// Sends for a time, and returns how many bytes the server says that it has received.
async fn push<C: Connection>(connection: C, time: Duration) -> Result<u64> {
    let (mut send, mut receive) = connection.open().await?;
    send.write(Bytes::from_static(&[kind::BULK])).await?;
    let block = Bytes::from(vec![0x5a; BLOCK]);
    let end = Instant::now() + time;
    while Instant::now() < end {
        send.write(block.clone()).await?;
    }
    send.finish().await?;
    number(&mut receive).await
}

/// The number that is the server's answer.
pub(super) async fn number(receive: &mut impl ReceiveHalf) -> Result<u64> {
    let mut answer = Vec::new();
    while let Some(chunk) = receive.read().await? {
        answer.extend_from_slice(&chunk);
    }
    let answer = answer.try_into().ok().context("a number has 8 bytes")?;
    Ok(u64::from_le_bytes(answer))
}
