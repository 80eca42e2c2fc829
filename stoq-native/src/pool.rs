//! Connections that are shared by those who want sessions with the same peer.

mod config;
mod error;
mod keeper;
mod slot;

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoq_core::session as machine;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

pub use config::PoolConfig;
pub use error::PoolError;

use crate::endpoint::Endpoint;
use crate::request::{OpenError, Request};
use crate::session::Session;
use crate::target::Target;
use slot::{Slot, Use};

/// Sessions with many peers, on connections that are made when they are needed and shared while they are of use.
///
/// A connection is shared by sessions with the same host and port, by name: two names of one address have two connections,
/// because each name has to be proved. What is believed of a peer is the endpoint's policy; where the policy changes, the
/// endpoint closes what it no longer believes, and the pool makes another.
///
/// Every session is multiplexed. When the last one on a connection has ended, the connection waits for the next, for as long as
/// [`PoolConfig::idle_timeout`] says.
///
/// A connection that has broken is replaced, and who asks for a session does not notice: up to the server's answer nothing of the
/// application is on its way, so nothing can happen twice but the request itself. A session that is open ends with its
/// connection, as all sessions do; what of it has arrived only the application can know.
///
/// Clones are handles to the same pool. Connections are not closed when the last is dropped, but with the last session on
/// each; those without sessions at once.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use stoq_native::{ClientConfig, Endpoint, Pool, PoolConfig, Trust};
///
/// let endpoint = Endpoint::client(ClientConfig::new(Trust::SystemRoots))?;
/// let pool = Pool::new(endpoint, PoolConfig::default())?;
/// let first = pool.open("stoq://example.org:4433/echo").await?;
/// let second = pool.open("stoq://example.org:4433/files").await?; // no second handshake
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    _keeper: AbortOnDropHandle<()>,
}

/// What the handles and the keeper share.
#[derive(Debug)]
struct Shared {
    config: PoolConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Arc<Slot>>,
    stats: PoolStats,
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections that are there now, those being made included.
    pub connections: usize,
    /// Sessions that were opened.
    pub opened: u64,
    /// Of these, those that found a connection.
    pub shared: u64,
    /// Connections that were made, or tried.
    pub connected: u64,
    /// Connections that were found broken, by a session that was to be opened there or by a check.
    pub broken: u64,
    /// Connections without sessions that made room for others.
    pub evicted: u64,
    /// Connections that had been without sessions for too long.
    pub expired: u64,
}

impl Pool {
    /// No connection yet. `endpoint` is a client's. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`PoolError::Config`] if a setting cannot work.
    pub fn new(endpoint: Endpoint, config: PoolConfig) -> Result<Self, PoolError> {
        config.check()?;
        let shared = Arc::new(Shared {
            config,
            state: Mutex::default(),
        });
        let keeper = tokio::spawn(keeper::keep(shared.clone()));
        let inner = Inner {
            endpoint,
            shared,
            _keeper: AbortOnDropHandle::new(keeper),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Opens a session with the service that `url` (`stoq://host:port/service`) names.
    ///
    /// # Errors
    /// [`PoolError`] says whose matter it is.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that is opened all the same is closed. A connection that is being made goes on being
    /// made for others who wait for it, or is given up.
    pub async fn open(&self, url: &str) -> Result<Session, PoolError> {
        let target: Target = url.parse()?;
        let Some(service) = target.service.clone() else {
            return Err(PoolError::NoService { url: url.into() });
        };
        let mut request = Request::new(service);
        request.authority = target.authority();
        self.open_with(&target, request).await
    }

    /// [`open`](Self::open), with a request of one's own: access tokens, say. A service in `target` is left aside.
    ///
    /// # Errors
    /// As `open`.
    ///
    /// # Cancel safety
    /// As `open`.
    pub async fn open_with(&self, target: &Target, request: Request) -> Result<Session, PoolError> {
        let mut lost = None;
        let mut broken = 0;
        while broken < ATTEMPTS {
            let place = self.place(target)?;
            match self.open_at(&place, target, &request).await {
                Ok(session) => {
                    let mut state = self.lock();
                    state.stats.opened += 1;
                    state.stats.shared += u64::from(!place.is_first());
                    return Ok(session);
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Connecting(error)) => {
                    self.forget(place.slot());
                    return Err(error);
                }
                // There is one place less, and only so many connections: this comes to an end.
                Err(Failure::Full) => {}
                Err(Failure::Broken(error)) => {
                    broken += 1;
                    if self.forget(place.slot()) {
                        self.lock().stats.broken += 1;
                    }
                    lost = error.or(lost);
                }
            }
        }
        Err(lost.map_or(PoolError::NoPlace, PoolError::Open))
    }

    /// What it has done so far.
    pub fn stats(&self) -> PoolStats {
        let state = self.lock();
        PoolStats {
            connections: state.slots.len(),
            ..state.stats
        }
    }

    /// Lets go of every connection: those without sessions are closed, the others when their sessions have ended.
    pub fn clear(&self) {
        self.lock().slots.clear();
    }

    async fn open_at(
        &self,
        place: &Use,
        target: &Target,
        request: &Request,
    ) -> Result<Session, Failure> {
        let slot = place.slot();
        let connecting = slot.connection.get_or_init(|| async {
            self.lock().stats.connected += 1;
            let connected = self.0.endpoint.connect_to(target).await;
            connected.map_err(Arc::new)
        });
        let fresh = !slot.connection.initialized();
        let connection = match connecting.await {
            Ok(connection) => connection,
            Err(error) => return Err(Failure::Connecting(PoolError::Connect(error.clone()))),
        };
        let PoolConfig {
            check_after,
            check_timeout,
            answer_timeout,
            ..
        } = self.0.shared.config;
        if !fresh && !slot.lives(connection, check_after, check_timeout).await {
            // It may be slow and not gone, so the sessions on it are left alone.
            tracing::debug!(%target, "a pooled connection does not answer");
            return Err(Failure::Broken(None));
        }
        let opening = connection.open_session(request.clone());
        let Ok(opened) = timeout(answer_timeout, opening).await else {
            let after = answer_timeout;
            return Err(Failure::Final(PoolError::NoAnswer { after }));
        };
        if opened.is_ok() {
            slot.touch();
        }
        opened.map_err(|error| match error {
            OpenError::NotPossible(machine::OpenError::TooMany { .. }) => {
                match slot.has_no_more_room() {
                    0 => Failure::Final(PoolError::NoPlace),
                    _ => Failure::Full,
                }
            }
            OpenError::Refused { .. }
            | OpenError::NotPossible(machine::OpenError::TooLarge { .. }) => {
                Failure::Final(PoolError::Open(error))
            }
            // It is closed, or about to be.
            OpenError::NotPossible(_)
            | OpenError::NotProven(_)
            | OpenError::ConnectionClosed(_) => Failure::Broken(Some(error)),
        })
    }

    /// A place on a connection to `target`: on one that is there, or on a new one.
    fn place(&self, target: &Target) -> Result<Use, PoolError> {
        let config = &self.0.shared.config;
        let authority = target.authority();
        let mut state = self.lock();
        state.slots.retain(|slot| slot.is_usable());
        let to_there = (state.slots.iter()).filter(|slot| slot.authority == authority);
        // What the peer has said on one connection holds on the others.
        let mut capacity = config.sessions_per_connection.get() as usize;
        for slot in to_there {
            if let Some(place) = Use::of(slot) {
                return Ok(place);
            }
            capacity = capacity.min(slot.capacity());
        }
        if capacity == 0 {
            return Err(PoolError::NoPlace);
        }
        if state.slots.len() >= config.max_connections {
            let idle = (state.slots.iter().enumerate()).filter(|(_, slot)| slot.is_idle());
            let oldest = idle.min_by_key(|(_, slot)| slot.last_used());
            let Some((oldest, _)) = oldest else {
                return Err(PoolError::Full {
                    limit: config.max_connections,
                });
            };
            state.slots.swap_remove(oldest);
            state.stats.evicted += 1;
        }
        let slot = Arc::new(Slot::new(authority, capacity));
        state.slots.push(slot.clone());
        Ok(Use::of(&slot).expect("a new slot has at least one place"))
    }

    /// Whether it was still there.
    fn forget(&self, slot: &Arc<Slot>) -> bool {
        let mut state = self.lock();
        let before = state.slots.len();
        state.slots.retain(|other| !Arc::ptr_eq(other, slot));
        state.slots.len() < before
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of connections that have been without sessions for too long, or have broken.
    fn sweep(&self, now: Instant) {
        let mut state = self.lock();
        let mut expired = 0;
        state.slots.retain(|slot| {
            let too_old = slot.is_idle_since(now, self.config.idle_timeout);
            expired += u64::from(too_old);
            slot.is_usable() && !too_old
        });
        state.stats.expired += expired;
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Why there is no session at a place.
enum Failure {
    /// Whoever asks has to know.
    Final(PoolError),
    /// There is no connection, and all who waited for it know.
    Connecting(PoolError),
    /// The peer takes no more sessions on this connection.
    Full,
    /// Another connection may do better.
    Broken(Option<OpenError>),
}

/// Connections that are tried for one session: one that broke unnoticed, one that the peer had less room on than we thought,
/// and a fresh one.
const ATTEMPTS: usize = 3;
