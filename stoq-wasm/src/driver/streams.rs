//! Streams of a session: those that it opens, and those that it takes from the peer.

use core::time::Duration;

use js_sys::Promise;
use stoq_core::channel::ChannelId;
use stoq_core::stream::Direction;
use wasm_bindgen::prelude::*;
use web_sys::{WebTransport, WebTransportBidirectionalStream, WebTransportReceiveStream};

use super::Driver;
use crate::ending::Broken;
use crate::error::Error;
use crate::inbox::{Inbox, Place};
use crate::js;

impl Driver {
    /// A place for the next stream of the peer, as soon as there is room; `None` if the session ends before.
    pub(crate) async fn place(&self, direction: Direction) -> Option<Place> {
        self.wait(|inbox| inbox.place(direction)).await.ok()
    }

    /// The next bidirectional stream of the peer.
    pub(crate) async fn accept_bidirectional(
        &self,
    ) -> Result<WebTransportBidirectionalStream, Error> {
        self.wait(Inbox::take_bidirectional).await
    }

    /// The next unidirectional stream of the peer.
    pub(crate) async fn accept_unidirectional(&self) -> Result<WebTransportReceiveStream, Error> {
        self.wait(Inbox::take_unidirectional).await
    }

    /// The next verified bidirectional stream of the peer.
    pub(crate) async fn accept_verified_bidirectional(
        &self,
    ) -> Result<(WebTransportBidirectionalStream, ChannelId), Error> {
        self.wait(Inbox::take_verified_bidirectional).await
    }

    /// The next verified unidirectional stream of the peer.
    pub(crate) async fn accept_verified_unidirectional(
        &self,
    ) -> Result<(WebTransportReceiveStream, ChannelId), Error> {
        self.wait(Inbox::take_verified_unidirectional).await
    }

    /// A stream of the user's from `create`, as [`open_unseen`](Self::open_unseen).
    pub(crate) async fn open_stream<T: JsCast>(
        &self,
        create: impl Fn(&WebTransport) -> Promise<T>,
    ) -> Result<T, Error> {
        let stream = self.open_unseen(create).await?;
        self.counters.streams_opened.add();
        Ok(stream)
    }

    /// A stream from `create`, as soon as the peer's limits allow one more.
    ///
    /// Chromium 148 does not wait at its limit, but rejects; so this tries again. Others wait in line meanwhile.
    pub(crate) async fn open_unseen<T: JsCast>(
        &self,
        create: impl Fn(&WebTransport) -> Promise<T>,
    ) -> Result<T, Error> {
        let _turn = self.openers.turn().await;
        loop {
            self.ending.alive()?;
            match self.ending.settle(create(&self.transport)).await {
                Ok(stream) => return Ok(stream),
                Err(Broken::Ended) => {}
                Err(Broken::Rejected(thrown)) if is_limit(&thrown) => {
                    self.ending.pause(TRY_AGAIN).await;
                }
                Err(broken) => {
                    let what = "the browser could not open a stream";
                    return Err(self.ending.explain(broken, what).await);
                }
            }
        }
    }
}

/// Whether this is how a browser says that no more streams may be open. Chromium 148 has this name for nothing else here;
/// the WebTransport draft of the W3C has given it the other one.
fn is_limit(thrown: &JsValue) -> bool {
    let name = js::get(thrown, "name").as_string();
    matches!(name.as_deref(), Some("NetworkError" | "QuotaExceededError"))
}

/// How long a stream waits that the browser would not open: a round trip, in which one of the others may have ended.
const TRY_AGAIN: Duration = Duration::from_millis(20);
