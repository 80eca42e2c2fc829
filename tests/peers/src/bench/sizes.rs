//! The size of packets at which a subject is fastest on a path. The largest that passes is not always it: batches of segments have a
//! bound of their own, and some fall back to small packets when theirs are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use crate::child::Run;
use crate::subject::Subject;
use crate::workload::Outcome;

/// By subject. Nothing for one that takes no other size than 1452.
#[derive(Default)]
pub(super) struct Sizes(BTreeMap<Subject, u16>);

impl Sizes {
    pub(super) fn set(&mut self, subject: Subject, size: Option<u16>) {
        self.0.extend(size.map(|size| (subject, size)));
    }

    pub(super) fn get(&self, subject: Subject) -> Option<u16> {
        self.0.get(&subject).copied()
    }
}

/// What is tried: what a path carries at most, what batches of segments divide well, jumbo frames, and steps between.
const LADDER: [u16; 8] = [65_507, 32_000, 16_000, 13_000, 8_972, 6_500, 4_000, 2_800];

/// What a try may take: packets that the kernel refuses are sent again and again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long each is tried.
const TRIED: Duration = Duration::from_millis(300);

/// Tries them all, each several times, of which the best counts: what disturbs only slows down.
pub(super) async fn largest(run: &Run<'_>, tries: u32) -> Option<u16> {
    if !run.subject.takes_sizes() {
        return None;
    }
    let mut best = None;
    let mut tried = String::new();
    for mtu in LADDER
        .into_iter()
        .filter(|size| *size <= run.path.longest())
    {
        let run = Run {
            mtu,
            time: TRIED,
            ..*run
        };
        let mut rate = 0.0_f64;
        for _ in 0..tries {
            // One that does not end, or is closed, does not manage this size.
            if let Ok(Ok(ran)) = timeout(PATIENCE, run.carry_out()).await {
                let Outcome { bytes, time, .. } = ran.client.outcome;
                rate = rate.max(bytes.unwrap_or(0) as f64 * 8.0 / time.as_secs_f64());
            }
        }
        tried += &format!(" {mtu}: {:.1}", rate / 1e9);
        if rate > 0.0 && best.is_none_or(|(_, least)| rate > least) {
            best = Some((mtu, rate));
        }
    }
    eprintln!(
        "{}, {}, Gbit/s by size:{tried}",
        run.path,
        run.subject.title()
    );
    best.map(|(mtu, _)| mtu)
}
