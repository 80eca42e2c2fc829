//! The datagrams of a session.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::OnceCell;

use js_sys::{Promise, Uint8Array};
use stoq_core::datagram::Datagram;
use stoq_core::{Code, SessionId};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, WritableStream, WritableStreamDefaultWriter};

use crate::driver::Handle;
use crate::error::Error;
use crate::{js, whatwg};

/// The datagrams of a session: each arrives whole, or not at all, in any order.
#[wasm_bindgen]
pub struct Datagrams {
    channel: Rc<DatagramChannel>,
    readable: OnceCell<ReadableStream>,
    writable: OnceCell<WritableStream>,
}

impl Datagrams {
    pub(crate) fn new(channel: Rc<DatagramChannel>) -> Self {
        Self {
            channel,
            readable: OnceCell::new(),
            writable: OnceCell::new(),
        }
    }
}

#[wasm_bindgen]
impl Datagrams {
    /// The largest that can be sent now, in bytes.
    #[wasm_bindgen(getter, js_name = maxSize)]
    pub fn max_size(&self) -> u32 {
        self.channel.max_size()
    }

    /// One datagram a chunk.
    #[wasm_bindgen(getter)]
    pub fn readable(&self) -> ReadableStream {
        self.readable
            .get_or_init(|| whatwg::datagrams_in(self.channel.clone()))
            .clone()
    }

    /// One datagram a chunk.
    #[wasm_bindgen(getter)]
    pub fn writable(&self) -> WritableStream {
        self.writable
            .get_or_init(|| whatwg::datagrams_out(self.channel.clone()))
            .clone()
    }

    /// Sends one.
    pub fn send(&self, data: JsValue) -> Promise {
        let channel = self.channel.clone();
        js::done(async move { channel.send(&data).await })
    }

    /// The next one to arrive.
    pub fn receive(&self) -> Promise {
        let channel = self.channel.clone();
        js::promise(async move { channel.receive().await })
    }
}

/// The way that all datagrams of a session take.
pub(crate) struct DatagramChannel {
    pub(crate) handle: Rc<Handle>,
    writer: OnceCell<WritableStreamDefaultWriter>,
}

impl DatagramChannel {
    pub(crate) fn new(handle: Rc<Handle>) -> Rc<Self> {
        Rc::new(Self {
            handle,
            writer: OnceCell::new(),
        })
    }

    /// The least of what this end's carrier takes and what the far end has said.
    pub(crate) fn max_size(&self) -> u32 {
        let carrier = self.handle.transport.datagrams().max_datagram_size();
        let header = Datagram::header_len(SessionId::ZERO) as u32;
        carrier
            .saturating_sub(header)
            .min(self.handle.opened.max_datagram_size)
    }

    pub(crate) async fn send(&self, data: &JsValue) -> Result<(), Error> {
        let data = js::bytes_argument(data)?;
        self.handle.ending.alive()?;
        let got = data.length();
        fits(self.max_size(), data)?;
        let mut header = Vec::new();
        Datagram::header(SessionId::ZERO, &mut header);
        let whole = Uint8Array::new_with_length(header.len() as u32 + got);
        whole.subarray(0, header.len() as u32).copy_from(&header);
        whole.set(data, header.len() as u32);
        self.send_content(&whole).await
    }

    /// The largest [content](stoq_core::datagram::Content) of a datagram, in bytes.
    pub(crate) fn max_content(&self) -> usize {
        let header = Datagram::header_len(SessionId::ZERO) - Datagram::prefix_len(SessionId::ZERO);
        match self.max_size() {
            0 => 0,
            data => data as usize + header,
        }
    }

    /// Sends a datagram with content as it is.
    pub(crate) async fn send_content(&self, content: &Uint8Array) -> Result<(), Error> {
        let sent = self
            .handle
            .ending
            .settle(self.writer()?.write_with_chunk(content))
            .await;
        match sent {
            Ok(_) => {
                self.handle.counters.sent_datagrams.add();
                Ok(())
            }
            Err(broken) => Err(self
                .handle
                .ending
                .explain(broken, "the datagram could not be sent")
                .await),
        }
    }

    pub(crate) async fn receive(&self) -> Result<Uint8Array, Error> {
        self.handle.receive_datagram().await
    }

    fn writer(&self) -> Result<&WritableStreamDefaultWriter, Error> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let duplex = self.handle.transport.datagrams();
        // The standard has moved from a property to a method; the browsers of today have the property.
        let writable: WritableStream = match js::get(&duplex, "writable") {
            property if property.is_object() => property.unchecked_into(),
            _ => duplex.unchecked_into::<NewDuplex>().create_writable(),
        };
        let writer = writable
            .get_writer()
            .map_err(|thrown| Error::new(Code::INTERNAL, js::text(&thrown)))?;
        Ok(self.writer.get_or_init(|| writer))
    }
}

/// An error if it does not.
pub(crate) fn fits(limit: u32, data: &Uint8Array) -> Result<(), Error> {
    let got = data.length();
    if got <= limit {
        return Ok(());
    }
    let message = format!("the datagram has {got} bytes, the path carries {limit}");
    Err(Error::new(Code::DATAGRAM_TOO_LARGE, message))
}

#[wasm_bindgen]
extern "C" {
    type NewDuplex;
    #[wasm_bindgen(method, js_name = createWritable)]
    fn create_writable(this: &NewDuplex) -> WritableStream;
}
