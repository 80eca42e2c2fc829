//! The loop that feeds stoq-core: one task per connection.
//!
//! ```text
//!   handles ── Command ──▶ ┌────────┐ ── bytes ──▶ our control stream
//!   quinn ──── streams ──▶ │ Driver │ ── Arrived ──▶ queues of the sessions
//!         ── datagrams ──▶ │        │ ── payload ──▶
//!         ──── control ──▶ └────────┘ ── answers ──▶ who waits for them
//!                           │      ▲
//!                     Input ▼      │ Output
//!                     stoq_core::session::Session
//! ```
//!
//! It takes part in the beginning and end of streams and in no byte between. What a peer can make it hold is bounded: by
//! the state machine, by the [`Introductions`] of streams whose header has not come, [`MAX_DISCARDS`] streams of unknown
//! type, and [`control::MAX_UNSENT`] bytes of answers.

mod access;
mod command;
mod control;
mod end;
mod event;
mod introductions;
mod outputs;
mod pings;
mod requested;

use core::time::Duration;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use stoq_core::access::{Access, AccessError, TokenHash, VerificationBudget, proof_message};
use stoq_core::close::Code;
use stoq_core::hash::SessionHash;
use stoq_core::service::ServiceName;
use stoq_core::session::{
    self as machine, Answer, ForeignAuth, Input, Output, PingError, SessionError, Side,
};
use stoq_core::session_id::SessionId;
use stoq_core::time::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::access::{AccessRefusals, AccessRules, Proofs};
use crate::adapt::{self, AdaptationConfig, Live};
use crate::closed::{Closed, Ending};
use crate::connect::{ConnectError, ConnectOptions};
use crate::connection::{self, Connection};
use crate::early::{self, EarlyRequest};
use crate::metrics::{self, Counted, Counters};
use crate::rejection::IdentityRejected;
use crate::request::{Asked, OpenError, Request, SessionRequest, fresh_random};
use crate::security::{Admitted, Judge};
use crate::session::{self, Session};
use crate::stream::{Arrived, Introduction, Place};
use crate::transport::{Limits, MessageConfig, TransportConfig};
pub(crate) use command::{Command, Watch};
use control::{Incoming, Outgoing};
use end::End;
use event::Event;
pub(crate) use introductions::Introductions;
use pings::Pings;
use requested::Requested;

/// What the drivers of an endpoint share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) messages: MessageConfig,
    /// Whether connections change by themselves from the beginning.
    pub(crate) adaptation: Option<AdaptationConfig>,
    /// Whether framed streams are taken.
    pub(crate) framed_streams: bool,
    /// Whether requests that have relays still to pass are taken.
    pub(crate) relay: bool,
    pub(crate) tasks: TaskTracker,
    /// The one that the endpoint was made in. Workers have their own.
    pub(crate) runtime: Handle,
    /// Set when the endpoint closes all connections.
    pub(crate) ending: Arc<Ending>,
    /// Set, to the time that sessions have, when the endpoint shuts down.
    pub(crate) shutdown: watch::Sender<Option<Duration>>,
    /// Who takes early data, on a server that does.
    pub(crate) early: Option<mpsc::Sender<EarlyRequest>>,
    /// Replaced when the rules change: every session is judged again then.
    pub(crate) access: watch::Sender<Option<Arc<AccessRules>>>,
    pub(crate) access_refusals: AccessRefusals,
    /// Replaced when the policy changes: every connection is judged again then.
    pub(crate) judge: watch::Sender<Judge>,
    pub(crate) counters: Arc<Counters>,
}

impl Shared {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(
        transport: &TransportConfig,
        framed_streams: bool,
        relay: bool,
        judge: Judge,
        early: Option<mpsc::Sender<EarlyRequest>>,
    ) -> Self {
        let side = match judge {
            Judge::Servers(_) => quinn::Side::Client,
            Judge::Clients(_) => quinn::Side::Server,
        };
        let tasks = TaskTracker::new();
        // A tracker that is closed takes tasks all the same, and `wait` resolves whenever it has none.
        tasks.close();
        let counters = Arc::new(Counters::new(side));
        metrics::start_publishing(&counters, transport.metrics_interval);
        Self {
            limits: transport.limits,
            messages: transport.messages,
            adaptation: transport.adaptation,
            framed_streams,
            relay,
            tasks,
            runtime: Handle::current(),
            ending: Arc::default(),
            shutdown: watch::Sender::default(),
            early,
            access: watch::Sender::default(),
            access_refusals: AccessRefusals::default(),
            judge: watch::Sender::new(judge),
            counters,
        }
    }
}

/// Which end of the connection this is, and who waits for its sessions.
pub(crate) enum Role {
    /// The session 0 of the service, if one is asked for.
    Client {
        service: Option<ServiceName>,
        options: ConnectOptions,
        access_tokens: Vec<Bytes>,
        proofs: Proofs,
        opened: oneshot::Sender<Result<Option<Session>, ConnectError>>,
    },
    Server {
        requests: mpsc::Sender<SessionRequest>,
        /// What came before the handshake was done.
        waiting: Unintroduced,
    },
}

/// Streams that have arrived, on their way to be placed.
#[derive(Default)]
pub(crate) struct Unintroduced {
    /// Those whose header is being read.
    pub(crate) streams: Introductions,
    /// Those of early data whose service is being read.
    pub(crate) early: JoinSet<()>,
}

/// The number of the next connection of this process, or attempt at one.
pub(crate) fn next_number() -> u64 {
    CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Starts the driver of a connection that has just come about.
pub(crate) fn start(
    quinn: quinn::Connection,
    role: Role,
    endpoint: Arc<Shared>,
    peer: Admitted,
) -> Connection {
    // A client's connection is its endpoint's, whoever asked for it; a server's is the worker's that took it.
    let runtime = match role {
        Role::Client { .. } => endpoint.runtime.clone(),
        Role::Server { .. } => Handle::current(),
    };
    let _within = runtime.enter();
    let (sender, commands) = mpsc::unbounded_channel();
    let id = peer.number;
    let span = tracing::info_span!("stoq", connection = id, side = ?quinn.side(), peer = %quinn.remote_address());
    let shared = Arc::new(connection::Shared {
        live: Live::new(&quinn, endpoint.limits),
        id,
        quinn: quinn.clone(),
        commands: sender,
        ending: Ending::default(),
        sessions: AtomicUsize::new(0),
        dropped_in_queues: AtomicU64::new(0),
        dropped_unplaced: AtomicU64::new(0),
        refused_announcements: AtomicU64::new(0),
        going_away: Ending::default(),
        grace: OnceLock::new(),
        endpoint_ending: endpoint.ending.clone(),
        runtime: runtime.clone(),
    });
    let handle = connection::Handle::new(shared.clone());
    let mut driver = Box::new(Driver::new(
        quinn,
        role,
        endpoint.clone(),
        shared,
        Arc::downgrade(&handle),
        commands,
        peer,
    ));
    if let Some(config) = &endpoint.adaptation {
        span.in_scope(|| driver.watch(Watch::begin(&driver.shared, config)));
    }
    let run = driver.run().instrument(span);
    endpoint.tasks.spawn_on(run, &runtime);
    Connection::new(handle)
}

struct Driver {
    quinn: quinn::Connection,
    peer: Admitted,
    endpoint: Arc<Shared>,
    shared: Arc<connection::Shared>,
    /// Dropped with the driver.
    _counted: Counted,
    handle: Weak<connection::Handle>,
    commands: mpsc::UnboundedReceiver<Box<Command>>,
    shutdown: watch::Receiver<Option<Duration>>,
    access: watch::Receiver<Option<Arc<AccessRules>>>,
    /// Signatures of access tokens that are still verified for the peer.
    verifications: VerificationBudget,
    /// A server: who takes requests.
    requests: Option<mpsc::Sender<SessionRequest>>,

    start: Instant,
    machine: machine::Session,
    out: Vec<Output>,
    outgoing: Outgoing,
    incoming: Incoming,

    /// Streams whose header has not come.
    unintroduced: Introductions,
    /// Streams that the machine has not placed, by the key that it knows them by.
    unplaced: HashMap<u64, Arrived>,
    next_stream: u64,
    discards: JoinSet<()>,
    /// Streams of early data whose service is being read.
    early: JoinSet<()>,
    lingering: JoinSet<()>,
    /// Who watches the path, if somebody does.
    adaptation: JoinSet<()>,

    sessions: HashMap<SessionId, Arc<session::Shared>>,
    /// Boxed, because a table keeps the room of those that have left.
    waiting: HashMap<SessionId, Box<Waiting>>,
    requested: Requested,
    pings: Pings,
    /// Multiplexed sessions that QUIC's bounds on streams reckon with.
    reckoned: usize,
    /// Whether the connection is closed when nobody holds it. Not on a server as long as it only carries
    /// multiplexed sessions: the client, which keeps it in its pool, decides.
    needs_holder: bool,
    /// Handles made, less those that have said their last. Counted here and not by the `Weak`, because a handle that is
    /// gone may have left commands that are not carried out yet.
    handles: usize,
    /// The endpoint is shutting down: close when no session is left.
    draining: bool,
}

/// Who waits for a session to be opened.
struct Waiting {
    service: Option<ServiceName>,
    /// A server: what the client may do.
    access: Option<Access>,
    /// A client: tokens that it must prove to be its own.
    proofs: Proofs,
    /// A relay: proofs for others, which came before that for itself.
    auths: Vec<ForeignAuth>,
    reply: Reply,
}

impl Waiting {
    fn new(service: Option<ServiceName>, reply: Reply) -> Self {
        Self {
            service,
            access: None,
            proofs: Vec::new(),
            auths: Vec::new(),
            reply,
        }
    }
}

enum Reply {
    Connect(oneshot::Sender<Result<Option<Session>, ConnectError>>),
    Open(oneshot::Sender<Result<Session, OpenError>>),
    Accept(oneshot::Sender<Result<Session, Closed>>),
}

impl Driver {
    fn new(
        quinn: quinn::Connection,
        role: Role,
        endpoint: Arc<Shared>,
        shared: Arc<connection::Shared>,
        handle: Weak<connection::Handle>,
        commands: mpsc::UnboundedReceiver<Box<Command>>,
        peer: Admitted,
    ) -> Self {
        let mut waiting = HashMap::new();
        let mut config = machine::Config::new(Side::Server, fresh_random());
        let (requests, unintroduced) = match role {
            Role::Client {
                service,
                options,
                access_tokens,
                proofs,
                opened,
            } => {
                config.side = Side::Client;
                config.service.clone_from(&service);
                config.access_tokens = access_tokens;
                config.route = options.route;
                config.max_hops = options.max_hops;
                config.holders = proofs.iter().map(|(token, _)| *token).collect();
                let reply = Waiting::new(service, Reply::Connect(opened));
                waiting.insert(SessionId::ZERO, Box::new(Waiting { proofs, ..reply }));
                (None, Unintroduced::default())
            }
            Role::Server { requests, waiting } => (Some(requests), waiting),
        };
        let side = config.side;
        let mut limits = machine::Limits::default();
        limits.max_sessions = endpoint.limits.max_sessions;
        limits.max_streams = endpoint.limits.max_streams;
        limits.max_datagram_size = endpoint.limits.max_datagram_size;
        config.limits = limits;
        let mut out = Vec::new();
        let machine = machine::Session::new(Timestamp::default(), config, &mut out)
            .expect("what the connection shows and the way it goes were checked");
        Self {
            _counted: endpoint.counters.open(shared.id, &shared),
            shutdown: endpoint.shutdown.subscribe(),
            access: endpoint.access.subscribe(),
            quinn,
            peer,
            endpoint,
            shared,
            handle,
            commands,
            verifications: VerificationBudget::new(),
            requests,
            start: Instant::now(),
            machine,
            out,
            requested: Requested::default(),
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            unintroduced: unintroduced.streams,
            unplaced: HashMap::new(),
            next_stream: 0,
            discards: JoinSet::new(),
            early: unintroduced.early,
            lingering: JoinSet::new(),
            adaptation: JoinSet::new(),
            sessions: HashMap::new(),
            waiting,
            pings: Pings::default(),
            reckoned: 0,
            needs_holder: side == Side::Client,
            handles: 1,
            draining: false,
        }
    }

    /// Boxed, because a future keeps what it is made of beside what it makes of it.
    async fn run(mut self: Box<Self>) {
        // The endpoint may have begun to shut down before this connection was there.
        let mut outcome = if self.shutdown.borrow().is_some() {
            self.drain()
        } else {
            Ok(())
        };
        let end = loop {
            if let Err(end) = outcome.and_then(|()| self.carry_out()) {
                break end;
            }
            let event = self.next().await;
            outcome = self.on(event);
        };
        self.finish(end);
    }

    async fn next(&mut self) -> Event {
        let due = self.machine.next_due();
        let due = due.map(|due| self.start + Duration::from_micros(due.as_micros()));
        let room = self.unintroduced.has_room();
        tokio::select! {
            Some(command) = self.commands.recv() => Event::Command(command),
            Ok(()) = self.shutdown.changed() => Event::Shutdown,
            Ok(()) = self.access.changed() => Event::Access,
            rejected = self.peer.revoked() => Event::Revoked(rejected),
            stream = self.quinn.accept_bi(), if room => Event::Stream(stream.map(Arrived::bidirectional)),
            stream = self.quinn.accept_uni(), if room => Event::Stream(stream.map(Arrived::unidirectional)),
            Some(introduced) = self.unintroduced.next() => Event::Introduced(introduced),
            datagram = self.quinn.read_datagram() => Event::Datagram(datagram),
            // A peer that makes us answer and does not read the answers waits.
            bytes = self.incoming.read(), if self.outgoing.has_room() => Event::Control(bytes),
            sent = self.outgoing.send(&self.quinn) => Event::Sent(sent),
            () = async { sleep_until(due.unwrap_or(self.start)).await }, if due.is_some() => Event::Due,
            Some(_) = self.discards.join_next() => Event::Finished,
            Some(_) = self.early.join_next() => Event::Finished,
            Some(_) = self.lingering.join_next() => Event::Finished,
            Some(_) = self.adaptation.join_next() => Event::Finished,
            error = self.quinn.closed() => Event::Lost(error),
        }
    }

    fn feed(&mut self, input: Input<'_>) -> Result<(), End> {
        let now = self.now();
        self.machine.handle(now, input, &mut self.out)?;
        Ok(())
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.start.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// The result of a future that has one already.
fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// Connections of this process so far, and attempts at them.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
/// Streams of early data whose service may be missing at once: as many as may miss their header.
const MAX_UNNAMED: usize = 64;
/// Streams of unknown type that are read at once; more are stopped.
const MAX_DISCARDS: usize = 16;
/// Streams taken in a turn: likewise, and no more than a peer may have on their way as a rule.
const STREAM_BATCH: usize = 32;
/// Datagrams taken in a turn: enough to spread the turn's cost, and little beside what else waits.
const DATAGRAM_BATCH: usize = 64;
