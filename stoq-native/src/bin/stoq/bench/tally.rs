//! What is counted while the load runs, by all connections at once.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use stoq_native::Code;

/// Counters and times. Bounded, however long it runs: some 250 KiB a lane.
#[derive(Debug)]
pub(super) struct Tally {
    lanes: Vec<Mutex<Histogram<u64>>>,
    operations: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    lost: AtomicU64,
    resumed: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

/// Why a connection's work ended before the time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The protocol's own word for it.
    Code(Code),
    /// What came back is not what was sent.
    Damaged,
    /// The server ended the stream.
    Ended,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Damaged => f.write_str("damaged echo"),
            Self::Ended => f.write_str("stream ended early"),
        }
    }
}

/// What a tally holds at one moment.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) operations: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) resumed: u64,
    pub(super) errors: BTreeMap<String, u64>,
    /// Nanoseconds.
    pub(super) times: Histogram<u64>,
}

impl Tally {
    /// With a lane for each core, so that threads seldom wait for each other.
    pub(super) fn new(lanes: usize) -> Self {
        Self {
            lanes: (0..lanes.max(1)).map(|_| Mutex::new(times())).collect(),
            operations: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }

    /// Something came back, after so long. `by` is the number of the connection.
    pub(super) fn done(&self, by: usize, after: Duration) {
        self.operations.fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        lock(&self.lanes[by % self.lanes.len()]).saturating_record(nanoseconds);
    }

    /// Whether anything came back so far.
    pub(super) fn any(&self) -> bool {
        self.operations.load(Relaxed) > 0
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// A datagram did not come back.
    pub(super) fn lost(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    /// A handshake resumed a session.
    pub(super) fn resumed(&self) {
        self.resumed.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, failure: Failure) {
        *lock(&self.errors).entry(failure.to_string()).or_default() += 1;
    }

    pub(super) fn totals(&self) -> Totals {
        let mut all = times();
        for lane in &self.lanes {
            all.add(&*lock(lane)).expect("all have the same bounds");
        }
        Totals {
            operations: self.operations.load(Relaxed),
            sent: self.sent.load(Relaxed),
            received: self.received.load(Relaxed),
            lost: self.lost.load(Relaxed),
            resumed: self.resumed.load(Relaxed),
            errors: lock(&self.errors).clone(),
            times: all,
        }
    }
}

/// From a microsecond to an hour, with three digits: what is shorter or longer counts as that.
fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3).expect("the bounds are sound")
}

/// What a thread that panicked has counted still counts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lanes_make_one_distribution() {
        let tally = Tally::new(3);
        for by in 0..100 {
            tally.done(by, Duration::from_millis(1 + by as u64));
        }
        tally.done(0, Duration::MAX);
        tally.failed(Failure::Code(Code::TIMEOUT));
        tally.failed(Failure::Code(Code::TIMEOUT));
        tally.failed(Failure::Damaged);
        let totals = tally.totals();
        assert_eq!((totals.operations, totals.times.len()), (101, 101));
        let p50 = totals.times.value_at_quantile(0.5);
        assert!(totals.times.equivalent(p50, 51_000_000), "{p50}");
        assert!(totals.times.max() >= 3_600_000_000_000);
        let errors: Vec<_> = totals.errors.into_iter().collect();
        assert_eq!(errors, [("damaged echo".into(), 1), ("timeout".into(), 2)]);
    }
}
