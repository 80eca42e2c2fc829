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
//! the state machine, by [`MAX_UNINTRODUCED`] streams whose header has not come, [`MAX_DISCARDS`] streams of unknown
//! type, and [`control::MAX_UNSENT`] bytes of answers.

mod control;
mod outputs;

use core::time::Duration;
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use stoq_core::close::Code;
use stoq_core::service::ServiceName;
use stoq_core::session::{
    self as machine, Answer, Input, Output, PingId, SessionError, Side, TooManyPings,
};
use stoq_core::session_id::SessionId;
use stoq_core::time::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use crate::closed::{Closed, Ending};
use crate::config::Limits;
use crate::connect::ConnectError;
use crate::connection::{self, Connection};
use crate::request::{MAX_DATAGRAM_SIZE, OpenError, Request, SessionRequest, fresh_random};
use crate::session::{self, Session};
use crate::stream::{Arrived, Introduction, Place};
use control::{Incoming, Outgoing};

/// What a handle tells the driver.
pub(crate) enum Command {
    Open {
        request: Request,
        reply: oneshot::Sender<Result<Session, OpenError>>,
    },
    Accept {
        id: SessionId,
        service: ServiceName,
        answer: Answer,
        reply: oneshot::Sender<Option<Session>>,
    },
    Refuse {
        id: SessionId,
        code: Code,
        reason: String,
    },
    Close {
        id: SessionId,
        code: Code,
        reason: String,
    },
    Ping {
        reply: oneshot::Sender<Result<Duration, TooManyPings>>,
    },
    /// Keep the place until then.
    Linger {
        until: Pin<Box<dyn Future<Output = ()> + Send>>,
        place: Place,
    },
    /// The last handle of the connection was dropped.
    HandlesGone,
}

/// What the drivers of an endpoint share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// Whether framed streams are taken.
    pub(crate) framed_streams: bool,
    pub(crate) tasks: TaskTracker,
    /// Set when the endpoint closes all connections.
    pub(crate) ending: Arc<Ending>,
    /// Set, to the time that sessions have, when the endpoint shuts down.
    pub(crate) shutdown: watch::Sender<Option<Duration>>,
}

impl Shared {
    pub(crate) fn new(limits: Limits, framed_streams: bool) -> Self {
        let tasks = TaskTracker::new();
        // A tracker that is closed takes tasks all the same, and `wait` resolves whenever it has none.
        tasks.close();
        Self {
            limits,
            framed_streams,
            tasks,
            ending: Arc::default(),
            shutdown: watch::Sender::default(),
        }
    }
}

/// Which end of the connection this is, and who waits for its sessions.
pub(crate) enum Role {
    /// The session 0 of the service, if one is asked for.
    Client {
        service: Option<ServiceName>,
        opened: oneshot::Sender<Result<Option<Session>, ConnectError>>,
    },
    Server {
        requests: mpsc::Sender<SessionRequest>,
    },
}

/// Starts the driver of a connection that has just come about.
pub(crate) fn start(quinn: quinn::Connection, role: Role, endpoint: Arc<Shared>) -> Connection {
    let (sender, commands) = mpsc::unbounded_channel();
    let shared = Arc::new(connection::Shared {
        quinn: quinn.clone(),
        commands: sender,
        ending: Ending::default(),
        sessions: AtomicUsize::new(0),
        dropped_in_queues: AtomicU64::new(0),
        dropped_unplaced: AtomicU64::new(0),
        going_away: Ending::default(),
        endpoint_ending: endpoint.ending.clone(),
    });
    let handle = connection::Handle::new(shared.clone());
    let driver = Driver::new(
        quinn,
        role,
        endpoint.clone(),
        shared,
        Arc::downgrade(&handle),
        commands,
    );
    endpoint.tasks.spawn(driver.run());
    Connection::new(handle)
}

struct Driver {
    quinn: quinn::Connection,
    endpoint: Arc<Shared>,
    shared: Arc<connection::Shared>,
    handle: Weak<connection::Handle>,
    commands: mpsc::UnboundedReceiver<Command>,
    shutdown: watch::Receiver<Option<Duration>>,
    /// A server: who takes requests.
    requests: Option<mpsc::Sender<SessionRequest>>,

    start: Instant,
    machine: machine::Session,
    out: Vec<Output>,
    outgoing: Outgoing,
    incoming: Incoming,

    /// Streams whose header has not come.
    unintroduced: JoinSet<(Arrived, Introduction)>,
    /// Streams that the machine has not placed, by the key that it knows them by.
    unplaced: HashMap<u64, Arrived>,
    next_stream: u64,
    discards: JoinSet<()>,
    lingering: JoinSet<()>,

    sessions: HashMap<SessionId, Arc<session::Shared>>,
    waiting: HashMap<SessionId, Waiting>,
    pings: HashMap<PingId, oneshot::Sender<Result<Duration, TooManyPings>>>,
    /// Multiplexed sessions that QUIC's bounds on streams reckon with.
    reckoned: usize,
    /// Whether the connection is closed when nobody holds it. Not on a server as long as it only carries
    /// multiplexed sessions: the client, which keeps it in its pool, decides.
    needs_holder: bool,
    /// The endpoint is shutting down: close when no session is left.
    draining: bool,
}

/// Who waits for a session to be opened.
struct Waiting {
    service: Option<ServiceName>,
    reply: Reply,
}

enum Reply {
    Connect(oneshot::Sender<Result<Option<Session>, ConnectError>>),
    Open(oneshot::Sender<Result<Session, OpenError>>),
    Accept(oneshot::Sender<Option<Session>>),
}

/// What the driver waits for.
enum Event {
    Command(Command),
    Shutdown,
    Stream(Result<Arrived, quinn::ConnectionError>),
    Introduced(Result<(Arrived, Introduction), JoinError>),
    Datagram(Result<Bytes, quinn::ConnectionError>),
    Control(Option<Bytes>),
    /// The control stream went on, or not.
    Sent(Result<(), quinn::WriteError>),
    Due,
    Finished,
    Lost(quinn::ConnectionError),
}

/// How the connection ends.
enum End {
    /// In order, by this end.
    Local { code: Code, reason: String },
    /// In order, by the peer.
    Peer {
        code: Code,
        reason: String,
        refused: bool,
    },
    /// The peer broke a rule.
    Fault(SessionError),
    /// QUIC says so.
    Lost(quinn::ConnectionError),
}

impl From<SessionError> for End {
    fn from(error: SessionError) -> Self {
        Self::Fault(error)
    }
}

impl Driver {
    fn new(
        quinn: quinn::Connection,
        role: Role,
        endpoint: Arc<Shared>,
        shared: Arc<connection::Shared>,
        handle: Weak<connection::Handle>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let mut waiting = HashMap::new();
        let (side, service, requests) = match role {
            Role::Client { service, opened } => {
                let reply = Reply::Connect(opened);
                waiting.insert(
                    SessionId::ZERO,
                    Waiting {
                        service: service.clone(),
                        reply,
                    },
                );
                (Side::Client, service, None)
            }
            Role::Server { requests } => (Side::Server, None, Some(requests)),
        };
        let mut limits = machine::Limits::default();
        limits.max_sessions = endpoint.limits.max_sessions;
        limits.max_streams = endpoint.limits.max_streams;
        limits.max_datagram_size = MAX_DATAGRAM_SIZE;
        let config = machine::Config {
            side,
            service,
            random: fresh_random(),
            limits,
        };
        let mut out = Vec::new();
        let machine = machine::Session::new(Timestamp::default(), config, &mut out);
        Self {
            shutdown: endpoint.shutdown.subscribe(),
            quinn,
            endpoint,
            shared,
            handle,
            commands,
            requests,
            start: Instant::now(),
            machine,
            out,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            unintroduced: JoinSet::new(),
            unplaced: HashMap::new(),
            next_stream: 0,
            discards: JoinSet::new(),
            lingering: JoinSet::new(),
            sessions: HashMap::new(),
            waiting,
            pings: HashMap::new(),
            reckoned: 0,
            needs_holder: side == Side::Client,
            draining: false,
        }
    }

    async fn run(mut self) {
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
        let room = self.unintroduced.len() < MAX_UNINTRODUCED;
        tokio::select! {
            Some(command) = self.commands.recv() => Event::Command(command),
            Ok(()) = self.shutdown.changed() => Event::Shutdown,
            stream = self.quinn.accept_bi(), if room => Event::Stream(stream.map(Arrived::bidirectional)),
            stream = self.quinn.accept_uni(), if room => Event::Stream(stream.map(Arrived::unidirectional)),
            Some(introduced) = self.unintroduced.join_next() => Event::Introduced(introduced),
            datagram = self.quinn.read_datagram() => Event::Datagram(datagram),
            // A peer that makes us answer and does not read the answers waits.
            bytes = self.incoming.read(), if self.outgoing.has_room() => Event::Control(bytes),
            sent = self.outgoing.send(&self.quinn) => Event::Sent(sent),
            () = async { sleep_until(due.unwrap_or(self.start)).await }, if due.is_some() => Event::Due,
            Some(_) = self.discards.join_next() => Event::Finished,
            Some(_) = self.lingering.join_next() => Event::Finished,
            error = self.quinn.closed() => Event::Lost(error),
        }
    }

    fn on(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Command(command) => self.on_command(command),
            Event::Shutdown => self.drain()?,
            Event::Stream(stream) => self.on_stream(stream.map_err(End::Lost)?)?,
            Event::Introduced(Ok((stream, introduction))) => {
                self.on_introduction(stream, introduction)?
            }
            // Only a panic gets here, and it has been reported.
            Event::Introduced(Err(_)) => {}
            Event::Datagram(datagram) => self.on_datagrams(datagram.map_err(End::Lost)?)?,
            Event::Control(Some(bytes)) => self.feed(Input::Control(&bytes))?,
            Event::Control(None) => self.feed(Input::ControlClosed)?,
            Event::Sent(Ok(())) | Event::Finished => {}
            Event::Sent(Err(quinn::WriteError::ConnectionLost(error))) => {
                return Err(End::Lost(error));
            }
            // The peer does not want to read our control stream any more.
            Event::Sent(Err(_)) => return Err(SessionError::ControlClosed.into()),
            Event::Due => self.feed(Input::Tick)?,
            Event::Lost(error) => return Err(End::Lost(error)),
        }
        if self.draining && self.sessions.is_empty() {
            self.close_connection(Code::GOING_AWAY, "");
        }
        Ok(())
    }

    fn on_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Open { request, reply } => {
                let service = Some(request.service.clone());
                match self.machine.open(&request.into(), &mut self.out) {
                    Ok(id) => {
                        let reply = Reply::Open(reply);
                        self.waiting.insert(id, Waiting { service, reply });
                    }
                    Err(error) => {
                        let error = match self.shared.ending.get() {
                            Some(closed) => OpenError::ConnectionClosed(closed.clone()),
                            None => OpenError::NotPossible(error),
                        };
                        // Who asked may have gone meanwhile; here and below.
                        let _ = reply.send(Err(error));
                    }
                }
            }
            Command::Accept {
                id,
                service,
                answer,
                reply,
            } => {
                let before = self.out.len();
                self.machine.accept(id, &answer, &mut self.out);
                if self.out.len() == before {
                    let _ = reply.send(None);
                } else {
                    let service = Some(service);
                    let reply = Reply::Accept(reply);
                    self.waiting.insert(id, Waiting { service, reply });
                }
            }
            Command::Refuse { id, code, reason } => {
                self.machine.refuse(now, id, code, &reason, &mut self.out);
            }
            Command::Close {
                id: SessionId::ZERO,
                code,
                reason,
            } => self.close_connection(code, &reason),
            Command::Close { id, code, reason } => self.close_session(id, code, &reason),
            Command::Ping { reply } => match self.machine.ping(now, &mut self.out) {
                Ok(id) => {
                    self.pings.insert(id, reply);
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
            Command::Linger { until, place } => {
                self.lingering.spawn(async move {
                    until.await;
                    drop(place);
                });
            }
            Command::HandlesGone => {
                if self.needs_holder && self.handle.strong_count() == 0 {
                    self.close_connection(Code::NO_ERROR, "");
                }
            }
        }
    }

    fn on_stream(&mut self, stream: Arrived) -> Result<(), End> {
        // As a rule the header came with the stream: then no task is needed.
        let mut introduce = Box::pin(stream.introduce());
        match poll_once(introduce.as_mut()) {
            Some((stream, introduction)) => self.on_introduction(stream, introduction),
            None => {
                self.unintroduced.spawn(introduce);
                Ok(())
            }
        }
    }

    fn on_introduction(&mut self, stream: Arrived, introduction: Introduction) -> Result<(), End> {
        let header = match introduction {
            Introduction::Header(header) => header,
            Introduction::Fault(code) => {
                stream.reject(code);
                return Ok(());
            }
            Introduction::Gone => return Ok(()),
        };
        let key = self.next_stream;
        self.next_stream += 1;
        self.unplaced.insert(key, stream);
        self.feed(Input::Stream {
            stream: key,
            header,
        })?;
        if header == stoq_core::stream::StreamHeader::Control {
            let control = self.unplaced.remove(&key).and_then(Arrived::into_control);
            self.incoming = Incoming::new(control);
        }
        Ok(())
    }

    fn on_datagrams(&mut self, first: Bytes) -> Result<(), End> {
        self.feed(Input::Datagram(first))?;
        // They come in bursts; each turn of the loop costs more than the datagram.
        for _ in 1..DATAGRAM_BATCH {
            let Some(Ok(next)) = poll_once(pin!(self.quinn.read_datagram())) else {
                break;
            };
            self.feed(Input::Datagram(next))?;
        }
        Ok(())
    }

    fn feed(&mut self, input: Input<'_>) -> Result<(), End> {
        let now = self.now();
        self.machine.handle(now, input, &mut self.out)?;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), End> {
        let grace = self.shutdown.borrow_and_update().unwrap_or_default();
        self.draining = true;
        if self.requests.is_some() {
            self.machine.go_away(Code::GOING_AWAY, grace, &mut self.out);
        }
        if self.sessions.is_empty() {
            self.close_connection(Code::GOING_AWAY, "");
        }
        Ok(())
    }

    /// Begins to close; for this side, everything has ended.
    fn close_connection(&mut self, code: Code, reason: &str) {
        let now = self.now();
        self.machine
            .close(now, SessionId::ZERO, code, reason, &mut self.out);
        self.end_all(&Closed::local(code, reason));
    }

    fn end_all(&mut self, closed: &Closed) {
        self.shared.ending.end(closed.clone());
        self.shared.going_away.end(closed.clone());
        // The first end that was given stands.
        let closed = self.shared.ending.get().unwrap_or(closed);
        for (_, session) in self.sessions.drain() {
            session.end(closed.clone());
        }
        self.shared.sessions.store(0, Ordering::Relaxed);
        for (_, waiting) in self.waiting.drain() {
            if let Reply::Open(reply) = waiting.reply {
                let _ = reply.send(Err(OpenError::ConnectionClosed(closed.clone())));
            }
        }
    }

    fn finish(mut self, end: End) {
        let closed = match &end {
            End::Local { code, reason } => Closed::local(*code, reason),
            End::Peer { code, reason, .. } => Closed::peer(*code, reason),
            End::Fault(error) => Closed::local(error.code(), error.to_string()),
            End::Lost(error) => self.shared.end_by(error),
        };
        // Before the close, because QUIC does not remember what this end closed with.
        self.shared.ending.end(closed.clone());
        self.quinn
            .close(closed.code.value().into(), closed.reason.as_bytes());
        if let Some(Waiting {
            reply: Reply::Connect(opened),
            ..
        }) = self.waiting.remove(&SessionId::ZERO)
        {
            let _ = opened.send(Err(match end {
                End::Peer {
                    code,
                    reason,
                    refused: true,
                } => ConnectError::refused(code, reason),
                End::Lost(error) => ConnectError::from_quic(&error),
                End::Fault(error) => ConnectError::from(error),
                End::Local { .. } | End::Peer { .. } => ConnectError::Lost(closed.clone()),
            }));
        }
        self.end_all(&closed);
        tracing::debug!(%closed, "connection ended");
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.start.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // If it did not finish, its task has panicked or its runtime is going away; nobody may wait for it.
        self.end_all(&Closed::local(
            Code::INTERNAL,
            "the task of the connection is gone",
        ));
        self.quinn.close(Code::INTERNAL.value().into(), b"");
    }
}

/// The result of a future that has one already.
fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// Streams whose header may be missing at once: a burst of new streams in packets that overtake each other.
const MAX_UNINTRODUCED: usize = 64;
/// Streams of unknown type that are read at once; more are stopped.
const MAX_DISCARDS: usize = 16;
/// Datagrams taken in a turn: enough to spread the turn's cost, and little beside what else waits.
const DATAGRAM_BATCH: usize = 64;
