//! One run: a server's process, a client's process, and what both used meanwhile.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Loaded;
use crate::gate::{GO, Listening, READY, USAGE};
use crate::path::Path;
use crate::pki::Pki;
use crate::subject::Subject;
use crate::usage::Usage;
use crate::workload::Workload;

/// What to run.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) subject: Subject,
    pub(crate) workload: Workload,
    pub(crate) path: &'a Path,
    pub(crate) mtu: u16,
    pub(crate) time: Duration,
    pub(crate) pki: &'a Pki,
    pub(crate) workers: Option<usize>,
}

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) client: Loaded,
    /// Of the server, before and after.
    pub(crate) server: [Usage; 2],
}

/// What a run may take beside its own time: handshakes by the hundred, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

impl Run<'_> {
    pub(crate) async fn carry_out(&self) -> Result<Ran> {
        let ran = timeout(self.time + PATIENCE, self.both()).await;
        ran.context("it did not end")?
    }

    async fn both(&self) -> Result<Ran> {
        let mut server = Process::start(self.end("serve", self.path.server()))?;
        let listening: Listening = server.read().await?;
        let address = SocketAddr::new(self.path.server().address, listening.port);
        let mut load = self.end("load", self.path.client());
        load.args(["--workload", &self.workload.name()])
            .args(["--millis", &self.time.as_millis().to_string()])
            .args(["--server", &address.to_string()])
            .args(["--note", &listening.note]);
        let mut client = Process::start(load)?;
        let ready: String = client.read().await?;
        if ready != READY {
            bail!("the client says {ready}");
        }
        server.write(USAGE).await?;
        let before = server.read().await?;
        client.write(GO).await?;
        let loaded = client.read().await?;
        server.write(USAGE).await?;
        let after = server.read().await?;
        client.end().await?;
        server.end().await?;
        Ok(Ran {
            client: loaded,
            server: [before, after],
        })
    }

    fn end(&self, part: &str, place: &Place) -> Command {
        let mut command = place.command();
        command
            .arg(part)
            .args(["--subject", &self.subject.name()])
            .args(["--address", &place.address.to_string()])
            .args(["--mtu", &self.mtu.to_string()])
            .args(["--sockets", &self.workload.sockets().to_string()])
            .arg("--pki")
            .arg(&self.pki.0);
        if let Some(workers) = self.workers {
            command.args(["--workers", &workers.to_string()]);
        }
        command
    }
}

/// Where a process runs.
pub(crate) struct Place {
    pub(crate) address: IpAddr,
    /// The network namespace, unless it is this process's own.
    pub(crate) namespace: Option<String>,
}

impl Place {
    fn command(&self) -> Command {
        // This program, even if another has been built in its place meanwhile.
        let own = "/proc/self/exe";
        let own = std::fs::read_link(own).unwrap_or_else(|_| own.into());
        match &self.namespace {
            None => Command::new(own),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(own);
                command
            }
        }
    }
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("its input is a pipe")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    async fn read<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.output.next_line().await?;
        let line = line.context("it ended without a word of what it measured")?;
        serde_json::from_str(&line).with_context(|| format!("it says {line:?}"))
    }

    async fn write(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Its input ends, so it ends.
    async fn end(self) -> Result<()> {
        let Self {
            mut child, input, ..
        } = self;
        drop(input);
        child.wait().await?;
        Ok(())
    }
}
