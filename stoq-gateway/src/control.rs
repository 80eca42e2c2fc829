//! Drives stoq-core's state machine over the control streams of one WebTransport session.
//!
//! ```text
//!   control stream of the browser ── feed ──▶ ┌─────────┐ ── Event ──▶ session.rs
//!   headers of its streams ───────── admit ─▶ │ Control │ ── Verdict ─▶ the stream's task
//!   session.rs ─── accept, close, go_away ──▶ └─────────┘ ── run ─────▶ our control stream
//! ```
//!
//! The machine stands behind a lock that is held for one step and never across an await. A message on an admitted stream
//! does not come near it.

mod run;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use stoq_core::close::Code;
use stoq_core::frame::Stats;
use stoq_core::service::ServiceName;
use stoq_core::session::{
    Answer, Config, ForeignAuth, IncomingRequest, Input, Output, Session, Side,
};
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Payload, StreamHeader};
use stoq_core::time::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

/// The state machine of one WebTransport session, and what connects it to the carrier.
#[derive(Debug)]
pub(crate) struct Control {
    inner: Mutex<Inner>,
    started: Instant,
    events: mpsc::UnboundedSender<Event>,
    /// There is something to send, or the last of it has been said.
    outgoing: Notify,
    /// What was to be sent has been sent.
    drained: Notify,
    /// The next tick may be due at another time.
    retimed: Notify,
}

#[derive(Debug)]
struct Inner {
    machine: Session,
    waiting: HashMap<u64, oneshot::Sender<Verdict>>,
    to_send: Vec<Bytes>,
    to_send_len: usize,
    /// Nothing follows `to_send`.
    last: bool,
    /// Of the browser; known once the session is accepted.
    max_datagram_size: u32,
}

/// What the session's own task must know. There is at most one of each, and four of [`Auth`](Self::Auth).
#[derive(Debug)]
pub(crate) enum Event {
    /// The browser's SETTINGS are here.
    Requested(IncomingRequest),
    /// The session is open for the browser.
    Opened,
    /// Nobody proved to hold the token that let the browser in. It is being told.
    Unproven { code: Code, reason: String },
    /// A proof that is for the target.
    Auth(ForeignAuth),
    /// The browser closed the session.
    Closed { code: Code, reason: String },
    /// The browser broke a rule, or was silent for too long. It is being told.
    Violated { code: Code, reason: String },
    /// Our own close is complete.
    CloseCarrier,
    /// The carrier went away under the browser's control stream; nothing follows.
    Lost,
}

/// What becomes of a stream of the browser.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Relay(Payload),
    /// Of a type that we do not know.
    Discard,
    Reject(Code),
}

impl Control {
    /// `service` is what the path of the request names: SETTINGS must name the same. `None` leaves it unchecked.
    pub(crate) fn new(
        service: Option<ServiceName>,
        max_streams: u32,
        settings_timeout: Duration,
    ) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let mut config = Config::new(Side::Server, [0; 32]);
        config.service = service;
        // A WebTransport session is one session; a page opens another one for another service.
        config.limits.max_sessions = 0;
        config.limits.max_streams = max_streams;
        config.limits.settings_timeout = settings_timeout;
        let (events, receiver) = mpsc::unbounded_channel();
        let mut out = Vec::new();
        let machine = Session::new(Timestamp::default(), config, &mut out)
            .expect("a server shows nothing and goes nowhere");
        let control = Self {
            inner: Mutex::new(Inner {
                machine,
                waiting: HashMap::new(),
                to_send: Vec::new(),
                to_send_len: 0,
                last: false,
                max_datagram_size: 0,
            }),
            started: Instant::now(),
            events,
            outgoing: Notify::new(),
            drained: Notify::new(),
            retimed: Notify::new(),
        };
        control.step(|_, _, first| first.append(&mut out));
        (control, receiver)
    }

    /// Opens the session for the browser: [`Event::Opened`] follows, at once unless somebody has to prove to hold a token.
    pub(crate) fn accept(&self, answer: &Answer) {
        self.step(|machine, now, out| machine.accept(now, SessionId::ZERO, answer, out));
    }

    /// The largest datagram that the browser takes; 0 before the session is open.
    pub(crate) fn largest_datagram(&self) -> usize {
        usize::try_from(self.lock().max_datagram_size).unwrap_or(usize::MAX)
    }

    /// Passes the confirmation of a proof on to the browser.
    pub(crate) fn send_auth(&self, auth: &ForeignAuth) {
        self.step(|machine, _, out| machine.send_auth(SessionId::ZERO, auth, out));
    }

    /// Closes the session, or refuses it if it was not accepted. [`Event::CloseCarrier`] or [`Event::Closed`] follows.
    pub(crate) fn close(&self, code: Code, reason: &str) {
        self.step(|machine, now, out| machine.close(now, SessionId::ZERO, code, reason, out));
    }

    /// Tells the browser that the session will be closed after `grace`. The first time stands.
    pub(crate) fn go_away(&self, code: Code, grace: Duration) {
        self.step(|machine, _, out| machine.go_away(code, grace, out));
    }

    /// Tells the browser of its path; not while it has yet to take what was said before, so one that never reads costs
    /// no more with time.
    pub(crate) fn send_stats(&self, stats: &Stats) {
        if self.lock().to_send_len > 0 {
            return;
        }
        self.step(|machine, _, out| machine.send_stats(stats, out));
    }

    /// Takes note that the browser opened its control stream; feed it if `true`.
    pub(crate) fn control_stream(&self, stream: u64) -> bool {
        let header = StreamHeader::Control;
        self.input(Input::Stream { stream, header })
    }

    /// Feeds bytes of the browser's control stream, and waits while the browser does not read what they made us say.
    pub(crate) async fn feed(&self, bytes: &[u8]) -> bool {
        let well = self.input(Input::Control(bytes));
        loop {
            let drained = self.drained.notified();
            if self.lock().to_send_len <= MAX_UNSENT {
                return well;
            }
            drained.await;
        }
    }

    /// The browser's control stream has ended.
    pub(crate) fn control_stream_closed(&self) {
        self.input(Input::ControlClosed);
    }

    /// The carrier ended under the browser's control stream.
    pub(crate) fn carrier_lost(&self) {
        self.tell(Event::Lost);
    }

    /// Waits until it is known what becomes of a stream with this header: at once in an open session.
    ///
    /// # Cancel safety
    /// If dropped, the stream is forgotten.
    pub(crate) async fn admit(&self, stream: u64, header: StreamHeader) -> Verdict {
        // The machine would wait for the HEADERS of such a session, which it then refused: there is only one here.
        if matches!(header, StreamHeader::Data { session, .. } if session != SessionId::ZERO) {
            return Verdict::Reject(Code::UNKNOWN_SESSION);
        }
        let (sender, verdict) = oneshot::channel();
        self.lock().waiting.insert(stream, sender);
        let waiting = Waiting {
            control: self,
            stream,
        };
        self.input(Input::Stream { stream, header });
        let verdict = verdict
            .await
            .unwrap_or(Verdict::Reject(Code::SESSION_CLOSED));
        std::mem::forget(waiting);
        verdict
    }

    /// `false` if the input broke a rule.
    fn input(&self, input: Input<'_>) -> bool {
        let mut error = None;
        self.step(|machine, now, out| error = machine.handle(now, input, out).err());
        let Some(error) = error else { return true };
        self.lock().last = true;
        self.outgoing.notify_one();
        let (code, reason) = (error.code(), error.to_string());
        self.tell(Event::Violated { code, reason });
        false
    }

    /// One call on the machine, and what follows from it.
    fn step(&self, call: impl FnOnce(&mut Session, Timestamp, &mut Vec<Output>)) {
        let mut out = Vec::new();
        let mut inner = self.lock();
        let due = inner.machine.next_due();
        call(&mut inner.machine, self.now(), &mut out);
        if inner.machine.next_due() != due {
            self.retimed.notify_one();
        }
        for output in out {
            self.carry_out(&mut inner, output);
        }
    }

    fn carry_out(&self, inner: &mut Inner, output: Output) {
        match output {
            Output::Send(bytes) => {
                inner.to_send_len += bytes.len();
                inner.to_send.push(bytes);
                self.outgoing.notify_one();
            }
            Output::Requested(request) => self.tell(Event::Requested(request)),
            Output::Opened {
                max_datagram_size, ..
            } => {
                inner.max_datagram_size = max_datagram_size;
                self.tell(Event::Opened);
            }
            Output::Unproven { code, reason, .. } => self.tell(Event::Unproven { code, reason }),
            Output::Auth { auth, .. } => self.tell(Event::Auth(auth)),
            Output::Closed { code, reason, .. } => self.tell(Event::Closed { code, reason }),
            Output::CloseCarrier { .. } => self.tell(Event::CloseCarrier),
            Output::Stream {
                stream, payload, ..
            } => inner.decide(stream, Verdict::Relay(payload)),
            Output::RejectStream { stream, code } => inner.decide(stream, Verdict::Reject(code)),
            Output::DiscardStream { stream } => inner.decide(stream, Verdict::Discard),
            // A server is not refused, holds no tokens and sends no pings; datagrams do not pass through here.
            Output::Refused { .. }
            | Output::Prove { .. }
            | Output::Pong { .. }
            | Output::Datagram { .. } => {}
            // A browser has nowhere to go, and nothing to measure that we would not know.
            Output::GoAway { .. } | Output::Stats(_) => {}
        }
    }

    fn tell(&self, event: Event) {
        // The session's task may have decided to end already.
        let _ = self.events.send(event);
    }

    fn now(&self) -> Timestamp {
        Timestamp::default() + self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn decide(&mut self, stream: u64, verdict: Verdict) {
        if let Some(waiting) = self.waiting.remove(&stream) {
            // Its task may be gone.
            let _ = waiting.send(verdict);
        }
    }
}

/// A stream that waits for its verdict; dropped before that, it is forgotten.
struct Waiting<'a> {
    control: &'a Control,
    stream: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.control.lock().waiting.remove(&self.stream);
        self.control.input(Input::StreamGone(self.stream));
    }
}

/// What we owe the browser on the control stream before we stop listening to it: answers to some hundred pings.
const MAX_UNSENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_do_not_pile_up() {
        let (control, _events) = Control::new(None, 1, Duration::from_secs(1));
        let mut config = Config::new(Side::Client, [7; 32]);
        config.service = Some("echo".parse().unwrap());
        let mut said = Vec::new();
        Session::new(Timestamp::default(), config, &mut said).unwrap();
        let [Output::Send(settings)] = &said[..] else {
            panic!("{said:?}");
        };
        let (header, settings) = settings.split_at(1);
        assert_eq!(header, [0]);
        assert!(control.control_stream(2));
        assert!(control.input(Input::Control(settings)));
        control.accept(&Answer::new([8; 32], 1000));
        let stats = Stats {
            rtt: Duration::from_millis(20),
            rtt_variation: Duration::ZERO,
            lost_packets: 0,
            congestion_window: 12_000,
            send_rate: 0,
            tier: 0,
        };
        let unsent = || control.lock().to_send_len;
        let accepted = unsent();
        control.send_stats(&stats);
        assert_eq!(unsent(), accepted, "the answer is not sent yet");

        let mut inner = control.lock();
        inner.to_send.clear();
        inner.to_send_len = 0;
        drop(inner);
        control.send_stats(&stats);
        let one = unsent();
        assert!(one > 0);
        control.send_stats(&stats);
        assert_eq!(unsent(), one);
    }
}
