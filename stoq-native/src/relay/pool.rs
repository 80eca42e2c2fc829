//! The way to one next hop: connections, and the sessions multiplexed on them.

use core::num::NonZeroU32;
use core::ops::Deref;
use core::time::Duration;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoq_core::close::Code;
use stoq_core::frame::{AccessTokens, Hop};
use stoq_core::identity::FalconId;
use stoq_core::session as machine;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::pace::Pace;
use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::request::{OpenError, Request};
use crate::session::Session;
use crate::target::Target;

/// How a [`Pool`] is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Where the next hop is; a service in it is left aside.
    pub target: Target,
    /// Who must be there, beside what the endpoint's policy asks. `None` leaves it to that.
    pub identity: Option<FalconId>,
    /// Sessions on one connection; one more opens another connection.
    pub sessions_per_connection: NonZeroU32,
    /// How long it may take to open a session, from the request to its answer, connecting included. Whose request has passed
    /// relays waits a sixteenth less for each: who stands nearest to a fault reports it, and what it says gets through.
    pub answer_timeout: Duration,
}

/// Connections to one next hop. A new one is made when all have as many sessions as they may, or have broken.
///
/// Holds as many connections as its sessions need, and one more for the next session.
#[derive(Debug)]
pub struct Pool {
    endpoint: Endpoint,
    settings: PoolSettings,
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
    /// Control frames that it may still send for sessions.
    pace: Mutex<Pace>,
}

/// A session with the next hop, and its place on the connection. The session is closed when this is dropped with the last
/// other handle of it.
#[derive(Debug)]
pub struct Lease {
    session: Session,
    place: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

/// Why there is no session with the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenFailure {
    /// It cannot be reached. The reason is for the operator.
    Unreachable(String),
    /// It, or somebody behind it, said no. The reason is for who asked.
    Refused(Code, String),
}

impl Pool {
    /// No connection yet: the first session makes one. `endpoint` is a client's, and its policy says who is believed there.
    pub fn new(endpoint: Endpoint, settings: PoolSettings) -> Self {
        Self {
            endpoint,
            settings,
            slots: Mutex::new(Vec::new()),
        }
    }

    /// Opens a session, on a connection that has room for it or a new one. `proofs` says whether proofs of access tokens may
    /// be passed on in it, as of a client that has shown some, here or for somebody behind.
    ///
    /// Each connection opens 290 sessions at once, and 73 a second over time, more than twice as many without proofs; more are refused with [`Code::LIMIT`]. Beyond 1024 control frames a second the next hop would close the
    /// connection, and all sessions on it.
    ///
    /// # Errors
    /// [`OpenFailure`] says whose matter it is.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that is opened all the same is closed.
    pub async fn open(
        self: &Arc<Self>,
        request: Request,
        proofs: bool,
    ) -> Result<Lease, OpenFailure> {
        let patience = self.patience(&request);
        let deadline = Instant::now() + patience;
        let mut lost = String::new();
        for _ in 0..ATTEMPTS {
            let (slot, place) = self.place();
            let connecting = slot.connection.get_or_init(|| self.connect());
            let connection = match timeout_at(deadline, connecting).await {
                Ok(Ok(connection)) => connection,
                Err(_) => return Err(OpenFailure::Unreachable("no connection in time".into())),
                Ok(Err(reason)) => {
                    self.forget(&slot);
                    return Err(OpenFailure::Unreachable(reason.clone()));
                }
            };
            if !slot.has_frames_for(proofs) {
                let reason = "too many sessions were asked for on this way";
                return Err(OpenFailure::Refused(Code::LIMIT, reason.into()));
            }
            // Counted before the answer: who gives up sooner has asked, too.
            slot.opened.fetch_add(1, Relaxed);
            let mut lives = false;
            // One that does not answer a ping may be gone without a word; where just this answer is late, others come.
            let probing = async {
                sleep_until(deadline - patience / 2).await;
                lives = connection.lives().await;
                pending().await
            };
            let opening = async {
                tokio::select! {
                    opened = connection.open_session(request.clone()) => opened,
                    never = probing => never,
                }
            };
            let Ok(opened) = timeout_at(deadline, opening).await else {
                if !lives {
                    self.forget(&slot);
                }
                return Err(OpenFailure::Unreachable("no answer".into()));
            };
            match opened {
                Ok(session) => {
                    return Ok(Lease {
                        session,
                        place: Some(place),
                        pool: self.clone(),
                    });
                }
                Err(OpenError::Refused { code, reason }) => {
                    return Err(OpenFailure::Refused(code, reason));
                }
                // The target allows fewer than the route does: no more than these on this connection.
                Err(OpenError::NotPossible(machine::OpenError::TooMany { .. })) => {
                    place.forget();
                    let free = slot.places.forget_permits(Semaphore::MAX_PERMITS);
                    slot.size.fetch_sub(free + 1, Relaxed);
                }
                Err(OpenError::NotPossible(error @ machine::OpenError::TooLarge { .. })) => {
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

    /// How long this end waits.
    fn patience(&self, request: &Request) -> Duration {
        // The last hop of the chain is this end.
        let passed = request
            .hops
            .as_ref()
            .map_or(0, |chain| chain.hops.len().saturating_sub(1));
        let left = u32::from(Hop::MAX_HOPS)
            .saturating_sub(passed as u32)
            .max(1);
        self.settings.answer_timeout.min(FOREVER) * left / u32::from(Hop::MAX_HOPS)
    }

    /// Lets go of every connection: those without sessions are closed, the others when their sessions end. The next session
    /// gets a new one.
    pub fn clear(&self) {
        self.lock().clear();
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
        let places = self.settings.sessions_per_connection.get() as usize;
        let slot = Arc::new(Slot {
            connection: OnceCell::new(),
            places: Arc::new(Semaphore::new(places)),
            size: AtomicUsize::new(places),
            opened: AtomicUsize::new(0),
            pace: Mutex::new(Pace::of_connection()),
        });
        let place = slot.places.clone().try_acquire_owned();
        slots.push(slot.clone());
        (slot, place.expect("a new slot has at least one place"))
    }

    async fn connect(&self) -> Result<Connection, String> {
        let PoolSettings {
            target, identity, ..
        } = &self.settings;
        let connected = match self.endpoint.connect_to(target).await {
            Ok(connection) if identity.is_none_or(|id| connection.security().peer == Some(id)) => {
                Ok(connection)
            }
            Ok(connection) => {
                connection.close(Code::UNTRUSTED, "not the identity that was expected here");
                Err("not the identity that was expected there".into())
            }
            Err(error) => Err(error.to_string()),
        };
        match &connected {
            Ok(_) => tracing::info!(%target, "connected to the next hop"),
            Err(error) => tracing::warn!(%target, error, "cannot connect to the next hop"),
        }
        connected
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

/// Control frames that a session may cost its connection: a request, a ping, a close, and the most proofs that the core
/// takes from a client for one session.
pub(super) fn frames_for(proofs: bool) -> u32 {
    match proofs {
        true => 3 + AccessTokens::MAX_COUNT as u32,
        false => 3,
    }
}

impl Slot {
    fn has_frames_for(&self, proofs: bool) -> bool {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(Instant::now().into_std(), frames_for(proofs))
    }

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

impl Deref for Lease {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.place = None;
        self.pool.tidy();
    }
}

/// A year: who waits longer waits for ever, and instants have an end.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Connections that are tried for one session: one that broke unnoticed, one that the target had less room on than we
/// thought, and a fresh one.
const ATTEMPTS: usize = 3;
/// Sessions after which a connection takes no new ones. A handshake is nothing beside a thousand sessions, and what little
/// a connection never forgets (quinn 0.11 keeps some 80 bytes for each stream that was reset) goes with it.
const RETIRED_AFTER: usize = 1000;
