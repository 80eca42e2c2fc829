//! What was lost in a round trip.

/// From when something is sent until it has arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Bytes delivered when it began.
    begins: u64,
    /// Bytes lost in it.
    lost: u64,
    /// Whether a router said that its queue is long (ECN).
    marked: bool,
}

impl Round {
    /// Begins when so many bytes have been delivered.
    pub(super) fn new(delivered: u64) -> Self {
        Self {
            begins: delivered,
            ..Self::default()
        }
    }

    /// Whether it ends with a packet that was sent when so many bytes had been delivered.
    pub(super) fn ends_with(&self, delivered: u64) -> bool {
        delivered >= self.begins
    }

    /// Bytes were lost; none if a router has marked packets in place of losing them.
    pub(super) fn loses(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
        self.marked |= bytes == 0;
    }

    /// Whether it was lossy because of a full queue, now that so many bytes have been delivered. On a path that loses by chance there
    /// is none.
    pub(super) fn is_congested(&self, delivered: u64, mtu: u64, queue: bool) -> bool {
        let lost = self.lost as f64;
        let all = lost + delivered.saturating_sub(self.begins) as f64;
        let many = self.lost >= 2 * mtu && lost > LOSSY * all;
        self.marked || (many && queue)
    }
}

/// How much of a round must have been lost (the draft's LossThresh), and two datagrams at least.
const LOSSY: f64 = 0.02;
