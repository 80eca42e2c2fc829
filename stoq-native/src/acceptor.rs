//! The loop that takes connections from strangers.

mod crowd;
mod early;
mod lobby;
mod rate;

use core::time::Duration;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stoq_core::close::Code;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::config::{ConfigError, ServerConfig};
use crate::driver::{self, Role, Unintroduced};
use crate::metrics::Counters;
use crate::qlog::Recorder;
use crate::rejection::IdentityRejected;
use crate::request::SessionRequest;
use crate::security::{Admitted, facts};
use crate::transport::TransportConfig;
use crowd::network;
use lobby::{Judgement, Lobby};

/// What strangers may ask of a server before they have proved anything, of all its workers together.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    handshake_timeout: Duration,
    max_connections: usize,
    early_data: bool,
    lobby: Arc<Mutex<Lobby>>,
}

impl Door {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            handshake_timeout: config.handshake_timeout,
            max_connections: config.max_connections,
            early_data: config.early_data,
            lobby: Arc::new(Mutex::new(Lobby::new(config.retry_above))),
        }
    }

    fn lobby(&self) -> MutexGuard<'_, Lobby> {
        // Its counts are whole at every moment.
        self.lobby.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the handshake may begin.
    fn judge(&self, incoming: &quinn::Incoming, drivers: &driver::Shared) -> Judgement {
        if drivers.shutdown.borrow().is_some() {
            return Judgement::Refuse;
        }
        let room = self.max_connections.saturating_sub(drivers.tasks.len());
        let network = network(incoming.remote_address().ip());
        let proven = incoming.remote_address_validated();
        self.lobby().judge(network, proven, room, Instant::now())
    }
}

/// What each connection is accepted with.
#[derive(Clone, Debug)]
pub(crate) struct Welcomes {
    server: watch::Receiver<quinn::ServerConfig>,
    transport: TransportConfig,
    recorder: Recorder,
}

impl Welcomes {
    /// As the server is now, with connections that work like that. What was [checked](TransportConfig::check).
    ///
    /// # Errors
    /// [`ConfigError`] if connections cannot be recorded as they should be.
    pub(crate) fn new(
        server: watch::Receiver<quinn::ServerConfig>,
        transport: TransportConfig,
    ) -> Result<Self, ConfigError> {
        let recorder = Recorder::new(transport.qlog.as_ref())?;
        Ok(Self {
            server,
            transport,
            recorder,
        })
    }

    /// For one connection, because each has a controller of its own, and a route.
    fn next(&self, incoming: &quinn::Incoming) -> Welcome {
        let number = driver::next_number();
        let mut server = self.server.borrow().clone();
        let (local, peer) = (incoming.local_ip(), incoming.remote_address());
        let side = quinn::Side::Server;
        let mut transport = self.transport.quinn_to(side, local, peer);
        self.recorder.record(&mut transport, side, number);
        server.transport_config(Arc::new(transport));
        Welcome {
            number,
            config: Arc::new(server),
        }
    }
}

/// What one connection is accepted with.
struct Welcome {
    /// The connection's.
    number: u64,
    config: Arc<quinn::ServerConfig>,
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
    let mut handshakes = Handshakes {
        tasks: JoinSet::new(),
        door,
    };
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(ended) = handshakes.tasks.join_next() => {
                handshakes.ended(ended);
                continue;
            }
        };
        let Some(incoming) = incoming else { return };
        match handshakes.door.judge(&incoming, &drivers) {
            Judgement::Refuse => {
                drivers.counters.handshake_refused();
                incoming.refuse();
            }
            Judgement::Prove => {
                // Whoever only pretends to be at that address never sees the answer. No signature has been made yet.
                drivers.counters.retried();
                let _ = incoming.retry();
            }
            Judgement::Enter(network) => {
                let welcome = welcomes.next(&incoming);
                let (drivers, requests) = (drivers.clone(), requests.clone());
                let counters = drivers.counters.clone();
                let early_data = handshakes.door.early_data;
                let handshake = handshake(incoming, welcome, early_data, drivers, requests);
                handshakes.begin(network, counters, handshake);
            }
        }
    }
}

/// The handshakes of one worker. Each ends with the network that it came from.
struct Handshakes {
    tasks: JoinSet<IpAddr>,
    door: Door,
}

impl Handshakes {
    fn begin(
        &mut self,
        network: IpAddr,
        counters: Arc<Counters>,
        handshake: impl Future<Output = ()> + Send + 'static,
    ) {
        let within = self.door.handshake_timeout;
        self.tasks.spawn(async move {
            if timeout(within, handshake).await.is_err() {
                counters.handshake_failed(Code::TIMEOUT);
                tracing::debug!("handshake took too long");
            }
            network
        });
    }

    fn ended(&self, ended: Result<IpAddr, JoinError>) {
        // Only a panic does not say whose it was, and it has been reported.
        self.door.lobby().leave(ended.ok());
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    welcome: Welcome,
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
    welcome: Welcome,
    early_data: bool,
    drivers: &driver::Shared,
) -> Result<(quinn::Connection, Admitted, Unintroduced), NotAdmitted> {
    let Welcome { number, config } = welcome;
    let mut connecting = incoming.accept_with(config)?;
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
    let mut admitted = match Admitted::new(number, &connection, None, drivers) {
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
