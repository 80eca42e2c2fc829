//! What STOQ is to reach, as ratios in one run.

use std::fmt;

use super::metric::Metric;
use super::{Report, Row};
use crate::subject::Subject;

/// One target, and what was measured.
#[derive(Debug)]
pub(crate) struct Target {
    what: String,
    bound: Bound,
    measured: f64,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// KiB.
    AtMostKiB(f64),
}

impl Target {
    pub(crate) const fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.measured >= bound,
            Bound::AtMost(bound) | Bound::AtMostKiB(bound) => self.measured <= bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, measured, .. } = self;
        match self.bound {
            Bound::AtLeast(bound) => write!(f, "{what} ≥ {bound:.2}: {measured:.2}")?,
            Bound::AtMost(bound) => write!(f, "{what} ≤ {bound:.2}: {measured:.2}")?,
            Bound::AtMostKiB(bound) => write!(f, "{what} ≤ {bound:.0} KiB: {measured:.1}")?,
        }
        f.write_str(if self.is_met() { ", met" } else { ", MISSED" })
    }
}

/// All for which both sides were measured.
pub(crate) fn all(report: &Report) -> Vec<Target> {
    ["loopback", "veth"]
        .into_iter()
        .flat_map(|path| on(report, path))
        .collect()
}

fn on(report: &Report, path: &str) -> Vec<Target> {
    let row = |metric, is_largest| Row {
        path: path.into(),
        is_largest,
        metric,
    };
    let median = |subject, metric, is_largest| report.median(&row(metric, is_largest), subject);
    let mut targets = Vec::new();
    let mut target = |what: &str, bound, measured: Option<f64>| {
        targets.extend(
            measured
                .filter(|value| value.is_finite())
                .map(|measured| Target {
                    what: format!("{path}: {what}"),
                    bound,
                    measured,
                }),
        );
    };
    let quotient = |ours: Option<f64>, theirs: Option<f64>| Some(ours? / theirs?);
    let bulk = |subject, is_largest| median(subject, Metric::Bulk1, is_largest);
    target(
        "raw stream at 1452 bytes over quinn's",
        Bound::AtLeast(1.15),
        quotient(bulk(Subject::Stoq, false), bulk(Subject::Quinn, false)),
    );
    target(
        "raw stream at its fastest size over quinn's at 1452 bytes, its default",
        Bound::AtLeast(1.8),
        quotient(bulk(Subject::Stoq, true), bulk(Subject::Quinn, false)),
    );
    target(
        "raw stream at its fastest size over quinn's at quinn's fastest size",
        Bound::AtLeast(1.8),
        quotient(bulk(Subject::Stoq, true), bulk(Subject::Quinn, true)),
    );
    #[cfg(feature = "s2n-quic")]
    target(
        "raw stream at 1452 bytes over s2n-quic's",
        Bound::AtLeast(1.0),
        quotient(bulk(Subject::Stoq, false), bulk(Subject::S2n, false)),
    );
    for (what, metric) in [
        (
            "p99 of a request, 1 in flight, over quinn's",
            Metric::Requests1Tail,
        ),
        (
            "p99 of a request, 64 in flight, over quinn's",
            Metric::Requests64Tail,
        ),
    ] {
        let [ours, theirs] =
            [Subject::Stoq, Subject::Quinn].map(|subject| median(subject, metric, false));
        target(what, Bound::AtMost(1.0), quotient(ours, theirs));
    }
    // CPU time for each byte is the inverse of bytes for each second of CPU.
    target(
        "bytes per CPU second of the server with two sockets over one",
        Bound::AtLeast(0.85),
        quotient(
            median(Subject::Stoq, Metric::Bulk8Server, false),
            median(Subject::Stoq, Metric::Bulk8TwoServer, false),
        ),
    );
    let idle = |subject| median(subject, Metric::IdleServer, false);
    target(
        "an idle connection, server, more than quinn's",
        Bound::AtMostKiB(24.0),
        idle(Subject::Stoq)
            .zip(idle(Subject::Quinn))
            .map(|(ours, theirs)| ours - theirs),
    );
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_bound() {
        let target = |bound, measured| Target {
            what: "x".into(),
            bound,
            measured,
        };
        assert!(target(Bound::AtLeast(1.15), 1.15).is_met());
        assert!(!target(Bound::AtLeast(1.15), 1.14).is_met());
        assert!(target(Bound::AtMost(1.0), 0.9).is_met());
        let missed = target(Bound::AtMostKiB(24.0), 24.5);
        assert_eq!(missed.to_string(), "x ≤ 24 KiB: 24.5, MISSED");
    }
}
