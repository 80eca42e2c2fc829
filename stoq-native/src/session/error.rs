//! What can go wrong in a session beside its streams.

use stoq_core::close::Code;

use crate::closed::Closed;

/// A stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamOpenError {
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
    /// The peer rejected the stream at once.
    #[error("the peer rejected the stream: {0}")]
    Rejected(Code),
}

impl StreamOpenError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::SessionClosed(closed) => closed.code,
            Self::Rejected(code) => *code,
        }
    }
}

/// A datagram was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendDatagramError {
    /// It is larger than what can be sent now.
    #[error("the datagram has {got} bytes, the path to the peer carries {limit}")]
    TooLarge {
        /// What can be sent, in bytes.
        limit: usize,
        /// What it has.
        got: usize,
    },
    /// The peer takes no datagrams.
    #[error("the peer takes no datagrams")]
    Unsupported,
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
}

impl SendDatagramError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::DATAGRAM_TOO_LARGE,
            Self::Unsupported => Code::UNSUPPORTED,
            Self::SessionClosed(closed) => closed.code,
        }
    }
}

/// A message was not sent, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendMessageError {
    /// There is nothing to send.
    #[error("a message needs at least one byte")]
    Empty,
    /// It is larger than what can be sent now.
    #[error("the message has {got} bytes, the path to the peer carries {limit}")]
    TooLarge {
        /// What can be sent, in bytes.
        limit: usize,
        /// What it has.
        got: usize,
    },
    /// The peer takes no datagrams.
    #[error("the peer takes no datagrams")]
    Unsupported,
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
}

impl SendMessageError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Empty => Code::INVALID_ARGUMENT,
            Self::TooLarge { .. } => Code::DATAGRAM_TOO_LARGE,
            Self::Unsupported => Code::UNSUPPORTED,
            Self::SessionClosed(closed) => closed.code,
        }
    }
}

/// A ping was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// Too many are on their way: wait for one.
    #[error("{limit} pings are already on their way")]
    TooMany {
        /// Pings of a connection that may be on their way at once.
        limit: usize,
    },
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
}

impl PingError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::TooMany { .. } => Code::LIMIT,
            Self::SessionClosed(closed) => closed.code,
        }
    }
}
