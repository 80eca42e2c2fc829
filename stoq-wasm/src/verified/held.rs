//! What the verified streams of one session hold back together.

use core::cell::Cell;
use core::time::Duration;

use stoq_core::channel::MAX_SESSION_BYTES;

use crate::line::{Line, Turn};

/// Bytes that wait for their signature.
#[derive(Default)]
pub(crate) struct Held {
    bytes: Cell<usize>,
    /// Those who would read on although the session holds enough. One does, so that its signature can come and make room.
    elders: Line,
}

impl Held {
    /// Notes that a stream holds so much, and no longer so much.
    pub(super) fn change(&self, before: usize, now: usize) {
        let had_room = self.has_room();
        self.bytes.set(self.bytes.get() + now - before);
        if !had_room && self.has_room() {
            self.elders.moved().notify();
        }
    }

    /// Waits until a stream that holds something may read on: there is room, or it is the one that may go on without.
    pub(super) async fn room(&self) -> Option<Turn<'_>> {
        if self.has_room() {
            return None;
        }
        let turn = self.elders.place();
        let goes = || (self.has_room() || turn.has_come()).then_some(());
        self.elders.moved().until(goes).await;
        (!self.has_room()).then_some(turn)
    }

    fn has_room(&self) -> bool {
        self.bytes.get() < MAX_SESSION_BYTES
    }
}

/// How long a stream that holds data back waits for more, its signature, say: as native ends do.
pub(super) const SIGNATURE_TIMEOUT: Duration = Duration::from_secs(30);
