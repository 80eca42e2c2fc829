//! Waiting for something to change.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Tells everyone who waits that it is time to look again.
#[derive(Default)]
pub(crate) struct Signal {
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next: Cell<u64>,
}

impl Signal {
    /// Wakes all who wait now, those who came first before the others.
    pub(crate) fn notify(&self) {
        for (_, waker) in self.waiting.take() {
            waker.wake();
        }
    }

    /// Resolves with what `look` finds: at once, or after a [`notify`](Self::notify).
    ///
    /// # Cancel safety
    /// Nothing is lost: `look` only takes what it returns, and it is returned in the same breath.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let mut seat = self.seat();
        poll_fn(|context| match look() {
            Some(found) => Poll::Ready(found),
            None => {
                seat.wait(context);
                Poll::Pending
            }
        })
        .await
    }

    /// A place among those who wait, which is left when it is dropped.
    pub(crate) fn seat(&self) -> Seat<'_> {
        let number = self.next.replace(self.next.get() + 1);
        Seat {
            signal: self,
            number,
        }
    }
}

/// See [`Signal::seat`].
pub(crate) struct Seat<'a> {
    signal: &'a Signal,
    number: u64,
}

impl Seat<'_> {
    /// The next [`notify`](Signal::notify) wakes the task of this context.
    pub(crate) fn wait(&mut self, context: &Context<'_>) {
        self.signal
            .waiting
            .borrow_mut()
            .insert(self.number, context.waker().clone());
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.signal.waiting.borrow_mut().remove(&self.number);
    }
}
