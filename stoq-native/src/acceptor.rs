//! The loop that takes connections from strangers.

mod rate;

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use stoq_core::close::Code;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::ServerConfig;
use crate::driver::{self, Role};
use crate::request::SessionRequest;
use crate::security::{Admitted, facts};
use rate::Rate;

/// What strangers may ask of a server before they have proved anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    handshake_timeout: Duration,
    max_connections: usize,
    retry_above: u32,
    early_data: bool,
}

impl Door {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            handshake_timeout: config.handshake_timeout,
            max_connections: config.max_connections,
            retry_above: config.retry_above,
            early_data: config.early_data,
        }
    }
}

/// Brings handshakes to their end, each in bounded time, and starts a driver for each connection. Resolves when the
/// endpoint is closed; dropped, it drops the handshakes that are not done.
pub(crate) async fn accept(
    endpoint: quinn::Endpoint,
    drivers: Arc<driver::Shared>,
    requests: mpsc::Sender<SessionRequest>,
    door: Door,
) {
    let mut handshakes = JoinSet::new();
    let mut unvalidated = Rate::new(door.retry_above, Instant::now());
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = handshakes.join_next() => continue,
        };
        let Some(incoming) = incoming else { return };
        let shutting_down = drivers.shutdown.borrow().is_some();
        let full = drivers.tasks.len() + handshakes.len() >= door.max_connections;
        if shutting_down || full || handshakes.len() >= MAX_HANDSHAKES {
            incoming.refuse();
        } else if !incoming.remote_address_validated()
            && (handshakes.len() >= RETRY_AT || !unvalidated.allows(Instant::now()))
        {
            // Whoever only pretends to be at that address never sees the answer. No signature has been made yet.
            let _ = incoming.retry();
        } else {
            let early_data = door.early_data;
            let handshake = handshake(incoming, early_data, drivers.clone(), requests.clone());
            let within = door.handshake_timeout;
            handshakes.spawn(async move {
                if timeout(within, handshake).await.is_err() {
                    tracing::debug!("handshake took too long");
                }
            });
        }
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    early_data: bool,
    drivers: Arc<driver::Shared>,
    requests: mpsc::Sender<SessionRequest>,
) {
    let peer = incoming.remote_address();
    let connection = match connect(incoming, early_data).await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(%peer, %error, "handshake failed");
            return;
        }
    };
    match Admitted::new(&connection, None, &drivers) {
        Ok(admitted) => {
            driver::start(connection, Role::Server { requests }, drivers, admitted);
        }
        Err(rejected) => {
            tracing::debug!(%peer, %rejected, "client not admitted");
            let reason = rejected.to_string();
            connection.close(Code::UNTRUSTED.value().into(), reason.as_bytes());
        }
    }
}

/// Resolves when the handshake is done; with early data, as soon as that can be taken.
///
/// Then the handshake goes on under the eyes of the driver. It says nothing to the client before the client's SETTINGS are
/// there, and whoever only repeats recorded packets cannot send any.
async fn connect(
    incoming: quinn::Incoming,
    early_data: bool,
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let mut connecting = incoming.accept()?;
    if !early_data {
        return connecting.await;
    }
    connecting.handshake_data().await?;
    let (connection, done) = match connecting.into_0rtt() {
        Ok(early) => early,
        Err(connecting) => return connecting.await,
    };
    if !facts(&connection).is_some_and(|facts| facts.early_data) {
        done.await;
    }
    connection.close_reason().map_or(Ok(connection), Err)
}

/// Handshakes at once above which an address has to prove that it is not forged, at the cost of a round trip.
const RETRY_AT: usize = 128;
/// Handshakes at once: each may cost a signature and some 20 KB until its time is up.
const MAX_HANDSHAKES: usize = 1024;
