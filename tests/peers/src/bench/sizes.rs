//! The size of packets at which a subject is fastest on a path. The largest that passes is not always it: batches of segments have a
//! bound of their own, and some fall back to small packets when theirs are refused.

use std::time::Duration;

use tokio::time::timeout;

use crate::child::Run;
use crate::report::Try;
use crate::workload::Outcome;

/// What is tried: what a path carries at most, what batches of segments divide well, jumbo frames, and steps between.
const LADDER: [u16; 6] = [65_507, 32_000, 16_000, 8_972, 6_500, 4_000];

/// What a try may take: packets that the kernel refuses are sent again and again.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long each is tried.
pub(super) const TRIED: Duration = Duration::from_millis(300);

/// How far below the size that was asked for discovery may end.
const SHORT: u16 = 20;

/// Which sizes are tried on a path.
pub(super) fn on(longest: u16, quick: bool) -> impl Iterator<Item = u16> {
    let sizes = LADDER.into_iter().filter(move |size| *size <= longest);
    // Every other, which loopback and a veth pair both have.
    sizes.filter(move |size| !quick || [65_507, 16_000, 8_972, 6_500].contains(size))
}

/// How often each is tried; the best counts, because what disturbs only slows down.
pub(super) const fn times(quick: bool) -> u32 {
    if quick { 1 } else { 2 }
}

/// Tries them all.
pub(super) async fn try_all(run: &Run<'_>, quick: bool) -> Vec<Try> {
    let mut tries = Vec::new();
    for mtu in on(run.path.longest(), quick) {
        let run = Run {
            mtu,
            time: TRIED,
            ..*run
        };
        let mut best = None::<f64>;
        for _ in 0..times(quick) {
            // One that is not managed costs seconds each time.
            let Some(rate) = one(&run).await else { break };
            best = Some(best.map_or(rate, |best| best.max(rate)));
        }
        tries.push(Try {
            path: run.path.name().into(),
            subject: run.subject,
            mtu,
            gigabits: best,
        });
    }
    tries
}

/// Nothing if it does not end, is closed, or has other packets: then the subject does not manage this size.
async fn one(run: &Run<'_>) -> Option<f64> {
    let ran = timeout(PATIENCE, run.carry_out()).await.ok()?.ok()?;
    let Outcome {
        bytes,
        time,
        packet,
        ..
    } = ran.client.outcome;
    let has_grown = packet.is_none_or(|packet| packet.saturating_add(SHORT) >= run.mtu);
    let rate = bytes? as f64 * 8.0 / 1e9 / time.as_secs_f64();
    (has_grown && rate > 0.0).then_some(rate)
}

/// The size at which a subject was fastest.
pub(super) fn fastest(tries: &[Try]) -> Option<u16> {
    let managed = tries
        .iter()
        .filter_map(|tried| Some((tried.gigabits?, tried.mtu)));
    let best = managed.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, mtu)| mtu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Subject;

    #[test]
    fn what_is_not_managed_is_not_the_fastest() {
        let tried = |mtu, gigabits| Try {
            path: "loopback".into(),
            subject: Subject::Quinn,
            mtu,
            gigabits,
        };
        let tries = [
            tried(65_507, None),
            tried(16_000, Some(4.0)),
            tried(4_000, Some(3.0)),
        ];
        assert_eq!(fastest(&tries), Some(16_000));
        assert_eq!(fastest(&tries[..1]), None);
    }

    #[test]
    fn a_path_is_asked_for_no_more_than_it_carries() {
        assert_eq!(on(8_972, false).max(), Some(8_972));
        assert_eq!(on(8_972, true).count(), 2);
    }
}
