//! What this process has used so far.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Processor time and memory of one process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Of all its threads, in the kernel too.
    pub(crate) cpu: Duration,
    /// Resident bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// Of this process.
    pub(crate) fn now() -> Result<Self> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(time.tv_sec).context("time only grows")?;
        let nanos = u32::try_from(time.tv_nsec).context("below 10^9")?;
        Ok(Self {
            cpu: Duration::new(seconds, nanos),
            resident: resident()?,
        })
    }
}

fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.context("the kernel says VmRSS")?.trim().parse()?;
    Ok(kilobytes * 1024)
}
