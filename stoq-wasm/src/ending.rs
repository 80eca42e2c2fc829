//! How a session ends, and what that means for everything that is under way.

use alloc::format;
use alloc::string::String;
use core::cell::{Cell, OnceCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use js_sys::Promise;
use stoq_core::Code;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::error::Error;
use crate::js;
use crate::signal::Signal;

/// The end of a session, for all who wait for it. The first one given stands.
#[derive(Default)]
pub(crate) struct Ending {
    closing: Cell<bool>,
    ended: OnceCell<Ended>,
    told: Signal,
}

/// How the session ended.
pub(crate) struct Ended {
    /// Why, for programs.
    pub(crate) code: Code,
    /// Why, for people.
    pub(crate) reason: String,
}

/// Why a promise of the browser did not give its value.
pub(crate) enum Broken {
    /// It was rejected.
    Rejected(JsValue),
    /// The session ended first.
    Ended,
}

impl Ending {
    /// Says how the session ended; `false` if that has been said before.
    pub(crate) fn end(&self, code: Code, reason: String) -> bool {
        let first = self.ended.set(Ended { code, reason }).is_ok();
        self.told.notify();
        first
    }

    /// This side begins to close; `false` if it has begun before, or the session has ended.
    pub(crate) fn begin(&self) -> bool {
        self.ended.get().is_none() && !self.closing.replace(true)
    }

    /// Whether this side has begun to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub(crate) fn get(&self) -> Option<&Ended> {
        self.ended.get()
    }

    /// Resolves when the session has ended.
    pub(crate) async fn wait(&self) -> &Ended {
        self.told.until(|| self.ended.get()).await
    }

    /// An error if the session has ended, or is about to.
    pub(crate) fn alive(&self) -> Result<(), Error> {
        match self.ended.get() {
            Some(ended) => Err(ended.error()),
            None if self.closing.get() => Err(Error::new(
                Code::SESSION_CLOSED,
                "the session is being closed",
            )),
            None => Ok(()),
        }
    }

    /// Lets some time pass, less if the session ends.
    pub(crate) async fn pause(&self, time: Duration) {
        self.told.within(time, || self.ended.get().map(drop)).await;
    }

    /// The value of a promise of the browser, unless the session ends first: Firefox 140 leaves some of them pending
    /// when the connection is gone.
    pub(crate) async fn settle<T: JsCast>(&self, promise: Promise<T>) -> Result<T, Broken> {
        let value = self.settle_any(promise.unchecked_into()).await;
        value.map(JsCast::unchecked_into)
    }

    async fn settle_any(&self, promise: Promise) -> Result<JsValue, Broken> {
        let mut future = pin!(JsFuture::from(promise));
        let seat = self.told.seat();
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(settled) => Poll::Ready(settled.map_err(Broken::Rejected)),
            Poll::Pending if self.ended.get().is_some() => Poll::Ready(Err(Broken::Ended)),
            Poll::Pending => {
                seat.wait(context);
                Poll::Pending
            }
        })
        .await
    }

    /// What the user is told of the failure of a stream or datagram.
    pub(crate) async fn explain(&self, broken: Broken, what: &'static str) -> Error {
        let Broken::Rejected(thrown) = broken else {
            return self.wait().await.error();
        };
        if self.ended.get().is_none() {
            if let Some(code) = js::stream_code(&thrown) {
                return Error::new(code, format!("{what}: {code}"));
            }
            // Either the carrier is lost, then the session's end comes at once; or the browser keeps the code to itself:
            // Firefox 140 for every reset, both browsers for some stops while data is on its way.
            self.pause(END_FOLLOWS).await;
        }
        match self.ended.get() {
            Some(ended) => ended.error(),
            None => Error::new(
                Code::UNMAPPED,
                format!(
                    "{what}, and the browser does not tell the code ({})",
                    js::text(&thrown)
                ),
            ),
        }
    }
}

impl Ended {
    /// What `connect` fails with: the server's own code.
    pub(crate) fn refusal(&self) -> Error {
        let code = match self.code {
            Code::NO_ERROR => Code::SESSION_CLOSED,
            code => code,
        };
        self.as_error(code, "the server did not take the session")
    }

    /// What an operation fails with that the end cut off. An application's code is not passed on: on a stream it would
    /// look as if the stream had been reset with it.
    pub(crate) fn error(&self) -> Error {
        let code = match self.code {
            Code::NO_ERROR => Code::SESSION_CLOSED,
            code if code.name().is_none() => Code::SESSION_CLOSED,
            code => code,
        };
        self.as_error(code, "the session has ended")
    }

    fn as_error(&self, code: Code, what: &str) -> Error {
        match self.reason.as_str() {
            "" => Error::new(code, format!("{what}: {}", self.code)),
            reason => Error::new(code, format!("{what}: {reason}")),
        }
    }
}

/// How soon the end of a session follows the errors of its streams, at the latest.
const END_FOLLOWS: Duration = Duration::from_millis(250);
