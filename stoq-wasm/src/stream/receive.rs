//! The receiving direction: the browser's readable stream.

use alloc::rc::Rc;
use core::cell::Cell;

use js_sys::Uint8Array;
use stoq_core::Code;
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use crate::driver::Handle;
use crate::error::Error;
use crate::js;

/// The browser's readable stream, and whether it has ended.
pub(crate) struct ReceiveHalf {
    handle: Rc<Handle>,
    reader: ReadableStreamDefaultReader,
    ended: Cell<bool>,
}

impl ReceiveHalf {
    pub(crate) fn new(handle: &Rc<Handle>, stream: &ReadableStream) -> Self {
        Self {
            handle: handle.clone(),
            reader: stream.get_reader().unchecked_into(),
            ended: Cell::new(false),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

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

    /// As [`stop`](Self::stop), for who cannot wait.
    pub(crate) fn give_up(&self, code: Code) {
        if !self.ended.replace(true) {
            js::ignore(self.reader.cancel_with_reason(&js::stream_error(code)));
        }
    }
}

impl Drop for ReceiveHalf {
    fn drop(&mut self) {
        self.give_up(Code::CANCELLED);
    }
}
