//! Datagrams from the client to the server, as many as go.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::bulk::number;
use super::{Outcome, WARM, kind};
use crate::gate::Gate;
use crate::transport::{Connection, SendHalf as _};

/// Bytes of a packet that are not the datagram's: as many as every subject can do with, so that all send the same.
pub(crate) const OVERHEAD: u16 = 64;

/// What may pass until packets have grown to the size that is asked for: round trips, on a machine that may be busy.
const DISCOVERY: Duration = Duration::from_secs(3);

pub(crate) async fn run<C: Connection>(
    connection: C,
    mtu: u16,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    let size = usize::from(mtu - OVERHEAD);
    let block = Bytes::from(vec![0x5a; size]);
    // A path that is still being looked at may not carry it yet.
    let patience = Instant::now() + DISCOVERY;
    while connection.max_datagram() < size && Instant::now() < patience {
        super::requests::ask(&connection).await?;
    }
    let max = connection.max_datagram();
    ensure!(size <= max, "datagrams have at most {max} bytes here");
    push(&connection, &block, WARM).await?;
    let before = received(&connection).await?;
    let begun = gate.open().await?;
    let sent = push(&connection, &block, time).await?;
    let after = received(&connection).await?;
    let time = begun.elapsed();
    connection.close();
    Ok(Outcome {
        count: Some(after - before),
        bytes: Some((after - before) * size as u64),
        sent: Some(sent),
        time,
        ..Outcome::default()
    })
}

async fn push<C: Connection>(connection: &C, block: &Bytes, time: Duration) -> Result<u64> {
    let end = Instant::now() + time;
    let mut sent = 0;
    while Instant::now() < end {
        connection.send_datagram(block.clone()).await?;
        sent += 1;
    }
    Ok(sent)
}

/// What the server has received so far.
async fn received<C: Connection>(connection: &C) -> Result<u64> {
    let (mut send, mut receive) = connection.open().await?;
    send.write(Bytes::from_static(&[kind::DATAGRAMS])).await?;
    send.finish().await?;
    number(&mut receive).await
}
