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
//! are neither changed nor copied, except small ones (see [`COPY_BELOW`]); of a framed stream the first 20 are looked at.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use stoq_core::close::Code;

use super::Heed;

/// Where bytes come from.
pub trait Source: Send {
    /// Fills `chunks` from the front with what has arrived, at least one; waits until there is something.
    fn read(&mut self, chunks: &mut [Bytes]) -> impl Future<Output = Read> + Send;

    /// Tells the sender that nobody wants the rest.
    fn stop(&mut self, code: Code);
}

/// Where bytes go.
pub trait Sink: Send {
    /// Hands over all of `chunks`; waits while there is no room. `Err` when nobody takes them.
    fn write(&mut self, chunks: &mut [Bytes]) -> impl Future<Output = Result<(), Code>> + Send;

    /// Resolves when nobody wants the rest.
    fn stopped(&mut self) -> impl Future<Output = Code> + Send;

    /// All has been written.
    fn finish(&mut self);

    /// The rest will not come.
    fn reset(&mut self, code: Code);

    /// How urgent the stream is, from 0 to 7 as [`SendStream::set_priority`](crate::SendStream::set_priority) has it.
    fn set_priority(&mut self, urgency: u8);
}

/// What a source had.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// That many chunks.
    Chunks(usize),
    /// The end.
    End,
    /// The sender has given up, or its carrier is gone.
    Reset(Code),
}

/// Pumps until one end has ended, and tells the other how. If dropped before that, the receiver sees a reset, never an
/// end that looks complete. `moved` grows by the bytes. Tells whether the end came, and was passed on.
pub async fn pump(
    from: &mut impl Source,
    into: &mut Unfinished<impl Sink>,
    mut heed: Heed<'_>,
    moved: &AtomicU64,
) -> bool {
    let mut chunks = [const { Bytes::new() }; BATCH];
    loop {
        let read = tokio::select! {
            biased;
            read = from.read(&mut chunks) => read,
            code = into.stopped() => {
                from.stop(code);
                return false;
            }
        };
        let chunks = match read {
            Read::Chunks(count) => &mut chunks[..count],
            Read::End => {
                into.finish();
                return true;
            }
            Read::Reset(code) => {
                into.reset(code);
                return false;
            }
        };
        let mut len = 0;
        for chunk in chunks.iter_mut() {
            len += chunk.len();
            if chunk.len() < COPY_BELOW {
                *chunk = Bytes::copy_from_slice(chunk);
            }
        }
        heed.before(chunks, into);
        if let Err(code) = into.write(chunks).await {
            from.stop(code);
            return false;
        }
        moved.fetch_add(len as u64, Relaxed);
    }
}

/// A sink that is reset when dropped, unless its end has been settled. Left to itself, QUIC would finish the stream, and
/// half a file would look like a whole one. So a stream is put into this as soon as it is there.
#[derive(Debug)]
pub struct Unfinished<S: Sink> {
    sink: S,
    settled: bool,
}

impl<S: Sink> Unfinished<S> {
    /// Takes a sink whose end is open.
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            settled: false,
        }
    }
}

impl<S: Sink> Sink for Unfinished<S> {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Code> {
        let written = self.sink.write(chunks).await;
        self.settled |= written.is_err();
        written
    }

    async fn stopped(&mut self) -> Code {
        let code = self.sink.stopped().await;
        self.settled = true;
        code
    }

    fn finish(&mut self) {
        self.settled = true;
        self.sink.finish();
    }

    fn reset(&mut self, code: Code) {
        self.settled = true;
        self.sink.reset(code);
    }

    fn set_priority(&mut self, urgency: u8) {
        self.sink.set_priority(urgency);
    }
}

impl<S: Sink> Drop for Unfinished<S> {
    fn drop(&mut self) {
        if !self.settled {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use stoq_core::stream::Payload;

    use super::super::Urgency;
    use super::*;

    /// Notes what happens to it; takes nothing once `gone`.
    #[derive(Debug, Default)]
    struct Noted {
        notes: Arc<Mutex<Vec<String>>>,
        gone: bool,
    }

    impl Noted {
        fn note(&self, what: impl Into<String>) {
            self.notes.lock().unwrap().push(what.into());
        }
    }

    impl Sink for Noted {
        async fn write(&mut self, _: &mut [Bytes]) -> Result<(), Code> {
            self.note("write");
            if self.gone {
                Err(Code::new(42))
            } else {
                Ok(())
            }
        }

        async fn stopped(&mut self) -> Code {
            Code::new(42)
        }

        fn finish(&mut self) {
            self.note("finish");
        }

        fn reset(&mut self, code: Code) {
            self.note(format!("reset {code}"));
        }

        fn set_priority(&mut self, urgency: u8) {
            self.note(format!("urgency {urgency}"));
        }
    }

    /// What it reads, then the end.
    struct Script(Vec<Bytes>);

    impl Source for Script {
        async fn read(&mut self, chunks: &mut [Bytes]) -> Read {
            if self.0.is_empty() {
                return Read::End;
            }
            chunks[0] = self.0.remove(0);
            Read::Chunks(1)
        }

        fn stop(&mut self, _: Code) {}
    }

    #[tokio::test]
    async fn the_urgency_that_the_opener_says_holds_both_ways() {
        let mut opening = vec![7; 16];
        opening.extend([2, 2, 1, 0]);
        for (payload, pieces, urgent) in [
            (Payload::Framed, 20, true),
            (Payload::Framed, 3, true),
            (Payload::Raw, 20, false),
        ] {
            let urgency = Urgency::default();
            let moved = AtomicU64::new(0);
            let run = async |mut from: Script, heed| {
                let (mut sink, notes) = unfinished(false);
                pump(&mut from, &mut sink, heed, &moved).await;
                let notes = notes.lock().unwrap().clone();
                notes
                    .iter()
                    .filter(|note| note.starts_with('u'))
                    .cloned()
                    .collect::<Vec<_>>()
            };
            let script = opening.chunks(pieces).map(Bytes::copy_from_slice).collect();
            let expected: &[_] = if urgent { &["urgency 1"] } else { &[] };
            assert_eq!(run(Script(script), urgency.said(payload)).await, expected);
            let back = Script(vec![Bytes::from_static(b"answer"); 2]);
            assert_eq!(run(back, urgency.heard(payload)).await, expected);
            assert_eq!(moved.load(Relaxed), 32);
        }
    }

    fn unfinished(gone: bool) -> (Unfinished<Noted>, Arc<Mutex<Vec<String>>>) {
        let notes = Arc::default();
        let sink = Noted {
            notes: Arc::clone(&notes),
            gone,
        };
        (Unfinished::new(sink), notes)
    }

    #[tokio::test]
    async fn a_sink_dropped_before_its_end_is_reset() {
        let reset = format!("reset {}", Code::SESSION_CLOSED);
        let (sink, notes) = unfinished(false);
        drop(sink);
        assert_eq!(*notes.lock().unwrap(), [reset.as_str()]);

        let (mut sink, notes) = unfinished(false);
        sink.write(&mut []).await.unwrap();
        drop(sink);
        assert_eq!(*notes.lock().unwrap(), ["write", &reset]);
    }

    #[tokio::test]
    async fn a_sink_whose_end_is_settled_is_left_alone() {
        let (mut sink, notes) = unfinished(false);
        sink.finish();
        drop(sink);
        assert_eq!(*notes.lock().unwrap(), ["finish"]);

        let (mut sink, notes) = unfinished(false);
        sink.reset(Code::new(7));
        drop(sink);
        assert_eq!(*notes.lock().unwrap(), [format!("reset {}", Code::new(7))]);

        let (mut sink, notes) = unfinished(false);
        sink.stopped().await;
        drop(sink);
        assert!(notes.lock().unwrap().is_empty());

        let (mut sink, notes) = unfinished(true);
        sink.write(&mut []).await.unwrap_err();
        drop(sink);
        assert_eq!(*notes.lock().unwrap(), ["write"]);
    }
}
