//! WebTransport's streams, whose codes stand in HTTP/3's space, as sources and sinks; and what native ones are here.

use bytes::Bytes;
use quinn::VarInt;
use stoq_core::close::Code;
use stoq_native::relay::{NativeSink, NativeSource, Read, Sink, Source, quic_priority};
use stoq_native::{RecvStream, SendStream};

/// The receiving half of a browser's stream.
#[derive(Debug)]
pub(crate) struct FromBrowser(pub(crate) wtransport::RecvStream);

/// The sending half of a browser's stream.
#[derive(Debug)]
pub(crate) struct ToBrowser(pub(crate) wtransport::SendStream);

/// The receiving half of a target's stream.
pub(crate) fn from_target(stream: RecvStream) -> NativeSource {
    NativeSource::new(stream, Code::UPSTREAM_LOST)
}

/// The sending half of a target's stream.
pub(crate) fn to_target(stream: SendStream) -> NativeSink {
    NativeSink::new(stream, Code::UPSTREAM_LOST)
}

/// `code` as HTTP/3 carries it.
pub(crate) fn http3(code: Code) -> VarInt {
    VarInt::from_u64(code.to_http3()).expect("HTTP/3's space for codes ends below 2^62")
}

impl Source for FromBrowser {
    async fn read(&mut self, chunks: &mut [Bytes]) -> Read {
        match self.0.quic_stream_mut().read_chunks(chunks).await {
            Ok(Some(count)) => Read::Chunks(count),
            Ok(None) => Read::End,
            Err(quinn::ReadError::Reset(code)) => Read::Reset(Code::from_http3(code.into_inner())),
            Err(_) => Read::Reset(Code::CONNECTION_LOST),
        }
    }

    fn stop(&mut self, code: Code) {
        // An error says that there is nothing left to stop.
        let _ = self.0.quic_stream_mut().stop(http3(code));
    }
}

impl Sink for ToBrowser {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Code> {
        let written = self.0.quic_stream_mut().write_all_chunks(chunks).await;
        written.map_err(|error| match error {
            quinn::WriteError::Stopped(code) => Code::from_http3(code.into_inner()),
            _ => Code::CONNECTION_LOST,
        })
    }

    async fn stopped(&mut self) -> Code {
        match self.0.quic_stream().stopped().await {
            Ok(Some(code)) => Code::from_http3(code.into_inner()),
            Ok(None) | Err(_) => Code::CONNECTION_LOST,
        }
    }

    fn finish(&mut self) {
        // An error says that the browser has stopped it meanwhile.
        let _ = self.0.quic_stream_mut().finish();
    }

    fn reset(&mut self, code: Code) {
        // An error says that there is nothing left to reset.
        let _ = self.0.quic_stream_mut().reset(http3(code));
    }

    fn set_priority(&mut self, urgency: u8) {
        // An error says that the stream has ended.
        let _ = self.0.quic_stream().set_priority(quic_priority(urgency));
    }
}
