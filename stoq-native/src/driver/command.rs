//! What handles tell the driver.

use super::*;

/// What a handle tells the driver.
pub(crate) enum Command {
    Open {
        request: Request,
        /// Where the driver says which session was asked for.
        asked: Arc<OnceLock<SessionId>>,
        reply: oneshot::Sender<Result<Session, OpenError>>,
    },
    /// Nobody waits for the answer any more.
    Abandon {
        asked: Arc<OnceLock<SessionId>>,
    },
    Accept {
        id: SessionId,
        answer: Answer,
        asked: Box<Asked>,
        reply: oneshot::Sender<Result<Session, Closed>>,
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
    GoAway {
        code: Code,
        grace: Duration,
    },
    /// A relay passes a proof on, or the confirmation of one.
    Auth {
        id: SessionId,
        auth: ForeignAuth,
    },
    Ping {
        reply: oneshot::Sender<Result<Duration, PingError>>,
    },
    /// As a ping, for who only wants a sign of life.
    Probe {
        reply: oneshot::Sender<()>,
    },
    /// Let this go on, and keep the place until then.
    Linger {
        until: Pin<Box<dyn Future<Output = ()> + Send>>,
        place: Option<Place>,
    },
    /// Watch the path, and no longer as before; `None`: do not.
    Adapt(Option<Watch>),
    /// A handle of the connection was dropped with its last clone. It is the last command that comes from this handle.
    HandlesGone,
}

/// How a path is watched.
pub(crate) struct Watch {
    interval: Duration,
    /// From when on samples are told the time.
    start: std::time::Instant,
}

impl Watch {
    /// The connection changes by itself from now on; who watches it still has to be told. What was
    /// [checked](AdaptationConfig::check).
    pub(crate) fn begin(connection: &connection::Shared, config: &AdaptationConfig) -> Self {
        let start = std::time::Instant::now();
        connection.live.begin(&connection.quinn, config, start);
        Self {
            interval: config.interval,
            start,
        }
    }
}

impl Driver {
    pub(super) fn watch(&mut self, Watch { interval, start }: Watch) {
        let watching = adapt::run(self.shared.clone(), interval, start);
        self.adaptation.spawn(watching.in_current_span());
    }

    pub(super) fn on_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Open {
                request,
                asked,
                reply,
            } => {
                let service = Some(request.service.clone());
                let proofs = request.holders.proofs(&request.access_tokens);
                let mut request = machine::Request::from(request);
                request.holders = proofs.iter().map(|(token, _)| *token).collect();
                match self.machine.open(&request, &mut self.out) {
                    Ok(id) => {
                        // The handle that is to be set has just been made for this.
                        let _ = asked.set(id);
                        let waiting = Waiting::new(service, Reply::Open(reply));
                        let waiting = Box::new(Waiting { proofs, ..waiting });
                        self.waiting.insert(id, waiting);
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
            Command::Abandon { asked } => {
                // One that is open already is closed by its handle, which nobody takes.
                if let Some(&id) = asked.get()
                    && self.waiting.remove(&id).is_some()
                {
                    self.close_session(id, Code::CANCELLED, "the client no longer waits");
                }
            }
            Command::Accept {
                id,
                answer,
                asked,
                reply,
            } => {
                self.requested.answered(id);
                let waiting = Waiting::new(Some(asked.service.clone()), Reply::Accept(reply));
                self.accept(id, answer, waiting, &asked);
            }
            Command::Auth { id, auth } => self.machine.send_auth(id, &auth, &mut self.out),
            Command::Refuse { id, code, reason } => {
                self.requested.answered(id);
                self.machine.refuse(now, id, code, &reason, &mut self.out);
            }
            Command::Close {
                id: SessionId::ZERO,
                code,
                reason,
            } => self.close_connection(code, &reason),
            Command::Close { id, code, reason } => self.close_session(id, code, &reason),
            Command::GoAway { code, grace } => self.machine.go_away(code, grace, &mut self.out),
            Command::Ping { reply } => {
                let sent = self.machine.ping(now, &mut self.out);
                self.pings.measure(sent, reply);
            }
            Command::Probe { reply } => {
                let sent = self.machine.ping(now, &mut self.out);
                self.pings.probe(sent, reply);
            }
            Command::Linger { until, place } => {
                self.lingering.spawn(async move {
                    until.await;
                    drop(place);
                });
            }
            Command::Adapt(watch) => {
                self.adaptation.abort_all();
                if let Some(watch) = watch {
                    self.watch(watch);
                }
            }
            Command::HandlesGone => {
                self.handles -= 1;
                if self.needs_holder && self.handles == 0 {
                    self.close_connection(Code::NO_ERROR, "");
                }
            }
        }
    }
}
