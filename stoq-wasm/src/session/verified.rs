//! Verified streams of a session, opened from here and by the peer.

use alloc::rc::Rc;
use core::cell::RefCell;

use js_sys::Promise;
use stoq_core::channel::{ChannelId, Sent};
use stoq_core::stream::Direction;
use stoq_core::token::Flow;
use wasm_bindgen::prelude::*;
use web_sys::WebTransport;

use super::Session;
use crate::channels::End;
use crate::driver::Handle;
use crate::error::Error;
use crate::js;
use crate::seal::Seal;
use crate::stream::SendStream;
use crate::verified::{
    Options, VerifiedBidirectionalStream, VerifiedDatagrams, VerifiedReceiveStream, scope,
};

#[wasm_bindgen]
impl Session {
    /// Opens a verified stream in both directions.
    #[wasm_bindgen(js_name = openVerifiedBidirectionalStream)]
    pub fn open_verified_bidirectional_stream(&self, options: JsValue) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let options = Options::from_js(&options)?;
            let channel = fresh_channel(&handle)?;
            let stream = handle
                .open_stream(WebTransport::create_bidirectional_stream)
                .await?;
            let stream =
                VerifiedBidirectionalStream::new(&handle, &stream, channel, options, true)?;
            stream.write_header();
            Ok(stream)
        })
    }

    /// Opens a verified stream from here to the peer.
    #[wasm_bindgen(js_name = openVerifiedUnidirectionalStream)]
    pub fn open_verified_unidirectional_stream(&self, options: JsValue) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let options = Options::from_js(&options)?;
            let channel = fresh_channel(&handle)?;
            let kind = Direction::Unidirectional;
            let scope = scope(&handle, channel, kind, Flow::ToTarget);
            let seal = Seal::new(scope, options.algorithm, None, false)?;
            let stream = handle
                .open_stream(WebTransport::create_unidirectional_stream)
                .await?;
            let stream = SendStream::new(&handle, &stream, Some(seal))?;
            stream.write_header(kind, Some(channel));
            Ok(stream)
        })
    }

    /// The next verified stream that the peer opened in both directions.
    #[wasm_bindgen(js_name = acceptVerifiedBidirectionalStream)]
    pub fn accept_verified_bidirectional_stream(&self, options: JsValue) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let options = Options::from_js(&options)?;
            let (stream, channel) = handle.accept_verified_bidirectional().await?;
            VerifiedBidirectionalStream::new(&handle, &stream, channel, options, false)
        })
    }

    /// The next verified stream that the peer opened from there to here.
    #[wasm_bindgen(js_name = acceptVerifiedUnidirectionalStream)]
    pub fn accept_verified_unidirectional_stream(&self, options: JsValue) -> Promise {
        let handle = self.handle.clone();
        js::promise(async move {
            let options = Options::from_js(&options)?;
            let (stream, channel) = handle.accept_verified_unidirectional().await?;
            // Nothing is sent on it, so that nothing is answered.
            let sent = Rc::<RefCell<Sent>>::default();
            let channel = (channel, Direction::Unidirectional);
            Ok(VerifiedReceiveStream::new(
                &handle, &stream, channel, options, sent,
            ))
        })
    }

    /// The datagrams of the session that have tokens. The first call says how.
    #[wasm_bindgen(js_name = verifiedDatagrams)]
    pub fn verified_datagrams(&self, options: JsValue) -> Result<JsValue, JsValue> {
        if let Some(known) = self.verified_datagrams.get() {
            return match options.is_undefined() {
                true => Ok(known.clone()),
                false => Err(Error::argument(IN_USE).into()),
            };
        }
        let options = Options::from_js(&options)?;
        let made = VerifiedDatagrams::new(self.channel.clone(), options)?;
        Ok(self.verified_datagrams.get_or_init(|| made.into()).clone())
    }
}

const IN_USE: &str =
    "the session's verified datagrams have their options: only the first call takes some";

/// A channel that this session has not had.
fn fresh_channel(handle: &Handle) -> Result<ChannelId, Error> {
    let channel = ChannelId::new(js::random()?);
    handle.channels.claim(channel, End::Page)?;
    Ok(channel)
}
