//! How a visit ends, and what the others are told.

use stoq_core::close::Code;
use stoq_native::relay::was_lost;
use stoq_native::{Closed, Session};

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
            // The machine has closed already.
            Some(Event::Unproven { code, reason }) => Self::Close(code, reason),
            // SETTINGS and what follows from them come once, and our own close not before we close.
            Some(
                Event::Lost
                | Event::Requested(_)
                | Event::Opened
                | Event::Auth(_)
                | Event::CloseCarrier,
            )
            | None => Self::Vanished,
        }
    }

    /// The target's end of the session is over.
    pub(super) async fn at_target(session: &Session, closed: Closed) -> Self {
        if was_lost(session, &closed).await {
            let Closed { code, reason, .. } = closed;
            tracing::warn!(service = %session.service(), %code, reason, "target lost");
            return Self::Close(Code::UPSTREAM_LOST, "the service was lost".into());
        }
        Self::Close(closed.code, closed.reason)
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
