//! One direction of a path, as plain data: what goes in comes out late, in order, or not at all.
//!
//! ```text
//!   push ──▶ too large? ──▶ lost? ──▶ queue, bounded in bytes ──▶ rate ──▶ delay ──▶ pop
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// What one direction is like.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Bits a second at the narrowest place, [headers](HEADERS) counted.
    pub bits_per_second: u64,
    /// Bytes that may wait before it, headers counted; one packet more is dropped.
    pub queue: u64,
    /// Time on the way behind it, the same for all.
    pub delay: Duration,
    /// Packets of a thousand that vanish before they reach the queue.
    pub loss_per_mille: u32,
    /// Bytes of the largest UDP payload; what has more vanishes, as from an IPv4 path whose senders forbid fragments.
    pub largest: usize,
}

/// IPv4 and UDP, for each packet.
pub const HEADERS: usize = 28;

/// What became of the packets since the last [reset](Pipe::reset).
#[derive(Clone, Debug)]
pub struct Counters {
    /// Came out.
    pub passed: u64,
    /// Vanished, as the conditions ask.
    pub lost: u64,
    /// Found the queue full.
    pub overflowed: u64,
    /// Were larger than the path takes.
    pub too_large: u64,
    /// Time in the queue of each packet that entered it, in nanoseconds.
    pub queued: Histogram<u64>,
    /// How much later than due each packet was popped, in nanoseconds: the fault of the pipe's owner.
    pub late: Histogram<u64>,
}

/// One direction; `T` is a packet.
#[derive(Debug)]
pub struct Pipe<T> {
    conditions: Conditions,
    random: fastrand::Rng,
    /// When the last packet of the queue will have left it.
    clear: Option<Instant>,
    on_the_way: VecDeque<(Instant, T)>,
    counters: Counters,
}

impl<T> Pipe<T> {
    /// Loses what `seed` says: of the same packets the same ones.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            random: fastrand::Rng::with_seed(seed),
            clear: None,
            on_the_way: VecDeque::new(),
            counters: Counters::new(),
        }
    }

    /// A packet of `length` bytes of UDP payload enters.
    pub fn push(&mut self, now: Instant, length: usize, packet: T) {
        let Conditions {
            bits_per_second,
            queue,
            delay,
            loss_per_mille,
            largest,
        } = self.conditions;
        if length > largest {
            self.counters.too_large += 1;
            return;
        }
        // Drawn for every packet, so that what the queue does changes nothing about which are lost.
        if self.random.u32(0..1000) < loss_per_mille {
            self.counters.lost += 1;
            return;
        }
        let bytes = (length + HEADERS) as u64;
        let starts = self.clear.map_or(now, |clear| clear.max(now));
        let waits = starts - now;
        let waiting = waits.as_secs_f64() * bits_per_second as f64 / 8.0;
        if waiting + bytes as f64 > queue as f64 {
            self.counters.overflowed += 1;
            return;
        }
        let takes = Duration::from_nanos(bytes * 8 * 1_000_000_000 / bits_per_second);
        self.clear = Some(starts + takes);
        self.counters.queued.saturating_record(nanoseconds(waits));
        self.on_the_way.push_back((starts + takes + delay, packet));
    }

    /// When the next packet is due.
    pub fn due(&self) -> Option<Instant> {
        self.on_the_way.front().map(|(at, _)| *at)
    }

    /// The next packet that is due by `now`.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        let late = now.checked_duration_since(self.due()?)?;
        self.counters.passed += 1;
        self.counters.late.saturating_record(nanoseconds(late));
        self.on_the_way.pop_front().map(|(_, packet)| packet)
    }

    /// What became of the packets so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts from zero; packets on their way stay there.
    pub fn reset(&mut self) {
        self.counters = Counters::new();
    }
}

impl Counters {
    fn new() -> Self {
        Self {
            passed: 0,
            lost: 0,
            overflowed: 0,
            too_large: 0,
            queued: times(),
            late: times(),
        }
    }
}

/// From a microsecond to a minute, with three digits.
fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are sound")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 972;

    /// A thousand bytes with headers take a millisecond.
    fn conditions() -> Conditions {
        Conditions {
            bits_per_second: 8_000_000,
            queue: 10_000,
            delay: Duration::from_millis(50),
            loss_per_mille: 0,
            largest: 1472,
        }
    }

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn packets_come_out_in_order_at_the_rate_after_the_delay() {
        let mut pipe = Pipe::new(conditions(), 1);
        let start = Instant::now();
        for packet in 0..3 {
            pipe.push(start, LENGTH, packet);
        }
        assert_eq!(pipe.due(), Some(start + milliseconds(51)));
        assert_eq!(pipe.pop(start + milliseconds(50)), None);
        assert_eq!(pipe.pop(start + milliseconds(51)), Some(0));
        assert_eq!(pipe.pop(start + milliseconds(51)), None);
        assert_eq!(pipe.pop(start + milliseconds(53)), Some(1));
        assert_eq!(pipe.pop(start + milliseconds(53)), Some(2));
        let counters = pipe.counters();
        assert_eq!(counters.passed, 3);
        // The second came out one millisecond after it was due.
        assert!(counters.late.equivalent(counters.late.max(), 1_000_000));
        assert!(counters.queued.equivalent(counters.queued.max(), 2_000_000));
    }

    #[test]
    fn the_queue_holds_its_bytes_and_empties_at_the_rate() {
        let mut pipe = Pipe::new(conditions(), 1);
        let start = Instant::now();
        for packet in 0..12 {
            pipe.push(start, LENGTH, packet);
        }
        assert_eq!(pipe.counters().overflowed, 2);
        // Two have left after two milliseconds, though nobody has asked for them.
        for packet in 12..15 {
            pipe.push(start + milliseconds(2), LENGTH, packet);
        }
        assert_eq!(pipe.counters().overflowed, 3);
        let far = start + milliseconds(1000);
        let came: Vec<_> = std::iter::from_fn(|| pipe.pop(far)).collect();
        assert_eq!(came, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13]);
    }

    #[test]
    fn the_seed_alone_says_what_is_lost() {
        let survivors = |seed, pause| {
            let conditions = Conditions {
                loss_per_mille: 100,
                queue: u64::MAX,
                ..conditions()
            };
            let mut pipe = Pipe::new(conditions, seed);
            let start = Instant::now();
            for packet in 0..1000u32 {
                pipe.push(start + pause * packet, LENGTH, packet);
            }
            let lost = pipe.counters().lost;
            let far = start + milliseconds(100_000);
            let came: Vec<_> = std::iter::from_fn(|| pipe.pop(far)).collect();
            assert_eq!(came.len() as u64 + lost, 1000);
            came
        };
        let one = survivors(1, milliseconds(0));
        assert_eq!(one, survivors(1, milliseconds(3)));
        assert!(one != survivors(2, milliseconds(0)));
        assert!((800..=980).contains(&one.len()), "{}", one.len());
    }

    #[test]
    fn what_is_too_large_vanishes_and_takes_no_room() {
        let mut pipe = Pipe::new(conditions(), 1);
        let start = Instant::now();
        pipe.push(start, 1473, 0);
        assert_eq!((pipe.counters().too_large, pipe.due()), (1, None));
        pipe.push(start, 1472, 1);
        assert!(pipe.due().is_some());
    }
}
