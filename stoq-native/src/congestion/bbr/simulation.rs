//! Flows that share a path, in a time of their own.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

use super::{Bbr, State};

/// A narrow place with a queue before it, and a way behind it.
#[derive(Clone, Copy)]
pub(super) struct Network {
    pub(super) bits_per_second: f64,
    pub(super) round_trip: Duration,
    /// What the queue holds, in products of rate and round trip.
    pub(super) products: f64,
    pub(super) loss_per_mille: u64,
    pub(super) seed: u64,
}

/// A simulation that goes on as long as it is [told](Self::pass) to.
pub(super) struct Run {
    network: Network,
    queue: f64,
    now: Instant,
    /// When all that waits will have passed the narrow place.
    clear: Instant,
    flows: Vec<Flow>,
    /// By time, then in the order in which they came up.
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    count: u64,
    random: u64,
    figures: Figures,
}

/// What happened in a time.
#[derive(Clone, Default)]
pub(super) struct Figures {
    /// Bits a second that arrived, flow by flow.
    pub(super) goodput: Vec<f64>,
    pub(super) sent: u64,
    pub(super) lost: u64,
    /// Time that a packet waited, in the mean.
    pub(super) queue: Duration,
    waited: f64,
}

struct Flow {
    bbr: Bbr,
    next: u64,
    on_the_way: BTreeMap<u64, Instant>,
    smoothed: Duration,
    /// When quinn's pacer lets the next packet go.
    paced: Instant,
    waiting: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Sends(usize),
    Arrives(usize, u64),
    /// That a packet has arrived is known.
    Acknowledged(usize, u64),
    /// Looks whether all that was on its way is lost.
    Looks(usize),
}

impl Network {
    /// A flow for each time at which one begins.
    pub(super) fn run(self, begins: &[Duration]) -> Run {
        let now = Instant::now() + Duration::from_secs(1);
        let mut run = Run {
            network: self,
            queue: self.bits_per_second / 8.0 * self.round_trip.as_secs_f64() * self.products,
            now,
            clear: now,
            flows: Vec::new(),
            events: BinaryHeap::new(),
            count: 0,
            random: self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            figures: Figures::default(),
        };
        for (flow, after) in begins.iter().enumerate() {
            let random = run.draw();
            run.flows.push(Flow {
                bbr: Bbr::new(&State::new(PACKET as u16), random),
                next: 0,
                on_the_way: BTreeMap::new(),
                smoothed: self.round_trip,
                paced: now,
                waiting: true,
            });
            // So that they are not in step to the nanosecond.
            let begins = now + *after + Duration::from_micros(random % 5000);
            run.happens(begins, Event::Sends(flow));
            run.happens(begins, Event::Looks(flow));
        }
        run
    }
}

impl Run {
    /// Goes on for so long, and tells what happened.
    pub(super) fn pass(&mut self, time: Duration) -> Figures {
        let end = self.now + time;
        self.figures = Figures {
            goodput: vec![0.0; self.flows.len()],
            ..Figures::default()
        };
        while let Some(Reverse((at, _, event))) =
            self.events.peek().copied().filter(|next| next.0.0 <= end)
        {
            self.events.pop();
            self.now = at;
            self.happened(event);
        }
        self.now = end;
        let mut figures = self.figures.clone();
        let each = figures.goodput.iter_mut();
        each.for_each(|bytes| *bytes *= 8.0 / time.as_secs_f64());
        figures.queue = Duration::from_secs_f64(figures.waited / (figures.sent.max(1)) as f64);
        figures
    }

    pub(super) fn bbr(&self, flow: usize) -> &Bbr {
        &self.flows[flow].bbr
    }

    /// From now on the narrow place has this rate. The queue holds as many bytes as before.
    pub(super) fn change_rate(&mut self, bits_per_second: f64) {
        self.network.bits_per_second = bits_per_second;
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Sends(flow) => {
                self.flows[flow].waiting = false;
                self.send(flow);
            }
            Event::Arrives(flow, number) => {
                self.figures.goodput[flow] += PACKET as f64;
                let at = self.now + self.network.round_trip / 2;
                self.happens(at, Event::Acknowledged(flow, number));
            }
            Event::Acknowledged(flow, number) => {
                self.acknowledge(flow, number);
                self.send(flow);
            }
            Event::Looks(number) => {
                let flow = &mut self.flows[number];
                let quiet = 4 * flow.smoothed;
                let last = flow.on_the_way.last_key_value();
                if last.is_some_and(|(_, sent)| *sent + quiet < self.now) {
                    self.lose(number, u64::MAX);
                    self.send(number);
                }
                self.happens(self.now + quiet, Event::Looks(number));
            }
        }
    }

    fn acknowledge(&mut self, number: usize, packet: u64) {
        let flow = &mut self.flows[number];
        let Some(sent) = flow.on_the_way.remove(&packet) else {
            return;
        };
        flow.smoothed = (flow.smoothed * 7 + (self.now - sent)) / 8;
        flow.bbr.arrived(self.now, sent, PACKET);
        let in_flight = flow.on_the_way.len() as u64 * PACKET;
        flow.bbr.acknowledged(self.now, in_flight, false);
        // By three later ones (RFC 9002, section 6.1.1).
        self.lose(number, packet.saturating_sub(2));
    }

    /// All that was sent before this one is lost.
    fn lose(&mut self, number: usize, before: u64) {
        let flow = &mut self.flows[number];
        let left = flow.on_the_way.split_off(&before);
        let lost = core::mem::replace(&mut flow.on_the_way, left).len() as u64;
        if lost > 0 {
            self.figures.lost += lost;
            flow.bbr.lost(lost * PACKET, false);
        }
    }

    /// As quinn does: as many as the window holds, a quarter faster than it is over a round trip.
    fn send(&mut self, number: usize) {
        loop {
            let flow = &mut self.flows[number];
            let window = flow.bbr.window();
            if flow.waiting || (flow.on_the_way.len() as u64 + 1) * PACKET > window {
                return;
            }
            if flow.paced > self.now {
                flow.waiting = true;
                let at = flow.paced;
                return self.happens(at, Event::Sends(number));
            }
            let part = PACKET as f64 / (1.25 * window as f64);
            flow.paced = self.now + flow.smoothed.mul_f64(part);
            flow.bbr.sent(self.now);
            flow.on_the_way.insert(flow.next, self.now);
            let packet = flow.next;
            flow.next += 1;
            self.enter(number, packet);
        }
    }

    fn enter(&mut self, flow: usize, packet: u64) {
        self.figures.sent += 1;
        if self.draw() % 1000 < self.network.loss_per_mille {
            return;
        }
        let byte = 8.0 / self.network.bits_per_second;
        let starts = self.clear.max(self.now);
        let waits = (starts - self.now).as_secs_f64();
        if waits / byte + PACKET as f64 > self.queue {
            return;
        }
        self.figures.waited += waits;
        self.clear = starts + Duration::from_secs_f64(PACKET as f64 * byte);
        let arrives = self.clear + self.network.round_trip / 2;
        self.happens(arrives, Event::Arrives(flow, packet));
    }

    fn happens(&mut self, at: Instant, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 20
    }
}

/// Jain's index: 1 when all have the same, and one over their number when one has all.
pub(super) fn jain(rates: &[f64]) -> f64 {
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    let total: f64 = rates.iter().sum();
    total * total / (rates.len() as f64 * squares)
}

const PACKET: u64 = 1200;
