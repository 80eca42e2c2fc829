//! Requests that nobody has answered yet.

use std::collections::HashMap;
use std::sync::Arc;

use stoq_core::session_id::SessionId;

use crate::closed::{Closed, Ending};

/// How whoever is to answer learns that nobody waits for it any more. As many as the machine lets a peer ask for.
#[derive(Debug, Default)]
pub(super) struct Requested(HashMap<SessionId, Arc<Ending>>);

impl Requested {
    /// A request has come. What is returned ends when it is withdrawn.
    pub(super) fn come(&mut self, id: SessionId) -> Arc<Ending> {
        self.0.entry(id).or_default().clone()
    }

    /// It has been answered.
    pub(super) fn answered(&mut self, id: SessionId) {
        self.0.remove(&id);
    }

    /// The peer has closed the session, which may not have been answered.
    pub(super) fn closed(&mut self, id: SessionId, closed: &Closed) {
        if let Some(ending) = self.0.remove(&id) {
            ending.end(closed.clone());
        }
    }
}
