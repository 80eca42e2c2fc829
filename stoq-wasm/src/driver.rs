//! One session's connection: feeds stoq-core's state machine and carries out what it says.

mod outputs;
mod streams;

use alloc::rc::{Rc, Weak};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ops::Deref;
use core::time::Duration;

use js_sys::Uint8Array;
use stoq_core::session::{CLOSE_TIMEOUT, Config, Input, Output, Session};
use stoq_core::{Code, SessionId, StreamHeader};
use web_sys::{WebTransport, WebTransportCloseInfo};

use crate::access::Proofs;
use crate::channels::Channels;
use crate::control::Control;
use crate::ending::Ending;
use crate::error::Error;
use crate::inbox::{GoingAway, Inbox, Opened};
use crate::incoming::Arrival;
use crate::js::{self, Counter, Timer};
use crate::line::Line;
use crate::seeds::Seeds;
use crate::signal::Signal;

/// What all handles of a session share. It lives until its tasks have seen the end of the carrier.
pub(crate) struct Driver {
    me: Weak<Self>,
    pub(crate) transport: WebTransport,
    control: Control,
    machine: RefCell<Session>,
    /// The machine's next tick, or the end of our patience after the session has ended.
    timer: RefCell<Option<Timer>>,
    pub(crate) ending: Ending,
    /// Streams that the machine has not judged yet, by the key that it knows them by.
    arrivals: RefCell<Vec<(u64, Arrival)>>,
    pub(crate) inbox: Inbox,
    /// Told when something came into the inbox, when there is room in it again, and at the end.
    pub(crate) news: Signal,
    pub(crate) channels: Channels,
    pub(crate) seeds: Seeds,
    /// Tokens that the server lets prove, and the keys for that.
    proofs: Proofs,
    /// Those who open streams.
    openers: Line,
    pub(crate) counters: Counters,
}

/// What a session counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) sent_datagrams: Counter,
    pub(crate) received_datagrams: Counter,
    pub(crate) streams_opened: Counter,
    pub(crate) streams_accepted: Counter,
}

impl Driver {
    /// Starts the session on a transport that is ready: SETTINGS are on their way.
    pub(crate) fn start(
        transport: WebTransport,
        control: Control,
        config: Config,
        proofs: Proofs,
    ) -> Rc<Self> {
        let mut out = Vec::new();
        let machine = js::certain(
            Session::new(js::now(), config, &mut out),
            "what the page chose was held against its bounds",
        );
        let news = Signal::default();
        let driver = Rc::new_cyclic(|me| Self {
            me: me.clone(),
            transport,
            control,
            machine: RefCell::new(machine),
            timer: RefCell::default(),
            ending: Ending::default(),
            arrivals: RefCell::default(),
            inbox: Inbox::new(&news),
            news,
            channels: Channels::default(),
            seeds: Seeds::default(),
            proofs,
            openers: Line::default(),
            counters: Counters::default(),
        });
        driver.carry_out(out);
        driver.clone().spawn_readers();
        driver
    }

    /// Feeds one input to the machine and carries out what comes of it.
    pub(crate) fn feed(&self, input: Input<'_>) {
        let mut out = Vec::new();
        let handled = self.machine.borrow_mut().handle(js::now(), input, &mut out);
        self.carry_out(out);
        if let Err(error) = handled {
            // CLOSE_SESSION is on its way: the peer ends the carrier when it has read it, or we do in time.
            self.end(error.code(), error.to_string());
            self.close_transport_after(CLOSE_TIMEOUT);
        }
    }

    /// Feeds a stream of the peer whose header has been read.
    pub(crate) fn feed_stream(&self, key: u64, header: StreamHeader, arrival: Arrival) {
        if self.ending.get().is_some() {
            // The machine says nothing more, and the carrier may stay for a while.
            return arrival.reject(Code::SESSION_CLOSED);
        }
        self.arrivals.borrow_mut().push((key, arrival));
        self.feed(Input::Stream {
            stream: key,
            header,
        });
    }

    /// Closes the session in band. Does nothing if that has been done, or the session has ended.
    pub(crate) fn close(&self, code: Code, reason: &str) {
        if self.ending.begin() {
            let mut out = Vec::new();
            self.machine
                .borrow_mut()
                .close(js::now(), SessionId::ZERO, code, reason, &mut out);
            self.carry_out(out);
        }
    }

    /// Measures the round trip to the peer.
    pub(crate) async fn ping(&self) -> Result<Duration, Error> {
        self.ending.alive()?;
        let mut out = Vec::new();
        let pinged = self.machine.borrow_mut().ping(js::now(), &mut out);
        let id = pinged.map_err(|error| Error::new(error.code(), error.to_string()))?;
        self.carry_out(out);
        self.wait(|inbox| inbox.take_pong(id)).await
    }

    /// Resolves when the server has taken the session, or with its reason not to.
    pub(crate) async fn opened(&self) -> Result<Opened, Error> {
        let opened = || match (self.ending.get(), *self.inbox.opened.borrow()) {
            (Some(refused), _) => Some(Err(refused.refusal())),
            (None, opened) => opened.map(Ok),
        };
        self.news.until(opened).await
    }

    /// The next datagram.
    pub(crate) async fn receive_datagram(&self) -> Result<Uint8Array, Error> {
        self.wait(|inbox| inbox.datagrams.borrow_mut().pop_front())
            .await
    }

    /// The next message that is whole.
    pub(crate) async fn receive_message(&self) -> Result<Uint8Array, Error> {
        self.wait(|inbox| inbox.messages.take()).await
    }

    /// Resolves when the peer wants to wind up; an error if the session ends without.
    pub(crate) async fn going_away(&self) -> Result<GoingAway, Error> {
        self.wait(|inbox| inbox.going_away.borrow().clone()).await
    }

    /// Datagrams that arrived and went nowhere.
    pub(crate) fn dropped_datagrams(&self) -> f64 {
        let unreadable = self.machine.borrow().datagrams_dropped();
        unreadable as f64 + f64::from(self.inbox.dropped_datagrams.get())
    }

    /// The carrier is gone: as agreed, or not.
    pub(crate) fn carrier_ended(&self) {
        if self.ending.is_closing() {
            self.feed(Input::ControlClosed);
        }
        self.end(
            Code::CONNECTION_LOST,
            "the connection to the server was lost".into(),
        );
        self.timer.take();
    }

    fn carry_out(&self, out: Vec<Output>) {
        for output in out {
            self.carry_out_one(output);
        }
        self.set_timer();
        self.news.notify();
    }

    /// Says how the session ended. The first time counts.
    fn end(&self, code: Code, reason: String) {
        if self.ending.end(code, reason) {
            self.timer.take();
            self.arrivals.take();
            self.inbox.clear_streams();
            self.news.notify();
        }
    }

    fn set_timer(&self) {
        if self.ending.get().is_some() {
            return;
        }
        let machine = self.machine.borrow().next_due();
        let due = [machine, self.inbox.messages.expire()]
            .into_iter()
            .flatten()
            .min();
        let timer = due.map(|due| {
            let me = self.me.clone();
            Timer::after(due.saturating_since(js::now()), move || {
                if let Some(driver) = me.upgrade() {
                    driver.feed(Input::Tick);
                }
            })
        });
        self.timer.replace(timer);
    }

    fn close_transport(&self, code: Code, reason: &str) {
        let info = WebTransportCloseInfo::new();
        info.set_close_code(code.value());
        info.set_reason(reason);
        self.transport.close_with_close_info(&info);
    }

    fn close_transport_after(&self, time: Duration) {
        let transport = self.transport.clone();
        self.timer
            .replace(Some(Timer::after(time, move || transport.close())));
    }

    async fn wait<T>(&self, look: impl Fn(&Inbox) -> Option<T>) -> Result<T, Error> {
        let found = || match self.ending.get() {
            Some(ended) => Some(Err(ended.error())),
            None => look(&self.inbox).map(Ok),
        };
        self.news.until(found).await
    }
}

/// A session that nothing refers to any more is closed: every handle, stream and open promise holds one of these.
pub(crate) struct Handle {
    driver: Rc<Driver>,
    pub(crate) opened: Opened,
}

impl Handle {
    pub(crate) fn new(driver: Rc<Driver>, opened: Opened) -> Self {
        Self { driver, opened }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.driver.close(Code::NO_ERROR, "");
    }
}

impl Deref for Handle {
    type Target = Rc<Driver>;

    fn deref(&self) -> &Rc<Driver> {
        &self.driver
    }
}
