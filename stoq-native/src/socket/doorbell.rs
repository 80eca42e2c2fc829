//! One task that is to be woken.

use core::task::{Context, Waker};
use std::sync::{Mutex, PoisonError};

/// Holds the task that registered last.
#[derive(Debug, Default)]
pub(super) struct Doorbell(Mutex<Option<Waker>>);

impl Doorbell {
    /// The present task is woken by every [`ring`](Self::ring) from now on.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut waker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    pub(super) fn ring(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}
