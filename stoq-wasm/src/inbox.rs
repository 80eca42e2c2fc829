//! What has come for the user and waits to be fetched.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use bytes::Bytes;
use js_sys::Uint8Array;
use stoq_core::channel::ChannelId;
use stoq_core::frame::{Stats, Token};
use stoq_core::hops::HopChain;
use stoq_core::session::PingId;
use stoq_core::stream::Direction;
use stoq_core::{Code, SessionHash};
use web_sys::{WebTransportBidirectionalStream, WebTransportReceiveStream};

use crate::incoming::{Arrival, Incoming};
use crate::js::Counter;
use crate::messages::Messages;
use crate::signal::Signal;

/// Queues and facts of one session. All are bounded.
pub(crate) struct Inbox {
    pub(crate) opened: RefCell<Option<Opened>>,
    pub(crate) hops: RefCell<Option<HopChain>>,
    bidirectional: Streams<WebTransportBidirectionalStream>,
    unidirectional: Streams<WebTransportReceiveStream>,
    pub(crate) datagrams: RefCell<VecDeque<Uint8Array>>,
    /// Datagrams with a token, which nobody has checked yet.
    pub(crate) sealed: RefCell<VecDeque<(Token, Bytes)>>,
    pub(crate) dropped_datagrams: Counter,
    pub(crate) messages: Messages,
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
    /// An empty one, which notifies `news` when there is room again for a stream.
    pub(crate) fn new(news: &Signal) -> Self {
        Self {
            opened: RefCell::default(),
            hops: RefCell::default(),
            bidirectional: Streams::new(news),
            unidirectional: Streams::new(news),
            datagrams: RefCell::default(),
            sealed: RefCell::default(),
            dropped_datagrams: Counter::default(),
            messages: Messages::default(),
            pongs: RefCell::default(),
            ping_rtt: Cell::default(),
            path: Cell::default(),
            going_away: RefCell::default(),
        }
    }

    /// A place for one more stream of the peer, if there is one.
    pub(crate) fn place(&self, direction: Direction) -> Option<Place> {
        let limit = match *self.opened.borrow() {
            Some(_) => MAX_STREAMS,
            None => MAX_EARLY_STREAMS,
        };
        match direction {
            Direction::Bidirectional => self.bidirectional.room.place(limit),
            Direction::Unidirectional => self.unidirectional.room.place(limit),
        }
    }

    /// Takes a stream of the peer, which has its place, and a channel if it is a verified one.
    pub(crate) fn put_stream(&self, arrival: Arrival, channel: Option<ChannelId>) {
        let Arrival { stream, place } = arrival;
        match stream {
            Incoming::Bidirectional(stream) => self.bidirectional.put(stream, channel, place),
            Incoming::Unidirectional(stream) => self.unidirectional.put(stream, channel, place),
        }
    }

    /// The first raw bidirectional stream that waits.
    pub(crate) fn take_bidirectional(&self) -> Option<WebTransportBidirectionalStream> {
        self.bidirectional.take_raw()
    }

    /// The first raw unidirectional stream that waits.
    pub(crate) fn take_unidirectional(&self) -> Option<WebTransportReceiveStream> {
        self.unidirectional.take_raw()
    }

    /// The first verified bidirectional stream that waits.
    pub(crate) fn take_verified_bidirectional(
        &self,
    ) -> Option<(WebTransportBidirectionalStream, ChannelId)> {
        self.bidirectional.take_verified()
    }

    /// The first verified unidirectional stream that waits.
    pub(crate) fn take_verified_unidirectional(
        &self,
    ) -> Option<(WebTransportReceiveStream, ChannelId)> {
        self.unidirectional.take_verified()
    }

    /// Takes a datagram; the oldest makes room if too many wait.
    pub(crate) fn put_datagram(&self, payload: &Bytes) {
        self.put(&self.datagrams, Uint8Array::from(&payload[..]));
    }

    /// As [`put_datagram`](Self::put_datagram), one with a token.
    pub(crate) fn put_sealed(&self, token: Token, data: Bytes) {
        self.put(&self.sealed, (token, data));
    }

    fn put<T>(&self, queue: &RefCell<VecDeque<T>>, datagram: T) {
        let mut queue = queue.borrow_mut();
        if queue.len() >= MAX_DATAGRAMS {
            queue.pop_front();
            self.dropped_datagrams.add();
        }
        queue.push_back(datagram);
    }

    /// The answer to a ping, if it has come.
    pub(crate) fn take_pong(&self, id: PingId) -> Option<Duration> {
        let mut pongs = self.pongs.borrow_mut();
        let at = pongs.iter().position(|(ping, _)| *ping == id)?;
        Some(pongs.swap_remove(at).1)
    }

    /// The session is over: streams that nobody has fetched are dead.
    pub(crate) fn clear_streams(&self) {
        self.bidirectional.waiting.take();
        self.unidirectional.waiting.take();
    }
}

/// The peer's streams of one kind that wait to be accepted.
struct Streams<T> {
    waiting: RefCell<Vec<Waiting<T>>>,
    room: Room,
}

struct Waiting<T> {
    stream: T,
    /// Of a verified one.
    channel: Option<ChannelId>,
    _place: Place,
}

impl<T> Streams<T> {
    fn new(news: &Signal) -> Self {
        Self {
            waiting: RefCell::default(),
            room: Room {
                taken: Rc::default(),
                news: news.clone(),
            },
        }
    }

    fn put(&self, stream: T, channel: Option<ChannelId>, place: Place) {
        self.waiting.borrow_mut().push(Waiting {
            stream,
            channel,
            _place: place,
        });
    }

    fn take_raw(&self) -> Option<T> {
        Some(self.take(false)?.stream)
    }

    fn take_verified(&self) -> Option<(T, ChannelId)> {
        let Waiting {
            stream, channel, ..
        } = self.take(true)?;
        Some((stream, channel?))
    }

    fn take(&self, verified: bool) -> Option<Waiting<T>> {
        let mut waiting = self.waiting.borrow_mut();
        let is_wanted = |stream: &Waiting<T>| stream.channel.is_some() == verified;
        let at = waiting.iter().position(is_wanted)?;
        Some(waiting.remove(at))
    }
}

/// Counts the streams of one kind between the browser and the user. Clones are the same room.
#[derive(Clone)]
struct Room {
    taken: Rc<Cell<usize>>,
    news: Signal,
}

impl Room {
    fn place(&self, limit: usize) -> Option<Place> {
        let taken = self.taken.get();
        (taken < limit).then(|| {
            self.taken.set(taken + 1);
            Place(self.clone())
        })
    }
}

/// What a stream needs from before it is taken from the browser until it is accepted, or turned out to be for nobody.
pub(crate) struct Place(Room);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.news.notify();
    }
}

/// Streams of each direction that wait to be accepted: as many as our SETTINGS let a peer have open. The others stay with the
/// browser, whose limit of open streams then holds the peer back.
///
/// Raw and verified ones share them, because which it is shows when a stream has been taken from the browser and its first byte
/// read: with places of their own for those that were read, the next one that cannot be known would still stand in the way, only
/// later. So a page that accepts one kind only, of a peer that opens both, should accept and stop the other. Announcing streams
/// take no place.
const MAX_STREAMS: usize = 64;
/// Streams of each kind that are taken from the browser before the session is open: together no more than the 16 that the
/// machine holds. The peer's control stream is among the first, as a server opens others when it has answered on it.
const MAX_EARLY_STREAMS: usize = 8;
/// Datagrams of each kind, with a token and without, that wait to be received, about 1.2 MB: a burst while the page is busy for a second.
const MAX_DATAGRAMS: usize = 1024;
