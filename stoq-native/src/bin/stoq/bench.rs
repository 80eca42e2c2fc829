//! `stoq bench`: many connections, what they do over and over, and how they fared.
//!
//! ```text
//!   opening   at most `--opening` handshakes at once, until all connections are open or have failed
//!   measuring all begin together, for `--duration` seconds; what has come back by then is counted
//! ```
//! What comes back is the server's service `echo`, so everything goes over the path twice, and what an end sends the other receives.
//! Nothing is sent again by this command: what QUIC sends again stands among the packets.

mod report;
mod tally;
mod usage;
mod work;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stoq_native::{
    ClientConfig, Code, ConnectError, ConnectOptions, Endpoint, PqPolicy, Session, Target,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::arguments::{BenchArguments, LoadArguments, Mode};
use crate::client;
use crate::error::CommandError;
use crate::signals::{Signal, Signals};
use report::{Ending, Measured, Report};
use tally::{Failure, Tally};
use usage::Moment;

/// Loads the server, and prints what came of it, also when a signal ends it early.
///
/// # Errors
/// [`CommandError`] if no connection could be opened or none was left, and after a signal.
pub(crate) async fn run(arguments: BenchArguments) -> Result<(), CommandError> {
    let mut signals = Signals::new().map_err(CommandError::System)?;
    let (peer, load) = arguments.split();
    let config = client::config(&peer)?;
    let bench = Arc::new(Bench {
        target: peer.neighbour(),
        options: peer.options(),
        policy: config.policy.clone(),
        load,
        slots: Semaphore::new(load.opening as usize),
        start: CancellationToken::new(),
        opening: Tally::new(usage::cores()),
        tally: Tally::new(usage::cores()),
        first_error: Mutex::default(),
    });
    let endpoints = endpoints(&bench, config)?;
    let mut workers = JoinSet::new();
    let (opened, mut openings) = mpsc::unbounded_channel();
    let count = bench.workers();
    let begun = Instant::now();
    for (by, endpoint) in (0..count).zip(endpoints.iter().cycle()) {
        let (bench, endpoint, opened) = (bench.clone(), endpoint.clone(), opened.clone());
        workers.spawn(async move { bench.work(endpoint, by, opened).await });
    }
    drop(opened);

    let mut open = 0;
    let opening = async {
        while let Some(worked) = openings.recv().await {
            open += usize::from(worked);
        }
    };
    let mut ended = tokio::select! {
        () = opening => None,
        signal = signals.next() => Some(signal),
    };
    let opened_in = begun.elapsed();
    let before = Moment::now();
    let packets_before = packets(&endpoints);
    bench.start.cancel();
    tracing::debug!(open, "measuring");
    let mut failed = false;
    if ended.is_none() {
        let lasts = Duration::from_secs(load.duration.into());
        let all_ended = async { while workers.join_next().await.is_some() {} };
        tokio::select! {
            () = tokio::time::sleep(lasts) => {}
            () = all_ended => failed = true,
            signal = signals.next() => ended = Some(signal),
        }
    }
    let after = Moment::now();
    let packets_after = packets(&endpoints);
    let measured = Measured {
        ending: match (ended, failed) {
            (Some(_), _) => Ending::Interrupted,
            (None, true) => Ending::Failed,
            (None, false) => Ending::Time,
        },
        open,
        opened_in,
        sockets: endpoints.len(),
        seconds: before.elapsed(after).as_secs_f64(),
        usage: before.usage(after),
        sent_packets: packets_after.0 - packets_before.0,
        lost_packets: packets_after.1 - packets_before.1,
        opening: bench.opening.totals(),
        totals: bench.tally.totals(),
    };
    workers.shutdown().await;
    for endpoint in &endpoints {
        endpoint.close(Code::NO_ERROR, "");
    }
    for endpoint in &endpoints {
        endpoint.wait_idle().await;
    }
    bench.conclude(measured, ended)
}

/// What all workers share.
struct Bench {
    target: Target,
    options: ConnectOptions,
    policy: PqPolicy,
    load: LoadArguments,
    /// Handshakes at once.
    slots: Semaphore,
    start: CancellationToken,
    opening: Tally,
    tally: Tally,
    first_error: Mutex<Option<ConnectError>>,
}

impl Bench {
    /// Connections at once.
    fn workers(&self) -> usize {
        let LoadArguments {
            connections,
            opening,
            ..
        } = self.load;
        match self.load.mode {
            Mode::Handshake => connections.min(opening) as usize,
            _ => connections as usize,
        }
    }

    async fn work(&self, endpoint: Endpoint, by: usize, opened: mpsc::UnboundedSender<bool>) {
        if self.load.mode == Mode::Handshake {
            drop(opened);
            self.start.cancelled().await;
            return self.handshakes(&endpoint, by).await;
        }
        let connected = {
            let _slot = self.slots.acquire().await;
            self.connect(&endpoint, by, &self.opening).await
        };
        // Nobody counts any more after a signal.
        let _ = opened.send(connected.is_ok());
        drop(opened);
        let Ok(session) = connected else { return };
        self.start.cancelled().await;
        let size = self.load.size as usize;
        let Err(failure) = work::load(&session, self.load.mode, size, &self.tally, by).await;
        self.tally.failed(failure);
    }

    /// Connects and closes until the endpoint is closed.
    async fn handshakes(&self, endpoint: &Endpoint, by: usize) {
        loop {
            // Forgets the sessions that could be resumed. It has been a policy before.
            if !self.load.resume && endpoint.set_policy(self.policy.clone()).is_err() {
                return;
            }
            match self.connect(endpoint, by, &self.tally).await {
                Ok(session) => session.close(Code::NO_ERROR, ""),
                Err(Code::GOING_AWAY) => return,
                // A server that nobody has reached is not tried for a minute.
                Err(_) if !self.tally.any() => return,
                Err(_) => {}
            }
        }
    }

    /// A session, counted in `tally`; or the code of the error that is counted there.
    async fn connect(
        &self,
        endpoint: &Endpoint,
        by: usize,
        tally: &Tally,
    ) -> Result<Session, Code> {
        let start = Instant::now();
        let url = self.target.to_string();
        match endpoint.connect_with(&url, self.options.clone()).await {
            Ok(session) => {
                tally.done(by, start.elapsed());
                if session.connection().security().resumed {
                    tally.resumed();
                }
                Ok(session)
            }
            Err(error) => {
                let code = error.code();
                tally.failed(Failure::Code(code));
                let first = self.first_error.lock();
                let mut first = first.unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(error);
                Err(code)
            }
        }
    }

    /// Prints, unless there was nothing to measure.
    fn conclude(&self, measured: Measured, ended: Option<Signal>) -> Result<(), CommandError> {
        let nothing = measured.opening.operations + measured.totals.operations == 0;
        let failed = measured.ending == Ending::Failed;
        let errors = measured.totals.errors.clone();
        let first = self.first_error.lock();
        let first = first.unwrap_or_else(PoisonError::into_inner).take();
        if let (true, Some(source)) = (nothing && ended.is_none(), first) {
            let target = self.target.clone();
            return Err(CommandError::Connect { target, source });
        }
        Report::new(&self.target, self.load, measured).print()?;
        match ended {
            Some(signal) => Err(CommandError::Ended(signal)),
            None if failed => {
                let names: Vec<_> = errors.into_keys().collect();
                Err(CommandError::NoneLeft(names.join(", ")))
            }
            None => Ok(()),
        }
    }
}

/// One for each core, so that one thread's socket does not bound all; for handshakes one for each, which then shares no sessions.
fn endpoints(bench: &Bench, config: ClientConfig) -> Result<Vec<Endpoint>, CommandError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = match bench.load.mode {
        Mode::Handshake => bench.workers(),
        _ => bench.workers().min(cores),
    };
    let endpoint = |_| Endpoint::client(config.clone()).map_err(CommandError::Client);
    (0..count).map(endpoint).collect()
}

/// Sent, and lost among them, so far.
fn packets(endpoints: &[Endpoint]) -> (u64, u64) {
    let stats = endpoints.iter().map(Endpoint::stats);
    stats.fold((0, 0), |(sent, lost), stats| {
        (sent + stats.sent_packets, lost + stats.lost_packets)
    })
}
