//! What a peer announces from end to end: the frames of its one announcing stream.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::close::Code;
use crate::frame::{DecodeError, Frame, FrameType};
use crate::rate::Rate;
use crate::seeds::{Limits, SeedBook, SeedFlood};
use crate::time::Timestamp;

/// Reads the bytes of a stream of kind [`Announce`](crate::stream::Payload::Announce), from behind its header on.
///
/// ```text
/// bytes ──▶ SEED                                       ──▶ the book of seeds ──▶ events
///           FALCON_KEY, TOKEN_RUN, FALCON_SIGNATURE    ──▶ a queue, for who verifies datagrams
///           anything else                              ──▶ skipped, and counted
/// ```
///
/// All that it holds is bounded: one frame that is not whole, the [`Limits`] of the seeds, and
/// [`MAX_SIGNATURE_BYTES`] of the others.
#[derive(Debug)]
pub struct Announcements {
    partial: Vec<u8>,
    rate: Rate,
    seeds: SeedBook,
    signatures: VecDeque<Bytes>,
    signature_bytes: usize,
    signatures_dropped: u64,
    skipped: u64,
}

impl Announcements {
    /// Nothing announced.
    pub const fn new(limits: Limits) -> Self {
        Self {
            partial: Vec::new(),
            rate: Rate::new(FRAME_BURST, FRAMES_PER_SECOND),
            seeds: SeedBook::new(limits),
            signatures: VecDeque::new(),
            signature_bytes: 0,
            signatures_dropped: 0,
            skipped: 0,
        }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// [`AnnounceError`]: the peer is to be told to stop, with its code, and nothing more is to be fed. What came before
    /// stays good.
    pub fn feed(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), AnnounceError> {
        let mut joined = core::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some((frame, length)) = Frame::decode(&joined[taken..])? {
            if !self.rate.spend(now) {
                let limit = self.rate.per_second();
                return Err(AnnounceError::Flood { limit });
            }
            match frame {
                Frame::Seed(seed) => self.seeds.take(now, seed)?,
                frame if signs(frame.ty()) => {
                    self.keep(Bytes::copy_from_slice(&joined[taken..taken + length]));
                }
                _ => self.skipped += 1,
            }
            taken += length;
        }
        joined.drain(..taken);
        joined.shrink_to(KEPT_ROOM);
        self.partial = joined;
        Ok(())
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`AnnounceError::Cut`] if that was within a frame.
    pub const fn finish(&self) -> Result<(), AnnounceError> {
        match self.partial.len() {
            0 => Ok(()),
            got => Err(AnnounceError::Cut { got }),
        }
    }

    /// The seeds: their events, their time, their counters.
    pub const fn seeds(&mut self) -> &mut SeedBook {
        &mut self.seeds
    }

    /// The next FALCON_KEY, TOKEN_RUN or FALCON_SIGNATURE frame, whole and well-formed, in the order of arrival.
    pub fn next_signature(&mut self) -> Option<Bytes> {
        let frame = self.signatures.pop_front()?;
        self.signature_bytes -= frame.len() + OVERHEAD;
        Some(frame)
    }

    /// Frames for who verifies datagrams that had to give way, because nobody took them.
    pub const fn signatures_dropped(&self) -> u64 {
        self.signatures_dropped
    }

    /// Frames that mean nothing here.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The oldest make room.
    fn keep(&mut self, frame: Bytes) {
        self.signature_bytes += frame.len() + OVERHEAD;
        self.signatures.push_back(frame);
        while self.signature_bytes > MAX_SIGNATURE_BYTES && self.next_signature().is_some() {
            self.signatures_dropped += 1;
        }
    }
}

/// Whether frames of this type are for who verifies datagrams.
fn signs(ty: FrameType) -> bool {
    matches!(
        ty,
        FrameType::FALCON_KEY | FrameType::TOKEN_RUN | FrameType::FALCON_SIGNATURE
    )
}

/// An announcing stream cannot be read on. The peer broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// What comes is no frame, or one that is too long.
    #[error(transparent)]
    Frame(#[from] DecodeError),
    /// SEED frames come too fast.
    #[error(transparent)]
    Seeds(#[from] SeedFlood),
    /// Frames come too fast.
    #[error("more than {limit} frames a second")]
    Flood {
        /// Frames a second that are allowed over time.
        limit: u32,
    },
    /// The stream ended within a frame.
    #[error("the stream ended within a frame, after {got} bytes of it")]
    Cut {
        /// How much of it there is.
        got: usize,
    },
}

impl AnnounceError {
    /// What the peer is told.
    pub const fn code(&self) -> Code {
        match self {
            Self::Frame(error) => error.code(),
            Self::Seeds(flood) => flood.code(),
            Self::Flood { .. } => Code::CONTROL_FLOOD,
            Self::Cut { .. } => Code::FRAME,
        }
    }
}

/// Bytes of FALCON_KEY, TOKEN_RUN and FALCON_SIGNATURE frames that wait to be taken: the signed tags of 6000 datagrams, more
/// than a session holds datagrams.
pub const MAX_SIGNATURE_BYTES: usize = 256 * 1024;

/// What a frame costs beside its bytes.
const OVERHEAD: usize = 64;
/// Frames a second over time: two for each of 1000 signed runs, of up to 400 datagrams each.
const FRAMES_PER_SECOND: u32 = 2048;
/// Frames at once: as on a control stream.
const FRAME_BURST: u32 = 4096;
/// Room for the next partial frame that is not given back: one that is cut in two packets, say.
const KEPT_ROOM: usize = 2048;

#[cfg(test)]
mod tests;
