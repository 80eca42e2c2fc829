//! What has come for the user and waits to be fetched.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use js_sys::Uint8Array;
use stoq_core::frame::Stats;
use stoq_core::session::PingId;
use stoq_core::{Code, SessionHash};
use web_sys::{WebTransportBidirectionalStream, WebTransportReceiveStream};

use crate::incoming::Arrival;
use crate::js::Counter;

/// Queues and facts of one session. All are bounded.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) opened: RefCell<Option<Opened>>,
    pub(crate) bidirectional: RefCell<VecDeque<WebTransportBidirectionalStream>>,
    pub(crate) unidirectional: RefCell<VecDeque<WebTransportReceiveStream>>,
    pub(crate) datagrams: RefCell<VecDeque<Uint8Array>>,
    pub(crate) dropped_datagrams: Counter,
    pub(crate) pongs: RefCell<Vec<(PingId, Duration)>>,
    pub(crate) ping_rtt: Cell<Option<Duration>>,
    pub(crate) path: Cell<Option<Stats>>,
    pub(crate) going_away: RefCell<Option<GoingAway>>,
}

/// What the server said when it took the session.
#[derive(Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) hash: SessionHash,
    pub(crate) max_datagram_size: u32,
}

/// The peer wants to wind up.
#[derive(Clone)]
pub(crate) struct GoingAway {
    pub(crate) code: Code,
    pub(crate) grace: Duration,
    pub(crate) authority: Option<String>,
}

impl Inbox {
    /// Takes a stream of the peer, or gives it back if too many wait.
    pub(crate) fn put_stream(&self, stream: Arrival) -> Result<(), Arrival> {
        match stream {
            Arrival::Bidirectional(stream) => {
                put(&self.bidirectional, stream).map_err(Arrival::Bidirectional)
            }
            Arrival::Unidirectional(stream) => {
                put(&self.unidirectional, stream).map_err(Arrival::Unidirectional)
            }
        }
    }

    /// Takes a datagram; the oldest makes room if too many wait.
    pub(crate) fn put_datagram(&self, payload: &Bytes) {
        let mut queue = self.datagrams.borrow_mut();
        if queue.len() >= MAX_DATAGRAMS {
            queue.pop_front();
            self.dropped_datagrams.add();
        }
        queue.push_back(Uint8Array::from(&payload[..]));
    }

    /// The answer to a ping, if it has come.
    pub(crate) fn take_pong(&self, id: PingId) -> Option<Duration> {
        let mut pongs = self.pongs.borrow_mut();
        let at = pongs.iter().position(|(ping, _)| *ping == id)?;
        Some(pongs.swap_remove(at).1)
    }

    /// The session is over: streams that nobody has fetched are dead.
    pub(crate) fn clear_streams(&self) {
        self.bidirectional.take();
        self.unidirectional.take();
    }
}

fn put<T>(queue: &RefCell<VecDeque<T>>, stream: T) -> Result<(), T> {
    let mut queue = queue.borrow_mut();
    if queue.len() >= MAX_STREAMS {
        return Err(stream);
    }
    queue.push_back(stream);
    Ok(())
}

/// Streams of each kind that wait to be accepted: as many as our SETTINGS let a peer have open.
const MAX_STREAMS: usize = 64;
/// Datagrams that wait to be received, about 1.2 MB: a burst while the page is busy for a second.
const MAX_DATAGRAMS: usize = 1024;
