//! How a session or connection ended, and who must learn of it.

use core::fmt;
use std::sync::OnceLock;

use stoq_core::close::Code;
use tokio_util::sync::CancellationToken;

/// The end of a session or connection: why, in a code for programs and words for people, and on whose account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Closed {
    /// Why, for programs.
    pub code: Code,
    /// Why, for people; may be empty.
    pub reason: String,
    /// On whose account.
    pub by: ClosedBy,
}

/// On whose account something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// This end closed, or found that the peer broke a rule.
    Local,
    /// The peer closed.
    Peer,
    /// The path went away: silence for too long, or a reset by what is now at the peer's address.
    Path,
}

impl Closed {
    pub(crate) fn local(code: Code, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            code,
            reason,
            by: ClosedBy::Local,
        }
    }

    pub(crate) fn peer(code: Code, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            code,
            reason,
            by: ClosedBy::Peer,
        }
    }

    /// What QUIC says of a connection's end.
    pub(crate) fn from_quic(error: &quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as Quic;
        let lost = |code| Self {
            code,
            reason: error.to_string(),
            by: ClosedBy::Path,
        };
        match error {
            Quic::ApplicationClosed(close) => Self::peer(
                Code::from_quic(close.error_code.into_inner()),
                String::from_utf8_lossy(&close.reason),
            ),
            Quic::TimedOut => lost(Code::TIMEOUT),
            Quic::VersionMismatch => lost(Code::VERSION),
            Quic::LocallyClosed => Self::local(Code::NO_ERROR, ""),
            Quic::TransportError(_)
            | Quic::ConnectionClosed(_)
            | Quic::Reset
            | Quic::CidsExhausted => lost(Code::CONNECTION_LOST),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            ClosedBy::Local => "this end closed",
            ClosedBy::Peer => "the peer closed",
            ClosedBy::Path => "the path went away",
        };
        write!(f, "{by}: {}", self.code)?;
        match self.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, " ({reason})"),
        }
    }
}

/// A [`Closed`] that comes once, for all who wait for it. The first one given stands.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    closed: OnceLock<Closed>,
    token: CancellationToken,
}

impl Ending {
    pub(crate) fn end(&self, closed: Closed) {
        let _ = self.closed.set(closed);
        self.token.cancel();
    }

    pub(crate) fn get(&self) -> Option<&Closed> {
        self.closed.get()
    }

    /// Resolves when [`get`](Self::get) has something to give.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) async fn wait(&self) -> Closed {
        self.token.cancelled().await;
        let closed = self.get().expect("set before the token is cancelled");
        closed.clone()
    }
}
