//! The peer's control stream: bytes into whole frames, at a bounded rate.

use alloc::vec::Vec;

use super::SessionError;
use crate::time::Timestamp;

/// Counts control frames against a token bucket, so that a peer cannot keep us busy with frames that cost
/// it nothing (pings, settings of unknown frames).
#[derive(Debug)]
pub(super) struct FrameBudget {
    tokens: u64,
    refilled: Timestamp,
}

impl FrameBudget {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            tokens: BURST,
            refilled: now,
        }
    }

    /// Spends one frame.
    pub(super) fn spend(&mut self, now: Timestamp) -> Result<(), SessionError> {
        let micros = now.saturating_since(self.refilled).as_micros();
        let earned = u64::try_from(micros * u128::from(PER_SECOND) / 1_000_000).unwrap_or(u64::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.refilled = now;
        }
        self.tokens = self
            .tokens
            .checked_sub(1)
            .ok_or(SessionError::ControlFlood { limit: PER_SECOND })?;
        Ok(())
    }
}

/// The frame that has not arrived whole. Bounded by the largest frame, because a frame that announces more
/// than its type's limit is refused as soon as its length has been read, and by the driver's read size.
#[derive(Debug, Default)]
pub(super) struct PartialFrame(Vec<u8>);

impl PartialFrame {
    /// All bytes that are not decoded yet: the rest of the last call, then `input`.
    pub(super) fn join<'a>(&mut self, input: &'a [u8]) -> alloc::borrow::Cow<'a, [u8]> {
        if self.0.is_empty() {
            return input.into();
        }
        let mut joined = core::mem::take(&mut self.0);
        joined.extend_from_slice(input);
        joined.into()
    }

    /// Keeps what could not be decoded.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.0 = rest.to_vec();
    }
}

/// Frames a second over time. A gateway that opens and closes 250 sessions a second stays below it.
const PER_SECOND: u64 = 1024;
/// Frames at once: a gateway that reconnects all of its sessions.
const BURST: u64 = 4096;
