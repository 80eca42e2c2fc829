//! The state machine of one carrier connection: session 0, which the connection itself is, and the
//! sessions multiplexed on it.
//!
//! ```text
//!               control bytes, stream headers, datagrams, ticks
//!                                  │ Input
//!                                  ▼
//!   open / accept / refuse ──▶ ┌─────────┐ ──▶ Send            (bytes for our control stream)
//!   close / ping / go_away ──▶ │ Session │ ──▶ Requested, Opened, Refused, Closed
//!                              └─────────┘ ──▶ Stream, Datagram (to whom they belong)
//!                                  │       ──▶ RejectStream, DiscardStream, CloseCarrier
//!                                  ▼
//!                        when Tick is next due
//! ```
//!
//! It holds no socket and no clock: the same calls with the same times give the same outputs. A driver
//! carries out the outputs in their order. What a peer can make it hold is bounded: one partial control
//! frame, the [`Limits`] on sessions, 16 early streams and 64 KiB of early datagrams for 5 s, and
//! [`MAX_PINGS`] pings.

mod config;
mod control;
mod error;
mod event;
mod frames;
mod held;
mod opening;
mod proving;
mod routing;
mod settings;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

pub use config::{Config, Limits, Side};
pub use control::{MAX_CONTROL_BURST, MAX_CONTROL_RATE};
pub use error::{OpenError, PingError, SessionError};
pub use event::{Answer, IncomingRequest, Input, Output, PingId, Request};
pub use proving::{ForeignAuth, Holder, PROOF_TIMEOUT};
pub use settings::VERSION;

use crate::access::TokenHash;
use crate::close::Code;
use crate::datagram::Datagram;
use crate::frame::{CloseSession, Frame, GoAway, Headers, Ping, Settings, Stats};
use crate::hash::SessionHash;
use crate::service::ServiceName;
use crate::session_id::SessionId;
use crate::stream::{Direction, StreamHeader};
use crate::table::Table;
use crate::time::Timestamp;
use control::{FrameBudget, PartialFrame};
use held::Held;
use proving::Proving;
use settings::{PeerSettings, short_reason};

/// One carrier connection as the protocol sees it. See the [module](self) for the picture.
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    peer: Option<PeerSettings>,
    partial: PartialFrame,
    budget: FrameBudget,
    control_seen: bool,
    multiplexed: Table<SessionId, Entry>,
    /// Highest multiplexed id that was ever used: by us as a client, by the peer as a server.
    highest: SessionId,
    held: Held,
    /// Sessions that were answered and wait for proofs, session 0 among them.
    proving: Table<SessionId, Proving>,
    /// AUTH frames that came, for each session that had some.
    auths: Table<SessionId, u8>,
    /// A server: sessions whose proofs go on to somebody else.
    relayed: Table<SessionId, ()>,
    pings: Table<PingId, Timestamp>,
    next_ping: u64,
    /// GOAWAY, sent by a server or received by a client: no session above this id.
    last_allowed: Option<SessionId>,
    datagrams_dropped: u64,
    /// Whether the peer has announced on session 0.
    announced: bool,
    announcements_refused: u64,
}

/// Where session 0 stands.
#[derive(Debug)]
enum State {
    /// Nothing from the peer yet.
    AwaitingSettings {
        until: Timestamp,
    },
    /// A server: the client's SETTINGS are here, the user has not answered.
    Asked,
    Open,
    /// We closed: the peer ends the carrier, or we do when the time is up.
    Closing {
        until: Timestamp,
        code: Code,
        reason: String,
    },
    Ended,
}

/// Where a multiplexed session stands.
#[derive(Debug)]
struct Entry {
    /// It was answered: it is open, unless it is in `proving`.
    open: bool,
    /// Whether the peer has announced on it.
    announced: bool,
    random: [u8; 32],
    service: ServiceName,
    /// A client: tokens whose holder it is.
    holders: Vec<TokenHash>,
}

impl Session {
    /// Starts the machine. The stream type of our control stream, and a client's SETTINGS, are in `out`.
    ///
    /// # Errors
    /// [`OpenError::TooLarge`] if a client's access tokens or route are over their bounds; `out` is as it was.
    pub fn new(now: Timestamp, config: Config, out: &mut Vec<Output>) -> Result<Self, OpenError> {
        let mut first = BytesMut::new();
        StreamHeader::Control.encode(Direction::Unidirectional, &mut first);
        if config.side == Side::Client {
            let settings = settings::of_client(&config);
            first.extend_from_slice(&settings.map_err(|error| OpenError::TooLarge { error })?);
        }
        out.push(Output::Send(first.freeze()));
        Ok(Self {
            state: State::AwaitingSettings {
                until: now + config.limits.settings_timeout,
            },
            config,
            peer: None,
            partial: PartialFrame::default(),
            budget: FrameBudget::new(),
            control_seen: false,
            multiplexed: Table::default(),
            highest: SessionId::ZERO,
            held: Held::default(),
            proving: Table::default(),
            auths: Table::default(),
            relayed: Table::default(),
            pings: Table::default(),
            next_ping: 0,
            last_allowed: None,
            datagrams_dropped: 0,
            announced: false,
            announcements_refused: 0,
        })
    }

    /// Feeds one input, appends all that it causes to `out`, and returns when [`Input::Tick`] is next due.
    ///
    /// # Errors
    /// [`SessionError`] if the peer broke a rule or did not speak in time. A CLOSE_SESSION that tells the
    /// peer is then already in `out`: carry out `out`, close the carrier with the error's
    /// [`code`](SessionError::code), and drop the machine; every further input is ignored.
    pub fn handle(
        &mut self,
        now: Timestamp,
        input: Input<'_>,
        out: &mut Vec<Output>,
    ) -> Result<Option<Timestamp>, SessionError> {
        if matches!(self.state, State::Ended) {
            return Ok(None);
        }
        let handled = match input {
            Input::Control(bytes) => self.on_control(now, bytes, out),
            Input::ControlClosed => self.on_control_closed(out),
            Input::Stream { stream, header } => self.on_stream(now, stream, header, out),
            Input::StreamGone(stream) => {
                self.held.gone(stream);
                Ok(())
            }
            Input::Datagram(bytes) => {
                self.on_datagram(now, bytes, out);
                Ok(())
            }
            Input::Tick => self.on_tick(now, out),
        };
        if let Err(error) = handled {
            self.state = State::Ended;
            let reason = error.to_string();
            send_close(SessionId::ZERO, error.code(), &reason, out);
            return Err(error);
        }
        Ok(self.next_due())
    }

    /// Closes a session. For session 0, with it the connection: the peer is told in band and ends the
    /// carrier, or [`Output::CloseCarrier`] comes after [`CLOSE_TIMEOUT`]. A session that is not there
    /// (any more) is left alone. `reason` is cut to [`CloseSession::MAX_REASON`] bytes.
    pub fn close(
        &mut self,
        now: Timestamp,
        id: SessionId,
        code: Code,
        reason: &str,
        out: &mut Vec<Output>,
    ) {
        if id == SessionId::ZERO {
            if !matches!(self.state, State::Closing { .. } | State::Ended) {
                send_close(id, code, reason, out);
                self.proving.clear();
                self.state = State::Closing {
                    until: now + CLOSE_TIMEOUT,
                    code,
                    reason: short_reason(reason, CloseSession::MAX_REASON),
                };
            }
        } else if self.multiplexed.remove(&id).is_some() {
            self.forget_proofs(id);
            send_close(id, code, reason, out);
            self.datagrams_dropped += self.held.reject(id, Code::SESSION_CLOSED, out);
        }
    }

    /// Measures the round trip of the control stream; [`Output::Pong`] follows.
    ///
    /// # Errors
    /// [`PingError`] if session 0 is not open, or [`MAX_PINGS`] answers are outstanding.
    pub fn ping(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Result<PingId, PingError> {
        if !self.is_open() {
            return Err(PingError::NotOpen);
        }
        if self.pings.len() >= MAX_PINGS {
            return Err(PingError::TooMany { limit: MAX_PINGS });
        }
        let id = PingId(self.next_ping);
        self.next_ping += 1;
        self.pings.insert(id, now);
        let data = id.0.to_be_bytes();
        send(&Frame::Ping(Ping { data, ack: false }), out);
        Ok(id)
    }

    /// A server: takes no new sessions from now on; those that run have `grace`, which is the caller's to
    /// enforce.
    pub fn go_away(&mut self, code: Code, grace: Duration, out: &mut Vec<Output>) {
        if matches!(self.state, State::Open) && self.last_allowed.is_none() {
            let last = self.highest;
            self.last_allowed = Some(last);
            let authority = None;
            send(
                &Frame::GoAway(GoAway {
                    last,
                    grace,
                    code,
                    authority,
                }),
                out,
            );
        }
    }

    /// Tells the peer what this end measures of the path.
    pub fn send_stats(&mut self, stats: &Stats, out: &mut Vec<Output>) {
        if matches!(self.state, State::Open) {
            send(&Frame::Stats(*stats), out);
        }
    }

    /// When [`Input::Tick`] is next due; also after a call other than [`handle`](Self::handle).
    pub fn next_due(&self) -> Option<Timestamp> {
        let own = match self.state {
            State::AwaitingSettings { until } | State::Closing { until, .. } => Some(until),
            State::Asked | State::Open => None,
            State::Ended => return None,
        };
        let held = self.held.next_due();
        own.into_iter().chain(held).chain(self.proof_due()).min()
    }

    /// Whether session 0 is open.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open) && !self.is_proving(SessionId::ZERO)
    }

    /// Multiplexed sessions that are asked for or open.
    pub fn session_count(&self) -> usize {
        self.multiplexed.len()
    }

    /// Datagrams that came for no open session, or could not be read, and were dropped.
    pub fn datagrams_dropped(&self) -> u64 {
        self.datagrams_dropped
    }

    /// Streams that were rejected with [`Code::PROTOCOL`], because the peer had announced on one of the same session before.
    pub fn announcements_refused(&self) -> u64 {
        self.announcements_refused
    }

    fn on_control_closed(&mut self, out: &mut Vec<Output>) -> Result<(), SessionError> {
        if !matches!(self.state, State::Closing { .. }) {
            return Err(SessionError::ControlClosed);
        }
        self.end_carrier(out);
        Ok(())
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Result<(), SessionError> {
        self.datagrams_dropped += self.held.expire(now, out);
        self.expire_proofs(now, out)?;
        match self.state {
            State::AwaitingSettings { until } if until <= now => Err(SessionError::SettingsTimeout),
            State::Closing { until, .. } if until <= now => {
                self.end_carrier(out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end_carrier(&mut self, out: &mut Vec<Output>) {
        if let State::Closing { code, reason, .. } =
            core::mem::replace(&mut self.state, State::Ended)
        {
            out.push(Output::CloseCarrier { code, reason });
        }
    }
}

fn session_hash(
    client: &[u8; 32],
    target: &[u8; 32],
    service: Option<&ServiceName>,
) -> SessionHash {
    SessionHash::new(client, target, service.map_or("", ServiceName::as_str))
}

fn send(frame: &Frame<'_>, out: &mut Vec<Output>) {
    let mut bytes = BytesMut::with_capacity(frame.encoded_len());
    frame.encode(&mut bytes);
    out.push(Output::Send(bytes.freeze()));
}

fn send_close(id: SessionId, code: Code, reason: &str, out: &mut Vec<Output>) {
    let reason = &short_reason(reason, CloseSession::MAX_REASON);
    send(&Frame::CloseSession(CloseSession { id, code, reason }), out);
}

/// How long the peer has to end the carrier after our CLOSE_SESSION: longer than a retransmission, shorter
/// than a user's patience.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pings that may be on their way at once.
pub const MAX_PINGS: usize = 16;

#[cfg(test)]
mod tests;
