//! The announcing streams of a session: one each way, opened by who first has something to say, and read by who asks.
//!
//! ```text
//!   send_seed ──────────▶ Sending   ── frames, one after the other ──▶ the peer
//!   next_seed_event ◀──┐
//!   next_signature  ◀──┴─ Receiving ◀── frames, read while somebody asks ── the peer
//! ```
//!
//! No task reads: the futures of those who ask take turns. So where nobody asks, nothing is held but what fits the stream's
//! window, and the peer's sending waits.

mod receiving;
mod sending;

use stoq_core::announce::AnnounceError;
use stoq_core::close::Code;
use stoq_core::frame::DecodeError;
use stoq_core::seeds;

pub(crate) use receiving::Receiving;
pub(crate) use sending::{Sending, Unwritten};

use crate::closed::Closed;
use crate::stream::WriteError;

/// Both halves.
#[derive(Debug)]
pub(crate) struct Announcing {
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
}

impl Announcing {
    /// `taken` says whether the peer's announcements are let in.
    pub(crate) fn new(taken: bool, limits: seeds::Limits) -> Self {
        Self {
            sending: Sending::default(),
            receiving: Receiving::new(taken, limits),
        }
    }
}

/// A seed could not be announced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendSeedError {
    /// It breaks a rule of its frame, which the peer would not take.
    #[error("the seed cannot be sent: {0}")]
    Invalid(DecodeError),
    /// The peer wants no announcements in this session (any more): [`Code::UNSUPPORTED`], if it takes none.
    #[error("the peer stopped the announcements: {0}")]
    Stopped(Code),
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
}

impl SendSeedError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::INVALID_ARGUMENT,
            Self::Stopped(code) => *code,
            Self::SessionClosed(closed) => closed.code,
        }
    }
}

impl From<WriteError> for SendSeedError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code),
            WriteError::SessionClosed(closed) => Self::SessionClosed(closed),
            WriteError::ClosedStream => unreachable!("it is finished by nobody"),
        }
    }
}

/// Nothing more will be announced by the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnouncementsError {
    /// This end lets no announcements in: see [`ClientConfig::framed_streams`](crate::ClientConfig::framed_streams).
    #[error("this endpoint takes no framed streams, so it hears no announcements")]
    NotTaken,
    /// The peer broke a rule, and was told to stop.
    #[error("the peer's announcements: {0}")]
    Violated(#[from] AnnounceError),
    /// The peer, or a relay, gave the stream up.
    #[error("the peer reset its announcements: {0}")]
    Reset(Code),
    /// The session has ended.
    #[error(transparent)]
    SessionClosed(#[from] Closed),
}

impl AnnouncementsError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::NotTaken => Code::UNSUPPORTED,
            Self::Violated(error) => error.code(),
            Self::Reset(code) => *code,
            Self::SessionClosed(closed) => closed.code,
        }
    }
}

#[cfg(test)]
mod tests;
