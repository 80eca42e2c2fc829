//! How a multiplexed session comes to be: asked for, answered, refused.

use super::*;
use crate::frame::{AnswerHeaders, RequestHeaders, Route};
use crate::hops::HopChain;

impl Session {
    /// A client: asks for a multiplexed session. [`Output::Opened`] or [`Output::Refused`] follows.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was sent then.
    pub fn open(
        &mut self,
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<SessionId, OpenError> {
        if self.config.side != Side::Client {
            return Err(OpenError::NotClient);
        }
        let (true, Some(peer)) = (self.is_open(), &self.peer) else {
            return Err(OpenError::NotOpen);
        };
        if self.last_allowed.is_some() {
            return Err(OpenError::GoingAway);
        }
        let limit = peer.max_sessions;
        if self.multiplexed.len() >= limit as usize {
            return Err(OpenError::TooMany { limit });
        }
        let id = SessionId::new(self.highest.value() + 1).ok_or(OpenError::GoingAway)?;
        let path = request.service.path();
        let fields = request.headers.iter();
        let frame = Frame::Headers(Headers::Request(RequestHeaders {
            id,
            random: request.random,
            authority: &request.authority,
            path: &path,
            fields: fields.map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            access_tokens: request.access_tokens.iter().map(|token| &**token).collect(),
            route: Route(request.route.clone()),
            hop: request.hops.as_ref().map(HopChain::as_hop),
        }));
        // The values may come from far away: the peer must not end the whole connection over them.
        frame
            .check()
            .map_err(|error| OpenError::TooLarge { error })?;
        send(&frame, out);
        self.highest = id;
        self.multiplexed.insert(
            id,
            Entry {
                open: false,
                announced: false,
                random: request.random,
                service: request.service.clone(),
                holders: request.holders.clone(),
            },
        );
        Ok(id)
    }

    /// A server: takes a session that was [requested](Output::Requested); [`Output::Opened`] is in `out`,
    /// and what was held for it. If the answer names a holder, they follow when it has shown that it is, or
    /// [`Output::Unproven`] does. Does nothing if the client has gone meanwhile.
    pub fn accept(
        &mut self,
        now: Timestamp,
        id: SessionId,
        answer: &Answer,
        out: &mut Vec<Output>,
    ) {
        let Some(peer) = &self.peer else { return };
        let (client_random, service) = if id == SessionId::ZERO {
            let State::Asked = self.state else { return };
            self.state = State::Open;
            let settings = settings::of_server(&self.config, answer);
            out.push(Output::Send(settings.into()));
            (peer.random, peer.service.as_ref())
        } else {
            let Some(entry) = self.multiplexed.get_mut(&id) else {
                return;
            };
            if core::mem::replace(&mut entry.open, true) {
                return;
            }
            send_answer(id, Code::NO_ERROR, "", answer, out);
            (entry.random, Some(&entry.service))
        };
        let opened = Output::Opened {
            id,
            hash: session_hash(&client_random, &answer.random, service),
            random: answer.random,
            max_datagram_size: peer.max_datagram_size,
            max_streams: peer.max_streams,
            hops: answer.hops.clone(),
        };
        if answer.relays_proofs {
            self.relayed.insert(id, ());
        }
        self.answered(now, id, answer.holder, opened, out);
    }

    /// A server: refuses a session that was [requested](Output::Requested). Refusing session 0 refuses
    /// the connection: [`Output::CloseCarrier`] follows.
    pub fn refuse(
        &mut self,
        now: Timestamp,
        id: SessionId,
        code: Code,
        reason: &str,
        out: &mut Vec<Output>,
    ) {
        if id == SessionId::ZERO {
            self.close(now, id, code, reason, out);
        } else if self.multiplexed.get(&id).is_some_and(|entry| !entry.open) {
            self.multiplexed.remove(&id);
            self.refuse_request(id, code, reason, out);
        }
    }

    pub(super) fn on_request(
        &mut self,
        request: RequestHeaders<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let id = request.id;
        if id <= self.highest {
            return Err(SessionError::SessionId { id });
        }
        self.highest = id;
        if self.last_allowed.is_some_and(|last| id > last) {
            self.refuse_request(id, Code::GOING_AWAY, "this peer takes no new sessions", out);
            return Ok(());
        }
        if self.multiplexed.len() >= self.config.limits.max_sessions as usize {
            self.refuse_request(id, Code::LIMIT, "too many sessions on this connection", out);
            return Ok(());
        }
        let Ok(service) = ServiceName::from_path(request.path) else {
            self.refuse_request(id, Code::UNKNOWN_PATH, "not a path of a STOQ service", out);
            return Ok(());
        };
        let fields = request.fields.into_iter();
        out.push(Output::Requested(IncomingRequest {
            id,
            service: Some(service.clone()),
            random: request.random,
            authority: request.authority.to_string(),
            headers: fields
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
            access_tokens: settings::owned(Some(request.access_tokens)),
            route: request.route.0,
            hops: request.hop.map(HopChain::from),
        }));
        self.multiplexed.insert(
            id,
            Entry {
                open: false,
                announced: false,
                random: request.random,
                service,
                holders: Vec::new(),
            },
        );
        Ok(())
    }

    pub(super) fn on_answer(
        &mut self,
        now: Timestamp,
        answer: &AnswerHeaders<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let id = answer.id;
        let Some(entry) = self.multiplexed.get_mut(&id) else {
            // We closed it before the answer came; an id that we never used is another matter.
            return self.known(id);
        };
        if entry.open {
            return Err(SessionError::SessionId { id });
        }
        if answer.status != Code::NO_ERROR {
            self.multiplexed.remove(&id);
            self.datagrams_dropped += self.held.reject(id, Code::SESSION_CLOSED, out);
            out.push(Output::Refused {
                id,
                code: answer.status,
                reason: answer.reason.to_string(),
            });
            return Ok(());
        }
        entry.open = true;
        let holders = core::mem::take(&mut entry.holders);
        let opened = Output::Opened {
            id,
            hash: session_hash(&entry.random, &answer.random, Some(&entry.service)),
            random: answer.random,
            max_datagram_size: answer.max_datagram_size,
            max_streams: self.peer.as_ref().map_or(0, |peer| peer.max_streams),
            hops: answer.hop.clone().map(HopChain::from),
        };
        self.taken(now, id, holders, opened, out);
        Ok(())
    }

    fn refuse_request(&mut self, id: SessionId, code: Code, reason: &str, out: &mut Vec<Output>) {
        let answer = Answer::new([0; 32], 0);
        send_answer(id, code, reason, &answer, out);
        self.datagrams_dropped += self.held.reject(id, Code::SESSION_CLOSED, out);
    }
}

fn send_answer(id: SessionId, status: Code, reason: &str, answer: &Answer, out: &mut Vec<Output>) {
    let reason = &short_reason(reason, CloseSession::MAX_REASON);
    let headers = AnswerHeaders {
        id,
        status,
        reason,
        random: answer.random,
        max_datagram_size: answer.max_datagram_size,
        hop: answer.hops.as_ref().map(HopChain::as_hop),
    };
    send(&Frame::Headers(Headers::Answer(headers)), out);
}
