//! The clients: all of them open, echo once a second, and close together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use stoq_native::{ClientConfig, Code, Endpoint, Session, Trust};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use crate::sample::{Sample, Samples};
use crate::server::Child;
use crate::{Options, Result};

/// Where the crowd comes from.
pub(crate) struct Crowd {
    options: Options,
    endpoint: Endpoint,
    url: Arc<str>,
}

/// All are there.
pub(crate) struct Gathering {
    options: Options,
    sessions: Vec<Session>,
    pub(crate) opened_in: Duration,
    failed: u64,
}

/// What became of them.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Connections that did not come about.
    pub(crate) failed: u64,
    /// Connections that ended before they were closed.
    pub(crate) lost: u64,
    pub(crate) echoes: u64,
    /// That should have come back.
    pub(crate) expected: u64,
    /// Nanoseconds.
    pub(crate) times: Histogram<u64>,
}

impl Crowd {
    pub(crate) fn new(options: Options, address: &str, hash: [u8; 32]) -> Result<Self> {
        let mut config = ClientConfig::new(Trust::CertificateHashes(vec![hash]));
        // So many handshakes wait for each other's processor time on purpose.
        config.connect_timeout = PATIENCE;
        Ok(Self {
            options,
            endpoint: Endpoint::client(config)?,
            url: format!("stoq://{address}/echo").into(),
        })
    }

    /// One connection comes, echoes and goes.
    pub(crate) async fn visit(&self) -> Result<()> {
        let session = self.endpoint.connect(&self.url).await?;
        let echoes = AtomicU64::new(0);
        let one = Options {
            seconds: 1,
            ..self.options
        };
        echo(&session, one, 0, &echoes).await?;
        session.close(Code::NO_ERROR, "");
        Ok(())
    }

    pub(crate) async fn open(&self) -> Result<Gathering> {
        let begun = Instant::now();
        let slots = Arc::new(Semaphore::new(OPENING));
        let mut opening = JoinSet::new();
        for _ in 0..self.options.connections {
            let (slots, endpoint, url) = (slots.clone(), self.endpoint.clone(), self.url.clone());
            opening.spawn(async move {
                let _slot = slots.acquire().await;
                endpoint.connect(&url).await
            });
        }
        let mut sessions = Vec::with_capacity(self.options.connections as usize);
        let mut failed = 0;
        while let Some(opened) = opening.join_next().await {
            match opened? {
                Ok(session) => sessions.push(session),
                Err(error) => {
                    eprintln!("not opened: {error}");
                    failed += 1;
                }
            }
        }
        Ok(Gathering {
            options: self.options,
            sessions,
            opened_in: begun.elapsed(),
            failed,
        })
    }

    pub(crate) fn sample(&self, child: &mut Child) -> Result<Samples> {
        Ok(Samples {
            client: Sample::take(&Handle::current(), &self.endpoint)?,
            server: child.sample()?,
        })
    }

    /// When no connection is left on either end, or after three minutes all the same.
    pub(crate) async fn alone(&self, child: &mut Child) -> Result<Samples> {
        let deadline = Instant::now() + FORGETTING;
        // An error says that the time is up, which the sample then shows.
        let _ = timeout(FORGETTING, self.endpoint.wait_idle()).await;
        let mut samples = self.sample(child)?;
        let mut calm = 0;
        while Instant::now() < deadline && calm < CALM {
            tokio::time::sleep(LOOK_AGAIN).await;
            let next = self.sample(child)?;
            let same = next.server.connections == 0
                && next.server.tasks == samples.server.tasks
                && next.client.tasks == samples.client.tasks;
            calm = if same { calm + 1 } else { 0 };
            samples = next;
        }
        Ok(samples)
    }
}

impl Gathering {
    /// Has all of them echo, takes a sample while all are there, and closes them.
    pub(crate) async fn echo(
        self,
        sample: impl AsyncFnOnce() -> Result<Samples>,
    ) -> Result<(Samples, Outcome)> {
        let echoes = Arc::new(AtomicU64::new(0));
        let mut echoing = JoinSet::new();
        for (at, session) in self.sessions.iter().enumerate() {
            let (session, echoes, options) = (session.clone(), echoes.clone(), self.options);
            echoing.spawn(async move { echo(&session, options, at, &echoes).await });
        }
        let mut times = times();
        while let Some(echoed) = echoing.join_next().await {
            match echoed? {
                Ok(each) => each
                    .into_iter()
                    .for_each(|time| times.saturating_record(nanoseconds(time))),
                Err(error) => eprintln!("an echo was lost: {error}"),
            }
        }
        let samples = sample().await?;
        let lost = self
            .sessions
            .iter()
            .filter(|session| session.close_reason().is_some())
            .count();
        let expected = u64::from(self.options.seconds) * self.sessions.len() as u64;
        for session in self.sessions {
            session.close(Code::NO_ERROR, "");
        }
        let outcome = Outcome {
            failed: self.failed,
            lost: lost as u64,
            echoes: echoes.load(Relaxed),
            expected,
            times,
        };
        Ok((samples, outcome))
    }
}

/// Echoes once a second, the `at`th at its own part of the second, and says how long each took.
async fn echo(
    session: &Session,
    options: Options,
    at: usize,
    echoes: &AtomicU64,
) -> Result<Vec<Duration>> {
    let offset = SECOND.mul_f64(at as f64 / f64::from(options.connections));
    let mut ticks = interval_at(tokio::time::Instant::now() + offset, SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The stream is opened with its first echo: all in one moment would be another load.
    ticks.tick().await;
    ticks.reset_immediately();
    let (mut send, mut receive) = session.open_bi().await?;
    let mut times = Vec::with_capacity(options.seconds as usize);
    for round in 0..options.seconds {
        ticks.tick().await;
        let mut message = [round as u8; SIZE];
        message[..8].copy_from_slice(&(at as u64).to_be_bytes());
        let start = Instant::now();
        send.write_all(&message).await?;
        let (mut back, mut filled) = ([0; SIZE], 0);
        while filled < SIZE {
            let read = receive.read(&mut back[filled..]).await?;
            filled += read.ok_or("the server ended the stream")?;
        }
        times.push(start.elapsed());
        if back != message {
            return Err("the echo differs from what was sent".into());
        }
        echoes.fetch_add(1, Relaxed);
    }
    Ok(times)
}

/// From a microsecond to an hour, with three digits.
pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3).expect("the bounds are sound")
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

const SECOND: Duration = Duration::from_secs(1);
const SIZE: usize = 64;
/// Handshakes at once: half of what a server of STOQ takes from one address.
const OPENING: usize = 128;
/// A busy machine's time for what takes seconds on an idle one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Until QUIC has forgotten what has ended: an idle time-out at the end that was not told, and three probe time-outs, which after a
/// crowd on a busy machine take more than ten seconds each.
const FORGETTING: Duration = Duration::from_secs(180);
/// While what is counted may still change.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Looks without a change after which nothing is expected to.
const CALM: u32 = 5;
