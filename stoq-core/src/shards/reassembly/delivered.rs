use alloc::vec::Vec;

use crate::varint::VarInt;

/// Which of the last [`WINDOW`] ids were delivered. What is older counts as delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivered {
    /// One more than the highest that was delivered.
    end: u64,
    /// A bit for each id below `end`, in a ring; reserved with the first message.
    ring: Vec<u64>,
}

/// Ids that are told apart, in 1 KiB.
pub(super) const WINDOW: u64 = 8192;

const WORD: u64 = u64::BITS as u64;

impl Delivered {
    pub(super) fn contains(&self, id: VarInt) -> bool {
        let id = id.into_inner();
        if id >= self.end {
            return false;
        }
        if self.end - id > WINDOW {
            return true;
        }
        let (word, bit) = place(id);
        self.ring[word] & bit != 0
    }

    /// Notes an id that is not contained yet.
    pub(super) fn insert(&mut self, id: VarInt) {
        let id = id.into_inner();
        self.ring.resize((WINDOW / WORD) as usize, 0);
        if id >= self.end {
            // Places that were those of ids now too old; after a long jump, all.
            for passed in self.end.max(id.saturating_sub(WINDOW - 1))..id {
                let (word, bit) = place(passed);
                self.ring[word] &= !bit;
            }
            self.end = id + 1;
        }
        let (word, bit) = place(id);
        self.ring[word] |= bit;
    }
}

const fn place(id: u64) -> (usize, u64) {
    ((id % WINDOW / WORD) as usize, 1 << (id % WORD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u64) -> VarInt {
        VarInt::new(value).unwrap()
    }

    #[test]
    fn agrees_with_a_set_whatever_the_order() {
        let mut window = Delivered::default();
        let mut set = alloc::collections::BTreeSet::new();
        let mut state = 1u64;
        for step in 0..40_000u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Mostly near the front, at times far ahead.
            let jump = if state >> 56 == 0 { 20_000 } else { 300 };
            let next = step + (state >> 33) % jump;
            let known = set.contains(&next)
                || set
                    .last()
                    .is_some_and(|last| last - next.min(*last) >= WINDOW);
            assert_eq!(window.contains(id(next)), known, "{next}");
            if !known {
                window.insert(id(next));
                set.insert(next);
            }
        }
    }

    #[test]
    fn the_last_id_there_can_be() {
        let mut window = Delivered::default();
        assert!(!window.contains(VarInt::MAX));
        window.insert(VarInt::MAX);
        assert!(window.contains(VarInt::MAX) && window.contains(id(0)));
        assert!(!window.contains(id(VarInt::MAX.into_inner() - 1)));
        assert!(!window.contains(id(VarInt::MAX.into_inner() - WINDOW + 1)));
        assert!(window.contains(id(VarInt::MAX.into_inner() - WINDOW)));
    }
}
