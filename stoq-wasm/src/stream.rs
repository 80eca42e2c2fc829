//! The streams that a page holds: the browser's own, from behind their header on.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use js_sys::{Promise, Uint8Array};
use stoq_core::stream::{Direction, Payload};
use stoq_core::{Code, SessionId, StreamHeader};
use wasm_bindgen::prelude::*;
use web_sys::{
    ReadableStream, ReadableStreamDefaultReader, WebTransportBidirectionalStream, WritableStream,
    WritableStreamDefaultWriter,
};

use crate::driver::Handle;
use crate::error::Error;
use crate::{js, whatwg};

/// A stream in both directions.
#[wasm_bindgen]
pub struct BidirectionalStream {
    sending: Rc<SendSide>,
    receiving: Rc<ReceiveSide>,
    send: JsValue,
    receive: JsValue,
}

impl BidirectionalStream {
    pub(crate) fn new(
        handle: &Rc<Handle>,
        stream: &WebTransportBidirectionalStream,
    ) -> Result<Self, Error> {
        let send = SendStream::new(handle, &stream.writable())?;
        let receive = ReceiveStream::new(handle, &stream.readable());
        Ok(Self {
            sending: send.0.clone(),
            receiving: receive.0.clone(),
            send: send.into(),
            receive: receive.into(),
        })
    }

    pub(crate) fn write_header(&self) {
        self.sending.half.write_header(Direction::Bidirectional);
    }
}

#[wasm_bindgen]
impl BidirectionalStream {
    /// The direction to the peer.
    #[wasm_bindgen(getter)]
    pub fn send(&self) -> JsValue {
        self.send.clone()
    }

    /// The direction from the peer.
    #[wasm_bindgen(getter)]
    pub fn receive(&self) -> JsValue {
        self.receive.clone()
    }

    /// Short for `receive.readable`.
    #[wasm_bindgen(getter)]
    pub fn readable(&self) -> ReadableStream {
        self.receiving.readable()
    }

    /// Short for `send.writable`.
    #[wasm_bindgen(getter)]
    pub fn writable(&self) -> WritableStream {
        self.sending.writable()
    }
}

/// The sending direction of a stream. Dropping the last reference to one that was not ended resets it with
/// [`Code::CANCELLED`].
#[wasm_bindgen]
pub struct SendStream(Rc<SendSide>);

impl SendStream {
    pub(crate) fn new(handle: &Rc<Handle>, stream: &WritableStream) -> Result<Self, Error> {
        let writer = stream
            .get_writer()
            .map_err(|thrown| Error::new(Code::INTERNAL, js::text(&thrown)))?;
        let half = SendHalf {
            handle: handle.clone(),
            writer,
            ended: Cell::new(None),
        };
        Ok(Self(Rc::new(SendSide {
            half: Rc::new(half),
            writable: OnceCell::new(),
        })))
    }

    pub(crate) fn write_header(&self, direction: Direction) {
        self.0.half.write_header(direction);
    }
}

#[wasm_bindgen]
impl SendStream {
    /// The stream for `pipeTo`.
    #[wasm_bindgen(getter)]
    pub fn writable(&self) -> WritableStream {
        self.0.writable()
    }

    /// Sends bytes; resolves when there is room for more.
    pub fn write(&self, data: JsValue) -> Promise {
        let half = self.0.half.clone();
        js::done(async move { half.write(&data).await })
    }

    /// Says that this was all.
    pub fn finish(&self) -> Promise {
        let half = self.0.half.clone();
        js::done(async move { half.finish().await })
    }

    /// Gives up with a code.
    pub fn reset(&self, code: JsValue) -> Promise {
        let half = self.0.half.clone();
        js::done(async move {
            let code = js::code_argument(&code)?.unwrap_or(Code::CANCELLED);
            half.reset(code).await
        })
    }
}

/// The receiving direction of a stream. Dropping the last reference to one that has not ended stops it with
/// [`Code::CANCELLED`].
#[wasm_bindgen]
pub struct ReceiveStream(Rc<ReceiveSide>);

impl ReceiveStream {
    pub(crate) fn new(handle: &Rc<Handle>, stream: &ReadableStream) -> Self {
        let reader = stream.get_reader().unchecked_into();
        let half = ReceiveHalf {
            handle: handle.clone(),
            reader,
            ended: Cell::new(false),
        };
        Self(Rc::new(ReceiveSide {
            half: Rc::new(half),
            readable: OnceCell::new(),
        }))
    }
}

#[wasm_bindgen]
impl ReceiveStream {
    /// The stream for `pipeTo` and `for await`.
    #[wasm_bindgen(getter)]
    pub fn readable(&self) -> ReadableStream {
        self.0.readable()
    }

    /// The next bytes, or `undefined` after the last.
    pub fn read(&self) -> Promise {
        let half = self.0.half.clone();
        js::promise(async move { Ok(half.read().await?.map_or(JsValue::UNDEFINED, JsValue::from)) })
    }

    /// Wants no more.
    pub fn stop(&self, code: JsValue) -> Promise {
        let half = self.0.half.clone();
        js::done(async move {
            let code = js::code_argument(&code)?.unwrap_or(Code::CANCELLED);
            half.stop(code).await
        })
    }
}

/// What the classes share: the half, and its WHATWG stream once a page has asked for it. The stream refers to the half
/// only, so that there is no circle.
struct SendSide {
    half: Rc<SendHalf>,
    writable: OnceCell<WritableStream>,
}

impl SendSide {
    fn writable(&self) -> WritableStream {
        self.writable
            .get_or_init(|| whatwg::writable(self.half.clone()))
            .clone()
    }
}

/// As [`SendSide`].
struct ReceiveSide {
    half: Rc<ReceiveHalf>,
    readable: OnceCell<ReadableStream>,
}

impl ReceiveSide {
    fn readable(&self) -> ReadableStream {
        self.readable
            .get_or_init(|| whatwg::byte_stream(self.half.clone()))
            .clone()
    }
}

/// The browser's writable stream, and how we ended it.
pub(crate) struct SendHalf {
    handle: Rc<Handle>,
    writer: WritableStreamDefaultWriter,
    ended: Cell<Option<SendEnd>>,
}

#[derive(Clone, Copy)]
enum SendEnd {
    Finished,
    Reset(Code),
}

impl SendHalf {
    fn write_header(&self, direction: Direction) {
        let header = StreamHeader::Data {
            session: SessionId::ZERO,
            payload: Payload::Raw,
        };
        let mut bytes = Vec::with_capacity(header.encoded_len(direction));
        header.encode(direction, &mut bytes);
        // The writes of a stream keep their order, and one that fails makes the next one fail.
        js::ignore(self.writer.write_with_chunk(&Uint8Array::from(&bytes[..])));
    }

    /// Writes a chunk: the object itself goes to the browser.
    pub(crate) async fn write(&self, chunk: &JsValue) -> Result<(), Error> {
        self.usable()?;
        js::bytes_argument(chunk)?;
        self.outcome(self.writer.write_with_chunk(chunk)).await
    }

    pub(crate) async fn finish(&self) -> Result<(), Error> {
        self.usable()?;
        self.ended.set(Some(SendEnd::Finished));
        self.outcome(self.writer.close()).await
    }

    /// Resets the stream, if there is anything left to reset.
    pub(crate) async fn reset(&self, code: Code) -> Result<(), Error> {
        self.ended.set(Some(SendEnd::Reset(code)));
        let aborted = self.writer.abort_with_reason(&js::stream_error(code));
        // It fails where the stream has failed before: the peer knows by then.
        let _ = self.handle.ending.settle(aborted).await;
        Ok(())
    }

    /// Resolves with the reason why the peer wants no more, as soon as the browser knows it; `None` if this side ended the
    /// stream. It keeps neither the stream nor the session.
    pub(crate) fn stopped(self: &Rc<Self>) -> impl Future<Output = Option<Error>> + use<> {
        let (half, driver) = (Rc::downgrade(self), Rc::clone(&self.handle));
        let closed = self.writer.closed();
        async move {
            let broken = driver.ending.settle(closed).await.err()?;
            if half.upgrade().is_none_or(|half| half.ended.get().is_some()) {
                return None;
            }
            Some(driver.ending.explain(broken, STOPPED).await)
        }
    }

    fn usable(&self) -> Result<(), Error> {
        match self.ended.get() {
            None => self.handle.ending.alive(),
            Some(SendEnd::Finished) => Err(Error::argument("the stream has been finished")),
            Some(SendEnd::Reset(code)) => Err(Error::new(code, WE_RESET)),
        }
    }

    async fn outcome(&self, promise: Promise) -> Result<(), Error> {
        match (self.handle.ending.settle(promise).await, self.ended.get()) {
            (Ok(_), _) => Ok(()),
            (Err(_), Some(SendEnd::Reset(code))) => Err(Error::new(code, WE_RESET)),
            (Err(broken), _) => Err(self.handle.ending.explain(broken, STOPPED).await),
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if self.ended.get().is_none() {
            js::ignore(
                self.writer
                    .abort_with_reason(&js::stream_error(Code::CANCELLED)),
            );
        }
    }
}

/// The browser's readable stream, and whether it has ended.
pub(crate) struct ReceiveHalf {
    handle: Rc<Handle>,
    reader: ReadableStreamDefaultReader,
    ended: Cell<bool>,
}

impl ReceiveHalf {
    /// The next chunk: the object itself comes from the browser.
    pub(crate) async fn read(&self) -> Result<Option<Uint8Array>, Error> {
        match self.handle.next(&self.reader).await {
            Ok(chunk) => {
                self.ended.set(self.ended.get() || chunk.is_none());
                Ok(chunk.map(JsCast::unchecked_into))
            }
            Err(broken) => {
                self.ended.set(true);
                Err(self
                    .handle
                    .ending
                    .explain(broken, "the peer reset the stream")
                    .await)
            }
        }
    }

    /// Stops the stream, if it has not ended.
    pub(crate) async fn stop(&self, code: Code) -> Result<(), Error> {
        self.ended.set(true);
        let cancelled = self.reader.cancel_with_reason(&js::stream_error(code));
        let _ = self.handle.ending.settle(cancelled).await;
        Ok(())
    }
}

impl Drop for ReceiveHalf {
    fn drop(&mut self) {
        if !self.ended.get() {
            js::ignore(
                self.reader
                    .cancel_with_reason(&js::stream_error(Code::CANCELLED)),
            );
        }
    }
}

const STOPPED: &str = "the peer stopped the stream";
const WE_RESET: &str = "the stream has been reset";
