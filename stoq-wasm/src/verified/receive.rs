//! The receiving end of a verified channel: what it hands out, and in which state.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use js_sys::Uint8Array;
use stoq_core::Code;
use stoq_core::channel::{ChannelError, Item, Opener, Sent};
use wasm_bindgen::prelude::*;
use web_sys::ReadableStream;

use super::held::SIGNATURE_TIMEOUT;
use crate::driver::Handle;
use crate::error::Error;
use crate::js;
use crate::line::{Line, Turn};
use crate::signal::in_time;
use crate::stream::ReceiveHalf;

/// The browser's readable stream, and what verifies its frames.
pub(crate) struct VerifiedHalf {
    half: ReceiveHalf,
    opener: RefCell<Opener>,
    /// What this end has sent, so that it knows which answers are to it.
    sent: Rc<RefCell<Sent>>,
    /// A chunk of the browser, and how much of it has been opened.
    chunk: RefCell<(Vec<u8>, usize)>,
    /// Bytes of it that wait for their signature.
    held: Cell<usize>,
    stopped: Cell<bool>,
    refused: Cell<bool>,
    /// Those who read.
    line: Line,
}

impl VerifiedHalf {
    pub(super) fn new(
        handle: &Rc<Handle>,
        stream: &ReadableStream,
        opener: Opener,
        sent: Rc<RefCell<Sent>>,
    ) -> Self {
        Self {
            half: ReceiveHalf::new(handle, stream),
            opener: RefCell::new(opener),
            sent,
            chunk: RefCell::default(),
            held: Cell::new(0),
            stopped: Cell::new(false),
            refused: Cell::new(false),
            line: Line::default(),
        }
    }

    /// The next item; none after the last. What was wrong stops the stream, and is said again to who asks again.
    pub(crate) async fn read(&self) -> Result<Option<JsValue>, Error> {
        let _turn = self.line.turn().await;
        let mut elder = None;
        while !self.stopped.get() {
            let opened = self.open();
            self.note_held();
            if let Some(item) = opened? {
                return Ok(Some(item));
            }
            let Some(read) = self.more(&mut elder).await else {
                let late = self.opener.borrow_mut().give_up();
                return Err(self.refuse(&late));
            };
            match read? {
                Some(bytes) => *self.chunk.borrow_mut() = (bytes.to_vec(), 0),
                None if self.stopped.get() => break,
                None => {
                    let ended = self.opener.borrow().end();
                    return ended.map(|()| None).map_err(|error| self.refuse(&error));
                }
            }
        }
        Ok(None)
    }

    /// The next bytes, or `None` if what is held back has waited too long for them.
    async fn more<'a>(
        &'a self,
        elder: &mut Option<Turn<'a>>,
    ) -> Option<Result<Option<Uint8Array>, Error>> {
        // A stream that holds nothing could be silent for ever: it asks for no room, and keeps no other from its own.
        let holds = self.held.get() > 0;
        let reading = async {
            if holds && elder.is_none() {
                *elder = self.half.handle().channels.held.room().await;
            }
            self.half.read().await
        };
        in_time(holds.then_some(SIGNATURE_TIMEOUT), reading).await
    }

    /// Takes down what is held back.
    fn note_held(&self) {
        let now = match self.stopped.get() || self.refused.get() {
            true => 0,
            false => self.opener.borrow().held_bytes(),
        };
        let before = self.held.replace(now);
        self.half.handle().channels.held.change(before, now);
    }

    /// Stops the stream, if it has not ended.
    pub(crate) async fn stop(&self, code: Code) -> Result<(), Error> {
        self.stopped.set(true);
        self.note_held();
        self.half.stop(code).await
    }

    /// Tells the peer that what came is not taken, and counts it, the first time.
    fn refuse(&self, error: &ChannelError) -> Error {
        let code = error.code();
        if !self.refused.replace(true) {
            self.half.handle().channels.refused(code);
            self.note_held();
        }
        self.half.give_up(code);
        Error::new(code, error.to_string()).at(error.sequence().into_inner())
    }

    /// The next item of what has come, if there is one.
    fn open(&self) -> Result<Option<JsValue>, Error> {
        let mut chunk = self.chunk.borrow_mut();
        let (bytes, opened) = &mut *chunk;
        loop {
            let mut rest = bytes.get(*opened..).unwrap_or_default();
            let next = self.opener.borrow_mut().next(
                js::wall_clock(),
                &mut self.sent.borrow_mut(),
                &mut rest,
            );
            *opened = bytes.len() - rest.len();
            match next {
                Ok(None) => return Ok(None),
                Ok(Some(item)) => {
                    if let Some(item) = to_js(&item) {
                        return Ok(Some(item));
                    }
                }
                Err(error) => return Err(self.refuse(&error)),
            }
        }
    }
}

impl Drop for VerifiedHalf {
    fn drop(&mut self) {
        let held = &self.half.handle().channels.held;
        held.change(self.held.get(), 0);
    }
}

/// What a page sees of an item, if it sees it.
fn to_js(item: &Item) -> Option<JsValue> {
    let object = match item {
        Item::Data {
            sequence,
            data,
            verified,
        } => js::object(&[
            ("state", if *verified { VERIFIED } else { PENDING }.into()),
            ("sequence", js::number(sequence.into_inner())),
            ("data", Uint8Array::from(&data[..]).into()),
        ]),
        Item::Verified {
            through,
            signer,
            is_final,
            answers,
            answers_all,
        } => js::object(&[
            ("state", VERIFIED.into()),
            ("through", js::number(through.into_inner())),
            ("signer", signer.to_string().into()),
            ("final", (*is_final).into()),
            ("answers", js::number(answers.into_inner())),
            ("answersAll", (*answers_all).into()),
        ]),
        Item::Priority(_) | Item::Key(_) => return None,
    };
    Some(object.into())
}

pub(super) const PENDING: &str = "pending";
pub(super) const VERIFIED: &str = "verified";
