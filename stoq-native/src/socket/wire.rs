//! The sending half of a socket.

use core::task::{Context, Poll, ready};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quinn::udp::{Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::batch::{self, Rest};
use super::doorbell::Doorbell;

/// Sends batches of any size, in the order in which they are given.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) io: UdpSocket,
    pub(super) state: UdpSocketState,
    unsent: Unsent,
    /// Dropped last, when the socket is closed.
    _lease: Option<TaskTrackerToken>,
}

/// What the system had no room for. While there is something, nothing else is sent.
#[derive(Debug, Default)]
struct Unsent {
    /// The rest of one batch, and at most one batch of each thread that was at work when the room ended.
    rests: Mutex<VecDeque<Rest>>,
    /// Whether there is one, or may be soon.
    is_some: AtomicBool,
    /// Who receives, and sends the rest when there is room: whoever gave the batch may have nothing more to send.
    receiver: Doorbell,
}

impl Wire {
    pub(super) fn new(
        io: UdpSocket,
        state: UdpSocketState,
        lease: Option<TaskTrackerToken>,
    ) -> Self {
        Self {
            io,
            state,
            unsent: Unsent::default(),
            _lease: lease,
        }
    }

    /// Whether something waits for room.
    pub(super) fn is_blocked(&self) -> bool {
        self.unsent.is_some.load(Ordering::SeqCst)
    }

    /// Sends a batch, in pieces if the system does not take it at once. What of it finds no room later than its first piece is
    /// sent when there is room.
    ///
    /// # Errors
    /// `WouldBlock`, if there is no room for anything of it.
    pub(super) fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if batch::fits(transmit) && !self.is_blocked() {
            return self.send_piece(transmit);
        }
        let rests = self.flush()?;
        if let Some(left) = batch::send(transmit, |piece| self.send_piece(piece))? {
            self.keep(rests, left);
        }
        Ok(())
    }

    /// Sends a batch that its giver believes to be sent: what finds no room is sent when there is room.
    pub(super) fn send_or_keep(&self, transmit: &Transmit<'_>) {
        if self.send(transmit).is_err() {
            let rests = self.unsent.rests.lock();
            let rests = rests.unwrap_or_else(PoisonError::into_inner);
            self.keep(rests, Rest::of(transmit, transmit.contents));
        }
    }

    /// Whoever calls is woken when something is kept, and then asks [`poll_flush`](Self::poll_flush).
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.unsent.receiver.register(cx);
    }

    /// Sends what was kept, as soon as there is room.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.io.poll_send_ready(cx))?;
            match self.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                flushed => return Poll::Ready(flushed.map(drop)),
            }
        }
    }

    fn send_piece(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || {
            self.state.send((&self.io).into(), transmit)
        })
    }

    fn keep(&self, mut rests: MutexGuard<'_, VecDeque<Rest>>, rest: Rest) {
        rests.push_back(rest);
        self.unsent.is_some.store(true, Ordering::SeqCst);
        drop(rests);
        self.unsent.receiver.ring();
    }

    /// # Errors
    /// `WouldBlock`, if there is no room still.
    fn flush(&self) -> io::Result<MutexGuard<'_, VecDeque<Rest>>> {
        let rests = self.unsent.rests.lock();
        let mut rests = rests.unwrap_or_else(PoisonError::into_inner);
        while let Some(rest) = rests.front_mut() {
            match batch::send(&rest.transmit(), |piece| self.send_piece(piece))? {
                Some(left) => *rest = left,
                None => drop(rests.pop_front()),
            }
        }
        self.unsent.is_some.store(false, Ordering::SeqCst);
        Ok(rests)
    }
}
