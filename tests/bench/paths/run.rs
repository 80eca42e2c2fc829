//! One run of one contender: a path, its flows, and what they did in the measured time.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use stoq_tests::link::emulator::{Emulator, drops};
use stoq_tests::link::pipe::{Conditions, Counters};
use tokio::task::LocalSet;

use crate::Result;
use crate::contenders::{Contender, Received, Sender, Sent};

/// A rate and a round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) bits_per_second: u64,
    pub(crate) round_trip: Duration,
}

impl Path {
    pub(crate) const fn new(bits_per_second: u64, round_trip: Duration) -> Self {
        Self {
            bits_per_second,
            round_trip,
        }
    }

    /// With a queue of one product of rate and round trip.
    pub(crate) fn conditions(self, loss_per_mille: u32) -> Conditions {
        let product = self.bits_per_second as f64 / 8.0 * self.round_trip.as_secs_f64();
        Conditions {
            bits_per_second: self.bits_per_second,
            queue: (product as u64).max(SMALLEST_QUEUE),
            delay: self.round_trip / 2,
            loss_per_mille,
            largest: LARGEST_PAYLOAD,
        }
    }
}

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) path: Path,
    pub(crate) loss_per_mille: u32,
    /// One or two.
    pub(crate) flows: u8,
    /// How much later the second begins.
    pub(crate) apart: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) lasts: Duration,
    pub(crate) seed: u64,
}

/// What happened in the measured time.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Bits a second that the application read, flow by flow.
    pub(crate) goodput: Vec<f64>,
    /// QUIC packets of all flows.
    pub(crate) packets: Sent,
    /// Packets of data on the path.
    pub(crate) path: Counters,
    /// Packets for which a socket had no room, in the whole run.
    pub(crate) own_losses: u64,
}

impl Sample {
    pub(crate) fn total(&self) -> f64 {
        self.goodput.iter().sum()
    }

    /// Jain's index: 1 when all have the same, and one over their number when one has all.
    pub(crate) fn fairness(&self) -> f64 {
        let squares: f64 = self.goodput.iter().map(|rate| rate * rate).sum();
        let total = self.total();
        total * total / (self.goodput.len() as f64 * squares).max(f64::MIN_POSITIVE)
    }
}

/// Runs `contender` on a path of its own, on this thread and its server's.
pub(crate) fn run(contender: Contender, plan: Plan) -> Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(LocalSet::new().run_until(measure(contender, plan)))
}

async fn measure(contender: Contender, plan: Plan) -> Result<Sample> {
    let received = Received::default();
    let server = contender.serve(received.clone())?;
    let conditions = plan.path.conditions(plan.loss_per_mille);
    let flows = usize::from(plan.flows);
    let path = Emulator::start(server.address, flows, conditions, plan.seed)?;
    let mut sent: Vec<Box<dyn Fn() -> Sent>> = Vec::new();
    let mut addresses = vec![server.address];
    let mut writing = tokio::task::JoinSet::new();
    // All are connected before one sends: a full queue would delay the handshake of the next, and unlike ones differently.
    let mut senders = Vec::new();
    for flow in 0..plan.flows {
        let front = path.front(flow.into())?;
        senders.push(contender.send(flow, front, &server.trust).await?);
    }
    for (number, sender) in senders.into_iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(plan.apart).await;
        }
        let Sender {
            writing: task,
            sent: counter,
            address,
        } = sender;
        writing.spawn_local(task);
        sent.push(counter);
        addresses.push(address);
    }
    let count = || {
        let each = sent.iter().map(|count| count());
        each.fold(Sent::default(), |all, one| Sent {
            sent: all.sent + one.sent,
            lost: all.lost + one.lost,
        })
    };
    let read = || -> Vec<u64> { received.iter().map(|bytes| bytes.load(Relaxed)).collect() };

    tokio::select! {
        () = tokio::time::sleep(plan.warm_up) => {}
        Some(ended) = writing.join_next() => return Err(ended?.into()),
    }
    path.reset();
    let (packets_before, read_before, start) = (count(), read(), Instant::now());
    tokio::select! {
        () = tokio::time::sleep(plan.lasts) => {}
        Some(ended) = writing.join_next() => return Err(ended?.into()),
    }
    let (packets, read, seconds) = (count(), read(), start.elapsed().as_secs_f64());
    let [data, _] = path.counters();
    let at_ends: Option<u64> = addresses.into_iter().map(drops).sum();
    let own_losses = path.own_losses().unwrap_or_default() + at_ends.unwrap_or_default();
    if !path.is_sound() {
        return Err("the emulator has ended".into());
    }
    let goodput = read.iter().zip(read_before).take(flows);
    Ok(Sample {
        goodput: goodput
            .map(|(after, before)| (after - before) as f64 * 8.0 / seconds)
            .collect(),
        packets: Sent {
            sent: packets.sent - packets_before.sent,
            lost: packets.lost - packets_before.lost,
        },
        path: data,
        own_losses,
    })
}

/// Ten packets: for the smallest products.
const SMALLEST_QUEUE: u64 = 15_000;
/// Of Ethernet, without the headers of IPv4 and UDP.
pub(crate) const LARGEST_PAYLOAD: usize = 1472;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contenders::ALL;

    #[test]
    fn every_contender_sends_over_the_path_and_what_the_path_drops_is_counted() {
        let mut lost = 0;
        for contender in ALL {
            let plan = Plan {
                path: Path::new(20_000_000, Duration::from_millis(10)),
                loss_per_mille: 100,
                flows: 2,
                apart: Duration::from_millis(50),
                warm_up: Duration::from_millis(100),
                lasts: Duration::from_millis(500),
                seed: 1,
            };
            let sample = run(contender, plan).expect("the path carries it");
            assert!(sample.total() > 0.0, "{contender}");
            assert!((0.5..=1.0 + 1e-9).contains(&sample.fairness()));
            assert!(sample.path.passed > 0 && sample.packets.sent > 0);
            lost += sample.path.lost;
        }
        // Who slows down for every loss may send so little that none is struck.
        assert!(lost > 0);
    }

    #[test]
    fn fairness_is_one_for_equals_and_a_half_for_one_that_has_all() {
        let fairness = |goodput: &[f64]| {
            let conditions = Path::new(1, Duration::ZERO).conditions(0);
            let pipe = stoq_tests::link::pipe::Pipe::<()>::new(conditions, 0);
            let sample = Sample {
                goodput: goodput.to_vec(),
                packets: Sent::default(),
                path: pipe.counters().clone(),
                own_losses: 0,
            };
            sample.fairness()
        };
        assert!((fairness(&[3.0, 3.0]) - 1.0).abs() < 1e-9);
        assert!((fairness(&[3.0, 0.0]) - 0.5).abs() < 1e-9);
        assert!((fairness(&[3.0, 1.0]) - 0.8).abs() < 1e-9);
    }
}
