use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use crate::connect::ConnectError;
use crate::connection::Connection;

/// One connection, or the attempt to make one, which all who need it share.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) authority: String,
    pub(super) connection: OnceCell<Result<Connection, Arc<ConnectError>>>,
    usage: Mutex<Usage>,
    /// Held while it is found out whether the connection lives: those who come meanwhile take the answer.
    check: Check,
}

type Check = tokio::sync::Mutex<Result<(), Gone>>;

/// The connection has not given a sign of life when it was asked for one.
#[derive(Clone, Copy, Debug)]
struct Gone;

#[derive(Debug)]
struct Usage {
    /// Those who are opening a session now.
    opening: usize,
    /// Sessions at once, open and opening.
    capacity: usize,
    /// Whether anybody has had a place yet.
    new: bool,
    last: Instant,
}

/// A place on a connection, while a session is being opened there.
pub(super) struct Use {
    slot: Arc<Slot>,
    first: bool,
}

impl Slot {
    pub(super) fn new(authority: String, capacity: usize) -> Self {
        Self {
            authority,
            connection: OnceCell::new(),
            usage: Mutex::new(Usage {
                opening: 0,
                capacity,
                new: true,
                last: Instant::now(),
            }),
            check: Check::new(Ok(())),
        }
    }

    /// Whether a session may be opened there: the connection takes sessions, or is being made.
    pub(super) fn is_usable(&self) -> bool {
        match self.connection.get() {
            None => true,
            Some(Ok(connection)) => connection.takes_sessions(),
            Some(Err(_)) => false,
        }
    }

    /// Whether nobody has a session there, or is about to.
    pub(super) fn is_idle(&self) -> bool {
        self.usage().opening == 0 && self.sessions() == 0
    }

    /// Whether it has been idle for this long. One that is not idle counts as used now.
    pub(super) fn is_idle_since(&self, now: Instant, long: Duration) -> bool {
        if !self.is_idle() {
            self.usage().last = now;
        }
        now.duration_since(self.usage().last) >= long
    }

    pub(super) fn last_used(&self) -> Instant {
        self.usage().last
    }

    /// Whether the connection gives a sign of life, if it has not for this long.
    pub(super) async fn lives(
        &self,
        connection: &Connection,
        silent: Duration,
        patience: Duration,
    ) -> bool {
        let before = Instant::now();
        if self.last_used().elapsed() < silent {
            return true;
        }
        let mut check = self.check.lock().await;
        // Somebody else may have asked meanwhile.
        if check.is_ok() && self.last_used() < before {
            match timeout(patience, connection.lives()).await {
                Ok(true) => self.touch(),
                _ => *check = Err(Gone),
            }
        }
        check.is_ok()
    }

    /// Sessions at once that the peer takes, as far as is known.
    pub(super) fn capacity(&self) -> usize {
        self.usage().capacity
    }

    pub(super) fn touch(&self) {
        self.usage().last = Instant::now();
    }

    /// The peer takes no more than there are without this one; says how many that are.
    pub(super) fn has_no_more_room(&self) -> usize {
        let sessions = self.sessions();
        let mut usage = self.usage();
        usage.capacity = sessions + usage.opening.saturating_sub(1);
        usage.capacity
    }

    fn sessions(&self) -> usize {
        match self.connection.get() {
            Some(Ok(connection)) => connection.session_count(),
            _ => 0,
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    /// `None` if the slot is full.
    pub(super) fn of(slot: &Arc<Slot>) -> Option<Self> {
        let sessions = slot.sessions();
        let mut usage = slot.usage();
        if sessions + usage.opening >= usage.capacity {
            return None;
        }
        usage.opening += 1;
        let first = std::mem::take(&mut usage.new);
        drop(usage);
        Some(Self {
            slot: slot.clone(),
            first,
        })
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Whether the connection was made for it.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.slot.usage().opening -= 1;
    }
}
