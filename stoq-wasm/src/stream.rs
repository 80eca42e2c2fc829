//! The streams that a page holds: the browser's own, from behind their header on.

mod receive;
mod send;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::OnceCell;

use js_sys::Promise;
use stoq_core::channel::ChannelId;
use stoq_core::stream::{Direction, Payload};
use stoq_core::{Code, SessionId, StreamHeader};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, WebTransportBidirectionalStream, WritableStream};

pub(crate) use receive::ReceiveHalf;
pub(crate) use send::SendHalf;

use crate::driver::Handle;
use crate::error::Error;
use crate::seal::Seal;
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
        let send = SendStream::new(handle, &stream.writable(), None)?;
        let receive = ReceiveStream::new(handle, &stream.readable());
        Ok(Self {
            sending: send.0.clone(),
            receiving: receive.0.clone(),
            send: send.into(),
            receive: receive.into(),
        })
    }

    pub(crate) fn write_header(&self) {
        let header = header(Direction::Bidirectional, None);
        self.sending.half.begin(&header);
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
#[derive(Clone)]
pub struct SendStream(Rc<SendSide>);

impl SendStream {
    /// One whose data has tokens, if there is a seal.
    pub(crate) fn new(
        handle: &Rc<Handle>,
        stream: &WritableStream,
        seal: Option<Seal>,
    ) -> Result<Self, Error> {
        Ok(Self(Rc::new(SendSide {
            half: Rc::new(SendHalf::new(handle, stream, seal)?),
            writable: OnceCell::new(),
        })))
    }

    /// Says what the stream is, and of a verified one which channel.
    pub(crate) fn write_header(&self, direction: Direction, channel: Option<ChannelId>) {
        self.0.half.begin(&header(direction, channel));
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
        let half = ReceiveHalf::new(handle, stream);
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

/// What a stream of ours begins with.
fn header(direction: Direction, channel: Option<ChannelId>) -> Vec<u8> {
    let header = StreamHeader::Data {
        session: SessionId::ZERO,
        payload: match channel {
            Some(_) => Payload::Framed,
            None => Payload::Raw,
        },
    };
    let mut bytes = Vec::with_capacity(StreamHeader::MAX_LEN + ChannelId::LEN);
    header.encode(direction, &mut bytes);
    if let Some(channel) = channel {
        bytes.extend_from_slice(channel.as_bytes());
    }
    bytes
}
