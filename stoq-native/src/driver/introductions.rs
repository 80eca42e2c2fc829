//! Streams whose header has not come.

use core::future::pending;
use core::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::stream::{Arrived, Introduction};

/// Streams of one connection that wait for their header, [`MAX_UNINTRODUCED`] at most.
///
/// A header that is late says nothing of the peer: its packet may have been lost, most of all where a machine has more to do
/// than it can, and then it takes seconds until it is sent again. So a stream is given up only where it has waited for
/// [`HEADER_TIMEOUT`] and there is room for no more: then it is in the way of others of the same peer.
#[derive(Default)]
pub(crate) struct Introductions {
    waiting: JoinSet<(Arrived, Introduction)>,
    /// Whether there is room for no more. Made when the first one has to wait, which most connections never see.
    full: Option<watch::Sender<bool>>,
}

impl Introductions {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.len() < MAX_UNINTRODUCED
    }

    /// Waits for the stream's header.
    pub(crate) fn add(&mut self, stream: Arrived) {
        let full = self.full.get_or_insert_default().subscribe();
        self.waiting.spawn(stream.introduce(in_the_way(full)));
        self.say_whether_full();
    }

    /// Gives back what [`next`](Self::next) gave.
    pub(crate) fn put_back(&mut self, introduced: (Arrived, Introduction)) {
        self.waiting.spawn(async move { introduced });
        self.say_whether_full();
    }

    /// The next stream whose header has come, or does not count as coming any more. `None` if there is none to wait for.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is lost.
    pub(crate) async fn next(&mut self) -> Option<Result<(Arrived, Introduction), JoinError>> {
        let next = self.waiting.join_next().await;
        self.say_whether_full();
        next
    }

    fn say_whether_full(&self) {
        let is_full = !self.has_room();
        if let Some(full) = &self.full {
            full.send_if_modified(|full| core::mem::replace(full, is_full) != is_full);
        }
    }
}

/// Resolves when a stream that has begun to wait now is to be given up.
async fn in_the_way(mut full: watch::Receiver<bool>) {
    sleep(HEADER_TIMEOUT).await;
    if full.wait_for(|full| *full).await.is_err() {
        // Who waits is gone, and this is about to be.
        pending().await
    }
}

/// Streams whose header may be missing at once: a burst of new streams in packets that overtake each other.
const MAX_UNINTRODUCED: usize = 64;
/// What a header may take, whoever else waits. As long as a session's streams are held for their session.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
