//! What the frames of the peer's control stream do.

use super::*;

impl Session {
    pub(super) fn on_control(
        &mut self,
        now: Timestamp,
        bytes: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let joined = self.partial.join(bytes);
        let mut rest = &*joined;
        while let Some((frame, length)) = Frame::decode(rest)? {
            self.budget.spend(now)?;
            self.on_frame(now, frame, out)?;
            rest = &rest[length..];
            if matches!(self.state, State::Ended) {
                return Ok(());
            }
        }
        self.partial.keep(rest);
        Ok(())
    }

    fn on_frame(
        &mut self,
        now: Timestamp,
        frame: Frame<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        match (&self.state, frame) {
            // What crosses our own close is of no interest any more, except the peer's agreement.
            (State::Closing { .. }, Frame::CloseSession(close)) if close.id == SessionId::ZERO => {
                self.end_carrier(out);
                Ok(())
            }
            (State::Closing { .. }, _) => Ok(()),
            (_, Frame::CloseSession(close)) => self.on_close_session(&close, out),
            (State::AwaitingSettings { .. }, Frame::Settings(settings)) => {
                self.on_settings(now, &settings, out)
            }
            (State::AwaitingSettings { .. }, other) => {
                Err(SessionError::SettingsMissing { got: other.ty() })
            }
            (_, Frame::Settings(_)) => Err(SessionError::SettingsRepeated),
            // Before our SETTINGS an answer would be the first frame, which only SETTINGS may be.
            (State::Open, Frame::Ping(ping)) => {
                self.on_ping(now, ping, out);
                Ok(())
            }
            (State::Open, Frame::Headers(Headers::Request(request)))
                if self.config.side == Side::Server =>
            {
                self.on_request(request, out)
            }
            (State::Open, Frame::Headers(Headers::Answer(answer)))
                if self.config.side == Side::Client =>
            {
                self.on_answer(now, &answer, out)
            }
            (_, Frame::Auth(auth)) => self.on_auth(now, &auth, out),
            (_, Frame::GoAway(go_away)) => {
                if self.config.side == Side::Client {
                    self.last_allowed = Some(go_away.last);
                }
                out.push(Output::GoAway {
                    last: go_away.last,
                    code: go_away.code,
                    grace: go_away.grace,
                    authority: go_away.authority.map(ToString::to_string),
                });
                Ok(())
            }
            (_, Frame::Stats(stats)) => {
                out.push(Output::Stats(stats));
                Ok(())
            }
            (
                _,
                frame @ (Frame::Data(_)
                | Frame::Headers(_)
                | Frame::RstStream(_)
                | Frame::WindowUpdate(_)
                | Frame::SessionDatagram(_)),
            ) => Err(SessionError::FrameNotAllowed { frame: frame.ty() }),
            // Unknown types, and those that mean nothing on a control stream (yet), are skipped.
            _ => Ok(()),
        }
    }

    fn on_settings(
        &mut self,
        now: Timestamp,
        settings: &Settings<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let peer = PeerSettings::new(settings)?;
        match self.config.side {
            Side::Client => {
                self.state = State::Open;
                let service = self.config.service.as_ref();
                let opened = Output::Opened {
                    id: SessionId::ZERO,
                    hash: session_hash(&self.config.random, &peer.random, service),
                    random: peer.random,
                    max_datagram_size: peer.max_datagram_size,
                    max_streams: peer.max_streams,
                    hops: peer.hops.clone(),
                };
                let holders = core::mem::take(&mut self.config.holders);
                self.taken(now, SessionId::ZERO, holders, opened, out);
            }
            Side::Server => {
                if let Some(carrier) = &self.config.service
                    && peer.service.as_ref() != Some(carrier)
                {
                    let asked = peer.service.as_ref().map_or("", ServiceName::as_str);
                    return Err(SessionError::ServiceMismatch {
                        asked: asked.to_string(),
                        carrier: carrier.as_str().to_string(),
                    });
                }
                self.state = State::Asked;
                out.push(Output::Requested(IncomingRequest {
                    id: SessionId::ZERO,
                    service: peer.service.clone(),
                    random: peer.random,
                    authority: String::new(),
                    headers: Vec::new(),
                    access_tokens: peer.access_tokens.clone(),
                    route: peer.route.clone(),
                    hops: peer.hops.clone(),
                }));
            }
        }
        self.peer = Some(peer);
        Ok(())
    }

    fn on_close_session(
        &mut self,
        close: &CloseSession<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let (id, code, reason) = (close.id, close.code, close.reason.to_string());
        if id == SessionId::ZERO {
            let refused = matches!(self.state, State::AwaitingSettings { .. })
                || self.is_proving(SessionId::ZERO);
            self.state = State::Ended;
            out.push(if refused && self.config.side == Side::Client {
                Output::Refused { id, code, reason }
            } else {
                Output::Closed { id, code, reason }
            });
            return Ok(());
        }
        let Some(entry) = self.multiplexed.remove(&id) else {
            return self.known(id);
        };
        let opened = entry.open && !self.is_proving(id);
        self.forget_proofs(id);
        self.datagrams_dropped += self.held.reject(id, Code::SESSION_CLOSED, out);
        out.push(if !opened && self.config.side == Side::Client {
            Output::Refused { id, code, reason }
        } else {
            Output::Closed { id, code, reason }
        });
        Ok(())
    }

    fn on_ping(&mut self, now: Timestamp, ping: Ping, out: &mut Vec<Output>) {
        if !ping.ack {
            send(&Frame::Ping(Ping { ack: true, ..ping }), out);
            return;
        }
        let id = PingId(u64::from_be_bytes(ping.data));
        if let Some(sent) = self.pings.remove(&id) {
            let rtt = now.saturating_since(sent);
            out.push(Output::Pong { id, rtt });
        }
    }

    /// An id that is in nobody's table must at least have been used.
    pub(super) fn known(&self, id: SessionId) -> Result<(), SessionError> {
        if id > self.highest {
            return Err(SessionError::SessionId { id });
        }
        Ok(())
    }
}
