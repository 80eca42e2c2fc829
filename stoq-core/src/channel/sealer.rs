//! The sending end of a channel.

use bytes::{BufMut, BytesMut};

use super::{MAX_RUN_BYTES, MAX_RUN_TOKENS, RUN_TIME, Received};
use crate::falcon::{Domain, Signature};
use crate::frame::{FalconSignature, Frame, FrameType, Token, TokenAlgorithm};
use crate::hash::Sha256;
use crate::identity::{FalconId, SignatureAlgorithm};
use crate::run::Statement;
use crate::time::UnixMicros;
use crate::token::{PREFIX_LEN, Scope};
use crate::varint::VarInt;

/// Puts tokens in front of data, and runs of tokens into statements that a signer signs.
///
/// It reserves no memory of its own. A run is [`due`](Self::due) to be signed when it is full or a quarter of a second old; while it is
/// signed the next one may go on, until that one is full as well.
///
/// ```
/// use stoq_core::channel::{ChannelId, Received, Sealer};
/// use stoq_core::frame::TokenAlgorithm;
/// use stoq_core::stream::Direction;
/// use stoq_core::time::UnixMicros;
/// use stoq_core::token::{Flow, Scope};
/// use stoq_core::{FalconId, SessionHash};
///
/// let scope = Scope {
///     session: SessionHash::new(&[1; 32], &[2; 32], "files"),
///     flow: Flow::ToClient,
///     kind: Direction::Bidirectional,
///     channel: ChannelId::new([7; 16]),
/// };
/// let signer = FalconId::new([9; 32]);
/// let mut sealer = Sealer::new(scope, TokenAlgorithm::BLAKE3, Some(signer))?;
///
/// // Send what was written, and then the data itself.
/// let (now, mut header) = (UnixMicros(0), Vec::new());
/// sealer.seal(now, b"data", &mut header)?;
/// // At the end: this is to be signed, and the signature goes back into `signed`.
/// let statement = sealer.finish(now, &Received::default(), &mut header)?;
/// assert_eq!(statement.map(|it| it.is_final), Some(true));
/// # Ok::<_, stoq_core::channel::SealError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sealer {
    scope: Scope,
    algorithm: TokenAlgorithm,
    signer: Option<FalconId>,
    next: u64,
    run: Option<Run>,
    /// A run that is being signed, and what it answers.
    unsigned: Option<(Statement, VarInt)>,
    finished: bool,
}

/// The tokens since the last run.
#[derive(Clone, Debug)]
struct Run {
    first: u64,
    began: UnixMicros,
    bytes: usize,
    tags: Sha256,
}

impl Sealer {
    /// The longest that [`seal`](Self::seal) writes: a TOKEN frame with its longest sequence, and the header of DATA.
    pub const MAX_HEADER_LEN: usize = 8 + 1 + Token::MAX_LEN + 1 + 4;

    /// The sending end of a channel. Without a signer, receivers learn that data came whole and in order, and not from whom.
    ///
    /// # Errors
    /// [`SealError::UnknownAlgorithm`].
    pub fn new(
        scope: Scope,
        algorithm: TokenAlgorithm,
        signer: Option<FalconId>,
    ) -> Result<Self, SealError> {
        match algorithm {
            TokenAlgorithm::SHA256 | TokenAlgorithm::BLAKE3 => Ok(Self {
                scope,
                algorithm,
                signer,
                next: 0,
                run: None,
                unsigned: None,
                finished: false,
            }),
            TokenAlgorithm(got) => Err(SealError::UnknownAlgorithm { got }),
        }
    }

    /// Writes what stands in front of `data`, at most [`MAX_HEADER_LEN`](Self::MAX_HEADER_LEN) bytes: the token, and the header
    /// of a DATA frame. `data` itself, 1 to [`Frame::MAX_DATA`] bytes, is sent behind it.
    ///
    /// # Errors
    /// [`SealError`]; nothing was written, and the channel is as before. After [`SealError::Unsigned`], close the run, if none
    /// is being signed, or wait for the signature of the one that is.
    pub fn seal(
        &mut self,
        now: UnixMicros,
        data: &[u8],
        out: &mut impl BufMut,
    ) -> Result<(), SealError> {
        self.check(data.len())?;
        self.put(now, data, out);
        Ok(())
    }

    /// [`seal`](Self::seal) that writes the data as well, and hashes it where it then lies: behind other frames, one copy does for
    /// both. Few large pieces are also less for a carrier to look through than many small ones.
    ///
    /// # Errors
    /// As `seal`.
    pub fn seal_whole(
        &mut self,
        now: UnixMicros,
        data: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), SealError> {
        self.check(data.len())?;
        let number = sequence(self.next);
        self.put_header(number, now, [0; 32], data.len(), out);
        let at = out.len();
        out.put_slice(data);
        let (scope, algorithm) = (self.scope, self.algorithm);
        let tag = match at.checked_sub(PREFIX_LEN) {
            // What is hashed with the data lies over what stands in front of it for a moment.
            Some(from) => {
                let mut kept = [0; PREFIX_LEN];
                kept.copy_from_slice(&out[from..at]);
                let tag = scope.tag_in_place(algorithm, number, now, &mut out[from..]);
                out[from..at].copy_from_slice(&kept);
                tag
            }
            None => scope.tag(algorithm, number, now, data),
        };
        let tag = tag.expect("`new` has looked at the algorithm");
        let header = VarInt::from(FrameType::DATA).encoded_len()
            + VarInt::saturating(data.len() as u128).encoded_len();
        let end = at - header;
        out[end - tag.len()..end].copy_from_slice(&tag);
        self.sent(now, data.len(), &tag);
        Ok(())
    }

    /// Whether the run is full or old enough to be signed now.
    pub fn due(&self, now: UnixMicros) -> bool {
        let Some(run) = &self.run else { return false };
        self.is_full() || u128::from(now.0.saturating_sub(run.began.0)) >= RUN_TIME.as_micros()
    }

    /// Whether no more data fits before a run is closed.
    pub fn is_full(&self) -> bool {
        self.run.as_ref().is_some_and(|run| {
            run.bytes + Frame::MAX_DATA > MAX_RUN_BYTES
                || self.next - run.first >= MAX_RUN_TOKENS as u64
        })
    }

    /// The first sequence of the run that grows; `None` if no token came since the last was closed.
    pub fn run(&self) -> Option<VarInt> {
        self.run.as_ref().map(|run| sequence(run.first))
    }

    /// Whether a run is being signed, so that no other can be closed.
    pub const fn awaits_signature(&self) -> bool {
        self.unsigned.is_some()
    }

    /// Ends the run, and says what is to be signed; the signature goes to [`signed`](Self::signed). `None` if there is no run,
    /// or the one before is being signed.
    ///
    /// `received` is what the application has been given of the other direction by now, which the run then
    /// [answers](super::Request).
    pub fn close(&mut self, received: &Received) -> Option<Statement> {
        self.close_as(received, false)
    }

    /// Ends the channel: the last run, whose signature says so, is to be signed, as the answer to `received`. If the run before it
    /// has just been closed, a token without data makes one, and is written to `out`. `None` if nobody signs.
    ///
    /// # Errors
    /// [`SealError::Unsigned`] if a run is being signed: wait for it. [`SealError::Finished`].
    pub fn finish(
        &mut self,
        now: UnixMicros,
        received: &Received,
        out: &mut impl BufMut,
    ) -> Result<Option<Statement>, SealError> {
        if self.finished {
            return Err(SealError::Finished);
        }
        if self.unsigned.is_some() {
            return Err(SealError::Unsigned);
        }
        self.finished = true;
        if self.signer.is_some() && self.run.is_none() {
            self.put(now, &[], out);
        }
        Ok(self.close_as(received, true))
    }

    /// Writes the signature of the run that was closed as a frame. Tokens of the next run may have been sent by then.
    ///
    /// # Errors
    /// [`SealError::NotClosed`] if no run waits for one.
    pub fn signed(
        &mut self,
        signature: &Signature,
        out: &mut impl BufMut,
    ) -> Result<(), SealError> {
        let (statement, request) = self.unsigned.take().ok_or(SealError::NotClosed)?;
        let frame = FalconSignature {
            signer: statement.signer,
            algorithm: SignatureAlgorithm::FALCON_PADDED_1024,
            first: statement.first,
            last: statement.last,
            request,
            is_final: statement.is_final,
            signature: signature.as_bytes(),
        };
        Frame::FalconSignature(frame).encode(out);
        Ok(())
    }

    fn check(&self, got: usize) -> Result<(), SealError> {
        if got == 0 || got > Frame::MAX_DATA {
            return Err(SealError::Length { got });
        }
        if self.finished {
            return Err(SealError::Finished);
        }
        if self.is_full() {
            return Err(SealError::Unsigned);
        }
        Ok(())
    }

    fn put(&mut self, now: UnixMicros, data: &[u8], out: &mut impl BufMut) {
        let number = sequence(self.next);
        let tag = self.scope.tag(self.algorithm, number, now, data);
        let tag = tag.expect("`new` has looked at the algorithm");
        self.put_header(number, now, tag, data.len(), out);
        self.sent(now, data.len(), &tag);
    }

    /// Writes the token, and what stands in front of so much data.
    fn put_header(
        &self,
        sequence: VarInt,
        timestamp: UnixMicros,
        tag: [u8; 32],
        len: usize,
        out: &mut impl BufMut,
    ) {
        let token = Token {
            algorithm: self.algorithm,
            sequence,
            timestamp,
            tag,
        };
        Frame::Token(token).encode(out);
        VarInt::from(FrameType::DATA).encode(out);
        VarInt::saturating(len as u128).encode(out);
    }

    /// Takes down a token that was made.
    fn sent(&mut self, now: UnixMicros, len: usize, tag: &[u8; 32]) {
        if self.signer.is_some() {
            let first = self.next;
            let run = self.run.get_or_insert_with(|| Run {
                first,
                began: now,
                bytes: 0,
                tags: Sha256::new(),
            });
            run.bytes += len;
            run.tags.update(tag);
        }
        self.next += 1;
    }

    fn close_as(&mut self, received: &Received, is_final: bool) -> Option<Statement> {
        if self.unsigned.is_some() {
            return None;
        }
        let (signer, run) = (self.signer?, self.run.take()?);
        let request = received.request();
        let statement = Statement {
            domain: Domain::TOKEN_RUN,
            session: self.scope.session,
            signer,
            channel: self.scope.channel,
            request: request.digest,
            first: sequence(run.first),
            last: sequence(self.next - 1),
            is_final,
            tags: run.tags.finish(),
        };
        self.unsigned = Some((statement, request.frames));
        Some(statement)
    }
}

/// It would take longer than the age of the world to count to 2^62.
fn sequence(number: u64) -> VarInt {
    VarInt::saturating(number.into())
}

/// A channel cannot do this now. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Tokens have no such algorithm.
    #[error("no token algorithm {got}")]
    UnknownAlgorithm {
        /// The number.
        got: u8,
    },
    /// A DATA frame takes 1 to 16,384 bytes.
    #[error("{got} bytes of data, a frame takes 1 to {}", Frame::MAX_DATA)]
    Length {
        /// Bytes offered.
        got: usize,
    },
    /// The runs that may be without signature are.
    #[error("a run of tokens waits for its signature")]
    Unsigned,
    /// No run waits for a signature.
    #[error("no run waits for a signature")]
    NotClosed,
    /// The channel was ended before.
    #[error("the channel has been finished")]
    Finished,
}
