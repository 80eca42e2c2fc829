//! Connections one after the other: a full handshake, one request and its answer (so that the server's end is complete as well), a close.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::latencies::Latencies;
use super::requests::ask;
use super::{Outcome, WARM};
use crate::gate::Gate;
use crate::transport::{Client, Connection as _};

/// At once: enough that both processes always have something to do.
const AT_ONCE: usize = 8;

pub(crate) async fn run<C: Client>(client: C, time: Duration, gate: &mut Gate) -> Result<Outcome> {
    let client = Arc::new(client);
    all(&client, WARM).await?;
    let begun = gate.open().await?;
    let latencies = all(&client, time).await?;
    Ok(latencies.outcome(begun.elapsed()))
}

async fn all<C: Client>(client: &Arc<C>, time: Duration) -> Result<Latencies> {
    let mut connecting = JoinSet::new();
    for _ in 0..AT_ONCE {
        let client = client.clone();
        connecting.spawn(async move {
            let mut latencies = Latencies::default();
            let end = Instant::now() + time;
            while Instant::now() < end {
                let begun = Instant::now();
                let connection = client.connect().await?;
                ask(&connection).await?;
                latencies.push(begun.elapsed());
                connection.close();
            }
            Ok::<_, anyhow::Error>(latencies)
        });
    }
    let mut latencies = Latencies::default();
    while let Some(connected) = connecting.join_next().await {
        latencies.append(connected??);
    }
    Ok(latencies)
}
