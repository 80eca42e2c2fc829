//! How the processes of one run speak with the one that started them: a line of JSON each way, over standard input and output. A child
//! whose input ends has nobody left to work for, and ends.

use std::io::{BufRead as _, Write as _};
use std::process::exit;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::usage::Usage;

/// What a server says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) port: u16,
    pub(crate) note: String,
}

/// What a client says when everything is prepared.
pub(crate) const READY: &str = "ready";
/// What it is answered when the measurement begins.
pub(crate) const GO: &str = "go";
/// What a server is asked.
pub(crate) const USAGE: &str = "usage";

pub(crate) fn say(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// A server's: answers every question, from a thread of its own.
pub(crate) fn answer() {
    std::thread::spawn(|| {
        for line in std::io::stdin().lock().lines() {
            let asked = line.is_ok_and(|line| line == USAGE);
            if !asked || Usage::now().and_then(|usage| say(&usage)).is_err() {
                break;
            }
        }
        exit(0);
    });
}

/// A client's: opens once.
pub(crate) struct Gate {
    go: mpsc::UnboundedReceiver<()>,
    begun: Option<(Instant, Usage)>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let (opened, go) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if !line.is_ok_and(|line| line == GO) || opened.send(()).is_err() {
                    break;
                }
            }
            exit(0);
        });
        Self { go, begun: None }
    }

    /// Says that everything is prepared, and waits until it may begin.
    pub(crate) async fn open(&mut self) -> Result<Instant> {
        say(&READY)?;
        self.go.recv().await.context("the process is ending")?;
        let begun = Instant::now();
        self.begun = Some((begun, Usage::now()?));
        Ok(begun)
    }

    /// When it opened, and what had been used by then.
    pub(crate) fn begun(&self) -> Result<(Instant, Usage)> {
        self.begun.context("nothing was measured")
    }
}
