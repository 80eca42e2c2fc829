//! What a relay may see of a framed stream that it does not read.

use crate::frame::{Frame, Priority};

/// Looks at the first bytes of a framed stream as they pass, for a PRIORITY frame directly behind the channel id.
///
/// ```text
/// channel id [16] · PRIORITY, 02 02 urgency [1] incremental [1] · whatever follows, which is not looked at
/// ```
///
/// It holds those 20 bytes and delays none: a relay passes on what it is shown. A frame that comes later is for the far end
/// alone.
///
/// ```
/// use stoq_core::peek::PriorityPeek;
///
/// let mut peek = PriorityPeek::default();
/// assert_eq!(peek.see(&[7; 16]), None);
/// assert_eq!(peek.see(&[2, 2, 1, 0, 99]).unwrap().urgency, 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct PriorityPeek {
    seen: [u8; PEEKED],
    length: usize,
}

impl PriorityPeek {
    /// The next bytes of the stream; the priority, once, with the bytes that complete it.
    pub fn see(&mut self, bytes: &[u8]) -> Option<Priority> {
        let taken = bytes.len().min(PEEKED - self.length);
        if taken == 0 {
            return None;
        }
        self.seen[self.length..][..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        if !self.is_done() {
            return None;
        }
        match Frame::decode(&self.seen[CHANNEL_ID..]) {
            Ok(Some((Frame::Priority(priority), _))) => Some(priority),
            _ => None,
        }
    }

    /// Whether there is nothing more to look at.
    pub const fn is_done(&self) -> bool {
        self.length == PEEKED
    }
}

/// With which a framed stream begins.
const CHANNEL_ID: usize = 16;
/// The channel id and a PRIORITY frame.
const PEEKED: usize = CHANNEL_ID + 2 + Priority::MAX_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_a_priority_in_whatever_pieces_it_comes() {
        let mut stream = [9; 40];
        stream[16..20].copy_from_slice(&[2, 2, 6, 1]);
        let expected = Priority {
            urgency: 6,
            incremental: true,
        };
        for size in 1..=stream.len() {
            let mut peek = PriorityPeek::default();
            let seen: alloc::vec::Vec<_> = stream
                .chunks(size)
                .filter_map(|piece| peek.see(piece))
                .collect();
            assert_eq!(seen, [expected], "in pieces of {size}");
            assert!(peek.is_done());
        }
    }

    #[test]
    fn is_blind_to_everything_else() {
        let at = |place: usize, frame: &[u8]| {
            let mut stream = [0; 40];
            stream[place..][..frame.len()].copy_from_slice(frame);
            PriorityPeek::default().see(&stream)
        };
        assert!(at(16, &[2, 2, 0, 0]).is_some());
        for (place, frame) in [
            (15, &[2, 2, 0, 0][..]),
            (20, &[2, 2, 0, 0]),
            (16, &[2, 2, 8, 0]),
            (16, &[2, 2, 0, 2]),
            (16, &[2, 1, 0, 0]),
            (16, &[0x40, 2, 2, 0]),
            (16, &[0, 2, 2, 0]),
        ] {
            assert_eq!(at(place, frame), None, "{frame:?} at {place}");
        }
    }
}
