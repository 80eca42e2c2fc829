//! Which session a stream or datagram belongs to, and what happens to one that comes too early or too late.

use super::*;
use crate::stream::Payload;

impl Session {
    pub(super) fn on_stream(
        &mut self,
        now: Timestamp,
        stream: u64,
        header: StreamHeader,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let (session, payload) = match header {
            StreamHeader::Control if self.control_seen => {
                return Err(SessionError::ControlRepeated);
            }
            StreamHeader::Control => {
                self.control_seen = true;
                return Ok(());
            }
            StreamHeader::Unknown(_) => {
                out.push(Output::DiscardStream { stream });
                return Ok(());
            }
            // A driver that takes early data takes it before it asks here.
            StreamHeader::Early => {
                let code = Code::UNSUPPORTED;
                out.push(Output::RejectStream { stream, code });
                return Ok(());
            }
            StreamHeader::Data { session, payload } => (session, payload),
        };
        let routed = match self.standing(session) {
            Standing::Open => {
                out.push(self.placed(stream, session, payload));
                return Ok(());
            }
            Standing::Early => self.held.stream(now, stream, session, payload),
            Standing::Gone => Err(Code::SESSION_CLOSED),
            Standing::Unknown => Err(Code::UNKNOWN_SESSION),
        };
        if let Err(code) = routed {
            out.push(Output::RejectStream { stream, code });
        }
        Ok(())
    }

    /// The session is open: everything held for it is delivered.
    pub(super) fn release(&mut self, id: SessionId, out: &mut Vec<Output>) {
        let before = out.len();
        self.held.release(id, out);
        for output in &mut out[before..] {
            if let &mut Output::Stream {
                stream,
                session,
                payload,
            } = output
            {
                *output = self.placed(stream, session, payload);
            }
        }
    }

    /// What becomes of a stream whose session is open. Announcements have one stream each way for as long as the session
    /// lasts: with two, a receiver could not tell which of two frames came first.
    fn placed(&mut self, stream: u64, session: SessionId, payload: Payload) -> Output {
        if payload == Payload::Announce {
            let announced = match self.multiplexed.get_mut(&session) {
                Some(entry) => &mut entry.announced,
                None => &mut self.announced,
            };
            if core::mem::replace(announced, true) {
                self.announcements_refused += 1;
                let code = Code::PROTOCOL;
                return Output::RejectStream { stream, code };
            }
        }
        Output::Stream {
            stream,
            session,
            payload,
        }
    }

    pub(super) fn on_datagram(&mut self, now: Timestamp, bytes: Bytes, out: &mut Vec<Output>) {
        if let Ok(Datagram { session, content }) = Datagram::decode(bytes) {
            match self.standing(session) {
                Standing::Open => {
                    out.push(Output::Datagram { session, content });
                    return;
                }
                Standing::Early if self.held.datagram(now, session, content) => return,
                Standing::Early | Standing::Gone | Standing::Unknown => {}
            }
        }
        self.datagrams_dropped += 1;
    }

    /// Where a session stands that a stream or datagram names.
    fn standing(&self, id: SessionId) -> Standing {
        match self.state {
            State::Closing { .. } | State::Ended => return Standing::Gone,
            State::AwaitingSettings { .. } | State::Asked => return Standing::Early,
            State::Open if self.is_proving(id) => return Standing::Early,
            State::Open if id == SessionId::ZERO => return Standing::Open,
            State::Open => {}
        }
        match self.multiplexed.get(&id) {
            Some(entry) if entry.open => Standing::Open,
            Some(_) => Standing::Early,
            None if id <= self.highest => Standing::Gone,
            // A server may see a stream before its HEADERS; a client knows all ids that it has used.
            None if self.config.side == Side::Server => Standing::Early,
            None => Standing::Unknown,
        }
    }
}

/// What a stream or datagram that names a session may expect.
enum Standing {
    /// It is open.
    Open,
    /// It may still open.
    Early,
    /// It was there.
    Gone,
    /// It never was.
    Unknown,
}
