//! Medians, by path, loss and contender.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::contenders::Contender;
use crate::machine::{machine, versions};
use crate::run::{Path, Plan, Sample};
use crate::{LOSSES, Result};

/// Which runs belong together: all rounds of one contender on one path.
type Place = (Path, u32, u8, Contender);

/// All that was measured.
pub(crate) struct Report {
    contenders: Vec<Contender>,
    seed: u64,
    rounds: u32,
    bare: Option<u64>,
    paths: [Path; 2],
    samples: HashMap<Place, Vec<Sample>>,
    /// What happened in place of a sample.
    broken: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        contenders: Vec<Contender>,
        seed: u64,
        rounds: u32,
        bare: Option<u64>,
        paths: [Path; 2],
    ) -> Self {
        Self {
            contenders,
            seed,
            rounds,
            bare,
            paths,
            samples: HashMap::new(),
            broken: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, contender: Contender, plan: Plan, sample: Result<Sample>) {
        let place = (plan.path, plan.loss_per_mille, plan.flows, contender);
        match sample {
            Ok(sample) => self.samples.entry(place).or_default().push(sample),
            Err(error) => self.broken.push(format!(
                "{contender}, {}, {} ‰ lost, {} flows, seed {}: {error}",
                name(plan.path),
                plan.loss_per_mille,
                plan.flows,
                plan.seed
            )),
        }
    }

    /// Says on standard error what has just been measured.
    pub(crate) fn progress(&self, round: u32, contender: Contender, plan: Plan) {
        let place = (plan.path, plan.loss_per_mille, plan.flows, contender);
        let sample = self.samples.get(&place).and_then(|samples| samples.last());
        let goodput = sample.map_or(0.0, Sample::total) / 1e6;
        eprintln!(
            "round {} of {}: {}, {} ‰ lost, {} flows, {contender}: {goodput:.1} Mbit/s",
            round + 1,
            self.rounds,
            name(plan.path),
            plan.loss_per_mille,
            plan.flows
        );
    }

    pub(crate) fn print(&self) {
        println!("machine   {}", machine());
        println!("versions  {}", versions(&["quinn", "stoq-native"]));
        println!(
            "seed      {}; {} rounds, contenders in turn; medians",
            self.seed, self.rounds
        );
        let [short, _] = self.paths;
        if let Some(bare) = self.bare {
            println!(
                "emulator  passes {} Mbit/s of bare UDP without a loss of its own, and {} Mbit/s of a QUIC transfer on the same cores",
                bare / 1_000_000,
                short.bits_per_second / 1_000_000
            );
        }
        println!("          late by {}", self.lateness());
        for path in self.paths {
            for loss_per_mille in LOSSES {
                let measured = self.measured(path, loss_per_mille, 1);
                if !measured.is_empty() {
                    println!("\n{}, loss {} %", name(path), loss_per_mille / 10);
                    println!("{HEAD}");
                }
                measured.into_iter().for_each(|place| self.row(place));
            }
        }
        println!("\nfairness of two flows at once, loss 0 % (median, and the least of the rounds)");
        for path in self.paths {
            let measured = self.measured(path, 0, 2);
            if !measured.is_empty() {
                println!("{}", name(path));
            }
            measured.into_iter().for_each(|place| self.fairness(place));
        }
        for broken in &self.broken {
            println!("broken    {broken}");
        }
    }

    /// Of the contenders, those that ran there.
    fn measured(&self, path: Path, loss_per_mille: u32, flows: u8) -> Vec<Place> {
        let places = self.contenders.iter();
        let places = places.map(|&contender| (path, loss_per_mille, flows, contender));
        places
            .filter(|place| self.samples.contains_key(place))
            .collect()
    }

    fn row(&self, place: Place) {
        let (path, _, _, contender) = place;
        let median = |figure: &dyn Fn(&Sample) -> f64| self.median(place, figure);
        let goodput = median(&|sample| sample.total());
        let lost = |sample: &Sample| {
            sample.packets.lost as f64 / sample.packets.sent.max(1) as f64 * 100.0
        };
        println!(
            "{contender:<14}{:>10.2}{:>8.0} %{:>9.2}{:>9.2}{:>9.0}{:>8.2} %{:>9.0}{:>9.0}{:>6.0}",
            goodput / 1e6,
            goodput / path.bits_per_second as f64 * 100.0,
            median(&|sample| sample.path.queued.mean() / 1e6),
            median(&|sample| sample.path.queued.value_at_quantile(0.95) as f64 / 1e6),
            median(&|sample| sample.packets.lost as f64),
            median(&lost),
            median(&|sample| sample.path.lost as f64),
            median(&|sample| sample.path.overflowed as f64),
            self.worst(place, |sample| sample.own_losses as f64),
        );
    }

    fn fairness(&self, place: Place) {
        let (_, _, _, contender) = place;
        let index = self.median(place, &Sample::fairness);
        let least = -self.worst(place, |sample| -sample.fairness());
        let each = self.samples.get(&place).and_then(|samples| samples.last());
        let each: Vec<_> = each
            .into_iter()
            .flat_map(|sample| &sample.goodput)
            .map(|rate| format!("{:.1}", rate / 1e6))
            .collect();
        println!(
            "{contender:<14}Jain {index:.3} (least {least:.3}{}), {:.1} Mbit/s together, in the last round {}",
            if index < FAIR { "; below 0.9" } else { "" },
            self.median(place, &Sample::total) / 1e6,
            each.join(" and ")
        );
    }

    /// How much later than due the emulator sent packets of data, in all runs.
    fn lateness(&self) -> String {
        let mut all: Option<Histogram<u64>> = None;
        for sample in self.samples.values().flatten() {
            match &mut all {
                Some(all) => all
                    .add(&sample.path.late)
                    .expect("all have the same bounds"),
                None => all = Some(sample.path.late.clone()),
            }
        }
        all.map_or_else(
            || "nothing".into(),
            |late| {
                let at = |quantile| late.value_at_quantile(quantile) as f64 / 1e6;
                format!("{:.3} ms (p50), {:.3} ms (p99)", at(0.5), at(0.99))
            },
        )
    }

    fn median(&self, place: Place, figure: &dyn Fn(&Sample) -> f64) -> f64 {
        let samples = self.samples.get(&place).into_iter().flatten();
        let mut figures: Vec<f64> = samples.map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn worst(&self, place: Place, figure: impl Fn(&Sample) -> f64) -> f64 {
        let samples = self.samples.get(&place).into_iter().flatten();
        samples.map(figure).fold(f64::NEG_INFINITY, f64::max)
    }
}

fn name(path: Path) -> String {
    format!(
        "{} ms at {} Mbit/s",
        path.round_trip.as_millis(),
        path.bits_per_second / 1_000_000
    )
}

const HEAD: &str = "                 Mbit/s   of rate  queue ms    p95 ms  lost    of sent   random     full   own";
/// What each algorithm should reach against itself.
const FAIR: f64 = 0.9;
