//! A run of several steps: all are tried, a table at the end says what came of each.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What a step that did not fail has to say.
pub(crate) enum Done {
    /// It did its work.
    Passed,
    /// It could not be tried here, for the reason given.
    Skipped(String),
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps(Vec<(String, Duration, Result<Done>)>);

impl Steps {
    /// Runs one step under a heading.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<Done>) {
        eprintln!("\n=== {name}");
        let start = Instant::now();
        let result = step();
        match &result {
            Ok(Done::Passed) => {}
            Ok(Done::Skipped(why)) => eprintln!("SKIPPED: {why}"),
            Err(error) => eprintln!("FAILED: {error:#}"),
        }
        self.0.push((name.to_owned(), start.elapsed(), result));
    }

    /// Runs a step that is one command or several, and never skipped.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        self.step(name, || step().map(|()| Done::Passed));
    }

    /// Prints the table.
    ///
    /// # Errors
    /// If a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!();
        let mut failed = 0;
        for (name, took, result) in &self.0 {
            let outcome = match result {
                Ok(Done::Passed) => "ok".to_owned(),
                Ok(Done::Skipped(why)) => format!("skipped: {why}"),
                Err(error) => {
                    failed += 1;
                    format!("FAILED: {error}")
                }
            };
            println!("{:>7.1} s  {name:<44} {outcome}", took.as_secs_f64());
        }
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.0.len());
        }
        Ok(())
    }
}
