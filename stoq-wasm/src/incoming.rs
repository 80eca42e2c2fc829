//! What arrives on the carrier: the tasks that read streams' headers, the control stream and datagrams.

use std::rc::Rc;

use bytes::Bytes;
use js_sys::Uint8Array;
use stoq_core::session::Input;
use stoq_core::stream::Direction;
use stoq_core::{Code, StreamHeader};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader,
    ReadableStreamGetReaderOptions, ReadableStreamReaderMode, WebTransportBidirectionalStream,
    WebTransportReceiveStream,
};

use crate::driver::{Broken, Driver};
use crate::js;

/// A stream that the peer has opened.
pub(crate) enum Arrival {
    Bidirectional(WebTransportBidirectionalStream),
    Unidirectional(WebTransportReceiveStream),
}

impl Driver {
    /// Starts the tasks. Each ends with the session, or with the carrier.
    pub(crate) fn spawn_readers(self: Rc<Self>) {
        let transport = &self.transport;
        let bidirectional = transport.incoming_bidirectional_streams();
        let unidirectional = transport.incoming_unidirectional_streams();
        let datagrams = transport.datagrams().readable();
        let closed = transport.closed();
        spawn_local(self.clone().read_streams(bidirectional, |stream| {
            Arrival::Bidirectional(stream.unchecked_into())
        }));
        spawn_local(self.clone().read_streams(unidirectional, |stream| {
            Arrival::Unidirectional(stream.unchecked_into())
        }));
        spawn_local(self.clone().read_datagrams(datagrams));
        spawn_local(async move {
            let _ = JsFuture::from(closed).await;
            self.carrier_ended();
        });
    }

    async fn read_streams(
        self: Rc<Self>,
        streams: ReadableStream,
        arrival: fn(JsValue) -> Arrival,
    ) {
        let reader: ReadableStreamDefaultReader = streams.get_reader().unchecked_into();
        let mut key = 0;
        while let Ok(Some(stream)) = self.next(&reader).await {
            let arrival = arrival(stream);
            // Bidirectional and unidirectional streams share the machine's keys.
            key += 2;
            spawn_local(
                self.clone()
                    .read_header(key + u64::from(arrival.is_bidirectional()), arrival),
            );
        }
    }

    /// Reads exactly the header of a stream, byte by byte into memory of our own, and asks the machine what to do with it.
    async fn read_header(self: Rc<Self>, key: u64, arrival: Arrival) {
        let direction = arrival.direction();
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let reader: ReadableStreamByobReader = arrival
            .readable()
            .get_reader_with_options(&options)
            .unchecked_into();
        let mut bytes = Vec::with_capacity(StreamHeader::MAX_LEN);
        let header = loop {
            let view = Uint8Array::new_with_length(1);
            let read = self.settle(reader.read_with_array_buffer_view(&view)).await;
            let Ok(Some(byte)) = read.map(|result| value(&result)) else {
                // It ended before it said what it is: nobody has heard of it, nobody misses it.
                return;
            };
            byte.unchecked_ref::<Uint8Array>()
                .for_each(&mut |byte, _, _| bytes.push(byte));
            match StreamHeader::decode(&bytes, direction) {
                Ok(None) => {}
                Ok(Some((header, _))) => break Ok(header),
                Err(error) => break Err(error.code()),
            }
        };
        reader.release_lock();
        let header = match header {
            Ok(header) => header,
            Err(code) => return arrival.reject(code),
        };
        let control = match (&header, &arrival) {
            (StreamHeader::Control, Arrival::Unidirectional(stream)) => Some(stream.clone()),
            _ => None,
        };
        if control.is_none() {
            self.arrivals.borrow_mut().insert(key, arrival);
        }
        self.feed(Input::Stream {
            stream: key,
            header,
        });
        if let Some(stream) = control {
            self.read_control(stream.get_reader().unchecked_into())
                .await;
        }
    }

    async fn read_control(&self, reader: ReadableStreamDefaultReader) {
        loop {
            match self.next(&reader).await {
                Ok(Some(bytes)) => self.feed(Input::Control(
                    &bytes.unchecked_ref::<Uint8Array>().to_vec(),
                )),
                Ok(None) => return self.feed(Input::ControlClosed),
                Err(Broken::Ended) => return,
                Err(broken) => {
                    // With a lost carrier the end comes from there; else the peer has reset the stream.
                    self.explain(broken, "the server reset its control stream")
                        .await;
                    return self.feed(Input::ControlClosed);
                }
            }
        }
    }

    async fn read_datagrams(self: Rc<Self>, datagrams: ReadableStream) {
        let reader: ReadableStreamDefaultReader = datagrams.get_reader().unchecked_into();
        while let Ok(Some(datagram)) = self.next(&reader).await {
            self.counters.received_datagrams.add();
            let bytes = datagram.unchecked_ref::<Uint8Array>().to_vec();
            self.feed(Input::Datagram(Bytes::from(bytes)));
        }
    }

    /// The next chunk of a stream of the browser, or `None` after the last.
    pub(crate) async fn next(
        &self,
        reader: &ReadableStreamDefaultReader,
    ) -> Result<Option<JsValue>, Broken> {
        Ok(value(&self.settle(reader.read()).await?))
    }
}

impl Arrival {
    fn is_bidirectional(&self) -> bool {
        matches!(self, Self::Bidirectional(_))
    }

    fn direction(&self) -> Direction {
        match self {
            Self::Bidirectional(_) => Direction::Bidirectional,
            Self::Unidirectional(_) => Direction::Unidirectional,
        }
    }

    fn readable(&self) -> ReadableStream {
        match self {
            Self::Bidirectional(stream) => stream.readable().into(),
            Self::Unidirectional(stream) => stream.clone().into(),
        }
    }

    /// Wants nothing of it.
    pub(crate) fn reject(self, code: Code) {
        let reason = js::stream_error(code);
        js::ignore(self.readable().cancel_with_reason(&reason));
        if let Self::Bidirectional(stream) = self {
            js::ignore(stream.writable().abort_with_reason(&reason));
        }
    }

    /// Reads it to its end, and answers nothing.
    pub(crate) async fn discard(self, driver: Rc<Driver>) {
        if let Self::Bidirectional(stream) = &self {
            js::ignore(stream.writable().close());
        }
        let reader: ReadableStreamDefaultReader = self.readable().get_reader().unchecked_into();
        while let Ok(Some(_)) = driver.next(&reader).await {}
    }
}

/// The value in the result of a read, or `None` if that was the end.
fn value(result: &JsValue) -> Option<JsValue> {
    (!js::get(result, "done").is_truthy()).then(|| js::get(result, "value"))
}
