//! What the driver waits for, and what follows from it.

use stoq_core::stream::StreamHeader;

use super::*;
use crate::security::facts;

/// What the driver waits for.
pub(super) enum Event {
    Command(Box<Command>),
    Shutdown,
    /// Other access rules hold.
    Access,
    Stream(Result<Arrived, quinn::ConnectionError>),
    Introduced(Result<(Arrived, Introduction), JoinError>),
    Datagram(Result<Bytes, quinn::ConnectionError>),
    Control(Option<Bytes>),
    /// The control stream went on, or not.
    Sent(Result<(), quinn::WriteError>),
    Due,
    Revoked(IdentityRejected),
    Finished,
    Lost(quinn::ConnectionError),
}

impl Driver {
    pub(super) fn on(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Command(command) => self.on_command(*command),
            Event::Shutdown => self.drain()?,
            Event::Access => self.judge_again(),
            Event::Revoked(rejected) => {
                return Err(End::Local {
                    code: Code::REVOKED,
                    reason: rejected.to_string(),
                });
            }
            Event::Stream(stream) => self.on_streams(stream.map_err(End::Lost)?)?,
            Event::Introduced(Ok((stream, introduction))) => {
                self.on_introduction(stream, introduction)?
            }
            // Only a panic gets here, and it has been reported.
            Event::Introduced(Err(_)) => {}
            Event::Datagram(datagram) => self.on_datagrams(datagram.map_err(End::Lost)?)?,
            Event::Control(bytes) => {
                // What arrived before these bytes was sent before them: before a close, say.
                self.take_arrived()?;
                self.feed(match &bytes {
                    Some(bytes) => Input::Control(bytes),
                    None => Input::ControlClosed,
                })?;
            }
            Event::Sent(Ok(())) | Event::Finished => {}
            Event::Sent(Err(quinn::WriteError::ConnectionLost(error))) => {
                return Err(End::Lost(error));
            }
            Event::Sent(Err(_)) => {
                return Err(End::Local {
                    code: Code::CONTROL_CLOSED,
                    reason: "the peer stopped this end's control stream".into(),
                });
            }
            Event::Due => self.feed(Input::Tick)?,
            Event::Lost(error) => {
                self.take_arrived()?;
                self.carry_out()?;
                return Err(End::Lost(error));
            }
        }
        Ok(())
    }

    /// Takes the streams and datagrams that quinn holds now.
    fn take_arrived(&mut self) -> Result<(), End> {
        let quinn = self.quinn.clone();
        while self.unintroduced.has_room()
            && let Some(Ok(stream)) = poll_once(pin!(quinn.accept_bi()))
        {
            self.on_stream(Arrived::bidirectional(stream))?;
        }
        while self.unintroduced.has_room()
            && let Some(Ok(stream)) = poll_once(pin!(quinn.accept_uni()))
        {
            self.on_stream(Arrived::unidirectional(stream))?;
        }
        while let Some(Ok(datagram)) = poll_once(pin!(quinn.read_datagram())) {
            self.feed(Input::Datagram(datagram))?;
        }
        Ok(())
    }

    fn on_streams(&mut self, first: Arrived) -> Result<(), End> {
        self.on_stream(first)?;
        // They come in bursts, as datagrams do.
        let quinn = self.quinn.clone();
        for _ in 1..STREAM_BATCH {
            if !self.unintroduced.has_room() {
                break;
            }
            let next = if let Some(Ok(next)) = poll_once(pin!(quinn.accept_bi())) {
                Arrived::bidirectional(next)
            } else if let Some(Ok(next)) = poll_once(pin!(quinn.accept_uni())) {
                Arrived::unidirectional(next)
            } else {
                break;
            };
            self.on_stream(next)?;
        }
        Ok(())
    }

    fn on_stream(&mut self, mut stream: Arrived) -> Result<(), End> {
        // As a rule the header came with the stream: then no task is needed.
        let introduction = poll_once(pin!(stream.read_header()));
        match introduction {
            Some(introduction) => self.on_introduction(stream, introduction),
            None => {
                self.unintroduced.add(stream);
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
            Introduction::Gone => {
                stream.reject(Code::CANCELLED);
                return Ok(());
            }
        };
        if header == StreamHeader::Early
            && self.early.len() < MAX_UNNAMED
            && let Some(requests) = &self.endpoint.early
        {
            let peer = facts(&self.quinn).and_then(|facts| facts.peer());
            let from = self.quinn.remote_address();
            let rules = self.access.borrow().clone();
            self.early.spawn(early::hand_over(
                stream,
                peer,
                from,
                requests.clone(),
                rules,
            ));
            return Ok(());
        }
        let key = self.next_stream;
        self.next_stream += 1;
        self.unplaced.insert(key, stream);
        self.feed(Input::Stream {
            stream: key,
            header,
        })?;
        if header == StreamHeader::Control {
            let control = self.unplaced.remove(&key).and_then(Arrived::into_bare);
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
}
