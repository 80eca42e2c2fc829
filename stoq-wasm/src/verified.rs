//! Verified streams: what arrives is held against the signatures of those whom the page named, what is sent has tokens, so that
//! the other end finds out what was changed on the way.

mod datagrams;
mod held;
mod options;
mod receive;

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{OnceCell, RefCell};

use js_sys::Promise;
use stoq_core::Code;
use stoq_core::channel::{ChannelId, Opener, Sent};
use stoq_core::stream::Direction;
use stoq_core::token::{Flow, Scope};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, WebTransportBidirectionalStream, WritableStream};

pub(crate) use datagrams::DatagramHalf;
pub use datagrams::VerifiedDatagrams;
pub(crate) use held::Held;
pub(crate) use options::Options;
pub(crate) use receive::VerifiedHalf;

use crate::driver::Handle;
use crate::error::Error;
use crate::hash::hex;
use crate::seal::{Seal, impossible};
use crate::stream::SendStream;
use crate::{js, whatwg};

/// A verified stream in both directions.
#[wasm_bindgen]
pub struct VerifiedBidirectionalStream {
    channel: ChannelId,
    send: SendStream,
    receive: VerifiedReceiveStream,
    // What the getters return, so that it is the same object each time.
    send_object: OnceCell<JsValue>,
    receive_object: OnceCell<JsValue>,
}

impl VerifiedBidirectionalStream {
    pub(crate) fn new(
        handle: &Rc<Handle>,
        stream: &WebTransportBidirectionalStream,
        channel: ChannelId,
        options: Options,
        opened: bool,
    ) -> Result<Self, Error> {
        // Who opens a stream asks: it may say all that it has to say before it hears anything.
        let whole = opened && !options.partial;
        // Without origins nobody's signature is looked at.
        let sent = (!options.origins.is_empty()).then(Rc::<RefCell<Sent>>::default);
        let kind = Direction::Bidirectional;
        let scope = scope(handle, channel, kind, Flow::ToTarget);
        let seal = Seal::new(scope, options.algorithm, sent.clone(), whole)?;
        Ok(Self {
            channel,
            send: SendStream::new(handle, &stream.writable(), Some(seal))?,
            receive: VerifiedReceiveStream::new(
                handle,
                &stream.readable(),
                (channel, kind),
                options,
                sent.unwrap_or_default(),
            ),
            send_object: OnceCell::new(),
            receive_object: OnceCell::new(),
        })
    }

    pub(crate) fn write_header(&self) {
        let channel = Some(self.channel);
        self.send.write_header(Direction::Bidirectional, channel);
    }
}

#[wasm_bindgen]
impl VerifiedBidirectionalStream {
    /// The direction to the peer.
    #[wasm_bindgen(getter)]
    pub fn send(&self) -> JsValue {
        let object = self.send_object.get_or_init(|| self.send.clone().into());
        object.clone()
    }

    /// The direction from the peer.
    #[wasm_bindgen(getter)]
    pub fn receive(&self) -> JsValue {
        let object = self
            .receive_object
            .get_or_init(|| self.receive.clone().into());
        object.clone()
    }

    /// Short for `receive.readable`.
    #[wasm_bindgen(getter)]
    pub fn readable(&self) -> ReadableStream {
        self.receive.readable()
    }

    /// Short for `send.writable`.
    #[wasm_bindgen(getter)]
    pub fn writable(&self) -> WritableStream {
        self.send.writable()
    }

    /// The channel's name, 32 hexadecimal digits.
    #[wasm_bindgen(getter)]
    pub fn channel(&self) -> String {
        hex(self.channel.as_bytes())
    }
}

/// The receiving direction of a verified stream. Dropping the last reference to one that has not ended stops it with
/// [`Code::CANCELLED`].
#[wasm_bindgen]
#[derive(Clone)]
pub struct VerifiedReceiveStream(Rc<ReceiveSide>);

struct ReceiveSide {
    half: Rc<VerifiedHalf>,
    readable: OnceCell<ReadableStream>,
}

impl VerifiedReceiveStream {
    /// `sent` is what this end sends on the same channel.
    pub(crate) fn new(
        handle: &Rc<Handle>,
        stream: &ReadableStream,
        (channel, kind): (ChannelId, Direction),
        options: Options,
        sent: Rc<RefCell<Sent>>,
    ) -> Self {
        let scope = scope(handle, channel, kind, Flow::ToClient);
        let opener = Opener::new(scope, options.origins, options.delivery);
        Self(Rc::new(ReceiveSide {
            half: Rc::new(VerifiedHalf::new(handle, stream, opener, sent)),
            readable: OnceCell::new(),
        }))
    }
}

#[wasm_bindgen]
impl VerifiedReceiveStream {
    /// The stream for `for await`.
    #[wasm_bindgen(getter)]
    pub fn readable(&self) -> ReadableStream {
        self.0
            .readable
            .get_or_init(|| whatwg::items(self.0.half.clone()))
            .clone()
    }

    /// The next item, or `undefined` after the last.
    pub fn read(&self) -> Promise {
        let half = self.0.half.clone();
        js::promise(async move { Ok(half.read().await?.unwrap_or(JsValue::UNDEFINED)) })
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

/// Where tokens of this channel are at home. A page is always the session's client.
pub(crate) fn scope(handle: &Handle, channel: ChannelId, kind: Direction, flow: Flow) -> Scope {
    Scope {
        session: handle.opened.hash,
        flow,
        kind,
        channel,
    }
}
