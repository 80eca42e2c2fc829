//! Whether a token came before, and whether its time is one that a receiver takes.

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;

use crate::close::Code;
use crate::time::UnixMicros;
use crate::varint::VarInt;

/// Which of the newest sequences have come: the sliding window of IPsec ([RFC 4303, section 3.4.3]).
///
/// It holds one bit for each sequence, up to the highest that was [noted](Self::note); it takes as many bytes as the window
/// has sequences, divided by 8, from its making on.
///
/// ```
/// use stoq_core::{VarInt, replay::{ReplayError, ReplayWindow}};
///
/// let mut window = ReplayWindow::default();
/// let five = VarInt::from_u32(5);
/// assert_eq!(window.check(five), Ok(()));
/// window.note(five);
/// assert_eq!(window.check(five), Err(ReplayError::Replayed { sequence: five }));
/// assert_eq!(window.check(VarInt::from_u32(4)), Ok(()), "overtaken, and within the window");
/// ```
///
/// [RFC 4303, section 3.4.3]: https://www.rfc-editor.org/rfc/rfc4303#section-3.4.3
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    bits: Box<[u64]>,
    /// One more than the highest that was noted.
    next: u64,
}

impl ReplayWindow {
    /// Sequences in the default window. 1024: datagrams that overtake each other by more come from another time; 128 bytes.
    pub const DEFAULT: usize = 1024;
    /// Sequences in the largest window. 65,536, 8 KiB.
    pub const MAX: usize = 65_536;

    /// A window of this many sequences: rounded up to 64, and at most [`MAX`](Self::MAX).
    pub fn new(sequences: usize) -> Self {
        let words = sequences.clamp(1, Self::MAX).div_ceil(64);
        Self {
            bits: vec![0; words].into(),
            next: 0,
        }
    }

    /// Sequences in the window.
    pub const fn size(&self) -> usize {
        self.bits.len() * 64
    }

    /// Whether this sequence has not come and the window still knows it. Changes nothing, so that a token can be checked first.
    ///
    /// # Errors
    /// [`ReplayError::Replayed`], [`ReplayError::Late`].
    pub fn check(&self, sequence: VarInt) -> Result<(), ReplayError> {
        let number = sequence.into_inner();
        if number >= self.next {
            return Ok(());
        }
        if self.next - number > self.size() as u64 {
            return Err(ReplayError::Late { sequence });
        }
        let (word, bit) = self.place(number);
        match self.bits[word] & bit {
            0 => Ok(()),
            _ => Err(ReplayError::Replayed { sequence }),
        }
    }

    /// Notes that this sequence has come.
    pub fn note(&mut self, sequence: VarInt) {
        let number = sequence.into_inner();
        if number >= self.next {
            // Those between are new to the window; where it goes round whole, it is all new.
            if number - self.next >= self.size() as u64 {
                self.bits.fill(0);
            } else {
                for skipped in self.next..=number {
                    let (word, bit) = self.place(skipped);
                    self.bits[word] &= !bit;
                }
            }
            self.next = number + 1;
        } else if self.next - number > self.size() as u64 {
            return;
        }
        let (word, bit) = self.place(number);
        self.bits[word] |= bit;
    }

    const fn place(&self, number: u64) -> (usize, u64) {
        let at = (number % self.size() as u64) as usize;
        (at / 64, 1 << (at % 64))
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// How far a token's time may be from the receiver's.
///
/// Off (`None`) by default: the session hash proves already that a token is not from another session, and the clocks of
/// browsers drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeWindow(pub Option<Duration>);

impl TimeWindow {
    /// Whether `timestamp` is within the window around `now`.
    ///
    /// # Errors
    /// [`ReplayError::Stale`] if it is further away, before or after.
    pub fn check(
        self,
        now: UnixMicros,
        sequence: VarInt,
        timestamp: UnixMicros,
    ) -> Result<(), ReplayError> {
        let apart = Duration::from_micros(now.0.abs_diff(timestamp.0));
        match self.0 {
            Some(window) if apart > window => Err(ReplayError::Stale { sequence }),
            _ => Ok(()),
        }
    }
}

/// A token is not taken because of its number or its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The sequence came before.
    #[error("token {sequence} came twice")]
    Replayed {
        /// The sequence.
        sequence: VarInt,
    },
    /// The sequence is too old for the window to know whether it came.
    #[error("token {sequence} is too late for the window")]
    Late {
        /// The sequence.
        sequence: VarInt,
    },
    /// The time is outside of what the receiver takes.
    #[error("the time of token {sequence} is outside of the window")]
    Stale {
        /// The sequence.
        sequence: VarInt,
    },
}

impl ReplayError {
    /// What the peer is told.
    pub const fn code(&self) -> Code {
        match self {
            Self::Replayed { .. } | Self::Late { .. } => Code::REPLAYED_TOKEN,
            Self::Stale { .. } => Code::STALE_TOKEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(sequence: u32) -> VarInt {
        VarInt::from_u32(sequence)
    }

    #[test]
    fn the_window_ends_where_it_says() {
        let mut window = ReplayWindow::new(128);
        window.note(number(1000));
        assert_eq!(window.check(number(873)), Ok(()));
        let sequence = number(872);
        assert_eq!(window.check(sequence), Err(ReplayError::Late { sequence }));
        window.note(number(873));
        let sequence = number(873);
        assert_eq!(
            window.check(sequence),
            Err(ReplayError::Replayed { sequence })
        );
        // It slides by one: 873 leaves, and its bit is that of 1001.
        assert_eq!(window.check(number(1001)), Ok(()));
        window.note(number(1001));
        let sequence = number(873);
        assert_eq!(window.check(sequence), Err(ReplayError::Late { sequence }));
        assert_eq!(window.check(number(874)), Ok(()));
    }

    #[test]
    fn skipped_sequences_are_open_until_they_come() {
        let mut window = ReplayWindow::new(64);
        for sequence in 0..64 {
            window.note(number(sequence));
        }
        window.note(number(100));
        for sequence in 64..100 {
            assert_eq!(window.check(number(sequence)), Ok(()), "{sequence}");
        }
        window.note(number(100_000));
        for sequence in 100_000 - 63..100_000 {
            assert_eq!(window.check(number(sequence)), Ok(()), "{sequence}");
        }
    }

    #[test]
    fn what_is_too_late_leaves_no_trace() {
        let mut window = ReplayWindow::new(64);
        window.note(number(100));
        window.note(number(100 - 64));
        assert_eq!(window.check(number(101)), Ok(()));
        window.note(VarInt::MAX);
        assert!(window.check(number(100)).is_err());
    }

    #[test]
    fn a_time_window_reaches_both_ways_and_is_off_by_default() {
        let window = TimeWindow(Some(Duration::from_micros(10)));
        let (now, sequence) = (UnixMicros(100), number(7));
        for good in [90, 100, 110] {
            assert_eq!(window.check(now, sequence, UnixMicros(good)), Ok(()));
        }
        for bad in [89, 111, 0, u64::MAX] {
            let stale = Err(ReplayError::Stale { sequence });
            assert_eq!(window.check(now, sequence, UnixMicros(bad)), stale);
            let off = TimeWindow::default();
            assert_eq!(off.check(now, sequence, UnixMicros(bad)), Ok(()));
        }
    }
}
