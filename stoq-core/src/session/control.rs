//! The peer's control stream: bytes into whole frames, at a bounded rate.

use alloc::vec::Vec;

use super::SessionError;
use crate::rate::Rate;
use crate::time::Timestamp;

/// Counts control frames against a token bucket, so that a peer cannot keep us busy with frames that cost
/// it nothing (pings, settings of unknown frames).
#[derive(Debug)]
pub(super) struct FrameBudget(Rate);

impl FrameBudget {
    pub(super) const fn new() -> Self {
        Self(Rate::new(MAX_CONTROL_BURST, MAX_CONTROL_RATE))
    }

    /// Spends one frame.
    pub(super) fn spend(&mut self, now: Timestamp) -> Result<(), SessionError> {
        if self.0.spend(now) {
            return Ok(());
        }
        let limit = MAX_CONTROL_RATE.into();
        Err(SessionError::ControlFlood { limit })
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

/// Control frames a second that a peer may send over time. A gateway that opens and closes 250 sessions a second stays below it.
pub const MAX_CONTROL_RATE: u32 = 1024;
/// Control frames that a peer may send at once: a gateway that reconnects all of its sessions.
pub const MAX_CONTROL_BURST: u32 = 4096;
