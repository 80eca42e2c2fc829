//! Who does what in a round, and how long all of it takes.

use std::time::Duration;

use crate::path::Path;
use crate::subject::Subject;
use crate::workload::{WARM, Workload, idle};

use super::{Options, sizes};

/// One run of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) subject: Subject,
    pub(super) workload: Workload,
    pub(super) is_largest: bool,
}

/// What two processes need to start, connect and end, on a quiet machine.
const START: Duration = Duration::from_millis(250);

/// What 550 connections need, one after the other, on a quiet machine.
const CONNECTIONS: Duration = Duration::from_millis(1500);

/// In the order in which they run.
pub(super) fn round(options: &Options, path: &Path, round: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for workload in options.workloads() {
        // Memory does not depend on the path, and takes seconds.
        if workload == Workload::Idle && !path.is_loopback() && (round > 1 || options.quick) {
            continue;
        }
        for is_largest in [false, true] {
            if is_largest && !(workload.has_sizes() && options.tries_sizes()) {
                continue;
            }
            for subject in options.subjects() {
                if subject.does(workload) {
                    steps.push(Step {
                        subject,
                        workload,
                        is_largest,
                    });
                }
            }
        }
    }
    steps
}

/// How long a path takes on a quiet machine.
pub(super) fn estimate(options: &Options, path: &Path) -> Duration {
    let step = |step: Step| match step.workload {
        Workload::Idle => START + 2 * idle::SETTLED + CONNECTIONS,
        _ => START + WARM + options.time(),
    };
    let rounds = (1..=options.rounds()).flat_map(|number| round(options, path, number));
    let mut time: Duration = rounds.map(step).sum();
    if options.tries_sizes() {
        let tries = sizes::on(path.longest(), options.quick).count() * options.subjects().len();
        let tries = u32::try_from(tries).unwrap_or(u32::MAX);
        time += (START + WARM + sizes::TRIED) * (tries * sizes::times(options.quick));
    }
    time
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &[&str]) -> Options {
        Line::parse_from([&["bench"], line].concat()).options
    }

    /// Of both paths: a veth pair's takes less time, because it carries fewer sizes.
    fn whole(options: &Options) -> Duration {
        2 * estimate(options, &Path::loopback())
    }

    #[test]
    fn all_of_it_takes_twelve_minutes_and_quickly_three() {
        assert!(whole(&options(&[])) <= Duration::from_secs(12 * 60));
        assert!(whole(&options(&["--quick"])) <= Duration::from_secs(3 * 60));
    }

    #[test]
    fn a_round_has_everybody_in_turn() {
        let options = options(&["--only", "quinn,stoq", "--workload", "bulk-1,bulk-8-two"]);
        let steps = round(&options, &Path::loopback(), 1);
        let bulk = |subject, is_largest| Step {
            subject,
            workload: Workload::Bulk1,
            is_largest,
        };
        let two = Step {
            subject: Subject::Stoq,
            workload: Workload::Bulk8Two,
            is_largest: false,
        };
        let expected = [
            bulk(Subject::Quinn, false),
            bulk(Subject::Stoq, false),
            bulk(Subject::Quinn, true),
            bulk(Subject::Stoq, true),
            two,
        ];
        assert_eq!(steps, expected);
    }
}
