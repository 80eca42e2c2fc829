//! The loop that takes connections from strangers.

mod crowd;
mod early;
mod rate;

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use stoq_core::close::Code;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::ServerConfig;
use crate::driver::{self, Role, Unintroduced};
use crate::rejection::IdentityRejected;
use crate::request::SessionRequest;
use crate::security::{Admitted, facts};
use crate::transport::TransportConfig;
use crowd::{Crowd, network};
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

/// What each connection is accepted with.
#[derive(Clone, Debug)]
pub(crate) struct Welcomes {
    server: watch::Receiver<quinn::ServerConfig>,
    transport: TransportConfig,
}

impl Welcomes {
    /// As the server is now, with connections that work like that. What was [checked](TransportConfig::check).
    pub(crate) fn new(
        server: watch::Receiver<quinn::ServerConfig>,
        transport: TransportConfig,
    ) -> Self {
        Self { server, transport }
    }

    /// For one connection, because each has a controller of its own.
    fn next(&self) -> Arc<quinn::ServerConfig> {
        let mut server = self.server.borrow().clone();
        server.transport_config(Arc::new(self.transport.quinn(quinn::Side::Server)));
        Arc::new(server)
    }
}

/// Brings handshakes to their end, each in bounded time, and starts a driver for each connection. Resolves when the
/// endpoint is closed; dropped, it drops the handshakes that are not done.
pub(crate) async fn accept(
    endpoint: quinn::Endpoint,
    drivers: Arc<driver::Shared>,
    requests: mpsc::Sender<SessionRequest>,
    door: Door,
    welcomes: Welcomes,
) {
    // Each ends with the network that it came from.
    let mut handshakes = JoinSet::new();
    let mut crowd = Crowd::default();
    let mut unvalidated = Rate::new(door.retry_above, Instant::now());
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(ended) = handshakes.join_next() => {
                // Only a panic does not say whose it was, and it has been reported.
                ended.into_iter().for_each(|network| crowd.leave(network));
                continue;
            }
        };
        let Some(incoming) = incoming else { return };
        let shutting_down = drivers.shutdown.borrow().is_some();
        let full = drivers.tasks.len() + handshakes.len() >= door.max_connections;
        let network = network(incoming.remote_address().ip());
        let proven = incoming.remote_address_validated();
        if shutting_down
            || full
            || handshakes.len() >= MAX_HANDSHAKES
            || proven && crowd.from(network) >= MAX_OF_NETWORK
        {
            drivers.counters.handshake_refused();
            incoming.refuse();
        } else if !proven && (handshakes.len() >= RETRY_AT || !unvalidated.allows(Instant::now())) {
            // Whoever only pretends to be at that address never sees the answer. No signature has been made yet.
            drivers.counters.retried();
            let _ = incoming.retry();
        } else {
            let early_data = door.early_data;
            let welcome = welcomes.next();
            let requests = requests.clone();
            let handshake = handshake(incoming, welcome, early_data, drivers.clone(), requests);
            let within = door.handshake_timeout;
            let counters = drivers.counters.clone();
            crowd.enter(network);
            handshakes.spawn(async move {
                if timeout(within, handshake).await.is_err() {
                    counters.handshake_failed(Code::TIMEOUT);
                    tracing::debug!("handshake took too long");
                }
                network
            });
        }
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    welcome: Arc<quinn::ServerConfig>,
    early_data: bool,
    drivers: Arc<driver::Shared>,
    requests: mpsc::Sender<SessionRequest>,
) {
    let peer = incoming.remote_address();
    match admit(incoming, welcome, early_data, &drivers).await {
        Ok((connection, admitted, waiting)) => {
            let role = Role::Server { requests, waiting };
            driver::start(connection, role, drivers, admitted);
        }
        Err(NotAdmitted::Handshake(error)) => {
            drivers.counters.handshake_failed(Code::HANDSHAKE);
            tracing::debug!(%peer, %error, "handshake failed");
        }
        Err(NotAdmitted::Peer(connection, rejected)) => {
            drivers.counters.handshake_failed(Code::UNTRUSTED);
            tracing::debug!(%peer, %rejected, "client not admitted");
            let reason = rejected.to_string();
            connection.close(Code::UNTRUSTED.value().into(), reason.as_bytes());
        }
    }
}

/// Closes the connection when it is dropped: requests that were handed over would keep it open when the handshake takes too
/// long.
struct Unfinished<'a>(&'a quinn::Connection);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.close(Code::TIMEOUT.value().into(), b"");
    }
}

/// Why a stranger does not become a peer.
enum NotAdmitted {
    Handshake(quinn::ConnectionError),
    Peer(quinn::Connection, IdentityRejected),
}

impl From<quinn::ConnectionError> for NotAdmitted {
    fn from(error: quinn::ConnectionError) -> Self {
        Self::Handshake(error)
    }
}

/// Resolves when the handshake is done and the client was judged; takes early data meanwhile, if there is some.
async fn admit(
    incoming: quinn::Incoming,
    welcome: Arc<quinn::ServerConfig>,
    early_data: bool,
    drivers: &driver::Shared,
) -> Result<(quinn::Connection, Admitted, Unintroduced), NotAdmitted> {
    let mut connecting = incoming.accept_with(welcome)?;
    if early_data {
        connecting.handshake_data().await?;
    }
    let begun = if early_data {
        connecting.into_0rtt()
    } else {
        Err(connecting)
    };
    let (connection, early) = match begun {
        Err(connecting) => (connecting.await?, None),
        Ok((connection, done)) if facts(&connection).is_some_and(|facts| facts.early_data) => {
            (connection, Some(done))
        }
        Ok((connection, done)) => {
            done.await;
            connection.close_reason().map_or(Ok(()), Err)?;
            (connection, None)
        }
    };
    // With early data, this judges what the client showed in the session that it resumes.
    let mut admitted = match Admitted::new(&connection, None, drivers) {
        Ok(admitted) => admitted,
        Err(rejected) => return Err(NotAdmitted::Peer(connection, rejected)),
    };
    let Some(done) = early else {
        return Ok((connection, admitted, Unintroduced::default()));
    };
    let unfinished = Unfinished(&connection);
    let judged = tokio::select! {
        waiting = early::until_done(&connection, done, drivers) => Ok(waiting),
        rejected = admitted.revoked() => Err(rejected),
    };
    core::mem::forget(unfinished);
    let judged = judged.and_then(|waiting| {
        admitted.handshake_done(&connection)?;
        Ok(waiting)
    });
    match judged {
        Ok(waiting) => {
            connection.close_reason().map_or(Ok(()), Err)?;
            Ok((connection, admitted, waiting))
        }
        Err(rejected) => Err(NotAdmitted::Peer(connection, rejected)),
    }
}

/// Handshakes at once above which an address has to prove that it is not forged, at the cost of a round trip.
const RETRY_AT: usize = 128;
/// Handshakes at once from one network whose address has proved that it is not forged, so that one network cannot take all
/// places: a crowd behind one address, all of whom come back in the same moment.
const MAX_OF_NETWORK: usize = 256;
/// Handshakes at once: each may cost a signature and some 20 KB until its time is up.
const MAX_HANDSHAKES: usize = 1024;
