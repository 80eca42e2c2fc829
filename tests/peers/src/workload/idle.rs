//! Connections on which nothing happens any more.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Outcome;
use super::requests::ask;
use crate::gate::Gate;
use crate::transport::Client;

/// Opened before anything is counted, so that what a process needs once is there.
const BEFORE: usize = 50;
/// Counted.
const CONNECTIONS: usize = 500;
/// Until last acknowledgements are out and the buffers of handshakes are given back.
pub(crate) const SETTLED: Duration = Duration::from_secs(1);

pub(crate) async fn run<C: Client>(client: &C, gate: &mut Gate) -> Result<Outcome> {
    let mut held = Vec::with_capacity(BEFORE + CONNECTIONS);
    open(client, &mut held, BEFORE).await?;
    let begun: Instant = gate.open().await?;
    open(client, &mut held, CONNECTIONS).await?;
    // Held until the process ends: the server's memory is looked at after this one has answered.
    std::mem::forget(held);
    Ok(Outcome {
        count: Some(CONNECTIONS as u64),
        time: begun.elapsed(),
        ..Outcome::default()
    })
}

async fn open<C: Client>(client: &C, held: &mut Vec<C::Connection>, count: usize) -> Result<()> {
    for _ in 0..count {
        let connection = client.connect().await?;
        ask(&connection).await?;
        held.push(connection);
    }
    tokio::time::sleep(SETTLED).await;
    Ok(())
}
