//! One stream, pumped from one carrier to the other: bytes, end, reset and stop, as they come.
//!
//! ```text
//!   Source ── chunks, as they lie in the receive buffer ──▶ Sink
//!          ── FIN ────────────────────────────────────────▶
//!          ── RESET(code) ────────────────────────────────▶
//!          ◀───────────────────────────── STOP(code) ──────
//! ```
//!
//! One batch at a time is read and written, so a slow reader holds back the sender through the flow control of both
//! carriers; and so a reset that comes while the receiver takes nothing is passed on when it takes something again. Bytes
//! are neither parsed nor copied, except small ones (see [`COPY_BELOW`]).

use std::future::Future;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use stoq_core::close::Code;

use crate::metrics::add;

/// Where bytes come from.
pub(crate) trait Source: Send {
    /// Fills `chunks` from the front with what has arrived, at least one; waits until there is something.
    fn read(&mut self, chunks: &mut [Bytes]) -> impl Future<Output = Read> + Send;

    /// Tells the sender that nobody wants the rest.
    fn stop(&mut self, code: Code);
}

/// Where bytes go.
pub(crate) trait Sink: Send {
    /// Hands over all of `chunks`; waits while there is no room. `Err` when nobody takes them.
    fn write(&mut self, chunks: &mut [Bytes]) -> impl Future<Output = Result<(), Code>> + Send;

    /// Resolves when nobody wants the rest.
    fn stopped(&mut self) -> impl Future<Output = Code> + Send;

    /// All has been written.
    fn finish(&mut self);

    /// The rest will not come.
    fn reset(&mut self, code: Code);
}

/// What a source had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// That many chunks.
    Chunks(usize),
    /// The end.
    End,
    /// The sender has given up, or its carrier is gone.
    Reset(Code),
}

/// Pumps until one end has ended, and tells the other how. If dropped before that, the receiver sees a reset, never an
/// end that looks complete.
pub(crate) async fn pump(mut from: impl Source, into: impl Sink, counter: &AtomicU64) {
    let mut into = Unfinished {
        sink: into,
        ended: false,
    };
    let mut chunks = [const { Bytes::new() }; BATCH];
    loop {
        let read = tokio::select! {
            biased;
            read = from.read(&mut chunks) => read,
            code = into.sink.stopped() => {
                from.stop(code);
                return into.ended();
            }
        };
        let chunks = match read {
            Read::Chunks(count) => &mut chunks[..count],
            Read::End => {
                into.sink.finish();
                return into.ended();
            }
            Read::Reset(code) => {
                into.sink.reset(code);
                return into.ended();
            }
        };
        let mut len = 0;
        for chunk in chunks.iter_mut() {
            len += chunk.len();
            if chunk.len() < COPY_BELOW {
                *chunk = Bytes::copy_from_slice(chunk);
            }
        }
        if let Err(code) = into.sink.write(chunks).await {
            from.stop(code);
            return into.ended();
        }
        add(counter, len);
    }
}

/// A sink that is reset when dropped, unless its end has been settled. Left to itself, QUIC would finish the stream, and
/// half a file would look like a whole one.
struct Unfinished<S: Sink> {
    sink: S,
    ended: bool,
}

impl<S: Sink> Unfinished<S> {
    fn ended(mut self) {
        self.ended = true;
    }
}

impl<S: Sink> Drop for Unfinished<S> {
    fn drop(&mut self) {
        if !self.ended {
            self.sink.reset(Code::SESSION_CLOSED);
        }
    }
}

/// Chunks moved at once: as many packets as one system call receives. Locks and wake-ups are paid once for all of them.
const BATCH: usize = 32;

/// A chunk keeps alive the buffer in which its packet arrived, up to 64 KiB. Larger ones share it with their neighbours;
/// smaller ones are copied, so that a peer that sends one byte in each packet cannot make a window of bytes hold thousands
/// of buffers.
const COPY_BELOW: usize = 1024;
