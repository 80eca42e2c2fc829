//! What arrives on the carrier: the tasks that read streams' headers, the control stream and datagrams.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use js_sys::Uint8Array;
use stoq_core::channel::ChannelId;
use stoq_core::session::Input;
use stoq_core::stream::Direction;
use stoq_core::{Code, StreamHeader};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader,
    ReadableStreamGetReaderOptions, ReadableStreamReaderMode, WebTransportBidirectionalStream,
    WebTransportReceiveStream,
};

use crate::channels::End;
use crate::driver::Driver;
use crate::ending::Broken;
use crate::inbox::Place;
use crate::js;
use crate::signal::in_time;

/// A stream that the peer has opened, with its place in the inbox.
pub(crate) struct Arrival {
    pub(crate) stream: Incoming,
    pub(crate) place: Place,
}

/// The browser's side of it.
pub(crate) enum Incoming {
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
        js::spawn(
            self.clone()
                .read_streams(bidirectional, Direction::Bidirectional),
        );
        js::spawn(
            self.clone()
                .read_streams(unidirectional, Direction::Unidirectional),
        );
        js::spawn(self.clone().read_datagrams(datagrams));
        js::spawn(async move {
            let _ = JsFuture::from(closed).await;
            self.carrier_ended();
        });
    }

    /// Takes the streams of one kind from the browser, each when there is room for it. To take one and refuse it later
    /// would lose what its opener has seen acknowledged.
    async fn read_streams(self: Rc<Self>, streams: ReadableStream, direction: Direction) {
        let reader: ReadableStreamDefaultReader = streams.get_reader().unchecked_into();
        // Bidirectional and unidirectional streams share the machine's keys.
        let mut key = u64::from(direction == Direction::Bidirectional);
        while let Some(place) = self.place(direction).await {
            let Ok(Some(stream)) = self.next(&reader).await else {
                return;
            };
            let stream = match direction {
                Direction::Bidirectional => Incoming::Bidirectional(stream.unchecked_into()),
                Direction::Unidirectional => Incoming::Unidirectional(stream.unchecked_into()),
            };
            key += 2;
            js::spawn(self.clone().read_header(key, Arrival { stream, place }));
        }
    }

    /// Asks the machine what to do with a stream, once its header is here. The control stream is read from here on.
    async fn read_header(self: Rc<Self>, key: u64, arrival: Arrival) {
        let header = match self.header(&arrival).await {
            Some(Ok(header)) => header,
            Some(Err(code)) => return arrival.reject(code),
            None => return,
        };
        match (header, arrival) {
            (
                StreamHeader::Control,
                Arrival {
                    stream: Incoming::Unidirectional(stream),
                    place,
                },
            ) => {
                // It waits for nobody, and lasts.
                drop(place);
                self.feed(Input::Stream {
                    stream: key,
                    header,
                });
                self.read_control(stream.get_reader().unchecked_into())
                    .await;
            }
            (header, arrival) => self.feed_stream(key, header, arrival),
        }
    }

    /// Reads exactly the header of a stream, byte by byte, and leaves the rest to whoever reads next: or the code to
    /// reject the stream with, or `None` if the session has ended.
    async fn header(&self, arrival: &Arrival) -> Option<Result<StreamHeader, Code>> {
        let direction = arrival.direction();
        let header = self.beginning(arrival, |bytes| {
            let header = StreamHeader::decode(bytes, direction);
            Ok(header.map_err(|error| error.code())?.map(|(it, _)| it))
        });
        header.await
    }

    /// Reads the name of the channel of a verified stream, and lets the user have the stream.
    pub(crate) async fn read_channel(self: Rc<Self>, arrival: Arrival) {
        let name = |bytes: &[u8]| Ok(bytes.try_into().ok().map(ChannelId::new));
        let channel = match in_time(NAMES_ITSELF, self.beginning(&arrival, name)).await {
            None => Err(Code::TIMEOUT),
            Some(None) => return,
            Some(Some(channel)) => channel,
        };
        let claim = |channel| match self.channels.claim(channel, End::Peer) {
            Ok(()) => Ok(channel),
            Err(error) => Err(error.code()),
        };
        match channel.and_then(claim) {
            Ok(_) if self.ending.get().is_some() => arrival.reject(Code::SESSION_CLOSED),
            Ok(channel) => {
                self.put_stream(arrival, Some(channel));
                self.news.notify();
            }
            Err(code) => {
                self.channels.refused(code);
                arrival.reject(code);
            }
        }
    }

    /// Reads a stream byte by byte until `what` finds something in all that was read, and leaves the rest to whoever reads
    /// next: or the code to reject the stream with, or `None` if the session has ended.
    async fn beginning<T>(
        &self,
        arrival: &Arrival,
        what: impl Fn(&[u8]) -> Result<Option<T>, Code>,
    ) -> Option<Result<T, Code>> {
        let options = ReadableStreamGetReaderOptions::new();
        options.set_mode(ReadableStreamReaderMode::Byob);
        let reader = arrival.readable().get_reader_with_options(&options);
        let reader: ReadableStreamByobReader = reader.unchecked_into();
        let mut bytes = Vec::with_capacity(ChannelId::LEN);
        loop {
            let view = Uint8Array::new_with_length(1);
            let read = self
                .ending
                .settle(reader.read_with_array_buffer_view(&view))
                .await;
            let found = match read {
                Ok(result) => value(&result).map_or(Err(Code::CANCELLED), |byte| {
                    bytes.push(byte.unchecked_ref::<Uint8Array>().get_index(0));
                    what(&bytes)
                }),
                // It was reset before it said what it is. One in both directions still has its other half.
                Err(Broken::Rejected(_)) => Err(Code::CANCELLED),
                Err(Broken::Ended) => return None,
            };
            if let Some(found) = found.transpose() {
                reader.release_lock();
                return Some(found);
            }
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
                    self.ending
                        .explain(broken, "the server reset its control stream")
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
        Ok(value(&self.ending.settle(reader.read()).await?))
    }
}

impl Arrival {
    fn direction(&self) -> Direction {
        match self.stream {
            Incoming::Bidirectional(_) => Direction::Bidirectional,
            Incoming::Unidirectional(_) => Direction::Unidirectional,
        }
    }

    pub(crate) fn readable(&self) -> ReadableStream {
        match &self.stream {
            Incoming::Bidirectional(stream) => stream.readable().into(),
            Incoming::Unidirectional(stream) => stream.clone().into(),
        }
    }

    /// Wants nothing of it.
    pub(crate) fn reject(self, code: Code) {
        let reason = js::stream_error(code);
        js::ignore(self.readable().cancel_with_reason(&reason));
        if let Incoming::Bidirectional(stream) = self.stream {
            js::ignore(stream.writable().abort_with_reason(&reason));
        }
    }

    /// Reads it to its end, and answers nothing.
    pub(crate) async fn discard(self, driver: Rc<Driver>) {
        if let Incoming::Bidirectional(stream) = &self.stream {
            js::ignore(stream.writable().close());
        }
        let reader: ReadableStreamDefaultReader = self.readable().get_reader().unchecked_into();
        // Nobody will accept it.
        drop(self);
        while let Ok(Some(_)) = driver.next(&reader).await {}
    }
}

/// The value in the result of a read, or `None` if that was the end.
fn value(result: &JsValue) -> Option<JsValue> {
    (!js::get(result, "done").is_truthy()).then(|| js::get(result, "value"))
}

/// How long a verified stream may be without the name of its channel, which its opener sends with its header.
const NAMES_ITSELF: Duration = Duration::from_secs(5);
