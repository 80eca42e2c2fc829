//! The two control streams of a connection.

use std::collections::VecDeque;
use std::future::pending;

use bytes::Bytes;

/// Ours: bytes wait here until QUIC takes them.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    stream: Option<quinn::SendStream>,
    unsent: VecDeque<Bytes>,
    length: usize,
}

impl Outgoing {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        self.unsent.push_back(bytes);
    }

    /// Whether more may be caused by the peer.
    pub(super) fn has_room(&self) -> bool {
        self.length <= MAX_UNSENT
    }

    /// Resolves when some bytes have gone, or the peer has stopped the stream.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing was sent.
    pub(super) async fn send(
        &mut self,
        quinn: &quinn::Connection,
    ) -> Result<(), quinn::WriteError> {
        if self.unsent.is_empty() {
            return match &self.stream {
                Some(stream) => stopped(stream).await,
                None => pending().await,
            };
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = quinn.open_uni().await?;
                // Ahead of all data: a close or a ping must not wait behind a bulk transfer.
                let _ = stream.set_priority(i32::MAX);
                self.stream.insert(stream)
            }
        };
        let written = stream.write_chunks(self.unsent.make_contiguous()).await?;
        self.unsent.drain(..written.chunks);
        self.length -= written.bytes;
        Ok(())
    }
}

async fn stopped(stream: &quinn::SendStream) -> Result<(), quinn::WriteError> {
    match stream.stopped().await {
        Ok(Some(code)) => Err(quinn::WriteError::Stopped(code)),
        // It is never finished; and the end of the connection shows elsewhere.
        Ok(None) | Err(_) => pending().await,
    }
}

/// The peer's.
#[derive(Debug, Default)]
pub(super) struct Incoming(Option<quinn::RecvStream>);

impl Incoming {
    pub(super) fn new(stream: Option<quinn::RecvStream>) -> Self {
        Self(stream)
    }

    /// The next bytes; `None`, once, when the stream has ended. Waits as long as there is no stream.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing was read.
    pub(super) async fn read(&mut self) -> Option<Bytes> {
        let Some(stream) = &mut self.0 else {
            return pending().await;
        };
        match stream.read_chunk(MAX_READ, true).await {
            Ok(Some(chunk)) => Some(chunk.bytes),
            // The end of the connection shows elsewhere.
            Err(quinn::ReadError::ConnectionLost(_)) => pending().await,
            Ok(None) | Err(_) => {
                self.0 = None;
                None
            }
        }
    }
}

/// Unsent bytes above which the peer's control stream is not read.
pub(super) const MAX_UNSENT: usize = 64 * 1024;
/// Bytes fed to the state machine at once.
const MAX_READ: usize = 16 * 1024;
