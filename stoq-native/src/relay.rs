//! Passing sessions on to others, unread: relays, and what gateways have in common with them.
//!
//! ```text
//!   client or relay ── QUIC ──▶ ┌───────┐ ── QUIC, FALCON pinned ──▶ next relay, or the target
//!    neighbour, perhaps proved  │ Relay │     (sessions multiplexed on pooled connections)
//!    by FALCON                  └───────┘
//!                                   │
//!   one task for each session: checks, the chain of hops, the answer, datagrams, the end and its reason
//!   one task for each stream:  bytes, FIN, RESET and STOP, each way, as they come
//! ```
//!
//! A client names a [route](crate::ConnectOptions::route): the relays to pass, by their identities. Each relay appends itself
//! to the chain of hops that travels with the request, refuses a chain at its maximum or one in which it already stands, and
//! forwards only to the [next hops](RelayConfig::next_hops) that its operator has listed. The last one knows the target by the
//! service's name. The target's random goes back unchanged, so both ends have the same session hash, and whatever is signed
//! end to end is found out if a relay touches it.
//!
//! Each link proves its neighbour, and no more: a relay can leave out the hops before it, or make some up. What the chain says
//! of them are claims.
//!
//! What passes: streams of every kind with their ends, resets and stops, datagrams of every kind, access tokens and the proofs
//! of their holders, closes with their codes and reasons. What arrived before a close goes out before it, if the next hop takes it within a second;
//! streams that are then cut off are reset with [`Code::SESSION_CLOSED`], shortly before the session's own end says why. A next hop that goes
//! away (GOAWAY) is passed on to a client on a connection of its own; where sessions share a connection, each learns it by
//! its own end. Pings go to the neighbour only.

mod carrier;
mod config;
mod ending;
mod pace;
mod pool;
mod pump;
mod request;
mod session;
mod stats;
mod urgency;

use core::time::Duration;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoq_core::close::Code;
use stoq_core::identity::FalconId;
use stoq_core::session::CLOSE_TIMEOUT;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

pub use crate::stream::quic_priority;
pub use carrier::{NativeSink, NativeSource, stream_code};
pub use config::{NextHop, RelayConfig, passed_hop};
pub use ending::was_lost;
pub use pool::{Lease, OpenFailure, Pool, PoolSettings};
pub use pump::{Read, Sink, Source, Unfinished, pump};
pub use stats::RelayStats;
pub use urgency::{Heed, Urgency};

use crate::endpoint::{BindError, Endpoint};
use pace::Pace;
use stats::{Counters, count};

/// Largest datagram, in bytes, that a session takes through relays and gateways, at either end of it.
///
/// Each end is told once, when the session opens, and the path of any hop may come to carry less later, or QUIC may come to
/// think so for a minute because much was lost. So it is what QUIC never goes below: packets of 1200 bytes ([RFC 9000, section
/// 14]), without the largest header (41 with its tag), the frame (9), the session's id (10, or HTTP/3's of 8) and the type of
/// the content (1).
///
/// [RFC 9000, section 14]: https://www.rfc-editor.org/rfc/rfc9000#section-14
pub const LARGEST_DATAGRAM: u32 = 1200 - 41 - 9 - 10 - 1;

/// A running relay. Dropped without [`shutdown`](Self::shutdown), it ends at once, and its neighbours learn so.
///
/// ```no_run
/// use std::sync::Arc;
/// use stoq_native::relay::{NextHop, Relay, RelayConfig};
/// use stoq_native::{ClientPolicy, FalconId, FalconKey, Identity, ServiceName};
///
/// # async fn run(target: FalconId) -> Result<(), Box<dyn std::error::Error>> {
/// let key = Arc::new(FalconKey::from_pem_file("relay.falcon.pem")?);
/// let identity = Identity::falcon(key, ["relay.example.org"])?;
/// let mut config = RelayConfig::new(identity, ClientPolicy::Off);
/// config.next_hops = vec![NextHop::new(target, "files.example.org:4433")?];
/// config.services.insert(ServiceName::new("files")?, target);
/// let relay = Relay::bind("[::]:4433".parse()?, config)?;
/// println!("{} at {}", relay.falcon_id(), relay.local_addr());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Relay {
    server: Endpoint,
    client: Endpoint,
    shared: Arc<Shared>,
    /// `None` once it has ended.
    accepting: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// What every session can see.
#[derive(Debug)]
struct Shared {
    config: RelayConfig,
    id: FalconId,
    listening: SocketAddr,
    pools: HashMap<FalconId, Arc<Pool>>,
    places: Arc<Semaphore>,
    /// What clients may still ask for, by their connections; those that have asked for nothing lately are not there.
    clients: Mutex<HashMap<usize, Pace>>,
    counters: Counters,
}

impl Relay {
    /// Checks the settings, binds the sockets, and starts to accept at `address`: `[::]:port` for all interfaces and both IP
    /// versions, port 0 for any that is free.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] if a setting cannot work, or the system does not give a socket.
    pub fn bind(address: SocketAddr, config: RelayConfig) -> Result<Self, BindError> {
        let id = config.check()?;
        let server = Endpoint::server(address, config.server())?;
        let client = Endpoint::client(config.client())?;
        let listening = server.local_addr().map_err(|error| BindError::Socket {
            address: Some(address),
            error,
        })?;
        let pools = config.next_hops.iter().map(|hop| {
            let settings = PoolSettings {
                target: hop.target.clone(),
                identity: Some(hop.id),
                sessions_per_connection: hop.sessions_per_connection,
                answer_timeout: config.answer_timeout,
            };
            (hop.id, Arc::new(Pool::new(client.clone(), settings)))
        });
        let shared = Arc::new(Shared {
            pools: pools.collect(),
            id,
            listening,
            places: Arc::new(Semaphore::new(config.max_sessions.get() as usize)),
            clients: Mutex::default(),
            counters: Counters::default(),
            config,
        });
        let accepting = tokio::spawn(accept(server.clone(), shared.clone()));
        Ok(Self {
            server,
            client,
            shared,
            accepting: Mutex::new(Some(AbortOnDropHandle::new(accepting))),
        })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.listening
    }

    /// Who it is.
    pub fn falcon_id(&self) -> FalconId {
        self.shared.id
    }

    /// The numbers now.
    pub fn stats(&self) -> RelayStats {
        RelayStats {
            connections: self.server.open_connections() as u64,
            next_hop_connections: self.client.open_connections() as u64,
            ..self.shared.counters.snapshot()
        }
    }

    /// Ends in order: takes no new sessions, tells the peers so (GOAWAY), gives running sessions `grace` to end, closes what
    /// is left with [`Code::GOING_AWAY`], in both directions, and resolves when the neighbours had the time to learn of it.
    ///
    /// # Cancel safety
    /// If the future is dropped, the relay takes no new sessions, and those that run can end in their own time.
    pub async fn shutdown(&self, grace: Duration) {
        self.server.shutdown(grace).await;
        self.close().await;
    }

    /// Ends at once: closes what there is with [`Code::GOING_AWAY`], in both directions, and resolves when the neighbours had
    /// the time to learn of it.
    ///
    /// # Cancel safety
    /// If the future is dropped, some neighbours learn of it by silence.
    pub async fn close(&self) {
        self.server.close(Code::GOING_AWAY, SHUTS_DOWN);
        let accepting = self.accepting().take();
        if let Some(accepting) = accepting {
            // What has ended on one side is being told to the other.
            let _ = timeout(2 * CLOSE_TIMEOUT, accepting).await;
        }
        self.client.close(Code::GOING_AWAY, SHUTS_DOWN);
        self.client.wait_idle().await;
        self.server.wait_idle().await;
    }

    fn accepting(&self) -> MutexGuard<'_, Option<AbortOnDropHandle<()>>> {
        self.accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for endpoint in [&self.server, &self.client] {
            endpoint.close(Code::GOING_AWAY, SHUTS_DOWN);
        }
    }
}

/// Takes requests until the endpoint ends, and resolves when the last session is over. Dropped, it takes them with it.
async fn accept(server: Endpoint, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        let request = tokio::select! {
            Some(_) = sessions.join_next() => continue,
            request = server.accept() => request,
        };
        let Some(request) = request else { break };
        match shared.places.clone().try_acquire_owned() {
            Ok(place) => {
                let shared = shared.clone();
                sessions.spawn(async move {
                    session::serve(&shared, request).await;
                    drop(place);
                });
            }
            Err(_) => {
                count(&shared.counters.refused_full);
                request.refuse(Code::LIMIT, "the relay has as many sessions as it may");
            }
        }
    }
    while sessions.join_next().await.is_some() {}
}

const SHUTS_DOWN: &str = "the relay shuts down";
