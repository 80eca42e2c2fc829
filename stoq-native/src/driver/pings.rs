//! Pings that are on their way, and who waits for their answers.

use core::time::Duration;
use std::collections::HashMap;

use stoq_core::session::{PingError, PingId};
use tokio::sync::oneshot;

/// Who measures the way waits for the answer to one ping; who only asks whether the peer lives, for any.
#[derive(Debug, Default)]
pub(super) struct Pings {
    measuring: HashMap<PingId, oneshot::Sender<Result<Duration, PingError>>>,
    probing: Vec<oneshot::Sender<()>>,
}

impl Pings {
    /// This is to be told of the answer to the ping, or that it could not be sent. Who asked may have gone meanwhile.
    pub(super) fn measure(
        &mut self,
        sent: Result<PingId, PingError>,
        reply: oneshot::Sender<Result<Duration, PingError>>,
    ) {
        match sent {
            Ok(id) => drop(self.measuring.insert(id, reply)),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// This is to be told of the next answer, whichever ping it is to. Where no more pings may be on their way, that says nothing
    /// of the peer, and its answers to those that are do. Dropped at once if there can be none.
    pub(super) fn probe(&mut self, sent: Result<PingId, PingError>, reply: oneshot::Sender<()>) {
        // Those who wait no more would pile up where the peer never answers.
        self.probing.retain(|waiting| !waiting.is_closed());
        match sent {
            Ok(_) | Err(PingError::TooMany { .. }) => self.probing.push(reply),
            Err(PingError::NotOpen) => {}
        }
    }

    pub(super) fn answered(&mut self, id: PingId, rtt: Duration) {
        if let Some(reply) = self.measuring.remove(&id) {
            let _ = reply.send(Ok(rtt));
        }
        for reply in self.probing.drain(..) {
            let _ = reply.send(());
        }
    }
}
