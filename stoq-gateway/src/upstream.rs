//! The way to one target: connections, and the browser sessions multiplexed on them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stoq_core::close::Code;
use stoq_native::{
    ClientConfig, Connection, Endpoint, Identity, IpVersions, OpenError, Request, Session,
};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::{Config, Route};

/// Connections to the target of one route. A new one is made when all have as many sessions as they may, or have broken.
#[derive(Debug)]
pub(crate) struct Upstream {
    route: Route,
    endpoint: Endpoint,
    answer_timeout: Duration,
    slots: Mutex<Vec<Arc<Slot>>>,
}

/// One connection, or the attempt to make one, which all who need it share.
#[derive(Debug)]
struct Slot {
    connection: OnceCell<Result<Connection, String>>,
    places: Arc<Semaphore>,
    /// Places, taken or free.
    size: AtomicUsize,
    /// Sessions asked for, ever.
    opened: AtomicUsize,
}

/// A session with the target. Closed when dropped, if it was not before.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) session: Session,
    place: Option<OwnedSemaphorePermit>,
    upstream: Arc<Upstream>,
}

/// Why there is no session with the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpenFailure {
    /// It cannot be reached. The reason is for the operator.
    Unreachable(String),
    /// It said no. The reason is for the browser.
    Refused(Code, String),
}

impl Upstream {
    pub(crate) fn new(route: Route, config: &Config) -> Result<Self, stoq_native::BindError> {
        let (limits, timing) = (&config.limits, &config.timing);
        let mut client = ClientConfig::new(route.policy.clone());
        if let Some(signer) = &config.identity {
            let identity = Identity::falcon(signer.falcon().clone(), [""; 0]);
            client.identity = Some(identity.expect("there is no name that could be wrong"));
        }
        client.ip = IpVersions::Both;
        client.connect_timeout = timing.upstream_connect;
        client.idle_timeout = timing.upstream_idle;
        client.keep_alive = Some(timing.keep_alive);
        client.framed_streams = true;
        client.limits.max_streams = limits.max_streams.get();
        client.limits.stream_window = limits.upstream_stream_window.get();
        Ok(Self {
            endpoint: Endpoint::client(client)?,
            answer_timeout: timing.upstream_connect,
            route,
            slots: Mutex::new(Vec::new()),
        })
    }

    /// Opens a session, on a connection that has room for it or a new one.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that is opened all the same is closed.
    pub(crate) async fn open(self: &Arc<Self>, request: Request) -> Result<Lease, OpenFailure> {
        let mut lost = String::new();
        for _ in 0..ATTEMPTS {
            let (slot, place) = self.place();
            let connection = slot.connection.get_or_init(|| self.connect()).await;
            let connection = match connection {
                Ok(connection) => connection,
                Err(reason) => {
                    self.forget(&slot);
                    return Err(OpenFailure::Unreachable(reason.clone()));
                }
            };
            let Ok(opened) = timeout(
                self.answer_timeout,
                connection.open_session(request.clone()),
            )
            .await
            else {
                // It may be gone without a word: the next session tries another connection.
                self.forget(&slot);
                return Err(OpenFailure::Unreachable("no answer".into()));
            };
            slot.opened.fetch_add(1, Relaxed);
            match opened {
                Ok(session) => {
                    return Ok(Lease {
                        session,
                        place: Some(place),
                        upstream: self.clone(),
                    });
                }
                Err(OpenError::Refused { code, reason }) => {
                    return Err(OpenFailure::Refused(code, reason));
                }
                // The target allows fewer than the route does: no more than these on this connection.
                Err(OpenError::NotPossible(stoq_core::session::OpenError::TooMany { .. })) => {
                    place.forget();
                    let free = slot.places.forget_permits(Semaphore::MAX_PERMITS);
                    slot.size.fetch_sub(free + 1, Relaxed);
                }
                Err(OpenError::NotPossible(
                    error @ stoq_core::session::OpenError::TooLarge { .. },
                )) => {
                    return Err(OpenFailure::Refused(Code::LIMIT, error.to_string()));
                }
                // It is closed, or about to be: the next use gets another one.
                Err(
                    error @ (OpenError::NotPossible(_)
                    | OpenError::NotProven(_)
                    | OpenError::ConnectionClosed(_)),
                ) => {
                    lost = error.to_string();
                    self.forget(&slot);
                }
            }
        }
        Err(OpenFailure::Unreachable(lost))
    }

    /// Closes every connection, and with it what sessions are left.
    pub(crate) async fn close(&self) {
        self.lock().clear();
        self.endpoint
            .close(Code::GOING_AWAY, "the gateway shuts down");
        self.endpoint.wait_idle().await;
    }

    /// Connections that are, in whatever state.
    pub(crate) fn connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// A slot with a free place, and the place.
    fn place(&self) -> (Arc<Slot>, OwnedSemaphorePermit) {
        let mut slots = self.lock();
        slots.retain(|slot| slot.is_usable());
        for slot in slots.iter() {
            if let Ok(place) = slot.places.clone().try_acquire_owned() {
                return (slot.clone(), place);
            }
        }
        let places = self.route.sessions_per_connection.get() as usize;
        let slot = Arc::new(Slot {
            connection: OnceCell::new(),
            places: Arc::new(Semaphore::new(places)),
            size: AtomicUsize::new(places),
            opened: AtomicUsize::new(0),
        });
        let place = slot.places.clone().try_acquire_owned();
        slots.push(slot.clone());
        (slot, place.expect("a new slot has at least one place"))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let service = &self.route.service;
        let mut target = self.route.upstream.clone();
        target.service = None;
        match self.endpoint.connect_to(&target).await {
            Ok(connection) => {
                tracing::info!(%service, %target, "connected to the target");
                Ok(connection)
            }
            Err(error) => {
                tracing::warn!(%service, %target, %error, "cannot connect to the target");
                Err(error.to_string())
            }
        }
    }

    fn forget(&self, unusable: &Arc<Slot>) {
        self.lock().retain(|slot| !Arc::ptr_eq(slot, unusable));
    }

    /// Lets go of connections without sessions, but for one that is kept for the next session.
    fn tidy(&self) {
        let mut slots = self.lock();
        let mut spare = 0;
        slots.retain(|slot| {
            let idle = slot.places.available_permits() == slot.size.load(Relaxed);
            spare += usize::from(idle);
            slot.is_usable() && (!idle || spare == 1)
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether the next session may go there: the connection takes sessions, or is being made.
    fn is_usable(&self) -> bool {
        match self.connection.get() {
            None => true,
            Some(Ok(connection)) => {
                self.opened.load(Relaxed) < RETIRED_AFTER && connection.takes_sessions()
            }
            Some(Err(_)) => false,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.place = None;
        self.upstream.tidy();
    }
}

/// Connections that are tried for one session: one that broke unnoticed, one that the target had less room on than we
/// thought, and a fresh one.
const ATTEMPTS: usize = 3;
/// Sessions after which a connection takes no new ones. A handshake is nothing beside a thousand sessions, and what little
/// a connection never forgets (quinn 0.11 keeps some 80 bytes for each stream that was reset) goes with it.
const RETIRED_AFTER: usize = 1000;
