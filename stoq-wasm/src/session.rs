//! The session that a page holds.

mod hops;
mod verified;

use alloc::borrow::ToOwned;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::time::Duration;

use js_sys::Promise;
use stoq_core::stream::Direction;
use stoq_core::tier::Tier;
use stoq_core::{Code, ServiceName};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, WebTransport};

use crate::datagrams::{DatagramChannel, Datagrams};
use crate::driver::Handle;
use crate::ending::Ended;
use crate::error::Error;
use crate::inbox::GoingAway;
use crate::messages::MessageChannel;
pub(crate) use hops::address;

use crate::stream::{BidirectionalStream, ReceiveStream, SendStream};
use crate::{js, seeds, whatwg, word};

/// A session with a service: any number of streams, datagrams, and one end.
#[wasm_bindgen]
pub struct Session {
    handle: Rc<Handle>,
    url: String,
    service: ServiceName,
    security: JsValue,
    channel: Rc<DatagramChannel>,
    messages: Rc<MessageChannel>,
    // What the getters return, so that it is the same object each time.
    datagrams: OnceCell<JsValue>,
    verified_datagrams: OnceCell<JsValue>,
    hops: OnceCell<JsValue>,
    incoming_messages: OnceCell<ReadableStream>,
    seeds: OnceCell<ReadableStream>,
    closed: OnceCell<Promise>,
    draining: OnceCell<Promise>,
}

impl Session {
    pub(crate) fn new(
        handle: Handle,
        url: String,
        service: ServiceName,
        security: JsValue,
    ) -> Self {
        let handle = Rc::new(handle);
        let channel = DatagramChannel::new(handle.clone());
        Self {
            messages: MessageChannel::new(handle.clone(), channel.clone()),
            channel,
            handle,
            url,
            service,
            security,
            datagrams: OnceCell::new(),
            verified_datagrams: OnceCell::new(),
            hops: OnceCell::new(),
            incoming_messages: OnceCell::new(),
            seeds: OnceCell::new(),
            closed: OnceCell::new(),
            draining: OnceCell::new(),
        }
    }
}

#[wasm_bindgen]
impl Session {
    /// The URL it was opened with.
    #[wasm_bindgen(getter)]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The name of the service.
    #[wasm_bindgen(getter)]
    pub fn service(&self) -> String {
        self.service.as_str().to_owned()
    }

    /// What was verified of the gateway before connecting; `null` if nothing was pinned.
    #[wasm_bindgen(getter)]
    pub fn security(&self) -> JsValue {
        self.security.clone()
    }

    /// The session hash, 32 bytes.
    #[wasm_bindgen(getter)]
    pub fn hash(&self) -> Vec<u8> {
        self.handle.opened.hash.as_bytes().to_vec()
    }

    /// The relays between here and the service, in their own words.
    #[wasm_bindgen(getter)]
    pub fn hops(&self) -> JsValue {
        self.hops
            .get_or_init(|| hops::to_js(self.handle.inbox.hops.borrow().as_ref()))
            .clone()
    }

    /// The largest datagram that fits the whole path now.
    #[wasm_bindgen(getter, js_name = maxDatagramSize)]
    pub fn max_datagram_size(&self) -> u32 {
        self.channel.max_size()
    }

    /// The datagrams of the session.
    #[wasm_bindgen(getter)]
    pub fn datagrams(&self) -> JsValue {
        self.datagrams
            .get_or_init(|| Datagrams::new(self.channel.clone()).into())
            .clone()
    }

    /// The largest message that can be sent now with the parity that is chosen for it.
    #[wasm_bindgen(getter, js_name = maxMessageSize)]
    pub fn max_message_size(&self) -> u32 {
        self.messages.max_size()
    }

    /// Sends a message in shards.
    #[wasm_bindgen(js_name = sendMessage)]
    pub fn send_message(&self, data: JsValue, options: JsValue) -> Promise {
        let messages = self.messages.clone();
        js::done(async move { messages.send(&data, &options).await })
    }

    /// The peer's messages, one a chunk.
    #[wasm_bindgen(getter)]
    pub fn messages(&self) -> ReadableStream {
        self.incoming_messages
            .get_or_init(|| whatwg::messages_in(self.handle.clone()))
            .clone()
    }

    /// What the far end announces, one event a chunk.
    #[wasm_bindgen(getter)]
    pub fn seeds(&self) -> ReadableStream {
        self.seeds
            .get_or_init(|| whatwg::seed_events(self.handle.clone()))
            .clone()
    }

    /// Announces who holds a content.
    #[wasm_bindgen(js_name = sendSeed)]
    pub fn send_seed(&self, seed: JsValue) -> Promise {
        let handle = self.handle.clone();
        js::done(async move { handle.announce(&seeds::argument(&seed)?).await })
    }

    /// Resolves with how the session ended.
    #[wasm_bindgen(getter)]
    pub fn closed(&self) -> Promise {
        self.closed
            .get_or_init(|| js::promise(closed(self.handle.clone())))
            .clone()
    }

    /// Resolves when the peer wants to wind up; stays pending if the session ends without.
    #[wasm_bindgen(getter)]
    pub fn draining(&self) -> Promise {
        self.draining
            .get_or_init(|| draining(self.handle.clone()))
            .clone()
    }

    /// Opens a stream in both directions.
    #[wasm_bindgen(js_name = openBidirectionalStream)]
    pub fn open_bidirectional_stream(&self) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let stream = handle
                .open_stream(WebTransport::create_bidirectional_stream)
                .await?;
            let stream = BidirectionalStream::new(&handle, &stream)?;
            stream.write_header();
            Ok(stream)
        })
    }

    /// Opens a stream from here to the peer.
    #[wasm_bindgen(js_name = openUnidirectionalStream)]
    pub fn open_unidirectional_stream(&self) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let stream = handle
                .open_stream(WebTransport::create_unidirectional_stream)
                .await?;
            let stream = SendStream::new(&handle, &stream, None)?;
            stream.write_header(Direction::Unidirectional, None);
            Ok(stream)
        })
    }

    /// The next stream that the peer opened in both directions.
    #[wasm_bindgen(js_name = acceptBidirectionalStream)]
    pub fn accept_bidirectional_stream(&self) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let stream = handle.accept_bidirectional().await?;
            BidirectionalStream::new(&handle, &stream)
        })
    }

    /// The next stream that the peer opened from there to here.
    #[wasm_bindgen(js_name = acceptUnidirectionalStream)]
    pub fn accept_unidirectional_stream(&self) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let stream = handle.accept_unidirectional().await?;
            Ok(ReceiveStream::new(&handle, &stream.into()))
        })
    }

    /// The round-trip time to the nearest neighbour, in milliseconds.
    pub fn ping(&self) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move { handle.ping().await.map(milliseconds) })
    }

    /// Counters, as they stand now.
    pub fn stats(&self) -> JsValue {
        let (counters, inbox) = (&self.handle.counters, &self.handle.inbox);
        let path = inbox.path.get().map(|stats| {
            let tier = Tier::from_number(stats.tier).map(Tier::name);
            let path = js::object(&[
                ("rtt", milliseconds(stats.rtt).into()),
                ("rttVariation", milliseconds(stats.rtt_variation).into()),
                ("lostPackets", js::number(stats.lost_packets)),
                ("congestionWindow", js::number(stats.congestion_window)),
                ("sendRate", js::number(stats.send_rate)),
                ("tier", tier.into()),
            ]);
            JsValue::from(path)
        });
        let ping_rtt = inbox.ping_rtt.get().map(milliseconds);
        let stats = js::object(&[
            ("sentDatagrams", counters.sent_datagrams.get().into()),
            (
                "receivedDatagrams",
                counters.received_datagrams.get().into(),
            ),
            ("droppedDatagrams", self.handle.dropped_datagrams().into()),
            ("streamsOpened", counters.streams_opened.get().into()),
            ("streamsAccepted", counters.streams_accepted.get().into()),
            ("refused", self.handle.channels.refusals().into()),
            ("messages", self.messages.stats().into()),
            ("pingRtt", ping_rtt.into()),
            ("path", path.unwrap_or(JsValue::UNDEFINED)),
        ]);
        stats.into()
    }

    /// Closes the session, and resolves with how it ended.
    pub fn close(&self, info: JsValue) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let info = CloseRequest::from_js(&info)?;
            handle.close(info.code, &info.reason);
            closed(handle).await
        })
    }
}

async fn closed(handle: Rc<Handle>) -> Result<JsValue, Error> {
    let Ended { code, reason } = handle.ending.wait().await;
    let info = js::object(&[
        ("code", code.value().into()),
        ("name", word(*code).into()),
        ("reason", reason.into()),
    ]);
    Ok(info.into())
}

fn draining(handle: Rc<Handle>) -> Promise {
    Promise::new(&mut |resolve, _| {
        // Not the handle: waiting for the peer to wind up keeps no session open.
        let driver = Rc::clone(&handle);
        js::spawn(async move {
            if let Ok(GoingAway {
                code,
                grace,
                authority,
            }) = driver.going_away().await
            {
                let info = js::object(&[
                    ("code", code.value().into()),
                    ("name", word(code).into()),
                    ("grace", milliseconds(grace).into()),
                    ("authority", authority.into()),
                ]);
                let _ = resolve.call1(&JsValue::UNDEFINED, &info);
            }
        });
    })
}

/// What `close` was asked for.
struct CloseRequest {
    code: Code,
    reason: String,
}

impl CloseRequest {
    fn from_js(info: &JsValue) -> Result<Self, Error> {
        js::options_argument(info)?;
        let reason = js::get(info, "reason");
        if !reason.is_undefined() && !reason.is_string() {
            return Err(Error::argument("the reason of a close is text"));
        }
        Ok(Self {
            code: js::code_argument(&js::get(info, "code"))?.unwrap_or(Code::NO_ERROR),
            reason: reason.as_string().unwrap_or_default(),
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
