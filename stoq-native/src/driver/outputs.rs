//! What the state machine wants done.

use stoq_core::datagram::Content;
use stoq_core::session::IncomingRequest;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::token::Flow;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::error::TrySendError;

use super::*;
use crate::announce::Announcing;
use crate::lanes::Lanes;
use crate::queue::Queue;
use crate::security::facts;
use crate::transport::MULTIPLEXED_SLACK;

impl Driver {
    /// Does all that the machine wants done, in its order.
    pub(super) fn carry_out(&mut self) -> Result<(), End> {
        loop {
            while !self.out.is_empty() {
                for output in core::mem::take(&mut self.out) {
                    self.carry_out_one(output)?;
                }
            }
            // Here, because the last session may just have ended.
            let done = self.draining && self.sessions.is_empty();
            if !done || self.shared.ending.get().is_some() {
                break;
            }
            self.close_connection(Code::GOING_AWAY, "");
        }
        self.reckon();
        Ok(())
    }

    fn carry_out_one(&mut self, output: Output) -> Result<(), End> {
        match output {
            Output::Send(bytes) => self.outgoing.push(bytes),
            Output::Requested(request) => self.on_request(request),
            Output::Prove { id, hash, token } => self.prove(id, &hash, &token),
            Output::Unproven { id, code, reason } => self.on_unproven(id, code, &reason),
            Output::Auth { id, auth } => self.on_auth(id, auth),
            Output::Opened {
                id,
                hash,
                random,
                max_datagram_size,
                max_streams,
                hops,
            } => {
                if id == SessionId::ZERO {
                    self.grease();
                }
                let allowances = (id != SessionId::ZERO)
                    .then(|| [(); 2].map(|()| Arc::new(Semaphore::new(max_streams as usize))));
                let flow = match self.requests {
                    Some(_) => Flow::ToClient,
                    None => Flow::ToTarget,
                };
                let messages = session::Messages::new(self.endpoint.messages);
                let framed = self.endpoint.framed_streams;
                self.on_opened(id, |service, access, limits| session::Shared {
                    id,
                    service,
                    hash,
                    random,
                    flow,
                    max_datagram_size,
                    allowances,
                    incoming: Default::default(),
                    ending: Ending::default(),
                    arrived: [(); 2].map(|()| Lanes::new(usize::MAX)),
                    datagrams: Lanes::new(limits.datagram_buffer),
                    hops,
                    messages,
                    access,
                    auths: Queue::new(usize::MAX),
                    announcing: Announcing::new(framed, limits.seeds),
                    counters: session::Counters::default(),
                });
            }
            Output::Refused {
                id: SessionId::ZERO,
                code,
                reason,
            } => {
                return Err(End::Peer {
                    code,
                    reason,
                    refused: true,
                });
            }
            Output::Refused { id, code, reason } => {
                if let Some(Waiting {
                    reply: Reply::Open(reply),
                    ..
                }) = self.waiting.remove(&id).map(|waiting| *waiting)
                {
                    let _ = reply.send(Err(OpenError::Refused { code, reason }));
                }
            }
            Output::Closed {
                id: SessionId::ZERO,
                code,
                reason,
            } => {
                return Err(End::Peer {
                    code,
                    reason,
                    refused: false,
                });
            }
            Output::Closed { id, code, reason } => {
                let closed = Closed::peer(code, reason);
                self.requested.closed(id, &closed);
                if let Some(session) = self.forget(id) {
                    self.endpoint.counters.session_ended(&closed);
                    session.end(closed);
                } else if let Some(waiting) = self.waiting.remove(&id) {
                    // It has been answered, and a proof was awaited.
                    waiting.refused(closed);
                }
            }
            Output::Stream {
                stream,
                session,
                payload,
            } => self.place(stream, session, payload),
            Output::RejectStream { stream, code } => {
                if let Some(stream) = self.unplaced.remove(&stream) {
                    stream.reject(code);
                }
            }
            Output::DiscardStream { stream } => {
                if let Some(stream) = self.unplaced.remove(&stream) {
                    if self.discards.len() < MAX_DISCARDS {
                        self.discards.spawn(stream.discard());
                    } else {
                        stream.reject(Code::UNSUPPORTED);
                    }
                }
            }
            Output::Datagram { session, content } => self.deliver(session, content),
            Output::Pong { id, rtt } => self.pings.answered(id, rtt),
            Output::GoAway { code, grace, .. } => {
                // The first one stands.
                let _ = self.shared.grace.set(grace);
                let reason = "it takes no new sessions";
                self.shared.going_away.end(Closed::peer(code, reason));
            }
            // For browsers, which cannot measure the path. A native peer can.
            Output::Stats(_) => {}
            Output::CloseCarrier { code, reason } => return Err(End::Local { code, reason }),
        }
        Ok(())
    }

    fn on_request(&mut self, mut request: IncomingRequest) {
        let Some(service) = request.service.clone() else {
            // The client only wants to multiplex sessions: there is nothing to decide yet.
            let random = fresh_random();
            let answer = Answer::new(random, self.endpoint.limits.max_datagram_size);
            let now = self.now();
            self.machine.accept(now, request.id, &answer, &mut self.out);
            return;
        };
        if let Some(reason) = self.lies_about_hops(&request) {
            let now = self.now();
            self.machine
                .refuse(now, request.id, Code::UNTRUSTED, reason, &mut self.out);
            return;
        }
        let Ok(asked) = self.admit(&mut request, service) else {
            return;
        };
        if !request.route.is_empty() && !self.endpoint.relay {
            let (code, reason) = (Code::NEXT_HOP, "this server forwards to nobody");
            let now = self.now();
            self.machine
                .refuse(now, request.id, code, reason, &mut self.out);
            return;
        }
        self.needs_holder |= request.id == SessionId::ZERO;
        let connection = self.connection();
        let Some(requests) = &self.requests else {
            unreachable!("only servers are asked");
        };
        let withdrawn = self.requested.come(request.id);
        let request = SessionRequest::new(
            request,
            asked,
            self.endpoint.limits.max_datagram_size,
            connection,
            withdrawn,
        );
        match requests.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request)) => {
                request.refuse(Code::LIMIT, "too many requests wait to be answered");
            }
            Err(TrySendError::Closed(request)) => {
                request.refuse(Code::GOING_AWAY, "the server takes no new sessions");
            }
        }
    }

    /// Whether the request names another relay as its last than the one that it comes from. A relay looks for itself, and counts.
    fn lies_about_hops(&self, request: &IncomingRequest) -> Option<&'static str> {
        let last = request.hops.as_ref()?.last()?;
        let peer = facts(&self.quinn)?.peer()?;
        (last.id != peer && !self.endpoint.relay)
            .then_some("the last relay of the chain is not the one that the request comes from")
    }

    /// Makes the session, if somebody waits for it, and hands it over. If they have gone meanwhile, its drop closes it.
    fn on_opened(
        &mut self,
        id: SessionId,
        make: impl FnOnce(ServiceName, Option<Access>, &Limits) -> session::Shared,
    ) {
        let Some(waiting) = self.waiting.remove(&id) else {
            return;
        };
        let Waiting {
            service,
            access,
            auths,
            reply,
            ..
        } = *waiting;
        let session = service.map(|service| {
            let shared = Arc::new(make(service, access, &self.endpoint.limits));
            for auth in auths {
                shared.auths.push(auth, 0);
            }
            self.sessions.insert(id, shared.clone());
            self.endpoint.counters.session_opened();
            self.count_sessions();
            Session::new(shared, self.connection())
        });
        match (reply, session) {
            (Reply::Connect(reply), session) => drop(reply.send(Ok(session))),
            (Reply::Open(reply), Some(session)) => drop(reply.send(Ok(session))),
            (Reply::Accept(reply), Some(session)) => drop(reply.send(Ok(session))),
            (Reply::Open(_) | Reply::Accept(_), None) => {
                unreachable!("who opens or accepts has named a service")
            }
        }
    }

    fn place(&mut self, stream: u64, id: SessionId, payload: Payload) {
        let Some(mut stream) = self.unplaced.remove(&stream) else {
            return;
        };
        let Some(session) = self.sessions.get(&id) else {
            // The session 0 of a connection that only carries multiplexed sessions.
            stream.reject(Code::UNKNOWN_SESSION);
            return;
        };
        if payload != Payload::Raw && !self.endpoint.framed_streams {
            stream.reject(Code::UNSUPPORTED);
            return;
        }
        stream.carries(payload);
        let direction = stream.direction();
        if id != SessionId::ZERO {
            let limit = u64::from(self.endpoint.limits.max_streams) * MULTIPLEXED_SLACK;
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let Some(place) = Place::incoming(session, direction, limit) else {
                stream.reject(Code::LIMIT);
                self.close_session(id, Code::LIMIT, "too many streams that nobody has read");
                return;
            };
            stream.occupy(place);
        }
        session.arrived[direction as usize].push(payload as usize, stream, 0);
    }

    fn deliver(&self, id: SessionId, content: Bytes) {
        let dropped = match self.sessions.get(&id) {
            Some(session) => {
                session::count(&session.counters.received_datagrams);
                // What is kept of a packet keeps the buffer that it was received in, with others up to 64 KiB of it.
                let content = Bytes::copy_from_slice(&content);
                // An empty datagram takes room too.
                let weight = content.len() + DATAGRAM_OVERHEAD;
                let kind = Content::kind(&content) as usize;
                let dropped = session.datagrams.push(kind, content, weight);
                session
                    .counters
                    .dropped_datagrams
                    .fetch_add(dropped, Ordering::Relaxed);
                dropped
            }
            None => 1,
        };
        self.shared
            .dropped_in_queues
            .fetch_add(dropped, Ordering::Relaxed);
    }

    pub(super) fn close_session(&mut self, id: SessionId, code: Code, reason: &str) {
        let now = self.now();
        self.machine.close(now, id, code, reason, &mut self.out);
        if let Some(session) = self.forget(id) {
            let closed = Closed::local(code, reason);
            self.endpoint.counters.session_ended(&closed);
            session.end(closed);
        }
    }

    /// A multiplexed session is over.
    fn forget(&mut self, id: SessionId) -> Option<Arc<session::Shared>> {
        let session = self.sessions.remove(&id);
        self.count_sessions();
        session
    }

    fn count_sessions(&self) {
        self.shared
            .sessions
            .store(self.sessions.len(), Ordering::Relaxed);
    }

    /// Lets QUIC's bounds on streams, and the counters, follow the machine.
    fn reckon(&mut self) {
        let sessions = self.machine.session_count();
        if sessions != self.reckoned {
            self.reckoned = sessions;
            self.shared.live.reckon(&self.quinn, sessions);
        }
        let dropped = self.machine.datagrams_dropped();
        self.shared
            .dropped_unplaced
            .store(dropped, Ordering::Relaxed);
        let refused = self.machine.announcements_refused();
        self.shared
            .refused_announcements
            .store(refused, Ordering::Relaxed);
    }

    fn connection(&mut self) -> Connection {
        let handle = self.handle.upgrade().unwrap_or_else(|| {
            let handle = connection::Handle::new(self.shared.clone());
            self.handle = Arc::downgrade(&handle);
            self.handles += 1;
            handle
        });
        Connection::new(handle)
    }

    /// Now and then opens a stream that means nothing, so that peers keep ignoring what they do not know. Best effort: only
    /// if it can be done at once.
    fn grease(&self) {
        let [chance, n, length, ..] = fresh_random();
        if chance % GREASE_ONE_IN != 0 {
            return;
        }
        if let Some(Ok(mut stream)) = poll_once(pin!(self.quinn.open_uni())) {
            let mut bytes = Vec::new();
            StreamHeader::grease(n.into()).encode(Direction::Unidirectional, &mut bytes);
            bytes.resize(bytes.len() + usize::from(length % 32), n);
            // What is cut off means nothing either.
            let _ = poll_once(pin!(stream.write_all(&bytes)));
            let _ = stream.finish();
        }
    }
}

/// One connection in this many opens a stream of grease.
const GREASE_ONE_IN: u8 = 8;
/// What a datagram costs in a queue beside its bytes.
const DATAGRAM_OVERHEAD: usize = size_of::<Bytes>() + size_of::<usize>();
