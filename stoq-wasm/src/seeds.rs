//! Seeds: what a page announces, and what the far end announces to it.

mod value;

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use js_sys::Uint8Array;
use stoq_core::announce::Announcements;
use stoq_core::frame::Frame;
use stoq_core::seeds::Limits;
use stoq_core::stream::{Direction, Payload};
use stoq_core::time::Timestamp;
use stoq_core::{Code, SessionId, StreamHeader};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStreamDefaultReader, WebTransport, WritableStreamDefaultWriter};

use crate::driver::Driver;
use crate::error::Error;
use crate::incoming::Arrival;
use crate::js;
use crate::line::Line;

/// Both announcing streams of a session.
pub(crate) struct Seeds {
    /// Those who announce.
    line: Line,
    /// Our stream, once there was something to announce.
    writer: RefCell<Option<WritableStreamDefaultWriter>>,
    /// The peer's stream, until somebody asks what is on it. Unread, it holds no more than its window.
    unread: RefCell<Option<ReadableStreamDefaultReader>>,
    asked: Cell<bool>,
    /// Whether nothing more can come from the peer.
    over: Cell<bool>,
    /// When what has been announced is no more than one seed an interval.
    paid: Cell<Timestamp>,
    announced: RefCell<Announcements>,
    /// Why nothing more is announced.
    failed: RefCell<Option<Error>>,
}

impl Default for Seeds {
    fn default() -> Self {
        Self {
            line: Line::default(),
            writer: RefCell::default(),
            unread: RefCell::default(),
            asked: Cell::new(false),
            over: Cell::new(false),
            paid: Cell::default(),
            announced: RefCell::new(Announcements::new(Limits::default())),
            failed: RefCell::default(),
        }
    }
}

/// The seed that a page gave, as a frame.
pub(crate) fn argument(value: &JsValue) -> Result<BytesMut, Error> {
    let frame = Frame::Seed(value::from_js(value)?);
    frame
        .check()
        .map_err(|error| Error::argument(error.to_string()))?;
    // As the machine does: frames written into anything else would be compiled anew.
    let mut bytes = BytesMut::with_capacity(frame.encoded_len());
    frame.encode(&mut bytes);
    Ok(bytes)
}

impl Seeds {
    /// The next frame for who verifies datagrams.
    pub(crate) fn next_signature(&self) -> Option<Bytes> {
        self.announced.borrow_mut().next_signature()
    }

    /// Whether the peer's announcements have ended, before the session or with it.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// How long the next seed has to wait, so that the peer takes it.
    fn wait(&self) -> Duration {
        let ahead = self.paid.get().saturating_since(js::now());
        ahead.saturating_sub(INTERVAL * (BURST - 1))
    }
}

impl Driver {
    /// Writes a seed to our announcing stream, in the order of the calls, and no faster than the peer takes them; opens it
    /// before the first.
    pub(crate) async fn announce(&self, frames: &[u8]) -> Result<(), Error> {
        let seeds = &self.seeds;
        let _turn = seeds.line.turn().await;
        if !seeds.wait().is_zero() {
            self.ending.pause(seeds.wait()).await;
        }
        self.ending.alive()?;
        seeds.paid.set(seeds.paid.get().max(js::now()) + INTERVAL);
        let opened = seeds.writer.borrow().clone();
        let mut bytes = Vec::new();
        let writer = match opened {
            Some(writer) => writer,
            None => {
                let stream = self
                    .open_unseen(WebTransport::create_unidirectional_stream)
                    .await?;
                let writer = stream
                    .get_writer()
                    .map_err(|thrown| Error::new(Code::INTERNAL, js::text(&thrown)))?;
                HEADER.encode(Direction::Unidirectional, &mut bytes);
                seeds.writer.replace(Some(writer.clone()));
                writer
            }
        };
        bytes.extend_from_slice(frames);
        let written = writer.write_with_chunk(&Uint8Array::from(&bytes[..]));
        match self.ending.settle(written).await {
            Ok(_) => Ok(()),
            Err(broken) => Err(self
                .ending
                .explain(broken, "the peer stopped the announcements")
                .await),
        }
    }

    /// Takes the peer's announcing stream; the machine lets one pass.
    pub(crate) fn put_announcements(self: Rc<Self>, arrival: &Arrival) {
        let reader = arrival.readable().get_reader().unchecked_into();
        self.seeds.unread.replace(Some(reader));
        self.read_announcements();
    }

    /// What is next to be known of the contents that the peer announces. From the first time that this is asked, its
    /// announcements are read.
    pub(crate) async fn next_seed_event(self: Rc<Self>) -> Result<JsValue, Error> {
        let seeds = &self.seeds;
        self.clone().hear_announcements();
        loop {
            let look = || {
                let event = seeds.announced.borrow_mut().seeds().next_event();
                let ended = || self.ending.get().map(|ended| Err(ended.error()));
                let failed = || seeds.failed.borrow().clone().map(Err);
                event.map(Ok).or_else(ended).or_else(failed)
            };
            let due = seeds.announced.borrow_mut().seeds().next_due();
            let found = match due {
                None => {
                    // Until something comes that can expire.
                    let changed = || look().map(Some).or_else(|| self.is_due().then_some(None));
                    self.news.until(changed).await
                }
                Some(due) => {
                    let time = due.saturating_since(js::now());
                    self.news.within(time, look).await
                }
            };
            match found {
                Some(event) => return Ok(value::event_to_js(&event?)),
                None => seeds.announced.borrow_mut().seeds().tick(js::now()),
            }
        }
    }

    /// From now on the peer's announcements are read.
    pub(crate) fn hear_announcements(self: Rc<Self>) {
        self.seeds.asked.set(true);
        self.read_announcements();
    }

    fn is_due(&self) -> bool {
        let mut announced = self.seeds.announced.borrow_mut();
        announced.seeds().next_due().is_some()
    }

    /// Reads the peer's stream, if it is there and somebody has asked. Ends with the stream, or the session.
    fn read_announcements(self: Rc<Self>) {
        if self.seeds.asked.get()
            && let Some(reader) = self.seeds.unread.take()
        {
            js::spawn(async move {
                let failed = self.read_until_failure(&reader).await;
                self.seeds.failed.replace(failed);
                self.seeds.over.set(true);
                self.news.notify();
            });
        }
    }

    async fn read_until_failure(&self, reader: &ReadableStreamDefaultReader) -> Option<Error> {
        let announced = &self.seeds.announced;
        loop {
            match self.next(reader).await {
                Ok(Some(chunk)) => {
                    let bytes = chunk.unchecked_ref::<Uint8Array>().to_vec();
                    let fed = announced.borrow_mut().feed(js::now(), &bytes);
                    if let Err(error) = fed {
                        let reason = js::stream_error(error.code());
                        js::ignore(reader.cancel_with_reason(&reason));
                        return Some(Error::new(error.code(), error.to_string()));
                    }
                    self.news.notify();
                }
                Ok(None) => {
                    let error = announced.borrow().finish().err()?;
                    return Some(Error::new(error.code(), error.to_string()));
                }
                Err(broken) => {
                    let what = "the peer reset its announcements";
                    return Some(self.ending.explain(broken, what).await);
                }
            }
        }
    }
}

/// Seeds at once: half of what a peer takes by default. The other half is for what waits on the way and then comes at once.
const BURST: u32 = Limits::DEFAULT.burst / 2;
/// Between two seeds over time: half as many as a peer takes by default.
const INTERVAL: Duration = Duration::from_micros(2_000_000 / Limits::DEFAULT.per_second as u64);
const HEADER: StreamHeader = StreamHeader::Data {
    session: SessionId::ZERO,
    payload: Payload::Announce,
};
