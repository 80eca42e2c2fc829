//! How a connection ends, for the peer and for all that wait on this side.

use super::*;

/// How the connection ends.
pub(super) enum End {
    /// In order, by this end.
    Local { code: Code, reason: String },
    /// In order, by the peer.
    Peer {
        code: Code,
        reason: String,
        refused: bool,
    },
    /// The peer broke a rule.
    Fault(SessionError),
    /// QUIC says so.
    Lost(quinn::ConnectionError),
}

impl From<SessionError> for End {
    fn from(error: SessionError) -> Self {
        Self::Fault(error)
    }
}

impl Driver {
    pub(super) fn drain(&mut self) -> Result<(), End> {
        let grace = self.shutdown.borrow_and_update().unwrap_or_default();
        self.draining = true;
        if self.requests.is_some() {
            self.machine.go_away(Code::GOING_AWAY, grace, &mut self.out);
        }
        if self.sessions.is_empty() {
            self.close_connection(Code::GOING_AWAY, "");
        }
        Ok(())
    }

    /// Begins to close; for this side, everything has ended.
    pub(super) fn close_connection(&mut self, code: Code, reason: &str) {
        let now = self.now();
        self.machine
            .close(now, SessionId::ZERO, code, reason, &mut self.out);
        self.end_all(&Closed::local(code, reason));
    }

    fn end_all(&mut self, closed: &Closed) {
        self.shared.ending.end(closed.clone());
        self.shared.going_away.end(closed.clone());
        // The first end that was given stands.
        let closed = self.shared.ending.get().unwrap_or(closed);
        for (_, session) in self.sessions.drain() {
            self.endpoint.counters.session_ended(closed);
            session.end(closed.clone());
        }
        self.shared.sessions.store(0, Ordering::Relaxed);
        for (_, waiting) in self.waiting.drain() {
            if let Reply::Open(reply) = waiting.reply {
                let _ = reply.send(Err(OpenError::ConnectionClosed(closed.clone())));
            }
        }
    }

    pub(super) fn finish(mut self, end: End) {
        let closed = match &end {
            End::Local { code, reason } => Closed::local(*code, reason),
            End::Peer { code, reason, .. } => Closed::peer(*code, reason),
            End::Fault(error) => Closed::local(error.code(), error.to_string()),
            End::Lost(error) => self.shared.end_by(error),
        };
        // Before the close, because QUIC does not remember what this end closed with.
        self.shared.ending.end(closed.clone());
        if !matches!(end, End::Lost(_)) {
            self.quinn
                .close(closed.code.value().into(), closed.reason.as_bytes());
        }
        if let Some(Waiting {
            reply: Reply::Connect(opened),
            ..
        }) = (self.waiting.remove(&SessionId::ZERO)).map(|waiting| *waiting)
        {
            let _ = opened.send(Err(match end {
                End::Peer {
                    code,
                    reason,
                    refused: true,
                } => ConnectError::refused(code, reason),
                End::Lost(error) => ConnectError::from_quic(&error),
                End::Fault(error) => ConnectError::from(error),
                End::Local { .. } | End::Peer { .. } => ConnectError::Lost(closed.clone()),
            }));
        }
        self.end_all(&closed);
        tracing::debug!(%closed, "connection ended");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // If it did not finish, its task has panicked or its runtime is going away; nobody may wait for it.
        if self.shared.ending.get().is_none() {
            let closed = Closed::local(Code::INTERNAL, "the task of the connection is gone");
            self.end_all(&closed);
            self.quinn.close(closed.code.value().into(), b"");
        }
    }
}
