//! The fuzz targets of core, each run for a short while.
//!
//! Core has no unsafe code, so panics and wrong answers are what there is to find: that takes no sanitizer, and the coverage
//! that steers libFuzzer comes from options of the stable compiler (`stoq-core/fuzz/.cargo/config.toml`).

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::{cargo, run as run_to_end};
use crate::workspace::{path, target};

/// Per target: enough to meet a slip in new code that the properties have missed.
pub(crate) const SHORT: Duration = Duration::from_secs(10);

/// An input that takes longer has met a loop that the decoder should have refused.
const LONGEST_INPUT: Duration = Duration::from_secs(10);

/// Runs each target for `time`, starting from what earlier runs here found worth keeping.
pub(crate) fn run(time: Duration) -> Result<()> {
    let fuzz = path("stoq-core/fuzz");
    let built = target().join("fuzz");
    for name in targets(&fuzz)? {
        let corpus = built.join("corpus").join(&name);
        fs::create_dir_all(&corpus)?;
        let mut fuzzer = cargo(&[
            "run",
            "--quiet",
            "--release",
            "--bin",
            &name,
            "--target-dir",
        ]);
        fuzzer
            .arg(&built)
            .arg("--")
            .arg(corpus)
            .args(["-verbosity=0", "-max_len=4096"]);
        fuzzer.arg(format!("-max_total_time={}", time.as_secs()));
        fuzzer.arg(format!("-timeout={}", LONGEST_INPUT.as_secs()));
        fuzzer.arg(format!("-artifact_prefix={}/{name}-", built.display()));
        run_to_end(fuzzer.current_dir(&fuzz))?;
    }
    Ok(())
}

fn targets(fuzz: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fuzz.join("fuzz_targets").read_dir()? {
        let file = entry?.path();
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
