//! The measurement: subjects take turns, round by round, so that what else the machine does meets all of them.

mod plan;
mod sizes;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::child::Run;
use crate::path::Path;
use crate::pki::Pki;
use crate::report::{self, Machine, QUIET, Record, Report, load};
use crate::subject::Subject;
use crate::workload::Workload;

/// What to measure, and what to do with it.
#[derive(Args)]
pub(crate) struct Options {
    /// One short round: three minutes instead of twelve, and noise
    #[arg(long)]
    quick: bool,
    /// Only these, separated by commas; quinn is what others are compared with
    #[arg(long, value_delimiter = ',', value_name = "SUBJECT")]
    only: Vec<Subject>,
    /// Only these, separated by commas
    #[arg(long, value_delimiter = ',')]
    workload: Vec<Workload>,
    /// Only this path
    #[arg(long, value_enum)]
    path: Option<Kind>,
    /// Rounds, in place of 3 (1 with --quick)
    #[arg(long)]
    rounds: Option<u32>,
    /// Milliseconds of a run, in place of 900 (300 with --quick)
    #[arg(long)]
    millis: Option<u64>,
    /// Threads of each process, in place of tokio's own choice (one per core)
    #[arg(long)]
    workers: Option<usize>,
    /// Only packets of 1452 bytes: does not look for the size at which each subject is fastest
    #[arg(long)]
    only_1452: bool,
    /// Writes every run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes the table and a plot into the README
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Loopback,
    Veth,
}

impl Options {
    fn subjects(&self) -> Vec<Subject> {
        let wanted = |subject: &Subject| self.only.is_empty() || self.only.contains(subject);
        Subject::all().iter().copied().filter(wanted).collect()
    }

    fn workloads(&self) -> Vec<Workload> {
        let wanted =
            |workload: &Workload| self.workload.is_empty() || self.workload.contains(workload);
        Workload::ALL.into_iter().filter(wanted).collect()
    }

    fn tries_sizes(&self) -> bool {
        !self.only_1452 && self.workloads().into_iter().any(Workload::has_sizes)
    }

    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    fn time(&self) -> Duration {
        let default = if self.quick { 300 } else { 900 };
        Duration::from_millis(self.millis.unwrap_or(default))
    }
}

/// Measures, prints, and writes what it was asked to write. When it is interrupted, it cleans up first.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(!options.subjects().is_empty(), "there is nobody to measure");
    if options.write {
        ensure!(
            options.only.is_empty() && options.workload.is_empty() && options.path.is_none(),
            "the README has all subjects, workloads and paths"
        );
    }
    raise_file_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut hung_up = signal(SignalKind::hangup())?;
        tokio::select! {
            report = measure(options) => finish(options, &report?),
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminated.recv() => bail!("terminated"),
            _ = hung_up.recv() => bail!("hung up"),
        }
    })
}

fn finish(options: &Options, report: &Report) -> Result<()> {
    println!("{}", report::table::markdown(report));
    let targets = report::targets::all(report);
    if !targets.is_empty() {
        println!("Targets for STOQ:");
    }
    for target in targets {
        println!("- {target}");
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(report)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.write {
        report::readme::write(report)?;
    }
    Ok(())
}

/// Connections of clients that share no socket need a file each.
fn raise_file_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

async fn measure(options: &Options) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::make(folder.path())?;
    let machine = Machine::this()?;
    eprintln!("Load average {:.1}.", machine.load);
    if machine.is_busy() {
        eprintln!(
            "\n*** WARNING: the load average is above {QUIET}: something else is running, and the figures are noise. Building has that \
             effect too: wait some minutes. ***\n"
        );
    }
    let mut report = Report {
        machine,
        load_after: 0.0,
        rounds: options.rounds(),
        millis: options.time().as_millis(),
        subjects: options.subjects(),
        skipped: Vec::new(),
        tries: Vec::new(),
        records: Vec::new(),
    };
    let begun = Instant::now();
    let paths = paths(options, &mut report)?;
    let estimate = paths.iter().map(|path| plan::estimate(options, path)).sum();
    eprintln!("It takes about {} on a quiet machine.", minutes(estimate));
    for path in paths {
        measure_path(options, &path, &pki, &mut report).await?;
    }
    report.load_after = load()?;
    eprintln!(
        "It took {}. {}.",
        minutes(begun.elapsed()),
        report.load_line()
    );
    Ok(report)
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02} minutes", seconds / 60, seconds % 60)
}

fn paths(options: &Options, report: &mut Report) -> Result<Vec<Path>> {
    let mut paths = Vec::new();
    if options.path != Some(Kind::Veth) {
        paths.push(Path::loopback());
    }
    if options.path != Some(Kind::Loopback) {
        match Path::veth() {
            Ok(path) => paths.push(path),
            Err(error) => {
                let skipped = format!("NOT MEASURED in a veth pair, which needs root: {error:#}");
                eprintln!("\n*** {skipped} ***\n");
                report.skipped.push(skipped);
            }
        }
    }
    ensure!(!paths.is_empty(), "there is nothing to measure on");
    Ok(paths)
}

async fn measure_path(
    options: &Options,
    path: &Path,
    pki: &Pki,
    report: &mut Report,
) -> Result<()> {
    let run = |subject, workload, mtu| Run {
        subject,
        workload,
        path,
        mtu,
        time: options.time(),
        pki,
        workers: options.workers,
    };
    let mut fastest = BTreeMap::new();
    if options.tries_sizes() {
        for subject in options.subjects() {
            let tries = sizes::try_all(&run(subject, Workload::Bulk1, 1452), options.quick).await;
            eprintln!("{}", report::table::tries(&tries));
            fastest.extend(sizes::fastest(&tries).map(|mtu| (subject, mtu)));
            report.tries.extend(tries);
        }
    }
    for round in 1..=options.rounds() {
        for step in plan::round(options, path, round) {
            let plan::Step {
                subject,
                workload,
                is_largest,
            } = step;
            let mtu = if is_largest {
                fastest.get(&subject).copied()
            } else {
                Some(1452)
            };
            let Some(mtu) = mtu else { continue };
            let what = format!(
                "{path}, round {round}, {}, {mtu} bytes, {}",
                workload.name(),
                subject.title()
            );
            match run(subject, workload, mtu).carry_out().await {
                Ok(ran) => {
                    let record = Record {
                        path: path.name().into(),
                        subject,
                        workload,
                        is_largest,
                        mtu,
                        round,
                        outcome: ran.client.outcome,
                        client: [ran.client.before, ran.client.after],
                        server: ran.server,
                    };
                    eprintln!("{what}: {}", report::metric::line(&record));
                    report.records.push(record);
                }
                Err(error) => {
                    eprintln!("{what}: FAILED: {error:#}");
                    report.skipped.push(format!("{what}: FAILED: {error:#}"));
                }
            }
        }
    }
    Ok(())
}
