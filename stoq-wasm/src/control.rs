//! Our control stream.

use alloc::format;
use alloc::rc::Rc;
use core::cell::Cell;

use js_sys::Uint8Array;
use stoq_core::Code;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{WebTransport, WritableStream, WritableStreamDefaultWriter};

use crate::error::Error;
use crate::js;

/// The stream, and how many bytes the browser has not taken yet.
pub(crate) struct Control {
    writer: WritableStreamDefaultWriter,
    backlog: Rc<Cell<usize>>,
}

impl Control {
    pub(crate) async fn open(transport: &WebTransport) -> Result<Self, Error> {
        let lost = |thrown| {
            let message = format!(
                "the control stream could not be opened: {}",
                js::text(&thrown)
            );
            Error::new(Code::CONNECTION_LOST, message)
        };
        let stream = JsFuture::from(transport.create_unidirectional_stream());
        let stream: WritableStream = stream.await.map_err(lost)?.unchecked_into();
        Ok(Self {
            writer: stream.get_writer().map_err(lost)?,
            backlog: Rc::default(),
        })
    }

    /// Appends bytes; an error if the peer reads nothing while we have more and more to answer.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        let length = bytes.len();
        self.backlog.set(self.backlog.get() + length);
        if self.backlog.get() > MAX_BACKLOG {
            let message = "the server asks more on its control stream than it reads on ours";
            return Err(Error::new(Code::CONTROL_FLOOD, message));
        }
        let written = self.writer.write_with_chunk(&Uint8Array::from(bytes));
        let backlog = self.backlog.clone();
        js::spawn(async move {
            // A failure shows at the reading side, or as the end of the carrier.
            let _ = JsFuture::from(written).await;
            backlog.set(backlog.get() - length);
        });
        Ok(())
    }
}

/// What a flood of pings can make us hold while the peer reads nothing.
const MAX_BACKLOG: usize = 256 * 1024;
