//! How a visit ends, and what the others are told.

use stoq_core::close::Code;
use stoq_native::{Closed, ClosedBy, Session};

use crate::control::Event;

/// How a visit ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// The browser closed.
    Closed(Code, String),
    /// The browser broke a rule.
    Violated(Code, String),
    /// The browser is gone.
    Vanished,
    /// We close: the target did, or there is none, or the gateway shuts down.
    Close(Code, String),
}

impl Ending {
    /// What an event means that can only be the end.
    pub(super) fn by(event: Option<Event>) -> Self {
        match event {
            Some(Event::Closed { code, reason }) => Self::Closed(code, reason),
            Some(Event::Violated { code, reason }) => Self::Violated(code, reason),
            // SETTINGS come once, and our own close not before we close.
            Some(Event::Lost | Event::Requested(_) | Event::CloseCarrier) | None => Self::Vanished,
        }
    }

    /// The target's end of the session is over.
    pub(super) fn at_target(session: &Session, closed: Closed) -> Self {
        let Closed { code, reason, by } = closed;
        // A connection that ends without a word about its sessions is a lost one, however politely it ends.
        let silent = code == Code::NO_ERROR && !session.connection().is_open();
        if by == ClosedBy::Peer && !silent {
            return Self::Close(code, reason);
        }
        tracing::warn!(service = %session.service(), %code, reason, "target lost");
        Self::Close(Code::UPSTREAM_LOST, "the service was lost".into())
    }

    /// The gateway's own end.
    pub(super) fn shutdown() -> Self {
        Self::Close(Code::GOING_AWAY, "the gateway shuts down".into())
    }

    /// What the others are told.
    pub(super) fn told(&self) -> (Code, &str) {
        match self {
            Self::Closed(code, reason)
            | Self::Violated(code, reason)
            | Self::Close(code, reason) => (*code, reason),
            Self::Vanished => (Code::CONNECTION_LOST, "the browser went away"),
        }
    }
}
