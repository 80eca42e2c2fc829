//! BBR without a pacer: a window by measured rate and round trip.
//!
//! The model, the phases and their gains are those of [BBR's draft]; the response to loss is that of its second version, for losses
//! of a full queue alone. The draft sends at a rate and bounds what is on its way. quinn asks a controller for a window only, and
//! spreads that over a round trip. So the rate is put into effect by the window that has it, rate × present round trip (that of the
//! last round, queues included), within the draft's bound, twice the rate × the shortest round trip. It is that present round trip by
//! which flows beside others, whatever those do, keep the rate that they have measured, and by which to probe for more has an effect on
//! who has how much.
//!
//! ```text
//!   Startup ──▶ Drain ──▶ Cruise ── 4 rounds ──▶ Up ──▶ Down ──▶ Cruise …
//!   doubles     until        └── after 5 s without a short round trip ──▶ Narrow ──▶ Cruise …
//!   until the   the queue                                                 200 ms at half of it
//!   rate stays  is empty
//! ```
//!
//! # Why quinn's is not in its place
//! `cargo xtask bench paths` traced it on 50 Mbit/s, 100 ms and a queue of as much. What quinn 0.11 takes for the rate of the path
//! is the highest that was ever seen between two acknowledgements; it never falls, and after seconds it is 160 to 1,365 Mbit/s. So
//! its window wants 6 to 50 times what fits the path, and only its recovery, which never ends, holds it down: the queue is always
//! full, half of all packets are lost, and of two flows the one with more losses gives way for good (Jain's index 0.52 to 0.63).
//!
//! With this one two flows come to 0.90 to 1.00 at 10 and at 100 ms, in 30 runs with ten seeds; alone it has 3 % less of the rate
//! than quinn's, with a queue of 2 and 6 ms, and loses what is lost by chance alone. What it costs: at 10 ms and 1,500 to 3,000
//! Mbit/s, where the ends themselves are as narrow as the path, it has up to 20 % less than quinn's, and a third less on a machine
//! with five times as much to do as it can: late ends let a short queue run empty.
//!
//! What was tried beside, in a simulation as that of its tests: the mean round trip of a round in place of the shortest (see
//! `round_trip.rs`), six rounds of Cruise as in the first version (slower to share with a flow that comes later), to probe by half
//! (no fairer, and twice the losses), and room for the largest burst of acknowledgements (17 % lost at a queue of a quarter of
//! a round trip).
//!
//! [BBR's draft]: https://datatracker.ietf.org/doc/draft-ietf-ccwg-bbr/

mod delivery;
mod round;
mod round_trip;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::time::Instant;

use self::delivery::Delivery;
use self::round::Round;
use self::round_trip::RoundTrip;
use super::state::{MAX_WINDOW, State};

/// All that BBR knows of a path.
#[derive(Clone, Debug)]
pub(super) struct Bbr {
    mtu: u64,
    window: u64,
    phase: Phase,
    /// When that began.
    since: Option<Instant>,
    delivery: Delivery,
    /// Bytes that the acknowledgement at hand is about.
    arrived: u64,
    round_trip: RoundTrip,
    /// Whether it is time to measure the round trip.
    narrows: bool,
    /// Highest rates, bytes a second, of this cycle and of the one before.
    peaks: [f64; 2],
    /// Whether the application had no more to send at some time of this cycle, so that its peak says little.
    limited: bool,
    round: Round,
    /// The rate that Startup last took for growth, and rounds since then.
    grown: (f64, u8),
    /// Bytes on their way at which the queue was found full.
    bound: f64,
    /// Moves on with each draw.
    random: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Twice as much in each round.
    Startup,
    /// Until the queue that Startup made has gone.
    Drain,
    /// As fast as measured, for so many rounds.
    Cruise(u8),
    /// Faster for a round: is there more?
    Up,
    /// Slower, until the queue which that made has gone.
    Down,
    /// Half of what fits the path, until then, so that the queue empties.
    Narrow(Option<Instant>),
}

impl Bbr {
    /// Goes on with the window of `state`, and looks for more at once if nobody knows how much the path takes.
    pub(super) fn new(state: &State, random: u64) -> Self {
        let phase = if state.in_slow_start() {
            Phase::Startup
        } else {
            Phase::Cruise(CRUISE)
        };
        Self {
            mtu: state.mtu(),
            window: state.window(),
            phase,
            since: None,
            delivery: Delivery::default(),
            arrived: 0,
            round_trip: RoundTrip::default(),
            narrows: false,
            peaks: [0.0; 2],
            limited: false,
            round: Round::default(),
            grown: (0.0, 0),
            bound: f64::INFINITY,
            // The generator stays at zero.
            random: random | 1,
        }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// What the path takes, as far as is known; `None` while the window is smaller for a moment.
    pub(super) fn settled(&self) -> Option<u64> {
        (!matches!(self.phase, Phase::Narrow(_))).then_some(self.window)
    }

    pub(super) fn is_starting(&self) -> bool {
        self.phase == Phase::Startup
    }

    pub(super) fn set_mtu(&mut self, mtu: u64, least: u64) {
        self.mtu = mtu;
        let least = if self.is_starting() { least } else { 0 };
        self.window = self.window.max(least).max(self.minimum());
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.delivery.sent(now, self.round_trip.least());
    }

    /// A packet has arrived that was sent then.
    pub(super) fn arrived(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.delivery.arrived(now, sent, bytes);
        self.arrived = self.arrived.saturating_add(bytes);
        let time = now.saturating_duration_since(sent);
        self.narrows |= self.round_trip.see(now, time);
    }

    /// All that one acknowledgement is about has [arrived](Self::arrived), and so many bytes are still on their way. `limited` says
    /// whether the application has no more to send.
    pub(super) fn acknowledged(&mut self, now: Instant, in_flight: u64, limited: bool) {
        let bytes = core::mem::take(&mut self.arrived);
        self.limited |= limited;
        let mut turns = false;
        if let Some(sample) = self.delivery.sample(now, in_flight, limited) {
            turns = self.round.ends_with(sample.since);
            // Over less than a round trip a burst would pass for a rate. What the application held back counts if it is more.
            let counts = !sample.limited || (self.rate() > 0.0 && sample.rate > self.rate());
            if counts && sample.over >= self.round_trip.least() {
                self.peaks[0] = self.peaks[0].max(sample.rate);
            }
        }
        if turns {
            self.round_trip.turn();
            self.judge(limited);
            self.round = Round::new(self.delivery.delivered());
        }
        self.advance(now, in_flight, turns, limited);
        self.resize(bytes, limited);
    }

    /// Bytes were lost; none if a router has marked packets in place of losing them. `persistently` says that nothing has arrived
    /// for so long that the path may be another one.
    pub(super) fn lost(&mut self, bytes: u64, persistently: bool) {
        self.round.loses(bytes);
        if persistently {
            self.window = self.minimum();
        }
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        self.peaks[0].max(self.peaks[1])
    }

    /// Bytes that fill the path and no queue.
    fn product(&self) -> f64 {
        self.rate() * self.round_trip.least().as_secs_f64()
    }

    /// Takes account of the round that ends.
    fn judge(&mut self, limited: bool) {
        let queue = self.round_trip.has_queue();
        let delivered = self.delivery.delivered();
        let congested = self.round.is_congested(delivered, self.mtu, queue);
        match self.phase {
            Phase::Startup => {
                let (rate, rounds) = self.grown;
                if self.rate() >= rate * GROWTH {
                    self.grown = (self.rate(), 0);
                } else if !limited {
                    self.grown = (rate, rounds + 1);
                }
                if congested || self.grown.1 >= PLATEAU {
                    self.phase = Phase::Drain;
                }
            }
            _ if congested => {
                let less = self.bound.min(self.window as f64) * BETA;
                self.bound = less.max(self.product());
            }
            Phase::Up => self.bound *= UP,
            _ => {}
        }
    }

    /// Goes to the next phase if it is time to.
    fn advance(&mut self, now: Instant, in_flight: u64, turns: bool, limited: bool) {
        let since = *self.since.get_or_insert(now);
        let emptied = in_flight as f64 <= self.product();
        let lasted = now.saturating_duration_since(since) > self.round_trip.least();
        let next = match self.phase {
            Phase::Drain if emptied => self.somewhere(),
            Phase::Cruise(0 | 1) if lasted && turns => Phase::Up,
            Phase::Cruise(rounds) if lasted && turns => Phase::Cruise(rounds - 1),
            Phase::Up if lasted && turns => Phase::Down,
            Phase::Down if lasted || emptied => {
                self.forget();
                Phase::Cruise(CRUISE)
            }
            Phase::Narrow(None) if in_flight as f64 <= self.narrow() => {
                Phase::Narrow(Some(now + NARROW))
            }
            Phase::Narrow(Some(until)) if turns && now >= until => self.somewhere(),
            phase => phase,
        };
        let due = core::mem::take(&mut self.narrows);
        let next = match next {
            Phase::Startup | Phase::Narrow(_) => next,
            // Who has nothing to send has left the queue empty.
            _ if due && !limited => Phase::Narrow(None),
            _ => next,
        };
        if next != self.phase {
            (self.phase, self.since) = (next, Some(now));
        }
    }

    /// The peak of the cycle before the last is too old; unless the application has hidden what the path does now.
    fn forget(&mut self) {
        if !core::mem::take(&mut self.limited) {
            self.peaks = [0.0, self.peaks[0]];
        }
    }

    /// Flows that were in step, because they had to measure the round trip, do not look for more at the same time: none would find
    /// out what it could have.
    fn somewhere(&mut self) -> Phase {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Phase::Cruise((self.random >> 32) as u8 % CRUISE + 1)
    }

    /// Moves the window to what the phase wants: down at once, and up with what arrives.
    fn resize(&mut self, bytes: u64, limited: bool) {
        let most = self.window.saturating_add(bytes).min(MAX_WINDOW);
        let rate = self.rate();
        if rate == 0.0 {
            if self.is_starting() && !limited {
                self.window = most;
            }
            return;
        }
        let wanted = |gain: f64, bound: f64| {
            let present = self.round_trip.present().as_secs_f64();
            let paced = gain * rate * present;
            let late = (rate * LATE.as_secs_f64()).min(self.product());
            let slack = late.max(SLACK * self.mtu as f64);
            paced.min(bound * self.product()).min(self.bound) + slack
        };
        let wanted = match self.phase {
            Phase::Startup if limited => return,
            Phase::Startup => (STARTUP * self.product()).max(self.window as f64),
            Phase::Drain => self.product() / 2.0,
            Phase::Cruise(_) => wanted(1.0, 2.0),
            Phase::Up => wanted(UP, 2.0 * UP),
            Phase::Down => wanted(DOWN, 2.0 * DOWN),
            Phase::Narrow(_) => self.narrow(),
        };
        self.window = (wanted as u64).min(most).max(self.minimum());
    }

    fn narrow(&self) -> f64 {
        (self.product() / 2.0).max(self.minimum() as f64)
    }

    /// Four datagrams: of fewer a loss is not noticed before a time-out (the draft's MinPipeCwnd).
    fn minimum(&self) -> u64 {
        4 * self.mtu
    }
}

/// Of a window, to double the rate with each round: 4 ln 2 (the draft's StartupPacingGain).
const STARTUP: f64 = 2.77;
/// Less than that, for as many rounds as [`PLATEAU`], and the rate does not grow any more (the draft's "full pipe").
const GROWTH: f64 = 1.25;
const PLATEAU: u8 = 3;
/// A round faster, one slower, and four between. The first version has six there, later ones wait for seconds: but it is by looking for
/// more that flows come to have as much as others.
const UP: f64 = 1.25;
const DOWN: f64 = 0.75;
const CRUISE: u8 = 4;
/// What remains of the bound when the queue is full (the draft's Beta).
const BETA: f64 = 0.7;
/// Datagrams above what fits the path, for acknowledgements that come together. The same for every flow, whatever it has.
const SLACK: f64 = 4.0;
/// As long as timers and busy ends let packets wait. What fits that time is above what fits the path too, if it is more: from 50 Mbit/s on.
const LATE: Duration = Duration::from_millis(1);
/// How long the queue is given to empty (the draft's ProbeRTTDuration).
const NARROW: Duration = Duration::from_millis(200);
