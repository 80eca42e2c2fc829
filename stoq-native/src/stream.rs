//! Streams: thin over quinn's, with STOQ's codes and what a multiplexed session needs.
//!
//! A stream of session 0 is quinn's stream and a few words beside it. A stream of a multiplexed session also holds its
//! [`Place`] among those that the session may have open, and ends when its session does, although the connection
//! lives on.

mod arrived;
mod receive;
mod send;

use core::fmt;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll};
use std::sync::Arc;

use stoq_core::stream::Direction;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;

pub(crate) use arrived::{Arrived, Introduction};
pub use receive::{ReadError, RecvStream};
pub(crate) use send::DEFAULT_URGENCY;
pub use send::{SendStream, WriteError, quic_priority};

use crate::closed::Closed;
use crate::session::{Session, Shared};

/// The stream has been finished, reset or stopped by this end before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is already finished, reset or stopped")]
pub struct ClosedStream;

/// One of the streams that a multiplexed session may have open; free again when both halves have let go of it.
#[derive(Clone)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for what its drop does")] Arc<Guard>);

enum Guard {
    /// Opened by this end, within the peer's allowance.
    Outgoing(#[expect(dead_code, reason = "held for what its drop does")] OwnedSemaphorePermit),
    /// Opened by the peer, within ours.
    Incoming {
        session: Arc<Shared>,
        direction: Direction,
    },
}

impl Place {
    pub(crate) fn outgoing(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Guard::Outgoing(permit)))
    }

    /// `None` if the peer has as many streams open as `limit` says.
    pub(crate) fn incoming(
        session: &Arc<Shared>,
        direction: Direction,
        limit: usize,
    ) -> Option<Self> {
        let open = &session.incoming[direction as usize];
        if open.fetch_add(1, Ordering::Relaxed) >= limit {
            open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let session = session.clone();
        Some(Self(Arc::new(Guard::Incoming { session, direction })))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Self::Incoming { session, direction } = self {
            session.incoming[*direction as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// What a half of a multiplexed session's stream has beside quinn's.
struct Multiplexed {
    place: Option<Place>,
    /// Resolves when the session ends; made when the half first has to wait.
    ended: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Multiplexed {
    fn new(place: Option<Place>) -> Option<Box<Self>> {
        place.map(|place| {
            Box::new(Self {
                place: Some(place),
                ended: None,
            })
        })
    }

    /// Waits for the end of the session.
    fn poll_ended(&mut self, session: &Session, cx: &mut Context<'_>) -> Poll<Closed> {
        let ending = session.ending();
        let ended = self
            .ended
            .get_or_insert_with(|| Box::pin(ending.token().clone().cancelled_owned()));
        ended.as_mut().poll(cx).map(|()| {
            // Polled again, it must be a new future.
            self.ended = None;
            let closed = ending.get().expect("set before the token is cancelled");
            closed.clone()
        })
    }
}
