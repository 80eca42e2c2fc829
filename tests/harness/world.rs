//! Two [`Session`]s, two [`Link`]s and a virtual clock.

use std::collections::VecDeque;

use bytes::Bytes;
use stoq_core::datagram::{Content, ContentKind};
use stoq_core::service::ServiceName;
use stoq_core::session::{Answer, Config, Input, Output, Session, SessionError, Side};
use stoq_core::session_id::SessionId;
use stoq_core::shards::Limits;
use stoq_core::stream::{Payload, StreamHeader};
use stoq_core::time::Timestamp;

use crate::channels::Channels;
use crate::link::{Conditions, Link, Packet};
use crate::messages::Messages;

/// One end: the machine, and what it told its user in order.
#[derive(Debug)]
pub struct End {
    /// The machine.
    pub session: Session,
    /// Everything but control bytes, answers, shards and framed streams.
    pub saw: VecDeque<Output>,
    /// What the shards made.
    pub messages: Messages,
    /// What came on verified streams.
    pub channels: Channels,
    outgoing: Link,
    /// The stream type byte that begins our control stream has been cut off.
    type_sent: bool,
}

/// Two ends and the time.
#[derive(Debug)]
pub struct World {
    /// What time it is for both ends.
    pub now: Timestamp,
    /// The end that opens sessions.
    pub client: End,
    /// The end that accepts every session.
    pub server: End,
    answered: u8,
}

/// The service that the client asks of session 0.
pub const SERVICE: &str = "simulated";

impl World {
    /// Two machines that have not spoken yet. `messages` bounds what each holds of messages in shards.
    pub fn new(conditions: Conditions, messages: Limits, seed: u64) -> Self {
        let now = Timestamp::from_micros(seed % 1_000_000);
        let mut world = Self {
            now,
            client: End::new(now, Side::Client, Link::new(conditions, seed), messages),
            server: End::new(now, Side::Server, Link::new(conditions, !seed), messages),
            answered: 0,
        };
        world.client.control_stream(now);
        world.server.control_stream(now);
        world
    }

    /// Calls into the client's machine and sends what it says.
    pub fn client<T>(&mut self, call: impl FnOnce(&mut Session, &mut Vec<Output>) -> T) -> T {
        self.client.call(self.now, call)
    }

    /// Calls into the server's machine and sends what it says.
    pub fn server<T>(&mut self, call: impl FnOnce(&mut Session, &mut Vec<Output>) -> T) -> T {
        self.server.call(self.now, call)
    }

    /// Moves the clock to the next thing that happens, and lets it happen. `Ok(false)` if nothing will.
    pub fn step(&mut self) -> Result<bool, SessionError> {
        let Some(next) = [
            self.client.outgoing.next_arrival(),
            self.server.outgoing.next_arrival(),
            self.client.session.next_due(),
            self.server.session.next_due(),
            self.client.messages.next_due(),
            self.server.messages.next_due(),
        ]
        .into_iter()
        .flatten()
        .min() else {
            return Ok(false);
        };
        self.now = self.now.max(next);
        while let Some(packet) = self.client.outgoing.receive(self.now) {
            self.server.arrive(self.now, packet)?;
        }
        while let Some(packet) = self.server.outgoing.receive(self.now) {
            self.client.arrive(self.now, packet)?;
        }
        for end in [&mut self.client, &mut self.server] {
            if end.session.next_due().is_some_and(|due| due <= self.now) {
                end.feed(self.now, Input::Tick)?;
            }
            end.messages.expire(self.now);
        }
        self.answer_requests();
        Ok(true)
    }

    /// Runs until nothing more happens.
    pub fn settle(&mut self) -> Result<(), SessionError> {
        let mut idle = 0;
        let mut before = self.now;
        while self.step()? {
            idle = if self.now == before { idle + 1 } else { 0 };
            assert!(
                idle < 1_000,
                "the clock stands still: a deadline that is due is never met"
            );
            before = self.now;
        }
        Ok(())
    }

    fn answer_requests(&mut self) {
        let asked: Vec<SessionId> = self
            .server
            .saw
            .iter()
            .filter_map(|output| match output {
                Output::Requested(request) => Some(request.id),
                _ => None,
            })
            .collect();
        self.server
            .saw
            .retain(|output| !matches!(output, Output::Requested(_)));
        for id in asked {
            self.answered = self.answered.wrapping_add(1);
            let answer = Answer::new([self.answered; 32], 1_200);
            let now = self.now;
            self.server(|server, out| server.accept(now, id, &answer, out));
        }
    }
}

impl End {
    fn new(now: Timestamp, side: Side, outgoing: Link, messages: Limits) -> Self {
        let mut config = Config::new(side, [side as u8 + 100; 32]);
        config.service = (side == Side::Client)
            .then(|| ServiceName::new(SERVICE).expect("a constant of allowed characters"));
        let mut out = Vec::new();
        let session = Session::new(now, config, &mut out).expect("nothing is over its bounds");
        let mut end = Self {
            session,
            saw: VecDeque::new(),
            messages: Messages::new(messages),
            channels: Channels::default(),
            outgoing,
            type_sent: false,
        };
        end.carry_out(now, out);
        end
    }

    /// Opens a stream toward the peer.
    pub fn open_stream(&mut self, now: Timestamp, stream: u64, header: StreamHeader) {
        self.outgoing.send(now, Packet::Stream(stream, header));
    }

    /// Sends the whole of a stream that was opened.
    pub fn send_stream(&mut self, now: Timestamp, stream: u64, bytes: Bytes) {
        self.outgoing.send(now, Packet::Data(stream, bytes));
        self.outgoing.send(now, Packet::End(stream));
    }

    /// Sends a datagram, header and all.
    pub fn send_datagram(&mut self, now: Timestamp, datagram: Bytes) {
        self.outgoing.send(now, Packet::Datagram(datagram));
    }

    fn control_stream(&mut self, now: Timestamp) {
        let control = Input::Stream {
            stream: u64::MAX,
            header: StreamHeader::Control,
        };
        self.feed(now, control)
            .expect("the first control stream is always welcome");
    }

    fn arrive(&mut self, now: Timestamp, packet: Packet) -> Result<(), SessionError> {
        match packet {
            Packet::Control(bytes) => self.feed(now, Input::Control(&bytes)),
            Packet::Stream(stream, header) => self.feed(now, Input::Stream { stream, header }),
            Packet::Data(stream, bytes) => {
                self.channels.data(stream, &bytes);
                Ok(())
            }
            Packet::End(stream) => {
                self.channels.end(stream);
                Ok(())
            }
            Packet::Datagram(bytes) => self.feed(now, Input::Datagram(bytes)),
        }
    }

    fn feed(&mut self, now: Timestamp, input: Input<'_>) -> Result<(), SessionError> {
        self.call(now, |session, out| session.handle(now, input, out))
            .map(|_| ())
    }

    fn call<T>(
        &mut self,
        now: Timestamp,
        call: impl FnOnce(&mut Session, &mut Vec<Output>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let result = call(&mut self.session, &mut out);
        self.carry_out(now, out);
        result
    }

    fn carry_out(&mut self, now: Timestamp, out: Vec<Output>) {
        for output in out {
            let mut bytes = match output {
                Output::Send(bytes) => bytes,
                Output::Datagram { session, content }
                    if Content::kind(&content) == ContentKind::Shard =>
                {
                    self.messages.receive(now, session, content);
                    continue;
                }
                Output::Stream {
                    stream,
                    payload: Payload::Framed,
                    ..
                } => {
                    self.channels.admit(stream);
                    continue;
                }
                output => {
                    self.saw.push_back(output);
                    continue;
                }
            };
            if !self.type_sent {
                self.type_sent = true;
                let kind = bytes.split_to(1);
                assert_eq!(&kind[..], [0], "our control stream begins with its type");
            }
            self.outgoing.send(now, Packet::Control(bytes));
        }
    }
}
