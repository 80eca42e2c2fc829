//! The fuzz targets of core, run for a short while.
//!
//! They need no nightly compiler: core has no unsafe code, so panics and wrong answers are what there is to find, and the
//! coverage that steers libFuzzer comes from stable code generation options.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::process::{cargo, command, run as run_to_end};
use crate::steps::Done;
use crate::workspace::{path, target};

/// Per target: enough to meet a slip in new code, which the properties have missed.
pub(crate) const SHORT: Duration = Duration::from_secs(10);

/// Runs each target for `time`, starting from the inputs kept beside it.
pub(crate) fn run(time: Duration) -> Result<Done> {
    let fuzz = path("stoq-core/fuzz");
    if !fuzz.is_dir() {
        return Ok(Done::Skipped("stoq-core/fuzz is missing".to_owned()));
    }
    let built = target().join("fuzz");
    run_to_end(
        cargo(&["build", "--bins", "--release", "--target-dir"])
            .arg(&built)
            .env("RUSTFLAGS", COVERAGE.join(" "))
            .current_dir(&fuzz),
    )?;
    for name in targets()? {
        let corpus = built.join("corpus").join(&name);
        fs::create_dir_all(&corpus)?;
        let program = built.join("release").join(&name);
        let mut fuzzer = command(
            &program.to_string_lossy(),
            &[
                "-timeout=10",
                "-rss_limit_mb=1024",
                "-print_final_stats=0",
                "-verbosity=0",
            ],
        );
        fuzzer
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-artifact_prefix={}/", built.display()));
        run_to_end(fuzzer.arg(corpus))?;
    }
    Ok(Done::Passed)
}

/// Which edges an input took, and what it compared: the same that cargo-fuzz asks for.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
];

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in path("stoq-core/fuzz/fuzz_targets").read_dir()? {
        let file: PathBuf = entry?.path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                file.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}
