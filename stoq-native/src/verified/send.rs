//! The sending half.

use core::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use stoq_core::channel::{ChannelId, CutShort, Received, SealError, Sealer, Sent};
use stoq_core::close::Code;
use stoq_core::frame::{FalconKey, Frame, Priority};
use stoq_core::token::Scope;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::line::{Ending, Line, Sending, Turn};
use super::signing::{sign, sign_runs};
use super::{ChannelConfig, Share};
use crate::clock::now;
use crate::falcon::{FalconSigner, SignError};
use crate::session::StreamOpenError;
use crate::stream::{SendStream, WriteError};

/// The sending half of a verified stream.
///
/// What is written is sent at once, and signed when 8 MiB or a quarter of a second have gone by, while the stream goes on.
/// Dropped unfinished, it is reset with [`Code::CANCELLED`].
pub struct VerifiedSendStream {
    sending: Arc<Sending>,
    signer: Option<(Arc<dyn FalconSigner>, AbortHandle)>,
}

impl VerifiedSendStream {
    pub(super) fn new(
        stream: SendStream,
        config: &ChannelConfig,
        scope: Scope,
        received: Option<Share<Received>>,
        sent: Option<Share<Sent>>,
        whole: bool,
    ) -> Self {
        let key = config.signer.as_ref().map(|it| it.verifying_key());
        let sealer = Sealer::new(scope, config.hash.algorithm(), key.map(|key| key.id()));
        let sealer = sealer.expect("a hash that tokens have");
        let mut line = Line::new(stream, sealer, received, sent, whole);
        if let Some(key) = key {
            let key = FalconKey {
                algorithm: key.algorithm(),
                key: key.as_bytes(),
                created: now(),
            };
            line.put(|_, out| Frame::FalconKey(key).encode(out));
        }
        let sending = Arc::new(Sending::new(line));
        let signer = config.signer.clone().map(|signer| {
            let task = tokio::spawn(sign_runs(sending.clone(), signer.clone()));
            (signer, task.abort_handle())
        });
        Self { sending, signer }
    }

    /// Says which channel it is, and how urgent: what stands first on the opener's half.
    pub(super) async fn introduce(
        &mut self,
        channel: ChannelId,
        priority: Option<Priority>,
    ) -> Result<(), StreamOpenError> {
        let mut first = BytesMut::from(&channel.as_bytes()[..]);
        if let Some(priority) = priority {
            Frame::Priority(priority).encode(&mut first);
        }
        let mut line = self.sending.turn().await;
        line.put_first(first.freeze());
        line.flush().await.map_err(|error| match error {
            VerifiedWriteError::Write(WriteError::SessionClosed(closed)) => {
                StreamOpenError::SessionClosed(closed)
            }
            other => StreamOpenError::Rejected(other.code()),
        })
    }

    /// Writes all of `data`, of which one copy is made: it is hashed there, and kept until the peer has acknowledged it. Waits while the path is full, the
    /// receiver does not read, or two runs wait for their signature.
    ///
    /// The receiver is given it in pieces of at most 16 KiB; many small writes cost 60 bytes each.
    ///
    /// # Errors
    /// [`VerifiedWriteError`]; some of `data` may have been written.
    ///
    /// # Cancel safety
    /// Not cancel safe: if the future is dropped, some of `data` may have been written. The stream can go on: what was begun is
    /// sent by the next call.
    pub async fn write(&mut self, mut data: Bytes) -> Result<(), VerifiedWriteError> {
        while !data.is_empty() {
            let mut line = self.ready().await?;
            if line.sealer.is_full() {
                drop(line);
                self.sending.wake.notify_one();
                self.sending.signed.notified().await;
                continue;
            }
            line.seal(&mut data)?;
            if line.mark_due() {
                self.sending.wake.notify_one();
            }
            line.flush().await?;
        }
        Ok(())
    }

    /// Signs what was written now, and resolves when the signature is on its way: who waits for verified data need not wait for
    /// a quarter of a second. Does nothing without a signer.
    ///
    /// # Errors
    /// [`VerifiedWriteError`].
    ///
    /// # Cancel safety
    /// If the future is dropped, the run is signed all the same.
    pub async fn flush(&mut self) -> Result<(), VerifiedWriteError> {
        loop {
            let mut line = self.ready().await?;
            if line.sealer.run().is_none() && !line.sealer.awaits_signature() {
                return Ok(());
            }
            if line.sealer.run().is_some() {
                line.due = Some(Instant::now());
                self.sending.wake.notify_one();
            }
            drop(line);
            self.sending.signed.notified().await;
        }
    }

    /// Ends the stream, and signs that it ends here. Resolves when all is handed to QUIC, which sends it as long as the
    /// session lives.
    ///
    /// # Errors
    /// [`VerifiedWriteError`]; the stream does not look complete to the peer.
    ///
    /// # Cancel safety
    /// If the future is dropped, the stream may not have ended: call it again, and it goes on from there.
    pub async fn finish(&mut self) -> Result<(), VerifiedWriteError> {
        loop {
            let mut line = self.ready().await?;
            let is_signed = !line.sealer.awaits_signature();
            match (&mut line.ending, &self.signer) {
                (Ending::Open, _) if !is_signed => {
                    drop(line);
                    self.sending.signed.notified().await;
                }
                (Ending::Open, None) => {
                    line.end()?;
                    line.ending = Ending::Signed;
                }
                (Ending::Open, Some((signer, _))) => {
                    line.ending = match line.end()? {
                        Some(statement) => Ending::Signing(Box::pin(sign(signer, statement))),
                        None => Ending::Signed,
                    };
                }
                (Ending::Signing(signing), _) => {
                    let signature = signing.await;
                    line.take_end(signature)?;
                }
                // All that comes before has been sent: `ready` has seen to it.
                (Ending::Signed, _) => line.finish()?,
                (Ending::Done(cut), _) => return cut.map_or(Ok(()), |cut| Err(cut.into())),
            }
        }
    }

    /// Ends the stream at once: what the peer has not read is lost, and it sees `code`.
    ///
    /// # Cancel safety
    /// If the future is dropped, the stream may not be reset.
    pub async fn reset(&mut self, code: Code) {
        // It may be waiting for room, which may never come.
        if let Some((_, task)) = &self.signer {
            task.abort();
        }
        self.sending.line.lock().await.reset(code);
    }

    /// Resolves when the peer has all of a finished stream (`None`), or wants no more of it, and why. A receiver that has
    /// found something wrong says what.
    ///
    /// # Errors
    /// [`Closed`](crate::Closed) if the session ends first.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn stopped(&mut self) -> Result<Option<Code>, crate::Closed> {
        // The lock is not kept: runs are signed meanwhile.
        let stopped = self.sending.line.lock().await.stopped();
        stopped.await
    }

    /// The stream, when all that was begun is sent.
    async fn ready(&self) -> Result<Turn<'_>, VerifiedWriteError> {
        let mut line = self.sending.turn().await;
        if let Some(failure) = &line.failure {
            return Err(failure.clone());
        }
        line.flush().await?;
        Ok(line)
    }
}

impl Drop for VerifiedSendStream {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.signer {
            task.abort();
        }
    }
}

impl fmt::Debug for VerifiedSendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signer = self.signer.as_ref();
        let signer = signer.map(|(signer, _)| signer.verifying_key().id());
        f.debug_struct("VerifiedSendStream")
            .field("signer", &signer)
            .finish_non_exhaustive()
    }
}

/// Data could not be written to a verified stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifiedWriteError {
    /// As for any stream; a receiver that has found something wrong has stopped it with a code that says what.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A run was not signed, so no receiver will believe it. Reset the stream.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// All was written and ended, but the peer's signed answer had ended before, and is to less than that: a relay may have cut
    /// what was sent. [`ChannelConfig::partial_answers`] takes it.
    #[error(transparent)]
    CutShort(#[from] CutShort),
}

impl VerifiedWriteError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Write(error) => error.code(),
            Self::Sign(_) => Code::INTERNAL,
            Self::CutShort(_) => Code::WRONG_REQUEST,
        }
    }
}

impl From<SealError> for VerifiedWriteError {
    fn from(error: SealError) -> Self {
        // Lengths and runs are looked at before: what is left is a stream that was finished.
        debug_assert_eq!(error, SealError::Finished);
        Self::Write(WriteError::ClosedStream)
    }
}
