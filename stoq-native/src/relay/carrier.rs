//! Native streams as sources and sinks.

use bytes::Bytes;
use stoq_core::close::Code;

use super::pump::{Read, Sink, Source};
use crate::closed::{Closed, ClosedBy};
use crate::stream::{DEFAULT_URGENCY, ReadError, RecvStream, SendStream, WriteError};

/// The receiving half of a native stream.
#[derive(Debug)]
pub struct NativeSource {
    stream: RecvStream,
    lost: Code,
}

/// The sending half of a native stream.
#[derive(Debug)]
pub struct NativeSink {
    stream: SendStream,
    lost: Code,
}

impl NativeSource {
    /// `lost` is what the other side learns when the peer's connection is gone without a word:
    /// [`UPSTREAM_LOST`](Code::UPSTREAM_LOST) of a next hop, [`CONNECTION_LOST`](Code::CONNECTION_LOST) of who came before.
    pub fn new(stream: RecvStream, lost: Code) -> Self {
        Self { stream, lost }
    }
}

impl NativeSink {
    /// `lost` as for [`NativeSource::new`].
    pub fn new(stream: SendStream, lost: Code) -> Self {
        Self { stream, lost }
    }
}

/// What becomes of streams of a session that has ended on the other side, where `lost` stands for an end without a word.
pub fn stream_code(closed: &Closed, lost: Code) -> Code {
    match closed.by {
        ClosedBy::Path => lost,
        ClosedBy::Peer | ClosedBy::Local => Code::SESSION_CLOSED,
    }
}

impl Source for NativeSource {
    async fn read(&mut self, chunks: &mut [Bytes]) -> Read {
        match self.stream.read_chunks(chunks).await {
            Ok(Some(count)) => Read::Chunks(count),
            Ok(None) => Read::End,
            Err(ReadError::Reset(code)) => Read::Reset(code),
            Err(ReadError::SessionClosed(closed)) => Read::Reset(stream_code(&closed, self.lost)),
            Err(ReadError::ClosedStream | ReadError::TooLong { .. }) => Read::Reset(Code::INTERNAL),
        }
    }

    fn stop(&mut self, code: Code) {
        self.stream.stop(code);
    }
}

impl Sink for NativeSink {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Code> {
        let written = self.stream.write_chunks(chunks).await;
        written.map_err(|error| match error {
            WriteError::Stopped(code) => code,
            WriteError::SessionClosed(closed) => stream_code(&closed, self.lost),
            WriteError::ClosedStream => Code::INTERNAL,
        })
    }

    async fn stopped(&mut self) -> Code {
        match self.stream.stopped().await {
            Ok(Some(code)) => code,
            Ok(None) => Code::INTERNAL,
            Err(closed) => stream_code(&closed, self.lost),
        }
    }

    fn finish(&mut self) {
        // An error says that the peer has stopped it meanwhile.
        let _ = self.stream.finish();
    }

    fn reset(&mut self, code: Code) {
        self.stream.reset(code);
    }

    /// Where sessions share a connection, no stream is more urgent than those of which nobody says anything: QUIC sends the
    /// most urgent first, and one client could keep the streams of all others waiting. Less urgent it may be.
    fn set_priority(&mut self, urgency: u8) {
        let most = match self.stream.shares_connection() {
            true => DEFAULT_URGENCY,
            false => 0,
        };
        self.stream.set_priority(urgency.max(most));
    }
}
