//! Messages of a session, in shards.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::ToString;
use core::cell::{Cell, RefCell};

use bytes::{Bytes, BytesMut};
use js_sys::{Object, Uint8Array};
use stoq_core::datagram::Content;
use stoq_core::frame::Frame;
use stoq_core::shards::{Cutter, Limits, Loss, Parity, Plan, PlanError, Reassembly, Received};
use stoq_core::time::Timestamp;
use stoq_core::{Code, VarInt};
use wasm_bindgen::prelude::*;

use crate::datagrams::DatagramChannel;
use crate::driver::Handle;
use crate::error::Error;
use crate::js::{self, Counter};

/// What arrives in shards, and the messages that are whole and wait to be fetched.
pub(crate) struct Messages {
    shards: RefCell<Reassembly>,
    whole: RefCell<VecDeque<Uint8Array>>,
    /// Bytes in `whole`.
    waiting: Cell<u32>,
    dropped: Counter,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            shards: RefCell::new(Reassembly::new(Limits::default())),
            whole: RefCell::default(),
            waiting: Cell::default(),
            dropped: Counter::default(),
        }
    }
}

impl Messages {
    /// Takes the payload of a shard; if too much waits, the oldest messages make room for a new one.
    pub(crate) fn put(&self, payload: &Bytes) {
        let Ok(shard) = Content::shard(payload) else {
            return;
        };
        // What is dropped is counted there.
        let received = self.shards.borrow_mut().receive(js::now(), &shard);
        let Ok(Received::Message(message)) = received else {
            return;
        };
        let mut whole = self.whole.borrow_mut();
        whole.push_back(Uint8Array::from(&message.bytes[..]));
        let mut waiting = self.waiting.get() + message.bytes.len() as u32;
        while waiting > MAX_WAITING
            && let Some(oldest) = whole.pop_front()
        {
            waiting -= oldest.length();
            self.dropped.add();
        }
        self.waiting.set(waiting);
    }

    /// The oldest message that is whole.
    pub(crate) fn take(&self) -> Option<Uint8Array> {
        let message = self.whole.borrow_mut().pop_front()?;
        self.waiting.set(self.waiting.get() - message.length());
        Some(message)
    }

    /// Drops what did not become whole in time, and says when that is next to be done.
    pub(crate) fn expire(&self) -> Option<Timestamp> {
        let mut shards = self.shards.borrow_mut();
        shards.expire(js::now());
        shards.next_due()
    }
}

/// The way that the messages of a session take to the peer.
pub(crate) struct MessageChannel {
    handle: Rc<Handle>,
    datagrams: Rc<DatagramChannel>,
    /// How many ids have been taken.
    ids: Cell<u64>,
    sent: Counter,
}

impl MessageChannel {
    pub(crate) fn new(handle: Rc<Handle>, datagrams: Rc<DatagramChannel>) -> Rc<Self> {
        Rc::new(Self {
            handle,
            datagrams,
            ids: Cell::default(),
            sent: Counter::default(),
        })
    }

    /// The largest message that can be sent with a parity that follows the loss.
    pub(crate) fn max_size(&self) -> u32 {
        Plan::max_message_len(self.datagrams.max_content(), Parity::Auto) as u32
    }

    pub(crate) async fn send(&self, data: &JsValue, options: &JsValue) -> Result<(), Error> {
        let message = Bytes::from(js::bytes_argument(data)?.to_vec());
        let parity = parity(&js::get(options, "parity"))?;
        loop {
            self.handle.ending.alive()?;
            let room = self.datagrams.max_content();
            let plan = Plan::new(message.len(), room, parity, Loss::UNKNOWN).map_err(refusal)?;
            let id = self.ids.replace(self.ids.get() + 1);
            let id = VarInt::saturating(id.into());
            if self
                .send_shards(&Cutter::new(id, message.clone(), plan))
                .await?
            {
                self.sent.add();
                return Ok(());
            }
        }
    }

    /// Sends all shards; `false` if the path has come to carry less before enough had left to make up the message.
    async fn send_shards(&self, cutter: &Cutter) -> Result<bool, Error> {
        let mut content = BytesMut::new();
        for (sent, shard) in cutter.shards().enumerate() {
            content.clear();
            Frame::Shard(shard).encode(&mut content);
            if content.len() > self.datagrams.max_content() {
                return Ok(sent >= cutter.plan().data().into());
            }
            let content = Uint8Array::from(&content[..]);
            self.datagrams.send_content(&content).await?;
        }
        Ok(true)
    }

    /// What `stats` says of messages.
    pub(crate) fn stats(&self) -> Object {
        let messages = &self.handle.inbox.messages;
        let counters = messages.shards.borrow().counters();
        js::object(&[
            ("sent", self.sent.get().into()),
            ("received", js::number(counters.delivered)),
            ("dropped", messages.dropped.get().into()),
            ("evicted", js::number(counters.evicted)),
            ("expired", js::number(counters.expired)),
            ("mismatched", js::number(counters.mismatched)),
            ("contradicting", js::number(counters.contradicting)),
            ("duplicate", js::number(counters.duplicate)),
            ("late", js::number(counters.late)),
            ("tooLarge", js::number(counters.too_large)),
        ])
    }
}

fn parity(value: &JsValue) -> Result<Parity, Error> {
    if value.is_undefined() {
        return Ok(Parity::Auto);
    }
    match value.as_f64() {
        Some(number) if f64::from(number as u8) == number => Ok(Parity::Fixed(number as u8)),
        _ => Err(Error::argument("parity is an integer from 0 to 255")),
    }
}

fn refusal(error: PlanError) -> Error {
    let code = match error {
        PlanError::Empty => Code::INVALID_ARGUMENT,
        PlanError::TooLarge { .. } => Code::DATAGRAM_TOO_LARGE,
        PlanError::NoRoom { .. } => Code::UNSUPPORTED,
    };
    Error::new(code, error.to_string())
}

/// Bytes of messages that are whole and wait to be fetched: a burst of 20 of the largest while the page is busy.
const MAX_WAITING: u32 = 4 * 1024 * 1024;
