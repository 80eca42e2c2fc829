//! What came out, and how it is shown.

mod machine;
pub(crate) mod metric;
mod plot;
pub(crate) mod readme;
pub(crate) mod table;
pub(crate) mod targets;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::machine::{Machine, QUIET, load};
use crate::subject::Subject;
use crate::usage::Usage;
use crate::workload::{Outcome, Workload};

/// Everything that was measured, and on what.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Processes that want to run, on average of the last minute, after the measurement, which is most of them.
    pub(crate) load_after: f64,
    pub(crate) rounds: u32,
    /// Of one run.
    pub(crate) millis: u128,
    pub(crate) subjects: Vec<Subject>,
    /// What was not measured, and why.
    pub(crate) skipped: Vec<String>,
    /// Sizes of packets that were tried before the rounds.
    pub(crate) tries: Vec<Try>,
    pub(crate) records: Vec<Record>,
}

/// What a size of packets gave a subject on a path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Try {
    pub(crate) path: String,
    pub(crate) subject: Subject,
    pub(crate) mtu: u16,
    /// Nothing if the subject does not manage it.
    pub(crate) gigabits: Option<f64>,
}

/// One run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) path: String,
    pub(crate) subject: Subject,
    pub(crate) workload: Workload,
    /// With packets of the size at which the subject is fastest here, not with 1452 bytes.
    pub(crate) is_largest: bool,
    pub(crate) mtu: u16,
    pub(crate) round: u32,
    pub(crate) outcome: Outcome,
    /// Before and after.
    pub(crate) client: [Usage; 2],
    pub(crate) server: [Usage; 2],
}

impl Record {
    fn client_cpu(&self) -> Duration {
        self.client[1].cpu.saturating_sub(self.client[0].cpu)
    }

    fn server_cpu(&self) -> Duration {
        self.server[1].cpu.saturating_sub(self.server[0].cpu)
    }
}

/// A place in the table: what stands in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) is_largest: bool,
    pub(crate) metric: metric::Metric,
}

impl Report {
    /// The rows for which something was measured, in order.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for path in ["loopback", "veth"] {
            for is_largest in [false, true] {
                for metric in metric::Metric::ALL {
                    let row = Row {
                        path: path.into(),
                        is_largest,
                        metric,
                    };
                    let is_measured = |subject| self.spread(&row, subject).is_some();
                    if self.subjects.iter().copied().any(is_measured) {
                        rows.push(row);
                    }
                }
            }
        }
        rows
    }

    /// What was measured of one subject in one row.
    pub(crate) fn spread(&self, row: &Row, subject: Subject) -> Option<Spread> {
        let matches = |record: &&Record| {
            record.path == row.path
                && record.is_largest == row.is_largest
                && record.subject == subject
                && record.workload == row.metric.workload()
        };
        let records = self.records.iter().filter(matches);
        let values = records.filter_map(|record| row.metric.of(record));
        Spread::of(values.collect())
    }

    /// Median of one subject in a row.
    pub(crate) fn median(&self, row: &Row, subject: Subject) -> Option<f64> {
        self.spread(row, subject).map(|spread| spread.median)
    }

    /// In one line: load averages, and what they mean.
    pub(crate) fn load_line(&self) -> String {
        let (before, after) = (self.machine.load, self.load_after);
        let busy = if self.machine.is_busy() {
            ". **The machine was busy with something else: these figures are provisional**"
        } else {
            ""
        };
        format!("Load average {before:.1} before and {after:.1} after{busy}")
    }

    /// The packet size behind a subject's column.
    pub(crate) fn mtu(&self, row: &Row, subject: Subject) -> Option<u16> {
        let matches = |record: &&Record| {
            record.path == row.path
                && record.is_largest == row.is_largest
                && record.subject == subject
        };
        self.records.iter().find(matches).map(|record| record.mtu)
    }
}

/// Several values of the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            values[middle - 1].midpoint(values[middle])
        };
        Some(Self {
            median,
            least,
            most,
        })
    }

    /// Half of the range, in percent of the median.
    fn percent(&self) -> f64 {
        (self.most - self.least) / 2.0 / self.median * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of(Vec::new()), None);
        assert!((spread.percent() - 50.0).abs() < 1e-9);
    }
}
