//! Waiting for something to change, or for some time.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use crate::js::Timer;

/// Tells everyone who waits that it is time to look again. Clones are the same signal.
#[derive(Clone, Default)]
pub(crate) struct Signal(Rc<Waiting>);

#[derive(Default)]
struct Waiting {
    tasks: RefCell<Vec<(u64, Waker)>>,
    next: Cell<u64>,
}

impl Signal {
    /// Wakes all who wait now, those who began to wait first before the others.
    pub(crate) fn notify(&self) {
        for (_, waker) in self.0.tasks.take() {
            waker.wake();
        }
    }

    /// Resolves with what `look` finds: at once, or after a [`notify`](Self::notify).
    ///
    /// # Cancel safety
    /// Nothing is lost: `look` only takes what it returns, and it is returned in the same breath.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let seat = self.seat();
        poll_fn(|context| match look() {
            Some(found) => Poll::Ready(found),
            None => {
                seat.wait(context);
                Poll::Pending
            }
        })
        .await
    }

    /// As [`until`](Self::until), but gives up after `time`.
    pub(crate) async fn within<T>(
        &self,
        time: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let late = Rc::new(Cell::new(false));
        let (signal, alarm) = (self.clone(), late.clone());
        let _timer = Timer::after(time, move || {
            alarm.set(true);
            signal.notify();
        });
        let found = || look().map(Some).or_else(|| late.get().then_some(None));
        self.until(found).await
    }

    /// A place among those who wait, which is left when it is dropped.
    pub(crate) fn seat(&self) -> Seat {
        let number = self.0.next.replace(self.0.next.get() + 1);
        Seat {
            waiting: self.0.clone(),
            number,
        }
    }
}

/// What comes of `work`, unless it takes longer than `time`: then it is dropped.
pub(crate) async fn in_time<T>(
    time: impl Into<Option<Duration>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (signal, late) = (Signal::default(), Rc::new(Cell::new(false)));
    let seat = signal.seat();
    let alarm = late.clone();
    let _timer = time.into().map(|time| {
        Timer::after(time, move || {
            alarm.set(true);
            signal.notify();
        })
    });
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if late.get() => Poll::Ready(None),
        Poll::Pending => {
            seat.wait(context);
            Poll::Pending
        }
    })
    .await
}

/// See [`Signal::seat`].
pub(crate) struct Seat {
    waiting: Rc<Waiting>,
    number: u64,
}

impl Seat {
    /// The next [`notify`](Signal::notify) wakes the task of this context.
    pub(crate) fn wait(&self, context: &Context<'_>) {
        let waker = context.waker().clone();
        let mut tasks = self.waiting.tasks.borrow_mut();
        match tasks.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, known)) => *known = waker,
            None => tasks.push((self.number, waker)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut tasks = self.waiting.tasks.borrow_mut();
        tasks.retain(|(number, _)| *number != self.number);
    }
}
