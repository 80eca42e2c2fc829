//! WHATWG streams around our halves, so that `pipeTo` works and errors are ours.
//!
//! Chunks pass through as the objects they are, and nothing is read ahead: back-pressure is the browser's own.

use alloc::boxed::Box;
use alloc::rc::Rc;

use js_sys::{Object, Promise, WeakRef};
use wasm_bindgen::prelude::*;
use web_sys::{
    QueuingStrategy, ReadableByteStreamController, ReadableStream, ReadableStreamDefaultController,
    WritableStream, WritableStreamDefaultController,
};

use crate::datagrams::DatagramChannel;
use crate::driver::Handle;
use crate::error::Error;
use crate::js::{self, certain};
use crate::stream::{ReceiveHalf, SendHalf};
use crate::verified::{DatagramHalf, VerifiedHalf};

/// The receiving half of a stream as a readable byte stream.
pub(crate) fn byte_stream(half: Rc<ReceiveHalf>) -> ReadableStream {
    let source = Object::new();
    js::set(&source, "type", &"bytes".into());
    let pulled = half.clone();
    method(&source, "pull", move |controller| {
        js::done(pull(pulled.clone(), controller.unchecked_into()))
    });
    method(&source, "cancel", move |reason| {
        let half = half.clone();
        js::done(async move { half.stop(js::code_of_reason(&reason)).await })
    });
    certain(
        ReadableStream::new_with_underlying_source(&source),
        STANDARD,
    )
}

async fn pull(
    half: Rc<ReceiveHalf>,
    controller: ReadableByteStreamController,
) -> Result<(), Error> {
    // A byte stream takes no empty chunks.
    while let Some(chunk) = half.read().await? {
        if chunk.length() > 0 {
            cancelled_meanwhile(controller.enqueue_with_js_u8_array(&chunk));
            return Ok(());
        }
    }
    cancelled_meanwhile(controller.close());
    // A reader that brought its own buffer gets it back empty.
    if let Some(request) = controller.byob_request() {
        cancelled_meanwhile(request.respond_with_u32(0));
    }
    Ok(())
}

/// The sending half of a stream as a writable stream.
pub(crate) fn writable(half: Rc<SendHalf>) -> WritableStream {
    let sink = Object::new();
    // The peer may stop the stream while nothing is being written: then the stream fails at once, and not at the next write.
    let watched = Rc::downgrade(&half);
    method(&sink, "start", move |controller| {
        // Weak, because a strong one would keep the stream, and with it the half, until the end.
        let controller = WeakRef::new(&controller.unchecked_into());
        if let Some(stopped) = watched.upgrade().map(|half| half.stopped()) {
            js::spawn(async move {
                let stopped = stopped.await.zip(controller.deref());
                if let Some((error, controller)) = stopped {
                    let controller: WritableStreamDefaultController = controller;
                    controller.error_with_e(&error.into());
                }
            });
        }
        Promise::resolve(&JsValue::UNDEFINED)
    });
    let written = half.clone();
    method(&sink, "write", move |chunk| {
        let half = written.clone();
        js::done(async move { half.write(&chunk).await })
    });
    let closed = half.clone();
    method(&sink, "close", move |_| {
        let half = closed.clone();
        js::done(async move { half.finish().await })
    });
    method(&sink, "abort", move |reason| {
        let half = half.clone();
        js::done(async move { half.reset(js::code_of_reason(&reason)).await })
    });
    one_at_a_time(&sink)
}

/// A session's datagrams, one a chunk.
pub(crate) fn datagrams_in(channel: Rc<DatagramChannel>) -> ReadableStream {
    chunks(move |controller| {
        let channel = channel.clone();
        js::done(async move { enqueue(&controller, channel.receive().await?) })
    })
}

/// What comes of a session's verified datagrams, one item a chunk.
pub(crate) fn datagram_items(half: Rc<DatagramHalf>) -> ReadableStream {
    chunks(move |controller| {
        let half = half.clone();
        js::done(async move { enqueue(&controller, half.receive().await?) })
    })
}

/// A session's messages, one a chunk.
pub(crate) fn messages_in(handle: Rc<Handle>) -> ReadableStream {
    chunks(move |controller| {
        let handle = handle.clone();
        js::done(async move { enqueue(&controller, handle.receive_message().await?) })
    })
}

/// The items of a verified stream, one a chunk.
pub(crate) fn items(half: Rc<VerifiedHalf>) -> ReadableStream {
    let source = Object::new();
    let pulled = half.clone();
    method(&source, "pull", move |controller| {
        let controller: ReadableStreamDefaultController = controller.unchecked_into();
        let half = pulled.clone();
        js::done(async move {
            cancelled_meanwhile(match half.read().await? {
                Some(item) => controller.enqueue_with_chunk(&item),
                None => controller.close(),
            });
            Ok(())
        })
    });
    method(&source, "cancel", move |reason| {
        let half = half.clone();
        js::done(async move { half.stop(js::code_of_reason(&reason)).await })
    });
    one_by_one(&source)
}

/// What the far end of a session announces, one event a chunk.
pub(crate) fn seed_events(handle: Rc<Handle>) -> ReadableStream {
    chunks(move |controller| {
        let handle = handle.clone();
        js::done(async move {
            let driver = Rc::clone(&**handle);
            enqueue(&controller, driver.next_seed_event().await?)
        })
    })
}

fn enqueue(controller: &JsValue, chunk: impl Into<JsValue>) -> Result<(), Error> {
    let controller: &ReadableStreamDefaultController = controller.unchecked_ref();
    cancelled_meanwhile(controller.enqueue_with_chunk(&chunk.into()));
    Ok(())
}

/// A readable stream of chunks that are fetched one at a time.
fn chunks(pull: impl FnMut(JsValue) -> Promise + 'static) -> ReadableStream {
    let source = Object::new();
    method(&source, "pull", pull);
    one_by_one(&source)
}

/// Datagrams to send, one a chunk.
pub(crate) fn datagrams_out(channel: Rc<DatagramChannel>) -> WritableStream {
    written(move |chunk| {
        let channel = channel.clone();
        js::done(async move { channel.send(&chunk).await })
    })
}

/// Datagrams to send with their tokens, one a chunk.
pub(crate) fn sealed_out(half: Rc<DatagramHalf>) -> WritableStream {
    written(move |chunk| {
        let half = half.clone();
        js::done(async move { half.send(&chunk).await })
    })
}

/// A writable stream whose chunks are sent one at a time.
fn written(write: impl FnMut(JsValue) -> Promise + 'static) -> WritableStream {
    let sink = Object::new();
    method(&sink, "write", write);
    one_at_a_time(&sink)
}

/// A readable stream that fetches nothing before it is asked.
fn one_by_one(source: &Object) -> ReadableStream {
    let strategy = QueuingStrategy::new();
    strategy.set_high_water_mark(0.0);
    certain(
        ReadableStream::new_with_underlying_source_and_strategy(source, &strategy),
        STANDARD,
    )
}

/// A writable stream that hands on one chunk and waits. With a mark of 0, writers would wait for ever.
fn one_at_a_time(sink: &Object) -> WritableStream {
    let strategy = QueuingStrategy::new();
    strategy.set_high_water_mark(1.0);
    certain(
        WritableStream::new_with_underlying_sink_and_strategy(sink, &strategy),
        STANDARD,
    )
}

/// A method of at most one argument. What it owns is freed when JavaScript has forgotten the function.
fn method(object: &Object, name: &str, body: impl FnMut(JsValue) -> Promise + 'static) {
    let body: Box<dyn FnMut(JsValue) -> Promise> = Box::new(body);
    js::set(object, name, &Closure::wrap(body).into_js_value());
}

/// A stream that was cancelled while we waited takes nothing any more, and says so by throwing: that is no matter of ours.
fn cancelled_meanwhile(_: Result<(), JsValue>) {}

const STANDARD: &str = "sources and sinks have the form of the standard";
