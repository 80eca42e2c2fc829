//! WHATWG streams around our halves, so that `pipeTo` works and errors are ours.
//!
//! Chunks pass through as the objects they are, and nothing is read ahead: back-pressure is the browser's own.

use std::rc::Rc;

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::closure::WasmClosure;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{
    QueuingStrategy, ReadableByteStreamController, ReadableStream, ReadableStreamDefaultController,
    WritableStream, WritableStreamDefaultController,
};

use crate::datagrams::DatagramChannel;
use crate::error::Error;
use crate::js;
use crate::stream::{ReceiveHalf, SendHalf};

/// The receiving half of a stream as a readable byte stream.
pub(crate) fn byte_stream(half: Rc<ReceiveHalf>) -> ReadableStream {
    let source = Object::new();
    set(&source, "type", &"bytes".into());
    let pulled = half.clone();
    method(
        &source,
        "pull",
        move |controller: ReadableByteStreamController| {
            let half = pulled.clone();
            js::promise(async move {
                // A byte stream takes no empty chunks.
                while let Some(chunk) = half.read().await? {
                    if chunk.length() > 0 {
                        return accepted(controller.enqueue_with_js_u8_array(&chunk));
                    }
                }
                accepted(controller.close())?;
                // A reader that brought its own buffer gets it back empty.
                match controller.byob_request() {
                    Some(request) => accepted(request.respond_with_u32(0)),
                    None => Ok(JsValue::UNDEFINED),
                }
            })
        },
    );
    method(&source, "cancel", move |reason: JsValue| {
        let half = half.clone();
        js::promise(async move {
            half.stop(js::code_of_reason(&reason)).await;
            Ok(JsValue::UNDEFINED)
        })
    });
    ReadableStream::new_with_underlying_source(&source)
        .expect("the source has the form of the standard")
}

/// The sending half of a stream as a writable stream.
pub(crate) fn writable(half: Rc<SendHalf>) -> WritableStream {
    let sink = Object::new();
    // The peer may stop the stream while nothing is being written: then the stream fails at once, and not at the next write.
    let watched = Rc::downgrade(&half);
    method(
        &sink,
        "start",
        move |controller: WritableStreamDefaultController| {
            if let Some(half) = watched.upgrade() {
                spawn_local(async move {
                    if let Some(error) = half.stopped().await {
                        controller.error_with_e(&error.into());
                    }
                });
            }
            Promise::resolve(&JsValue::UNDEFINED)
        },
    );
    let written = half.clone();
    method(&sink, "write", move |chunk: JsValue| {
        let half = written.clone();
        js::promise(async move {
            js::bytes_argument(&chunk)?;
            half.write(&chunk).await
        })
    });
    let closed = half.clone();
    let close: Closure<dyn FnMut() -> Promise> = Closure::new(move || {
        let half = closed.clone();
        js::promise(async move { half.finish().await })
    });
    set(&sink, "close", &close.into_js_value());
    method(&sink, "abort", move |reason: JsValue| {
        let half = half.clone();
        js::promise(async move {
            half.reset(js::code_of_reason(&reason)).await;
            Ok(JsValue::UNDEFINED)
        })
    });
    one_at_a_time(&sink)
}

/// A session's datagrams, one a chunk.
pub(crate) fn datagrams_in(channel: Rc<DatagramChannel>) -> ReadableStream {
    let source = Object::new();
    method(
        &source,
        "pull",
        move |controller: ReadableStreamDefaultController| {
            let channel = channel.clone();
            js::promise(async move {
                let datagram = channel.receive().await?;
                accepted(controller.enqueue_with_chunk(&datagram))
            })
        },
    );
    let strategy = QueuingStrategy::new();
    strategy.set_high_water_mark(0.0);
    ReadableStream::new_with_underlying_source_and_strategy(&source, &strategy)
        .expect("the source has the form of the standard")
}

/// Datagrams to send, one a chunk.
pub(crate) fn datagrams_out(channel: Rc<DatagramChannel>) -> WritableStream {
    let sink = Object::new();
    method(&sink, "write", move |chunk: JsValue| {
        let channel = channel.clone();
        js::promise(async move { channel.send(&chunk).await })
    });
    one_at_a_time(&sink)
}

/// A writable stream that hands on one chunk and waits. With a mark of 0, writers would wait for ever.
fn one_at_a_time(sink: &Object) -> WritableStream {
    let strategy = QueuingStrategy::new();
    strategy.set_high_water_mark(1.0);
    WritableStream::new_with_underlying_sink_and_strategy(sink, &strategy)
        .expect("the sink has the form of the standard")
}

/// A method of one argument. What it owns is freed when JavaScript has forgotten the function.
fn method<A>(object: &Object, name: &str, body: impl FnMut(A) -> Promise + 'static)
where
    A: wasm_bindgen::convert::FromWasmAbi + 'static,
    dyn FnMut(A) -> Promise: WasmClosure,
{
    let closure: Closure<dyn FnMut(A) -> Promise> = Closure::new(body);
    set(object, name, &closure.into_js_value());
}

fn set(object: &Object, key: &str, value: &JsValue) {
    Reflect::set(object, &key.into(), value).expect("a fresh object takes properties");
}

/// A stream that was cancelled meanwhile takes nothing any more, and says so by throwing.
fn accepted(result: Result<(), JsValue>) -> Result<JsValue, Error> {
    let _ = result;
    Ok(JsValue::UNDEFINED)
}
