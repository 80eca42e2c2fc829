//! Verified datagrams: one channel of a session, which may lose what it carries.

use alloc::rc::Rc;
use alloc::string::ToString;
use core::cell::{OnceCell, RefCell};

use bytes::BytesMut;
use js_sys::{Promise, Uint8Array};
use stoq_core::Code;
use stoq_core::channel::datagrams::{DatagramItem, DatagramOpener, DatagramSealer};
use stoq_core::token::Flow;
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, WritableStream};

use super::receive::{PENDING, VERIFIED};
use super::{Options, impossible};
use crate::datagrams::{DatagramChannel, fits};
use crate::error::Error;
use crate::{js, whatwg};

/// The datagrams of a session that have tokens.
#[wasm_bindgen]
pub struct VerifiedDatagrams {
    half: Rc<DatagramHalf>,
    readable: OnceCell<ReadableStream>,
    writable: OnceCell<WritableStream>,
}

impl VerifiedDatagrams {
    pub(crate) fn new(channel: Rc<DatagramChannel>, options: Options) -> Result<Self, Error> {
        Ok(Self {
            half: Rc::new(DatagramHalf::new(channel, options)?),
            readable: OnceCell::new(),
            writable: OnceCell::new(),
        })
    }
}

#[wasm_bindgen]
impl VerifiedDatagrams {
    /// The largest that can be sent now, in bytes.
    #[wasm_bindgen(getter, js_name = maxSize)]
    pub fn max_size(&self) -> u32 {
        self.half.max_size()
    }

    /// One item a chunk.
    #[wasm_bindgen(getter)]
    pub fn readable(&self) -> ReadableStream {
        self.readable
            .get_or_init(|| whatwg::datagram_items(self.half.clone()))
            .clone()
    }

    /// One datagram a chunk.
    #[wasm_bindgen(getter)]
    pub fn writable(&self) -> WritableStream {
        self.writable
            .get_or_init(|| whatwg::sealed_out(self.half.clone()))
            .clone()
    }

    /// Sends one.
    pub fn send(&self, data: JsValue) -> Promise {
        let half = self.half.clone();
        js::done(async move { half.send(&data).await })
    }

    /// The next item.
    pub fn receive(&self) -> Promise {
        let half = self.half.clone();
        js::promise(async move { half.receive().await })
    }
}

/// Both ends of the channel.
pub(crate) struct DatagramHalf {
    channel: Rc<DatagramChannel>,
    sealer: RefCell<DatagramSealer>,
    opener: RefCell<DatagramOpener>,
}

impl DatagramHalf {
    fn new(channel: Rc<DatagramChannel>, options: Options) -> Result<Self, Error> {
        let handle = &channel.handle;
        let hash = handle.opened.hash;
        // A page is always the session's client, and has no key to sign with.
        let sealer = DatagramSealer::new(hash, Flow::ToTarget, options.algorithm, None)
            .map_err(|error| impossible(&error))?;
        if !options.origins.is_empty() {
            Rc::clone(&**handle).hear_announcements();
        }
        let opener = DatagramOpener::new(hash, Flow::ToClient, options.origins, options.delivery);
        Ok(Self {
            channel,
            sealer: RefCell::new(sealer),
            opener: RefCell::new(opener),
        })
    }

    fn max_size(&self) -> u32 {
        let content = self.channel.max_content();
        content.saturating_sub(DatagramSealer::MAX_HEADER_LEN) as u32
    }

    pub(crate) async fn send(&self, data: &JsValue) -> Result<(), Error> {
        let data = js::bytes_argument(data)?;
        self.channel.handle.ending.alive()?;
        fits(self.max_size(), data)?;
        let data = data.to_vec();
        let mut content = BytesMut::with_capacity(DatagramSealer::MAX_HEADER_LEN + data.len());
        self.sealer
            .borrow_mut()
            .seal(js::wall_clock(), &data, &mut content);
        content.extend_from_slice(&data);
        let content = Uint8Array::from(&content[..]);
        self.channel.send_content(&content).await
    }

    /// The next item. What came before the session's end is handed out first.
    pub(crate) async fn receive(&self) -> Result<JsValue, Error> {
        let handle = &self.channel.handle;
        let look = || match (self.open(), handle.ending.get()) {
            (Some(item), _) => Some(Ok(to_js(&item))),
            (None, ended) => ended.map(|ended| Err(ended.error())),
        };
        handle.news.until(look).await
    }

    /// The next item of what has come, if there is one. What is not taken is counted.
    fn open(&self) -> Option<DatagramItem> {
        let handle = &self.channel.handle;
        let opener = &mut *self.opener.borrow_mut();
        loop {
            if let Some(item) = opener.next_item() {
                if let DatagramItem::Forged { .. } = item {
                    handle.channels.refused(Code::BAD_TOKEN);
                }
                return Some(item);
            }
            let before = opener.counters().expired;
            let sealed = || handle.inbox.sealed.borrow_mut().pop_front();
            let taken = if let Some(frame) = handle.seeds.next_signature() {
                opener.announced(&frame)
            } else if let Some((token, data)) = sealed() {
                opener.datagram(js::wall_clock(), &token, data)
            } else {
                // Once; from then on there is nothing more to hand out.
                if handle.seeds.is_over() {
                    opener.signatures_ended();
                }
                return opener.next_item();
            };
            if let Err(error) = taken {
                handle.channels.refused(error.code());
            }
            for _ in before..opener.counters().expired {
                handle.inbox.dropped_datagrams.add();
            }
        }
    }
}

fn to_js(item: &DatagramItem) -> JsValue {
    let (state, sequence, signer, data) = match item {
        DatagramItem::Data {
            sequence,
            data,
            signer,
        } => {
            let state = if signer.is_some() { VERIFIED } else { PENDING };
            (state, Some(sequence), signer.as_ref(), Some(data))
        }
        DatagramItem::Verified { sequence, signer } => {
            (VERIFIED, Some(sequence), Some(signer), None)
        }
        DatagramItem::Forged { sequence } => ("forged", Some(sequence), None, None),
        DatagramItem::SignaturesEnded => ("signatures-ended", None, None, None),
    };
    let object = js::object(&[("state", state.into())]);
    let sequence = sequence.map(|sequence| ("sequence", js::number(sequence.into_inner())));
    let signer = signer.map(|signer| ("signer", signer.to_string().into()));
    let data = data.map(|data| ("data", Uint8Array::from(&data[..]).into()));
    for (key, value) in [sequence, signer, data].into_iter().flatten() {
        js::set(&object, key, &value);
    }
    object.into()
}
