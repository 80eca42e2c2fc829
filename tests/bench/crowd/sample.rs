//! What a process holds at one moment.

use std::fmt;
use std::str::FromStr;

use stoq_native::Endpoint;
use tokio::runtime::Handle;

use crate::{Result, heap};

/// Of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Resident, in bytes.
    pub(crate) memory: u64,
    /// Of the heap, held by Rust code, in bytes.
    pub(crate) heap: u64,
    /// Of tokio, alive.
    pub(crate) tasks: usize,
    /// Open, closing, or waiting for packets that may still come: QUIC forgets a connection after three probe time-outs (RFC 9000,
    /// section 10.2), and its task stays until then. After a crowd on a busy machine, which measures long ways, that takes seconds.
    pub(crate) connections: u64,
}

/// Of both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples {
    pub(crate) client: Sample,
    pub(crate) server: Sample,
}

impl Sample {
    pub(crate) fn take(runtime: &Handle, endpoint: &Endpoint) -> Result<Self> {
        Ok(Self {
            memory: resident()?,
            heap: heap::held() as u64,
            tasks: runtime.metrics().num_alive_tasks(),
            connections: endpoint.connections_by_worker().iter().sum::<usize>() as u64,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            heap,
            tasks,
            connections,
        } = self;
        write!(f, "{memory} {heap} {tasks} {connections}")
    }
}

impl FromStr for Sample {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let mut word = || words.next().ok_or("a sample has four numbers");
        Ok(Self {
            memory: word()?.parse()?,
            heap: word()?.parse()?,
            tasks: word()?.parse()?,
            connections: word()?.parse()?,
        })
    }
}

fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes.ok_or("the system tells no VmRSS")?.parse()?;
    Ok(kibibytes * 1024)
}
