//! The table, and whether all came back to where it was.

use std::time::Duration;

use crate::client::Outcome;
use crate::machine::{machine, versions};
use crate::sample::{Sample, Samples};
use crate::{Options, Result};

/// All that was measured.
pub(crate) struct Report {
    options: Options,
    before: Samples,
    crowds: Vec<Crowd>,
    pub(crate) server: String,
}

struct Crowd {
    opened_in: Duration,
    /// Open, echoed, closed.
    moments: [Samples; 3],
    outcome: Outcome,
}

impl Report {
    pub(crate) fn new(options: Options, before: Samples) -> Self {
        Self {
            options,
            before,
            crowds: Vec::new(),
            server: String::new(),
        }
    }

    pub(crate) fn add(&mut self, opened_in: Duration, moments: [Samples; 3], outcome: Outcome) {
        self.crowds.push(Crowd {
            opened_in,
            moments,
            outcome,
        });
    }

    pub(crate) fn print(&self) {
        println!("machine   {}", machine());
        println!("versions  {}", versions(&["quinn", "stoq-native"]));
        println!(
            "load      {} connections, one echo of 64 bytes a second each for {} s, {} times\n",
            self.options.connections, self.options.seconds, self.options.crowds
        );
        println!("{:<12}{:^44}{:^44}", "", "client", "server");
        let head = format!(
            "{:>12}{:>10}{:>10}{:>12}",
            "RSS MiB", "heap MiB", "tasks", "open"
        );
        println!("{:<12}{head}{head}", "");
        row("before", self.before);
        for (number, crowd) in (1..).zip(&self.crowds) {
            for (name, samples) in ["open", "echoed", "closed"].into_iter().zip(crowd.moments) {
                row(&format!("{name} {number}"), samples);
            }
        }
        println!();
        for (number, crowd) in (1..).zip(&self.crowds) {
            let outcome = &crowd.outcome;
            let at = |quantile| outcome.times.value_at_quantile(quantile) as f64 / 1e6;
            println!(
                "crowd {number}: opened in {:.2} s, {} failed, {} lost; {} of {} echoes came back, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
                crowd.opened_in.as_secs_f64(),
                outcome.failed,
                outcome.lost,
                outcome.echoes,
                outcome.expected,
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
        println!("server: {}", self.server);
        let each = |bytes: u64| bytes as f64 / f64::from(self.options.connections) / 1024.0;
        for (name, end) in ENDS {
            println!(
                "{name}: {:.1} KiB resident for each open connection, {:.1} KiB of them Rust's heap",
                each(self.taken(end, |sample| sample.memory)),
                each(self.taken(end, |sample| sample.heap))
            );
        }
    }

    /// # Errors
    /// What did not come back.
    pub(crate) fn verdict(&self) -> Result<()> {
        let mut faults = Vec::new();
        for (number, crowd) in (1..).zip(&self.crowds) {
            let outcome = &crowd.outcome;
            let missing = outcome.expected - outcome.echoes;
            if outcome.failed + outcome.lost + missing > 0 {
                faults.push(format!(
                    "crowd {number}: {} failed, {} lost, {missing} echoes missing",
                    outcome.failed, outcome.lost
                ));
            }
            let [.., closed] = crowd.moments;
            for (name, end) in ENDS {
                let (before, after) = (end(&self.before), end(&closed));
                if (after.tasks, after.connections) != (before.tasks, before.connections) {
                    faults.push(format!(
                        "crowd {number}: the {name} had {} tasks and {} connections, and has {} and {}",
                        before.tasks, before.connections, after.tasks, after.connections
                    ));
                }
            }
        }
        if let [first, .., last] = &self.crowds[..] {
            for (name, end) in ENDS {
                let [first, last] = [first, last].map(|crowd| end(&crowd.moments[2]));
                println!(
                    "{name}: after the last crowd against the first, RSS {:+.1} MiB, heap {:+.2} MiB",
                    mib(last.memory) - mib(first.memory),
                    mib(last.heap) - mib(first.heap)
                );
                let grown = last.heap.saturating_sub(first.heap);
                if grown > (self.taken(end, |sample| sample.heap) / 100).max(NOISE) {
                    faults.push(format!(
                        "the {name} holds {grown} bytes more after the last crowd"
                    ));
                }
            }
        }
        match faults.is_empty() {
            true => {
                println!("all came back: connections, echoes, tasks, heap");
                Ok(())
            }
            false => Err(faults.join("; ").into()),
        }
    }

    /// What the first crowd took while it was there.
    fn taken(&self, end: End, figure: fn(Sample) -> u64) -> u64 {
        let before = figure(end(&self.before));
        let echoed = self.crowds.first();
        let echoed = echoed.map_or(before, |crowd| figure(end(&crowd.moments[1])));
        echoed.saturating_sub(before)
    }
}

fn row(name: &str, samples: Samples) {
    print!("{name:<12}");
    for (_, end) in ENDS {
        let sample = end(&samples);
        print!(
            "{:>12.1}{:>10.1}{:>10}{:>12}",
            mib(sample.memory),
            mib(sample.heap),
            sample.tasks,
            sample.connections
        );
    }
    println!();
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

type End = fn(&Samples) -> Sample;
const ENDS: [(&str, End); 2] = [
    ("client", |samples| samples.client),
    ("server", |samples| samples.server),
];
/// Tables that double their size at another moment.
const NOISE: u64 = 1024 * 1024;
