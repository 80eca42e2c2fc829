//! Medians, ratios, and what they were measured on.

use std::time::Duration;

use crate::machine::{machine, versions};
use crate::measure::Sample;

/// Samples by contender, round by round.
pub(crate) struct Report {
    names: Vec<&'static str>,
    rounds: Vec<Vec<Sample>>,
}

/// The contenders' places: each second one is held against the first of its pair.
const PAIRS: [(usize, usize); 2] = [(0, 1), (2, 3)];

impl Report {
    pub(crate) fn new(names: Vec<&'static str>) -> Self {
        Self {
            names,
            rounds: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, samples: Vec<Sample>) {
        self.rounds.push(samples);
    }

    pub(crate) fn print(&self) {
        println!("machine   {}", machine());
        println!(
            "versions  {}",
            versions(&["quinn", "wtransport", "stoq-native", "stoq-gateway"])
        );
        println!(
            "rounds    {}, contenders in turn; medians\n",
            self.rounds.len()
        );
        println!(
            "{:<46} {:>12} {:>10} {:>10}",
            "", "bulk Gbit/s", "p50 µs", "p99 µs"
        );
        for (contender, name) in self.names.iter().enumerate() {
            println!(
                "{name:<46} {:>12.2} {:>10.1} {:>10.1}",
                self.median(|round| round[contender].bytes_per_second * 8e-9),
                self.median(|round| percentile(&round[contender].echoes, 50)),
                self.median(|round| percentile(&round[contender].echoes, 99)),
            );
        }
        println!();
        for (base, other) in PAIRS {
            println!(
                "{} against {}: bulk × {:.3}, p50 {:+.1} µs, p99 {:+.1} µs",
                self.names[other],
                self.names[base],
                self.median(|round| round[other].bytes_per_second / round[base].bytes_per_second),
                self.median(|round| added(round, base, other, 50)),
                self.median(|round| added(round, base, other, 99)),
            );
        }
    }

    /// The median over the rounds of a figure of one round, so that only what ran side by side is compared.
    fn median(&self, figure: impl Fn(&[Sample]) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.rounds.iter().map(|round| figure(round)).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    }
}

fn added(round: &[Sample], base: usize, other: usize, percent: usize) -> f64 {
    percentile(&round[other].echoes, percent) - percentile(&round[base].echoes, percent)
}

/// In microseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}
