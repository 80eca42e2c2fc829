//! Verified streams: data that no relay on the way can change, drop, cut short, repeat or reorder unnoticed.
//!
//! ```text
//!   Bytes ──▶ VerifiedSendStream ── tokens, DATA, signatures ──▶ relays ──▶ VerifiedRecvStream ──▶ items
//!                   │  ▲ signature                                              │
//!         statement ▼  │                                                        └─ the first bad sequence, and its code
//!              FalconSigner, on a thread of its own
//! ```
//!
//! What may be said and believed is stoq-core's matter ([`stoq_core::channel`]); here are streams, a clock and the threads
//! on which keys sign.

mod channels;
mod config;
mod datagrams;
mod held;
mod line;
mod receive;
mod refused;
mod send;
mod signing;

use std::sync::{Arc, Mutex, PoisonError};

use stoq_core::channel::{ChannelId, Received, Sent};
use stoq_core::stream::{Direction, Payload};
use stoq_core::token::Scope;

pub(crate) use channels::Channels;
pub use config::{ChannelConfig, HashFunction};
pub use datagrams::{DatagramsInUse, VerifiedDatagramError};
pub use receive::{VerifiedReadError, VerifiedRecvStream};
pub(crate) use refused::Refused;
pub use refused::RefusedChannels;
pub use send::{VerifiedSendStream, VerifiedWriteError};

use crate::closed::Closed;
use crate::session::{Session, StreamOpenError};
use crate::stream::{RecvStream, SendStream};

impl Session {
    /// Opens a verified stream in both directions. The peer must take framed streams, and learns of this one at once.
    ///
    /// Waits as [`open_bi`](Self::open_bi) does.
    ///
    /// # Errors
    /// [`OpenVerifiedError`].
    ///
    /// # Cancel safety
    /// As `open_bi`.
    pub async fn open_verified_bi(
        &self,
        config: &ChannelConfig,
    ) -> Result<(VerifiedSendStream, VerifiedRecvStream), OpenVerifiedError> {
        self.channels().room()?;
        let (send, receive) = self.open_bi_with(Payload::Framed).await?;
        let channel = self.channels().create()?;
        let (mut send, receive) =
            self.both(config, channel, (send, receive), !config.partial_answers);
        send.introduce(channel, config.priority).await?;
        Ok((send, receive))
    }

    /// Opens a verified stream on which only this end sends, as [`open_verified_bi`](Self::open_verified_bi).
    ///
    /// # Errors
    /// [`OpenVerifiedError`].
    ///
    /// # Cancel safety
    /// As [`open_uni`](Self::open_uni).
    pub async fn open_verified_uni(
        &self,
        config: &ChannelConfig,
    ) -> Result<VerifiedSendStream, OpenVerifiedError> {
        self.channels().room()?;
        let stream = self.open_uni_with(Payload::Framed).await?;
        let channel = self.channels().create()?;
        let scope = self.sends(channel, Direction::Unidirectional);
        let mut send = VerifiedSendStream::new(stream, config, scope, None, None, false);
        send.introduce(channel, config.priority).await?;
        Ok(send)
    }

    /// The next verified stream in both directions that the peer opens. This end must take framed streams
    /// ([`ServerConfig::framed_streams`](crate::ServerConfig::framed_streams)).
    ///
    /// A stream whose channel id was used before in this session is refused ([`Code::CHANNEL_REUSED`](crate::Code)) and
    /// counted, and so is one beyond 65,536; one that does not say its id within 5 s is refused too.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended, and all that came before the peer closed has been accepted.
    ///
    /// # Cancel safety
    /// If the future is dropped, no stream is lost.
    pub async fn accept_verified_bi(
        &self,
        config: &ChannelConfig,
    ) -> Result<(VerifiedSendStream, VerifiedRecvStream), Closed> {
        let (arrived, channel) = self.introduced(Direction::Bidirectional).await?;
        let halves = arrived.accept_bi(self).expect("queued with both halves");
        // Who opens a stream asks: it may say all that it has to say before it hears anything.
        Ok(self.both(config, channel, halves, false))
    }

    /// The next verified stream that the peer opens and on which only it sends, as
    /// [`accept_verified_bi`](Self::accept_verified_bi).
    ///
    /// # Errors
    /// As `accept_verified_bi`.
    ///
    /// # Cancel safety
    /// As `accept_verified_bi`.
    pub async fn accept_verified_uni(
        &self,
        config: &ChannelConfig,
    ) -> Result<VerifiedRecvStream, Closed> {
        let (arrived, channel) = self.introduced(Direction::Unidirectional).await?;
        let stream = arrived.accept_uni(self).expect("queued with its half");
        let scope = self.receives(channel, Direction::Unidirectional);
        Ok(VerifiedRecvStream::new(
            stream,
            self.clone(),
            config,
            scope,
            None,
            None,
        ))
    }

    /// `whole`: only an answer to all that this end sends may be the last.
    fn both(
        &self,
        config: &ChannelConfig,
        channel: ChannelId,
        (send, receive): (SendStream, RecvStream),
        whole: bool,
    ) -> (VerifiedSendStream, VerifiedRecvStream) {
        // What nobody asks for is not hashed.
        let received = config.signer.as_ref().map(|_| Share::<Received>::default());
        let sent = (!config.origins.is_empty()).then(Share::<Sent>::default);
        let kind = Direction::Bidirectional;
        let (here, there) = (self.sends(channel, kind), self.receives(channel, kind));
        let send =
            VerifiedSendStream::new(send, config, here, received.clone(), sent.clone(), whole);
        let session = self.clone();
        let receive = VerifiedRecvStream::new(receive, session, config, there, received, sent);
        (send, receive)
    }

    /// Where the tokens of this end are at home.
    fn sends(&self, channel: ChannelId, kind: Direction) -> Scope {
        let shared = self.shared();
        Scope {
            session: shared.hash,
            flow: shared.flow,
            kind,
            channel,
        }
    }

    /// Where the tokens of the far end are at home.
    fn receives(&self, channel: ChannelId, kind: Direction) -> Scope {
        let scope = self.sends(channel, kind);
        Scope {
            flow: scope.flow.reversed(),
            ..scope
        }
    }
}

/// What both halves of a stream know.
#[derive(Debug, Default)]
pub(crate) struct Share<T>(Arc<Mutex<T>>);

impl<T> Share<T> {
    fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R {
        // No code of others runs under the lock.
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Share<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A verified stream could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenVerifiedError {
    /// As for any stream.
    #[error(transparent)]
    Open(#[from] StreamOpenError),
    /// The session has had as many verified streams as it may: begin another.
    #[error("the session has opened {limit} verified streams, as many as it may")]
    TooManyChannels {
        /// How many.
        limit: usize,
    },
}

impl OpenVerifiedError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> crate::Code {
        match self {
            Self::Open(error) => error.code(),
            Self::TooManyChannels { .. } => crate::Code::LIMIT,
        }
    }
}
