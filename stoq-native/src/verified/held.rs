//! What the verified streams of one session hold back together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Bytes that wait for their signature.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: AtomicUsize,
    /// Who may go on although the session holds enough: one stream, so that its signature can come and make room.
    elder: Arc<Mutex<()>>,
}

impl Held {
    /// Notes that a stream holds so much, and no longer so much.
    pub(super) fn change(&self, before: usize, now: usize) {
        self.bytes.fetch_add(now, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
    }

    /// Waits until a stream may read on: there is room, or it is the one that may go on without.
    pub(super) async fn room(&self) -> Option<OwnedMutexGuard<()>> {
        if self.has_room() {
            return None;
        }
        let elder = self.elder.clone().lock_owned().await;
        (!self.has_room()).then_some(elder)
    }

    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < MAX_SESSION_BYTES
    }
}

/// What the streams of a session hold back before they read one after the other: 64 MiB, what 2 Gbit/s bring in the quarter of a
/// second that a run grows. Each has up to 16 MiB for itself.
const MAX_SESSION_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    #[tokio::test]
    async fn beyond_its_room_a_session_reads_one_stream_at_a_time() {
        let held = Held::default();
        held.change(0, MAX_SESSION_BYTES - 1);
        assert!(held.room().await.is_none(), "there is room for all");
        held.change(0, 1);
        let elder = held.room().await;
        assert!(elder.is_some(), "one goes on all the same");
        let mut waiting = pin!(held.room());
        let waits = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(waits.await, "the others wait for it");
        // Its signature has come.
        held.change(MAX_SESSION_BYTES, 0);
        drop(elder);
        assert!(waiting.await.is_none(), "and then there is room for them");
    }
}
