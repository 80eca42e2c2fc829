//! Both carriers' streams as sources and sinks: WebTransport's, whose codes stand in HTTP/3's space, and native ones.

use bytes::Bytes;
use quinn::VarInt;
use stoq_core::close::Code;
use stoq_native::{Closed, ClosedBy, ReadError, WriteError};

use crate::relay::{Read, Sink, Source};

/// The receiving half of a browser's stream.
#[derive(Debug)]
pub(crate) struct FromBrowser(pub(crate) wtransport::RecvStream);

/// The sending half of a browser's stream.
#[derive(Debug)]
pub(crate) struct ToBrowser(pub(crate) wtransport::SendStream);

/// The receiving half of a target's stream.
#[derive(Debug)]
pub(crate) struct FromTarget(pub(crate) stoq_native::RecvStream);

/// The sending half of a target's stream.
#[derive(Debug)]
pub(crate) struct ToTarget(pub(crate) stoq_native::SendStream);

/// `code` as HTTP/3 carries it.
pub(crate) fn http3(code: Code) -> VarInt {
    VarInt::from_u64(code.to_http3()).expect("HTTP/3's space for codes ends below 2^62")
}

/// What becomes of streams of a session that has ended at the target.
pub(crate) fn stream_code(closed: &Closed) -> Code {
    match closed.by {
        ClosedBy::Path => Code::UPSTREAM_LOST,
        ClosedBy::Peer | ClosedBy::Local => Code::SESSION_CLOSED,
    }
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
}

impl Source for FromTarget {
    async fn read(&mut self, chunks: &mut [Bytes]) -> Read {
        match self.0.read_chunks(chunks).await {
            Ok(Some(count)) => Read::Chunks(count),
            Ok(None) => Read::End,
            Err(ReadError::Reset(code)) => Read::Reset(code),
            Err(ReadError::SessionClosed(closed)) => Read::Reset(stream_code(&closed)),
            Err(ReadError::ClosedStream | ReadError::TooLong { .. }) => Read::Reset(Code::INTERNAL),
        }
    }

    fn stop(&mut self, code: Code) {
        self.0.stop(code);
    }
}

impl Sink for ToTarget {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Code> {
        self.0
            .write_chunks(chunks)
            .await
            .map_err(|error| match error {
                WriteError::Stopped(code) => code,
                WriteError::SessionClosed(closed) => stream_code(&closed),
                WriteError::ClosedStream => Code::INTERNAL,
            })
    }

    async fn stopped(&mut self) -> Code {
        match self.0.stopped().await {
            Ok(Some(code)) => code,
            Ok(None) => Code::INTERNAL,
            Err(closed) => stream_code(&closed),
        }
    }

    fn finish(&mut self) {
        // An error says that the target has stopped it meanwhile.
        let _ = self.0.finish();
    }

    fn reset(&mut self, code: Code) {
        self.0.reset(code);
    }
}
