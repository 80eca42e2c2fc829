//! Requests and answers, each on a stream of its own.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::latencies::Latencies;
use super::{ANSWER, Outcome, REQUEST, WARM, kind};
use crate::gate::Gate;
use crate::transport::{Connection, ReceiveHalf, SendHalf};

pub(crate) async fn run<C: Connection>(
    connection: C,
    in_flight: usize,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    all(&connection, in_flight, WARM).await?;
    let begun = gate.open().await?;
    let latencies = all(&connection, in_flight, time).await?;
    let outcome = latencies.outcome(begun.elapsed());
    connection.close();
    Ok(outcome)
}

async fn all<C: Connection>(connection: &C, in_flight: usize, time: Duration) -> Result<Latencies> {
    let mut asking = JoinSet::new();
    for _ in 0..in_flight {
        let connection = connection.clone();
        asking.spawn(async move {
            let mut latencies = Latencies::default();
            let end = Instant::now() + time;
            while Instant::now() < end {
                latencies.push(ask(&connection).await?);
            }
            Ok::<_, anyhow::Error>(latencies)
        });
    }
    let mut latencies = Latencies::default();
    while let Some(asked) = asking.join_next().await {
        latencies.append(asked??);
    }
    Ok(latencies)
}

/// One request; returns how long it took until its answer was there.
pub(super) async fn ask<C: Connection>(connection: &C) -> Result<Duration> {
    static QUESTION: [u8; REQUEST] = [kind::REQUEST; REQUEST];
    let begun = Instant::now();
    let (mut send, mut receive) = connection.open().await?;
    send.write(Bytes::from_static(&QUESTION)).await?;
    send.finish().await?;
    let mut received = 0;
    while let Some(chunk) = receive.read().await? {
        received += chunk.len();
    }
    ensure!(received == ANSWER, "an answer of {received} bytes");
    Ok(begun.elapsed())
}
