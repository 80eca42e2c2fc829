//! A link between two [`Session`](stoq_core::session::Session)s on a virtual clock: what is sent arrives
//! late, in another order, twice or never, as a seed decides.
//!
//! Streams are what QUIC makes of them: the bytes of one stream arrive in order and whole, a lost packet
//! only delays them; separate streams overtake each other; datagrams are really lost and doubled.
//!
//! [`emulator`] is the same for real sockets on a real clock, with a rate and a queue.

#[cfg(unix)]
pub mod emulator;
pub mod pipe;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;
use stoq_core::stream::StreamHeader;
use stoq_core::time::Timestamp;

/// How bad the link is.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Chance that a packet is lost, 0…1.
    pub loss: f64,
    /// Chance that a datagram arrives twice, 0…1.
    pub duplication: f64,
    /// Shortest time on the way.
    pub delay: Duration,
    /// Up to this much more, different for each packet: so packets overtake each other.
    pub jitter: Duration,
}

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Bytes of the sender's control stream.
    Control(Bytes),
    /// The beginning of another stream.
    Stream(u64, StreamHeader),
    /// The next bytes of such a stream.
    Data(u64, Bytes),
    /// Such a stream ends.
    End(u64),
    /// A datagram.
    Datagram(Bytes),
}

/// One direction of a link.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    random: fastrand::Rng,
    on_the_way: BinaryHeap<Reverse<(Timestamp, u64, InFlight)>>,
    sent: u64,
    /// No control byte arrives before those sent earlier.
    control_clear: Timestamp,
    /// Nor any of a stream.
    stream_clear: BTreeMap<u64, Timestamp>,
}

impl Link {
    /// A link whose behaviour follows from `seed` alone.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            random: fastrand::Rng::with_seed(seed),
            on_the_way: BinaryHeap::new(),
            sent: 0,
            control_clear: Timestamp::default(),
            stream_clear: BTreeMap::new(),
        }
    }

    /// Puts a packet on the link.
    pub fn send(&mut self, now: Timestamp, packet: Packet) {
        match packet {
            Packet::Control(bytes) => self.send_control(now, bytes),
            Packet::Stream(stream, _) | Packet::End(stream) => {
                let at = self.in_order(now, stream);
                self.push(at, packet);
            }
            Packet::Data(stream, mut bytes) => {
                while !bytes.is_empty() {
                    let piece = bytes.split_to(self.random.usize(1..=bytes.len().min(1_200)));
                    let at = self.in_order(now, stream);
                    self.push(at, Packet::Data(stream, piece));
                }
            }
            Packet::Datagram(_) => {
                if self.random.f64() >= self.conditions.loss {
                    let at = now + self.one_way();
                    self.push(at, packet.clone());
                }
                if self.random.f64() < self.conditions.duplication {
                    let at = now + self.one_way();
                    self.push(at, packet);
                }
            }
        }
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Timestamp> {
        self.on_the_way.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next packet that has arrived by `now`.
    pub fn receive(&mut self, now: Timestamp) -> Option<Packet> {
        if self.next_arrival()? > now {
            return None;
        }
        self.on_the_way
            .pop()
            .map(|Reverse((_, _, InFlight(packet)))| packet)
    }

    /// Control bytes are cut anywhere and stay in order.
    fn send_control(&mut self, now: Timestamp, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(self.random.usize(1..=bytes.len()));
            let at = (now + self.time_until_arrival()).max(self.control_clear);
            self.control_clear = at;
            self.push(at, Packet::Control(piece));
        }
    }

    /// When the next packet of a stream arrives: not before those sent earlier.
    fn in_order(&mut self, now: Timestamp, stream: u64) -> Timestamp {
        let at = now + self.time_until_arrival();
        let clear = self.stream_clear.entry(stream).or_default();
        *clear = at.max(*clear);
        *clear
    }

    /// With a retransmission, a round trip later, for each time that the packet is lost.
    fn time_until_arrival(&mut self) -> Duration {
        let mut time = self.one_way();
        while self.random.f64() < self.conditions.loss {
            time += 2 * self.conditions.delay + self.one_way();
        }
        time
    }

    fn one_way(&mut self) -> Duration {
        self.conditions.delay + self.conditions.jitter.mul_f64(self.random.f64())
    }

    fn push(&mut self, at: Timestamp, packet: Packet) {
        self.sent += 1;
        self.on_the_way
            .push(Reverse((at, self.sent, InFlight(packet))));
    }
}

/// Packets are ordered by time and number alone.
#[derive(Debug)]
struct InFlight(Packet);

impl PartialEq for InFlight {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for InFlight {}
impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for InFlight {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
