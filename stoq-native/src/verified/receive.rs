//! The receiving half.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use stoq_core::channel::{ChannelError, Item, Opener, Received, Sent};
use stoq_core::close::Code;
use stoq_core::identity::FalconId;
use stoq_core::time::UnixMicros;
use stoq_core::token::Scope;
use stoq_core::varint::VarInt;
use tokio::time::{Instant, timeout};

use super::held::Held;
use super::{ChannelConfig, Share};
use crate::clock::now;
use crate::session::Session;
use crate::stream::{ReadError, RecvStream};

/// The receiving half of a verified stream.
///
/// Dropped before its end, it tells the peer to stop sending, with [`Code::CANCELLED`].
pub struct VerifiedRecvStream {
    stream: RecvStream,
    session: Session,
    opener: Opener,
    /// Whether the time of tokens counts, so that somebody must look at the clock.
    timed: bool,
    /// Whether what is wrong has been told and counted.
    refused: bool,
    /// What all streams of the session hold back, and how much of it is this one's.
    held: (Arc<Held>, usize),
    /// Which token waits for its signature, and how long it may still wait.
    waits: (VarInt, Duration),
    signature_timeout: Duration,
    /// What has arrived and is not read.
    chunks: Vec<Bytes>,
    next: usize,
    received: Option<Share<Received>>,
    /// What this end has sent the other way.
    sent: Share<Sent>,
}

impl VerifiedRecvStream {
    pub(super) fn new(
        stream: RecvStream,
        session: Session,
        config: &ChannelConfig,
        scope: Scope,
        received: Option<Share<Received>>,
        sent: Option<Share<Sent>>,
    ) -> Self {
        let opener = Opener::new(scope, config.origins.clone(), config.delivery);
        let opener = opener.with_time_window(config.time_window);
        let keys = config.keys.iter().cloned();
        let held = (session.channels().held.clone(), 0);
        Self {
            stream,
            session,
            opener: keys.fold(opener, Opener::with_key),
            timed: config.time_window.0.is_some(),
            refused: false,
            held,
            waits: (VarInt::default(), config.signature_timeout),
            signature_timeout: config.signature_timeout,
            chunks: Vec::new(),
            next: 0,
            received,
            sent: sent.unwrap_or_default(),
        }
    }

    /// What comes next: data, or word that data is verified; `None` at the end.
    ///
    /// If origins were named, the end is one that they have signed.
    ///
    /// # Errors
    /// [`VerifiedReadError`]. If something is wrong with what came, the peer is told to stop, with a code that says what, and
    /// the session [counts](crate::SessionStats::refused) it. What was handed out before stays as good as it was said to be.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Item>, VerifiedReadError> {
        let mut elder = None;
        loop {
            // Frames that hand out nothing may come for long.
            tokio::task::consume_budget().await;
            let taken = self.take();
            self.note_held();
            match taken {
                Err(error) => return Err(self.refuse(error)),
                Ok(Some(item)) => {
                    if let (Item::Data { data, .. }, Some(received)) = (&item, &self.received) {
                        received.with(|received| received.note(data));
                    }
                    return Ok(Some(item));
                }
                Ok(None) => {}
            }
            if elder.is_none() && self.opener.expects_signatures() {
                elder = self.held.0.room().await;
            }
            self.chunks.resize(CHUNKS, Bytes::new());
            self.next = CHUNKS;
            let began = Instant::now();
            let read = self.stream.read_chunks(&mut self.chunks);
            let read = match self.held.1 {
                0 => read.await?,
                _ => match timeout(self.waits.1, read).await {
                    Ok(read) => read?,
                    Err(_) => {
                        let error = self.opener.give_up();
                        return Err(self.refuse(error));
                    }
                },
            };
            self.waits.1 = self.waits.1.saturating_sub(began.elapsed());
            match read {
                Some(read) => {
                    self.chunks.truncate(read);
                    self.next = 0;
                }
                None => {
                    self.chunks.clear();
                    self.next = 0;
                    let ended = self.opener.end();
                    return match ended {
                        Ok(()) => Ok(None),
                        Err(error) => Err(self.refuse(error)),
                    };
                }
            }
        }
    }

    /// All data to the end, up to `limit` bytes: verified, if origins were named.
    ///
    /// # Errors
    /// [`VerifiedReadError`]; [`ReadError::TooLong`] if more than `limit` bytes come.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, what was read is lost.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, VerifiedReadError> {
        let mut read = BytesMut::new();
        while let Some(item) = self.next().await? {
            let Item::Data { data, .. } = item else {
                continue;
            };
            if data.len() > limit - read.len() {
                return Err(ReadError::TooLong { limit }.into());
            }
            read.extend_from_slice(&data);
        }
        Ok(read.into())
    }

    /// Who has signed what came so far.
    pub const fn signer(&self) -> Option<FalconId> {
        self.opener.signer()
    }

    /// Wants no more: the peer is told to stop, with `code`.
    pub fn stop(&mut self, code: Code) {
        self.stream.stop(code);
    }

    /// What is in the bytes that have arrived.
    fn take(&mut self) -> Result<Option<Item>, ChannelError> {
        let time = if self.timed { now() } else { UnixMicros(0) };
        loop {
            let chunk = self.chunks.get_mut(self.next);
            let mut input = chunk.as_ref().map_or(&[][..], |chunk| &chunk[..]);
            let before = input.len();
            let opener = &mut self.opener;
            let item = self.sent.with(|sent| opener.next(time, sent, &mut input))?;
            let used = before - input.len();
            let Some(chunk) = chunk else { return Ok(item) };
            chunk.advance(used);
            if chunk.is_empty() {
                self.next += 1;
            }
            if item.is_some() {
                return Ok(item);
            }
        }
    }

    /// Takes down what is held back, and since when.
    fn note_held(&mut self) {
        let (held, before) = &mut self.held;
        let now = self.opener.held_bytes();
        if now != *before {
            held.change(*before, now);
            *before = now;
        }
        let first = self.opener.unsigned_from();
        if now == 0 || first != self.waits.0 {
            self.waits = (first, self.signature_timeout);
        }
    }

    #[cold]
    fn refuse(&mut self, error: ChannelError) -> VerifiedReadError {
        let code = error.code();
        if !core::mem::replace(&mut self.refused, true) {
            self.session.shared().counters.refused.count(code);
            self.stream.stop(code);
        }
        VerifiedReadError::Channel(error)
    }
}

impl Drop for VerifiedRecvStream {
    fn drop(&mut self) {
        self.held.0.change(self.held.1, 0);
    }
}

impl fmt::Debug for VerifiedRecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedRecvStream")
            .field("signer", &self.signer())
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// A verified stream could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifiedReadError {
    /// What came is not what its origin sent.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// As for any stream.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl VerifiedReadError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Channel(error) => error.code(),
            Self::Read(error) => error.code(),
        }
    }
}

/// Pieces taken from QUIC at once: what a few packets bring, for one look at its lock.
const CHUNKS: usize = 32;
