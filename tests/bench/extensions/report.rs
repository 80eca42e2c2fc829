//! Medians, ratios, and what they were measured on.

use std::time::Duration;

use crate::contenders::{Contender, Sample};
use crate::machine::{machine, versions};

/// Samples by way and contender, and the round trips by way, round by round.
pub(crate) struct Report {
    relays: Vec<usize>,
    samples: Vec<[Vec<Sample>; Contender::ALL.len()]>,
    echoes: Vec<Vec<Vec<Duration>>>,
}

impl Report {
    pub(crate) fn new(relays: &[usize]) -> Self {
        Self {
            relays: relays.to_vec(),
            samples: relays.iter().map(|_| Default::default()).collect(),
            echoes: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, way: usize, contender: Contender, sample: Sample) {
        let place = Contender::ALL.iter().position(|other| *other == contender);
        self.samples[way][place.expect("it is one of all")].push(sample);
    }

    pub(crate) fn add_echoes(&mut self, echoes: Vec<Vec<Duration>>) {
        self.echoes.push(echoes);
    }

    pub(crate) fn print(&self) {
        println!("machine   {}", machine());
        println!(
            "versions  {}",
            versions(&[
                "quinn",
                "blake3",
                "sha2",
                "reed-solomon-simd",
                "stoq-native"
            ])
        );
        println!(
            "rounds    {}, contenders in turn, all in one process; medians. Allocations are of all threads, for each\n          \
             message or 16 KiB of a stream; processor time for each GB that arrived\n",
            self.echoes.len()
        );
        for (way, relays) in self.relays.iter().enumerate() {
            self.print_way(way, *relays);
        }
        self.print_echoes();
    }

    fn print_way(&self, way: usize, relays: usize) {
        println!(
            "{:<44} {:>8} {:>8} {:>10} {:>12} {:>10}",
            format!("through {relays} relays"),
            "MB/s",
            "of raw",
            "CPU s/GB",
            "allocations",
            "arrived"
        );
        for (place, contender) in Contender::ALL.iter().enumerate() {
            let (samples, raw) = (&self.samples[way][place], &self.samples[way][0]);
            let pairs = samples.iter().zip(raw);
            println!(
                "{:<44} {:>8.0} {:>7.1}% {:>10.2} {:>12.2} {:>9.1}%",
                contender.name(),
                median(samples.iter().map(|sample| sample.rate / 1e6)),
                median(pairs.map(|(sample, raw)| sample.rate * 100.0 / raw.rate)),
                median(samples.iter().map(cpu_per_gigabyte)),
                median(samples.iter().map(|sample| sample.reservations)),
                median(samples.iter().map(|sample| sample.delivered)),
            );
        }
        println!();
    }

    fn print_echoes(&self) {
        println!("round trips of 64 bytes on one stream, over all ways in turn");
        for (way, relays) in self.relays.iter().enumerate() {
            let p50 = median(self.echoes.iter().map(|round| percentile(&round[way], 50)));
            let added = self
                .echoes
                .iter()
                .map(|round| percentile(&round[way], 50) - percentile(&round[0], 50));
            let each = median(added) / (*relays).max(1) as f64;
            println!("through {relays} relays: p50 {p50:.1} µs, each relay {each:+.1} µs");
        }
    }
}

fn cpu_per_gigabyte(sample: &Sample) -> f64 {
    sample.cpu.as_secs_f64() * 1e9 / sample.bytes as f64
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// In microseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}
