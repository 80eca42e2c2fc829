//! The loop that takes connections from strangers.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::driver::{self, Role};
use crate::request::SessionRequest;

/// Brings handshakes to their end, each in bounded time, and starts a driver for each connection. Resolves when the
/// endpoint is closed; dropped, it drops the handshakes that are not done.
pub(crate) async fn accept(
    endpoint: quinn::Endpoint,
    drivers: Arc<driver::Shared>,
    requests: mpsc::Sender<SessionRequest>,
    handshake_timeout: Duration,
    max_connections: usize,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = handshakes.join_next() => continue,
        };
        let Some(incoming) = incoming else { return };
        let shutting_down = drivers.shutdown.borrow().is_some();
        let full = drivers.tasks.len() + handshakes.len() >= max_connections;
        if shutting_down || full || handshakes.len() >= MAX_HANDSHAKES {
            incoming.refuse();
        } else if handshakes.len() >= RETRY_ABOVE && !incoming.remote_address_validated() {
            // Whoever only pretends to be at that address never sees the answer.
            let _ = incoming.retry();
        } else {
            let (drivers, requests) = (drivers.clone(), requests.clone());
            handshakes.spawn(async move {
                match timeout(handshake_timeout, incoming.into_future()).await {
                    Ok(Ok(connection)) => {
                        driver::start(connection, Role::Server { requests }, drivers);
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
                    Err(_) => tracing::debug!("handshake took too long"),
                }
            });
        }
    }
}

/// Handshakes at once above which an address has to prove that it is not forged, at the cost of a round trip.
const RETRY_ABOVE: usize = 128;
/// Handshakes at once: each may cost a signature and some 20 KB until its time is up.
const MAX_HANDSHAKES: usize = 1024;
