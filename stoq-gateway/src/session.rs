//! One browser's session, from its first packet to its last trace.
//!
//! ```text
//!   enter ── handshake, Origin ──▶ visit ── SETTINGS ──▶ open the same with the target ──▶ accept
//!                                    │
//!      relayed by tasks of its own:  ├── streams of the browser     ── to the target
//!                                    ├── streams of the target      ── to the browser
//!                                    └── datagrams, each way
//!                                    │
//!                                    ▼ one of these ends it, and the other ends learn why
//!      the browser closes or vanishes · the target closes or is lost · a rule is broken · the gateway shuts down
//! ```

mod ending;

use std::pin::{Pin, pin};
use std::sync::Arc;

use quinn::Incoming;
use stoq_core::close::Code;
use stoq_core::service::ServiceName;
use stoq_core::session::{Answer, CLOSE_TIMEOUT, IncomingRequest};
use stoq_native::relay::{Lease, OpenFailure};
use stoq_native::{Access, AccessError, HolderKeys, Request, Session};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use wtransport::Connection;
use wtransport::endpoint::IncomingSessionFuture;

use crate::admission::{self, Permits};
use crate::carrier::http3;
use crate::control::{Control, Event};
use crate::datagrams::Datagrams;
use crate::hops::Onward;
use crate::metrics::{One, count};
use crate::path;
use crate::shared::{Phase, Shared};
use crate::streams::Streams;
use crate::tasks::Tasks;
use ending::Ending;

/// Serves one connection of a browser.
pub(crate) async fn serve(shared: Arc<Shared>, incoming: Incoming, permits: Permits) {
    let _open = One::new(&shared.metrics, |metrics| &metrics.sessions_open);
    let Permits {
        session: _place,
        handshake,
    } = permits;
    let handshake_timeout = shared.config.timing.handshake;
    let visit = timeout(handshake_timeout, enter(&shared, incoming)).await;
    drop(handshake);
    match visit {
        Ok(Some(visit)) => visit.run().await,
        Ok(None) => {}
        Err(_) => count(&shared.metrics.refused.failed_handshakes),
    }
}

/// A browser that has been let in.
struct Visit {
    shared: Arc<Shared>,
    connection: Connection,
    authority: String,
    origin: Option<String>,
    /// What its path asks for, or why it asks for nothing.
    service: Result<ServiceName, (Code, String)>,
}

/// Handshake, session request, Origin.
async fn enter(shared: &Arc<Shared>, incoming: Incoming) -> Option<Visit> {
    let refused = &shared.metrics.refused;
    let request = match IncomingSessionFuture::with_quic_incoming(incoming).await {
        Ok(request) => request,
        Err(error) => {
            count(&refused.failed_handshakes);
            tracing::debug!(%error, "no session request");
            return None;
        }
    };
    let origin = request.origin().map(String::from);
    if !shared.admission.allows(origin.as_deref()) {
        count(&refused.origin);
        tracing::info!(?origin, remote = %request.remote_address(), "origin refused");
        request.forbidden().await;
        return None;
    }
    let authority = request.authority().to_string();
    let service = admission::service(request.path());
    let connection = match request.accept().await {
        Ok(connection) => connection,
        Err(error) => {
            count(&refused.failed_handshakes);
            tracing::debug!(%error, "session request withdrawn");
            return None;
        }
    };
    Some(Visit {
        shared: shared.clone(),
        connection,
        authority,
        origin,
        service,
    })
}

impl Visit {
    async fn run(self) {
        let config = &self.shared.config;
        let (control, mut events) = Control::new(
            self.service.as_ref().ok().cloned(),
            config.limits.max_streams.get(),
            config.timing.handshake,
        );
        let control = Arc::new(control);
        let tasks = Tasks::new(&self.shared.metrics);
        let streams = Streams::new(
            &self.shared.metrics,
            &self.connection,
            &control,
            tasks.spawner(),
        );
        streams.accept_from_browser();

        let mut lease = None;
        let mut carrier = pin!(control.run(&self.connection));
        let mut runs = true;
        let ending = tokio::select! {
            biased;
            ending = self.attend(&control, &streams, &mut events, &mut lease) => Some(ending),
            () = &mut carrier => {
                runs = false;
                None
            }
            _ = self.connection.closed() => None,
        };
        let ending = match ending {
            Some(ending) => ending,
            // The browser may have said why just before; then that is about to be read.
            None => match timeout(CLOSE_TIMEOUT, events.recv()).await {
                Ok(event) => Ending::by(event),
                Err(_) => Ending::Vanished,
            },
        };
        tracing::debug!(?ending, "session ends");
        if let Ending::Close(code, reason) = &ending {
            control.close(*code, reason);
        }
        match &lease {
            Some(lease) => {
                let (code, reason) = ending.told();
                lease.close(code, reason);
            }
            None if !matches!(ending, Ending::Close(..)) => {
                count(&self.shared.metrics.refused.client);
            }
            None => {}
        }
        self.part(&ending, &mut events, runs.then_some(carrier))
            .await;
        tasks.abort().await;
    }

    /// Lets the browser read why, while `carrier` still runs, then ends the carrier.
    async fn part(
        &self,
        ending: &Ending,
        events: &mut mpsc::UnboundedReceiver<Event>,
        carrier: Option<Pin<&mut impl Future<Output = ()>>>,
    ) {
        match (ending, carrier) {
            (Ending::Vanished | Ending::Closed(..), _) | (_, None) => {}
            (Ending::Violated(..), Some(carrier)) => {
                // Until what we said has been acknowledged.
                let _ = timeout(CLOSE_TIMEOUT, carrier).await;
            }
            // Until the browser has ended the carrier, or its time for that is up.
            (Ending::Close(..), Some(carrier)) => tokio::select! {
                () = agreed(events) => {}
                () = carrier => {}
                _ = self.connection.closed() => {}
            },
        }
        let (code, reason) = ending.told();
        self.connection
            .quic_connection()
            .close(http3(code), reason.as_bytes());
    }

    /// From SETTINGS to the end.
    async fn attend(
        &self,
        control: &Arc<Control>,
        streams: &Streams,
        events: &mut mpsc::UnboundedReceiver<Event>,
        lease: &mut Option<Lease>,
    ) -> Ending {
        let mut phase = self.shared.phase.clone();
        let request = tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(Event::Requested(request)) => request,
                event => return Ending::by(event),
            },
            _ = phase.wait_for(|phase| *phase == Phase::Closing) => {
                count(&self.shared.metrics.refused.shutdown);
                return Ending::shutdown();
            }
        };
        let access = match self.admit(&request) {
            Ok(access) => access,
            Err(ending) => return ending,
        };
        let opened = tokio::select! {
            opened = self.open(&request, &mut phase) => opened,
            event = events.recv() => return Ending::by(event),
        };
        let session = match opened {
            Ok(opened) => Session::clone(lease.insert(opened)),
            Err(ending) => return ending,
        };
        let datagrams = Datagrams::new(&self.shared.metrics, &self.connection, &session);
        streams.relay(&session);
        let mut answer = Answer::new(session.random(), datagrams.max_size());
        answer.hops = session.hops().cloned();
        answer.holder = access.as_ref().and_then(Access::holder);
        // Who showed no tokens has nothing to prove.
        answer.relays_proofs = !request.access_tokens.is_empty();
        control.accept(&answer);
        let mut guard = self.shared.guard.clone();
        // Proofs for the target, which it gets when the gateway has its own.
        let mut proofs = Vec::new();
        loop {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                closed = session.closed() => return Ending::at_target(&session, closed).await,
                error = guard.revoked(access.as_ref()) => return self.revoked(&error),
                () = closing(&mut phase) => return Ending::shutdown(),
            };
            match event {
                Some(Event::Opened) => break,
                Some(Event::Auth(auth)) => proofs.push(auth),
                event => {
                    if let Some(Event::Unproven { code, .. }) = &event {
                        self.shared.metrics.refused.access.count(*code);
                    }
                    return Ending::by(event);
                }
            }
        }
        // It may have been revoked at the moment of its proof.
        if let Err(error) = guard.recheck(access.as_ref()) {
            return self.revoked(&error);
        }
        proofs.into_iter().for_each(|auth| session.send_auth(auth));
        count(&self.shared.metrics.sessions_total);
        streams.accept_from_target();
        datagrams.relay(control.largest_datagram(), streams.spawner());
        path::report(
            &self.connection,
            control,
            self.shared.config.timing.stats,
            streams.spawner(),
        );
        let upstream = session.connection();
        let mut going_away = false;
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(Event::Auth(auth)) => session.send_auth(auth),
                    event => return Ending::by(event),
                },
                closed = session.closed() => return Ending::at_target(&session, closed).await,
                Ok(auth) = session.recv_auth() => control.send_auth(&auth),
                // The pool gives its connection to no other session.
                going = upstream.going_away(), if !going_away => {
                    going_away = true;
                    // Where it has ended instead, the end of the session says why.
                    if upstream.is_open() {
                        control.go_away(going.code, upstream.grace().unwrap_or_default());
                    }
                }
                error = guard.revoked(access.as_ref()) => return self.revoked(&error),
                now = next_phase(&mut phase) => match now {
                    Phase::Running => {}
                    Phase::Draining(grace) => control.go_away(Code::GOING_AWAY, grace),
                    Phase::Closing => return Ending::shutdown(),
                },
            }
        }
    }

    /// The browser's token is good no longer.
    fn revoked(&self, error: &AccessError) -> Ending {
        self.shared.metrics.refused.access.count(error.code());
        Ending::Close(error.code(), error.to_string())
    }

    /// What the browser may do, if the route wants to know.
    fn admit(&self, request: &IncomingRequest) -> Result<Option<Access>, Ending> {
        let Ok(service) = &self.service else {
            // There is no such route, as will be said.
            return Ok(None);
        };
        let admitted = self.shared.guard.admit(service, &request.access_tokens);
        admitted.map_err(|error| {
            self.shared.metrics.refused.access.count(error.code());
            tracing::info!(%service, %error, "access refused");
            Ending::Close(error.code(), error.to_string())
        })
    }

    /// The session with the target, or how the visit ends without one.
    async fn open(
        &self,
        request: &IncomingRequest,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<Lease, Ending> {
        let refused = &self.shared.metrics.refused;
        let service = self.service.as_ref().map_err(|(code, reason)| {
            count(&refused.path);
            Ending::Close(*code, reason.clone())
        })?;
        let onward = self
            .shared
            .hops
            .onward(&self.shared.config, service, request);
        let Onward {
            upstream,
            route,
            hops,
        } = onward.map_err(|(code, reason)| {
            count(match code {
                Code::UNKNOWN_SERVICE => &refused.service,
                _ => &refused.hops,
            });
            Ending::Close(code, reason)
        })?;
        let proofs = !request.access_tokens.is_empty();
        let request = Request {
            service: service.clone(),
            random: request.random,
            authority: self.authority.clone(),
            headers: self
                .origin
                .iter()
                .map(|origin| ("origin".into(), origin.clone()))
                .collect(),
            access_tokens: self.shared.guard.others(&request.access_tokens),
            holders: HolderKeys::new(),
            route,
            hops,
        };
        let opened = tokio::select! {
            opened = upstream.open(request, proofs) => opened,
            _ = phase.wait_for(|phase| *phase != Phase::Running) => {
                count(&refused.shutdown);
                return Err(Ending::shutdown());
            }
        };
        opened.map_err(|failure| match failure {
            OpenFailure::Unreachable(reason) => {
                count(&refused.unreachable);
                tracing::warn!(%service, reason, "target unreachable");
                let reason = format!("the service {service} cannot be reached");
                Ending::Close(Code::UPSTREAM_UNREACHABLE, reason)
            }
            OpenFailure::Refused(code, reason) => {
                count(&refused.target);
                Ending::Close(code, reason)
            }
        })
    }
}

/// Our close is complete.
async fn agreed(events: &mut mpsc::UnboundedReceiver<Event>) {
    while let Some(Event::Requested(_)) = events.recv().await {}
}

/// Resolves when every session is to be closed.
async fn closing(phase: &mut watch::Receiver<Phase>) {
    // An error says that the gateway is gone.
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
}

/// The phase, when it changes; at once if it has.
async fn next_phase(phase: &mut watch::Receiver<Phase>) -> Phase {
    if phase.changed().await.is_err() {
        return Phase::Closing;
    }
    *phase.borrow_and_update()
}
