//! The sending direction: the browser's writable stream.

use alloc::rc::Rc;
use core::cell::Cell;

use js_sys::{Promise, Uint8Array};
use stoq_core::Code;
use wasm_bindgen::prelude::*;
use web_sys::{WritableStream, WritableStreamDefaultWriter};

use crate::driver::Handle;
use crate::error::Error;
use crate::js;
use crate::seal::Seal;

/// The browser's writable stream, what puts tokens in front of its data if it is verified, and how we ended it.
pub(crate) struct SendHalf {
    handle: Rc<Handle>,
    writer: WritableStreamDefaultWriter,
    seal: Option<Seal>,
    ended: Cell<Option<SendEnd>>,
}

#[derive(Clone, Copy)]
enum SendEnd {
    Finished,
    Reset(Code),
}

impl SendHalf {
    pub(super) fn new(
        handle: &Rc<Handle>,
        stream: &WritableStream,
        seal: Option<Seal>,
    ) -> Result<Self, Error> {
        let writer = stream
            .get_writer()
            .map_err(|thrown| Error::new(Code::INTERNAL, js::text(&thrown)))?;
        Ok(Self {
            handle: handle.clone(),
            writer,
            seal,
            ended: Cell::new(None),
        })
    }

    /// Writes what stands in front of all that a page writes.
    pub(super) fn begin(&self, bytes: &[u8]) {
        // The writes of a stream keep their order, and one that fails makes the next one fail.
        js::ignore(self.writer.write_with_chunk(&Uint8Array::from(bytes)));
    }

    /// Writes a chunk: the object itself goes to the browser, or pieces of it with their tokens.
    pub(crate) async fn write(&self, chunk: &JsValue) -> Result<(), Error> {
        self.usable()?;
        let bytes = js::bytes_argument(chunk)?;
        let Some(seal) = &self.seal else {
            return self.outcome(self.writer.write_with_chunk(chunk)).await;
        };
        let _turn = seal.line.turn().await;
        let mut rest = bytes.clone();
        while rest.length() > 0 {
            self.usable()?;
            let piece = rest.subarray(0, Seal::MAX_PIECE);
            rest = rest.subarray(piece.length(), rest.length());
            let frames = seal.frames(&piece.to_vec())?;
            let frames = Uint8Array::from(&frames[..]);
            self.outcome(self.writer.write_with_chunk(&frames)).await?;
        }
        Ok(())
    }

    pub(crate) async fn finish(&self) -> Result<(), Error> {
        self.usable()?;
        let _turn = match &self.seal {
            Some(seal) => Some(seal.line.turn().await),
            None => None,
        };
        self.usable()?;
        self.ended.set(Some(SendEnd::Finished));
        let answered = self.seal.as_ref().map_or(Ok(()), Seal::end);
        self.outcome(self.writer.close()).await?;
        answered
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

const STOPPED: &str = "the peer stopped the stream";
const WE_RESET: &str = "the stream has been reset";
