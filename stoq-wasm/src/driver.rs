//! One session's connection: feeds stoq-core's state machine and carries out what it says.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use js_sys::{Promise, Uint8Array};
use stoq_core::Code;
use stoq_core::frame::Stats;
use stoq_core::session::{CLOSE_TIMEOUT, Config, Input, Limits, Output, PingId, Session, Side};
use stoq_core::time::Timestamp;
use stoq_core::{ServiceName, SessionHash, SessionId};
use wasm_bindgen::convert::FromWasmAbi;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    WebTransport, WebTransportBidirectionalStream, WebTransportCloseInfo,
    WebTransportReceiveStream, WritableStreamDefaultWriter,
};

use crate::error::Error;
use crate::incoming::Arrival;
use crate::js::{self, Counter, Timer};
use crate::signal::Signal;

/// What all handles of a session share. It lives until its tasks have seen the end of the carrier.
pub(crate) struct Driver {
    me: Weak<Self>,
    pub(crate) transport: WebTransport,
    control: WritableStreamDefaultWriter,
    /// Bytes that the browser has not taken from us yet.
    control_backlog: Cell<usize>,
    machine: RefCell<Session>,
    tick: RefCell<Option<Timer>>,
    opened: OnceCell<Opened>,
    closing: Cell<bool>,
    ended: OnceCell<Ended>,
    /// Told when `ended` is set.
    end: Signal,
    /// Told when anything below changes, or `opened` or `ended` is set.
    news: Signal,
    /// Streams that the machine has not judged yet, by the key that it knows them by.
    pub(crate) arrivals: RefCell<BTreeMap<u64, Arrival>>,
    bidirectional: RefCell<VecDeque<WebTransportBidirectionalStream>>,
    unidirectional: RefCell<VecDeque<WebTransportReceiveStream>>,
    datagrams: RefCell<VecDeque<Uint8Array>>,
    pongs: RefCell<BTreeMap<PingId, Duration>>,
    going_away: RefCell<Option<GoingAway>>,
    pub(crate) counters: Counters,
}

/// What the server said when it took the session.
pub(crate) struct Opened {
    pub(crate) hash: SessionHash,
    pub(crate) max_datagram_size: u32,
}

/// How the session ended.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) code: Code,
    pub(crate) reason: String,
}

/// The peer wants to wind up.
#[derive(Clone)]
pub(crate) struct GoingAway {
    pub(crate) code: Code,
    pub(crate) grace: Duration,
    pub(crate) authority: Option<String>,
}

/// What a session counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) sent_datagrams: Counter,
    pub(crate) received_datagrams: Counter,
    /// Beside those that the state machine dropped.
    dropped_datagrams: Counter,
    pub(crate) streams_opened: Counter,
    pub(crate) streams_accepted: Counter,
    pub(crate) ping_rtt: Cell<Option<Duration>>,
    pub(crate) path: Cell<Option<Stats>>,
}

/// Why a promise of the browser did not give its value.
pub(crate) enum Broken {
    /// It was rejected.
    Rejected(JsValue),
    /// The session ended first.
    Ended,
}

impl Driver {
    /// Starts the session on a transport that is ready: SETTINGS are on their way.
    pub(crate) async fn start(
        transport: WebTransport,
        service: ServiceName,
    ) -> Result<Rc<Self>, Error> {
        let lost = |error| {
            Error::new(
                Code::CONNECTION_LOST,
                format!("no control stream: {}", js::text(&error)),
            )
        };
        let control = JsFuture::from(transport.create_unidirectional_stream())
            .await
            .map_err(lost)?;
        let control: web_sys::WritableStream = control.unchecked_into();
        let control = control.get_writer().map_err(lost)?;
        let config = Config {
            side: Side::Client,
            service: Some(service),
            random: js::random()?,
            limits: Limits::default(),
        };
        let mut out = Vec::new();
        let machine = Session::new(js::now(), config, &mut out);
        let driver = Rc::new_cyclic(|me| Self {
            me: me.clone(),
            transport,
            control,
            control_backlog: Cell::default(),
            machine: RefCell::new(machine),
            tick: RefCell::default(),
            opened: OnceCell::new(),
            closing: Cell::default(),
            ended: OnceCell::new(),
            end: Signal::default(),
            news: Signal::default(),
            arrivals: RefCell::default(),
            bidirectional: RefCell::default(),
            unidirectional: RefCell::default(),
            datagrams: RefCell::default(),
            pongs: RefCell::default(),
            going_away: RefCell::default(),
            counters: Counters::default(),
        });
        driver.carry_out(out);
        driver.set_tick();
        driver.clone().spawn_readers();
        Ok(driver)
    }

    /// Feeds one input to the machine and carries out what comes of it.
    pub(crate) fn feed(&self, input: Input<'_>) {
        let mut out = Vec::new();
        let handled = self.machine.borrow_mut().handle(js::now(), input, &mut out);
        self.carry_out(out);
        match handled {
            Ok(_) => self.set_tick(),
            Err(error) => {
                // CLOSE_SESSION is on its way: the peer ends the carrier when it has read it, or we do in time.
                self.end(error.code(), error.to_string());
                self.close_transport_after(CLOSE_TIMEOUT);
            }
        }
    }

    /// Closes the session in band. Does nothing if that has been done, or the session has ended.
    pub(crate) fn close(&self, code: Code, reason: &str) {
        if self.ended.get().is_some() || self.closing.replace(true) {
            return;
        }
        let mut out = Vec::new();
        self.machine
            .borrow_mut()
            .close(js::now(), SessionId::ZERO, code, reason, &mut out);
        self.carry_out(out);
        self.set_tick();
    }

    /// Gives up on a session that has not opened.
    pub(crate) fn abandon(&self, code: Code, reason: &str) {
        if self.opened.get().is_none() {
            self.close(Code::CANCELLED, reason);
            self.end(code, reason.into());
            self.close_transport_after(CLOSE_TIMEOUT);
        }
    }

    /// Measures the round trip to the peer.
    pub(crate) async fn ping(&self) -> Result<Duration, Error> {
        self.alive()?;
        let mut out = Vec::new();
        let pinged = self.machine.borrow_mut().ping(js::now(), &mut out);
        let id = pinged.map_err(|error| Error::new(Code::LIMIT, error.to_string()))?;
        self.carry_out(out);
        self.wait(|driver| driver.pongs.borrow_mut().remove(&id))
            .await
    }

    /// Resolves when the server has taken the session.
    pub(crate) async fn opened(&self) -> Result<(), Error> {
        let opened = || match (self.opened.get(), self.ended.get()) {
            (_, Some(refused)) => Some(Err(refused.refusal())),
            (opened, None) => opened.map(|_| Ok(())),
        };
        self.news.until(opened).await
    }

    /// The next bidirectional stream of the peer.
    pub(crate) async fn accept_bidirectional(
        &self,
    ) -> Result<WebTransportBidirectionalStream, Error> {
        self.wait(|driver| driver.bidirectional.borrow_mut().pop_front())
            .await
    }

    /// The next unidirectional stream of the peer.
    pub(crate) async fn accept_unidirectional(&self) -> Result<WebTransportReceiveStream, Error> {
        self.wait(|driver| driver.unidirectional.borrow_mut().pop_front())
            .await
    }

    /// The next datagram.
    pub(crate) async fn receive_datagram(&self) -> Result<Uint8Array, Error> {
        self.wait(|driver| driver.datagrams.borrow_mut().pop_front())
            .await
    }

    /// Resolves when the peer wants to wind up; an error if the session ends without.
    pub(crate) async fn going_away(&self) -> Result<GoingAway, Error> {
        self.wait(|driver| driver.going_away.borrow().clone()).await
    }

    /// Resolves when the session has ended.
    pub(crate) async fn ended(&self) -> &Ended {
        self.end.until(|| self.ended.get()).await
    }

    /// What the server said when it took the session, of which there are no handles before.
    pub(crate) fn facts(&self) -> &Opened {
        self.opened
            .get()
            .expect("handles are made of sessions that are open")
    }

    /// Datagrams that arrived and went nowhere.
    pub(crate) fn dropped_datagrams(&self) -> f64 {
        let unreadable = self.machine.borrow().datagrams_dropped();
        unreadable as f64 + f64::from(self.counters.dropped_datagrams.get())
    }

    /// An error if the session has ended, or is about to.
    pub(crate) fn alive(&self) -> Result<(), Error> {
        match self.ended.get() {
            Some(ended) => Err(ended.error()),
            None if self.closing.get() => Err(Error::new(
                Code::SESSION_CLOSED,
                "the session is being closed",
            )),
            None => Ok(()),
        }
    }

    /// The value of a promise of the browser, unless the session ends first: Firefox 140 leaves some of them pending when
    /// the connection is gone.
    pub(crate) async fn settle<T: FromWasmAbi + 'static>(
        &self,
        promise: Promise<T>,
    ) -> Result<T, Broken> {
        let mut future = pin!(JsFuture::from(promise));
        let mut seat = self.end.seat();
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(settled) => Poll::Ready(settled.map_err(Broken::Rejected)),
            Poll::Pending if self.ended.get().is_some() => Poll::Ready(Err(Broken::Ended)),
            Poll::Pending => {
                seat.wait(context);
                Poll::Pending
            }
        })
        .await
    }

    /// What the user is told of a stream's or datagram's failure.
    pub(crate) async fn explain(&self, broken: Broken, what: &'static str) -> Error {
        let Broken::Rejected(thrown) = broken else {
            return self.ended().await.error();
        };
        if self.ended.get().is_none() {
            if let Some(code) = js::stream_code(&thrown) {
                return Error::new(code, format!("{what}: {code}"));
            }
            // Either the carrier is lost, then the session's end comes at once; or the browser keeps the code to itself:
            // Firefox 140 for every reset, both browsers for some stops while data is on its way.
            let late = Rc::new(Cell::new(false));
            let _timer = self.alarm(END_FOLLOWS, &late);
            self.end
                .until(|| (late.get() || self.ended.get().is_some()).then_some(()))
                .await;
        }
        match self.ended.get() {
            Some(ended) => ended.error(),
            None => Error::new(
                Code::UNMAPPED,
                format!(
                    "{what}, and the browser does not tell the code ({})",
                    js::text(&thrown)
                ),
            ),
        }
    }

    /// Says how the session ended. The first time counts.
    pub(crate) fn end(&self, code: Code, reason: String) {
        if self.ended.set(Ended { code, reason }).is_ok() {
            self.tick.take();
            self.bidirectional.take();
            self.unidirectional.take();
            self.arrivals.take();
            self.end.notify();
            self.news.notify();
        }
    }

    /// The carrier is gone: as agreed, or not.
    pub(crate) fn carrier_ended(&self) {
        if self.closing.get() {
            self.feed(Input::ControlClosed);
        }
        self.end(
            Code::CONNECTION_LOST,
            "the connection to the server was lost".into(),
        );
        self.tick.take();
    }

    fn carry_out(&self, out: Vec<Output>) {
        for output in out {
            self.carry_out_one(output);
        }
        self.news.notify();
    }

    fn carry_out_one(&self, output: Output) {
        match output {
            Output::Send(bytes) => self.send_control(&bytes),
            Output::Opened {
                hash,
                max_datagram_size,
                ..
            } => {
                let _ = self.opened.set(Opened {
                    hash,
                    max_datagram_size,
                });
            }
            Output::Refused { code, reason, .. }
            | Output::Closed { code, reason, .. }
            | Output::CloseCarrier { code, reason } => {
                self.close_transport(code, &reason);
                self.end(code, reason);
            }
            Output::Stream {
                stream, payload, ..
            } => self.hand_over(stream, payload),
            Output::RejectStream { stream, code } => {
                if let Some(arrival) = self.arrivals.borrow_mut().remove(&stream) {
                    arrival.reject(code);
                }
            }
            Output::DiscardStream { stream } => {
                if let (Some(arrival), Some(driver)) = (
                    self.arrivals.borrow_mut().remove(&stream),
                    self.me.upgrade(),
                ) {
                    spawn_local(arrival.discard(driver));
                }
            }
            Output::Datagram { payload, .. } => self.queue_datagram(&payload),
            Output::Pong { id, rtt } => {
                self.counters.ping_rtt.set(Some(rtt));
                self.pongs.borrow_mut().insert(id, rtt);
            }
            Output::GoAway {
                code,
                grace,
                authority,
                ..
            } => {
                *self.going_away.borrow_mut() = Some(GoingAway {
                    code,
                    grace,
                    authority,
                });
            }
            Output::Stats(stats) => self.counters.path.set(Some(stats)),
            Output::Requested(_) => unreachable!("only servers are asked for sessions"),
        }
    }

    fn send_control(&self, bytes: &Bytes) {
        let length = bytes.len();
        self.control_backlog
            .set(self.control_backlog.get() + length);
        if self.control_backlog.get() > MAX_BACKLOG {
            self.close_transport(Code::CONTROL_FLOOD, BACKLOG);
            self.end(Code::CONTROL_FLOOD, BACKLOG.into());
            return;
        }
        let written = self.control.write_with_chunk(&Uint8Array::from(&bytes[..]));
        let me = self.me.clone();
        spawn_local(async move {
            // A failure shows at the reading side, or as the end of the carrier.
            let _ = JsFuture::from(written).await;
            if let Some(driver) = me.upgrade() {
                driver
                    .control_backlog
                    .set(driver.control_backlog.get() - length);
            }
        });
    }

    fn hand_over(&self, stream: u64, payload: stoq_core::stream::Payload) {
        let Some(arrival) = self.arrivals.borrow_mut().remove(&stream) else {
            return;
        };
        if payload == stoq_core::stream::Payload::Framed {
            // Verified streams come with a later step; handing out their frames as data would be a lie.
            return arrival.reject(Code::UNSUPPORTED);
        }
        let waiting = self.bidirectional.borrow().len() + self.unidirectional.borrow().len();
        if waiting >= MAX_WAITING_STREAMS {
            return arrival.reject(Code::LIMIT);
        }
        self.counters.streams_accepted.add();
        match arrival {
            Arrival::Bidirectional(stream) => self.bidirectional.borrow_mut().push_back(stream),
            Arrival::Unidirectional(stream) => self.unidirectional.borrow_mut().push_back(stream),
        }
    }

    fn queue_datagram(&self, payload: &Bytes) {
        let mut queue = self.datagrams.borrow_mut();
        if queue.len() >= MAX_WAITING_DATAGRAMS {
            queue.pop_front();
            self.counters.dropped_datagrams.add();
        }
        queue.push_back(Uint8Array::from(&payload[..]));
    }

    fn set_tick(&self) {
        let due: Option<Timestamp> = self.machine.borrow().next_due();
        let timer = due.filter(|_| self.ended.get().is_none()).map(|due| {
            let me = self.me.clone();
            Timer::after(due.saturating_since(js::now()), move || {
                if let Some(driver) = me.upgrade() {
                    driver.feed(Input::Tick);
                }
            })
        });
        *self.tick.borrow_mut() = timer;
    }

    /// A timer that sets `late` and lets those look who wait for the end.
    fn alarm(&self, after: Duration, late: &Rc<Cell<bool>>) -> Timer {
        let (me, late) = (self.me.clone(), late.clone());
        Timer::after(after, move || {
            late.set(true);
            if let Some(driver) = me.upgrade() {
                driver.end.notify();
            }
        })
    }

    fn close_transport(&self, code: Code, reason: &str) {
        let info = WebTransportCloseInfo::new();
        info.set_close_code(code.value());
        info.set_reason(reason);
        self.transport.close_with_close_info(&info);
    }

    fn close_transport_after(&self, time: Duration) {
        let transport = self.transport.clone();
        *self.tick.borrow_mut() = Some(Timer::after(time, move || transport.close()));
    }

    async fn wait<T>(&self, look: impl Fn(&Self) -> Option<T>) -> Result<T, Error> {
        let found = || match self.ended.get() {
            Some(ended) => Some(Err(ended.error())),
            None => look(self).map(Ok),
        };
        self.news.until(found).await
    }
}

impl Ended {
    /// What `connect` fails with: the server's own code.
    fn refusal(&self) -> Error {
        let code = if self.code == Code::NO_ERROR {
            Code::SESSION_CLOSED
        } else {
            self.code
        };
        match self.reason.as_str() {
            "" => Error::new(
                code,
                format!("the server did not take the session: {}", self.code),
            ),
            reason => Error::new(code, reason.to_owned()),
        }
    }

    /// What an operation fails with that the end cut off. An application's code is not passed on: on a stream it would
    /// look as if the stream had been reset with it.
    fn error(&self) -> Error {
        let code = match self.code {
            Code::NO_ERROR => Code::SESSION_CLOSED,
            code if code.name().is_none() => Code::SESSION_CLOSED,
            code => code,
        };
        match self.reason.as_str() {
            "" => Error::new(code, format!("the session has ended: {}", self.code)),
            reason => Error::new(code, format!("the session has ended: {reason}")),
        }
    }
}

/// A session that nothing refers to any more is closed: every handle, stream and open promise holds one of these.
pub(crate) struct Handle(pub(crate) Rc<Driver>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close(Code::NO_ERROR, "");
    }
}

impl std::ops::Deref for Handle {
    type Target = Rc<Driver>;

    fn deref(&self) -> &Rc<Driver> {
        &self.0
    }
}

/// Streams that wait to be accepted: as many as our SETTINGS let a peer have open.
const MAX_WAITING_STREAMS: usize = 128;
/// Datagrams that wait to be received, about 1.2 MB: a burst while the page is busy for a second.
const MAX_WAITING_DATAGRAMS: usize = 1024;
/// Control bytes that wait for the browser to take them: what a flood of pings makes us answer while the peer reads nothing.
const MAX_BACKLOG: usize = 256 * 1024;
const BACKLOG: &str = "the server asks more on its control stream than it reads";
/// How soon the end of a session follows the errors of its streams, at the latest.
const END_FOLLOWS: Duration = Duration::from_millis(250);
