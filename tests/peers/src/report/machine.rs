//! What was measured on, and when.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::subject::Subject;

#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    /// UTC, `YYYY-MM-DD`.
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Processes that want to run, on average of the last minute, before the measurement: above [`QUIET`], others were busy here.
    pub(crate) load: f64,
    /// Packages of all subjects, as the lock file pins them.
    pub(crate) versions: Vec<(String, String)>,
}

impl Machine {
    pub(crate) fn this() -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            date: date()?,
            processor: model.map_or("unknown processor", |(_, model)| model).into(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .into(),
            load: load()?,
            versions: versions()?,
        })
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}; {}, {} cores, Linux {}",
            self.date, self.processor, self.cores, self.kernel
        )
    }

    /// Whether something else was running.
    pub(crate) const fn is_busy(&self) -> bool {
        self.load > QUIET
    }

    /// In one line.
    pub(crate) fn versions_line(&self) -> String {
        let versions = self.versions.iter();
        let versions: Vec<_> = versions
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        versions.join(", ")
    }
}

/// Load average of the last minute below which a machine counts as quiet: what is left of a minute's work two minutes later, and some
/// housekeeping.
pub(crate) const QUIET: f64 = 0.5;

/// The kernel's average of the last minute.
pub(crate) fn load() -> Result<f64> {
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().context("three averages")?;
    Ok(load.parse()?)
}

fn date() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// Of all subjects' packages, and of the libraries that encrypt for them.
fn versions() -> Result<Vec<(String, String)>> {
    let lock: toml::Table = include_str!("../../Cargo.lock").parse()?;
    let packages = lock["package"].as_array().context("a list")?;
    let version = |name: &str| {
        let mut all = packages.iter();
        let found = all.find(|package| package["name"].as_str() == Some(name));
        let version = found.and_then(|package| package["version"].as_str());
        version.map(|version| (name.to_owned(), version.to_owned()))
    };
    let subjects = Subject::all().iter();
    let names = subjects.flat_map(|subject| subject.packages());
    let libraries = ["rustls", "aws-lc-rs", "s2n-tls", "boring"];
    Ok(names
        .chain(&libraries)
        .filter_map(|name| version(name))
        .collect())
}
