//! The stream that a writer and the task that signs its runs share.

use core::ops::{Deref, DerefMut};
use core::pin::{Pin, pin};
use core::task::Poll;
use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use stoq_core::channel::{CutShort, RUN_TIME, Received, SealError, Sealer, Sent};
use stoq_core::close::Code;
use stoq_core::falcon::Signature;
use stoq_core::frame::{FalconKey, Frame};
use stoq_core::run::Statement;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::Instant;

use super::Share;
use super::send::VerifiedWriteError;
use crate::clock::now;
use crate::closed::Closed;
use crate::falcon::SignError;
use crate::stream::{SendStream, WriteError};

/// What the stream shares with the task that signs its runs.
pub(super) struct Sending {
    pub(super) line: Mutex<Line>,
    /// A run has begun, or is full.
    pub(super) wake: Notify,
    /// A run was closed or signed: there may be room again.
    pub(super) signed: Notify,
}

/// The stream, and what is on its way to it.
pub(super) struct Line {
    stream: SendStream,
    pub(super) sealer: Sealer,
    /// In the order of the stream. What a dropped future has left is sent before anything else.
    outbox: Vec<Bytes>,
    headers: BytesMut,
    /// When the run that grows is to be signed.
    pub(super) due: Option<Instant>,
    pub(super) failure: Option<VerifiedWriteError>,
    pub(super) ending: Ending,
    cut: Option<CutShort>,
    /// The task that signs has something to send.
    pub(super) draining: bool,
    received: Option<Share<Received>>,
    sent: Option<Share<Sent>>,
    /// Whether only an answer to all that was sent may be the last.
    whole: bool,
}

/// How far the end has come. A `finish` that is dropped is gone on with by the next.
pub(super) enum Ending {
    /// Data may be written.
    Open,
    /// The last run is closed, and is being signed.
    Signing(Pin<Box<dyn Future<Output = Result<Signature, SignError>> + Send>>),
    /// All that was to be said is in the outbox, or sent.
    Signed,
    /// QUIC has all, and what may have been cut of what was asked.
    Done(Option<CutShort>),
}

impl Line {
    pub(super) fn new(
        stream: SendStream,
        sealer: Sealer,
        received: Option<Share<Received>>,
        sent: Option<Share<Sent>>,
        whole: bool,
    ) -> Self {
        Self {
            stream,
            sealer,
            outbox: Vec::new(),
            headers: BytesMut::new(),
            due: None,
            failure: None,
            ending: Ending::Open,
            cut: None,
            draining: false,
            received,
            sent,
            whole,
        }
    }

    /// Puts what `write` writes behind what is on its way.
    pub(super) fn put(&mut self, write: impl FnOnce(&mut Sealer, &mut BytesMut)) {
        self.headers.reserve(HEADERS);
        write(&mut self.sealer, &mut self.headers);
        self.outbox.push(self.headers.split().freeze());
    }

    pub(super) async fn flush(&mut self) -> Result<(), VerifiedWriteError> {
        if let Err(error) = self.stream.write_chunks(&mut self.outbox).await {
            let failure = VerifiedWriteError::Write(error);
            self.failure = Some(failure.clone());
            return Err(failure);
        }
        self.outbox.clear();
        Ok(())
    }

    /// Seals as much of `data` as goes to QUIC in one piece, and puts it in the outbox.
    pub(super) fn seal(&mut self, data: &mut Bytes) -> Result<(), SealError> {
        let batch = data.len().min(BATCH * Frame::MAX_DATA);
        self.headers.reserve(batch + BATCH * Sealer::MAX_HEADER_LEN);
        for _ in 0..BATCH {
            if data.is_empty() || self.sealer.is_full() {
                break;
            }
            let piece = data.split_to(data.len().min(Frame::MAX_DATA));
            self.sealer.seal_whole(now(), &piece, &mut self.headers)?;
            if let Some(sent) = &self.sent {
                sent.with(|sent| sent.note(&piece));
            }
        }
        self.outbox.push(self.headers.split().freeze());
        Ok(())
    }

    /// Says when the run is to be signed; whether that is news.
    pub(super) fn mark_due(&mut self) -> bool {
        let due = match (self.sealer.run(), self.sealer.is_full()) {
            (None, _) => return false,
            (Some(_), true) => Instant::now(),
            (Some(_), false) if self.due.is_some() => return false,
            (Some(_), false) => Instant::now() + RUN_TIME,
        };
        self.due = Some(due);
        true
    }

    /// Ends the run as the answer to what was read so far.
    pub(super) fn close(&mut self) -> Option<Statement> {
        let sealer = &mut self.sealer;
        match &self.received {
            Some(received) => received.with(|it| sealer.close(it)),
            None => sealer.close(&Received::default()),
        }
    }

    /// Ends the last run; what is to be signed, if somebody signs.
    pub(super) fn end(&mut self) -> Result<Option<Statement>, SealError> {
        self.headers.reserve(HEADERS);
        let (sealer, out) = (&mut self.sealer, &mut self.headers);
        let nothing = Received::default();
        let statement = match &self.received {
            Some(received) => received.with(|it| sealer.finish(now(), it, out)),
            None => sealer.finish(now(), &nothing, out),
        }?;
        self.due = None;
        if !self.headers.is_empty() {
            self.outbox.push(self.headers.split().freeze());
        }
        // Before the peer can know that this is the end.
        if let (Some(sent), true) = (&self.sent, self.whole) {
            self.cut = sent.with(Sent::end).err();
        }
        Ok(statement)
    }

    /// Takes the signature of the end.
    pub(super) fn take_end(
        &mut self,
        signature: Result<Signature, SignError>,
    ) -> Result<(), VerifiedWriteError> {
        match signature {
            Ok(signature) => {
                self.put_signature(&signature);
                self.ending = Ending::Signed;
                Ok(())
            }
            Err(error) => {
                self.failure = Some(error.clone().into());
                Err(error.into())
            }
        }
    }

    pub(super) fn put_signature(&mut self, signature: &Signature) {
        self.put(|sealer, out| {
            let signed = sealer.signed(signature, out);
            signed.expect("the run was closed, and nobody else signs");
        });
    }

    pub(super) fn finish(&mut self) -> Result<(), VerifiedWriteError> {
        let finished = self.stream.finish();
        finished.map_err(|_| WriteError::ClosedStream)?;
        self.ending = Ending::Done(self.cut);
        Ok(())
    }

    pub(super) fn reset(&mut self, code: Code) {
        self.stream.reset(code);
        self.outbox.clear();
        self.failure = Some(WriteError::ClosedStream.into());
    }

    pub(super) fn stopped(&self) -> impl Future<Output = Result<Option<Code>, Closed>> + use<> {
        self.stream.stopping()
    }

    pub(super) fn put_first(&mut self, bytes: Bytes) {
        self.outbox.insert(0, bytes);
    }
}

impl Sending {
    pub(super) fn new(line: Line) -> Self {
        Self {
            line: Mutex::new(line),
            wake: Notify::new(),
            signed: Notify::new(),
        }
    }

    /// The stream, for who writes.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn {
            line: self.line.lock().await,
            wake: &self.wake,
        }
    }

    /// Sends what is in the outbox, and keeps the stream for nobody else while there is no room.
    pub(super) async fn drain(&self) -> Result<(), VerifiedWriteError> {
        loop {
            let flushed = {
                let mut line = self.line.lock().await;
                poll_fn(|cx| Poll::Ready(pin!(line.flush()).poll(cx))).await
            };
            if let Poll::Ready(flushed) = flushed {
                return flushed;
            }
            // QUIC wakes this task, unless somebody else has written meanwhile and is woken in its place.
            let mut woken = false;
            let room = poll_fn(|_| match core::mem::replace(&mut woken, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            tokio::select! {
                () = room => {}
                () = self.wake.notified() => {}
            }
        }
    }
}

/// The stream in the hands of who writes. Afterwards the task that signs looks whether it still has something to send.
pub(super) struct Turn<'a> {
    line: MutexGuard<'a, Line>,
    wake: &'a Notify,
}

impl Deref for Turn<'_> {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Line {
        &mut self.line
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.line.draining {
            self.wake.notify_one();
        }
    }
}

/// Frames that are handed to QUIC in one piece, which lets the first wait for 20 µs. For each packet quinn looks through all
/// pieces of a stream that are not acknowledged: with a header and data apart, they are eight times as many.
const BATCH: usize = 4;
/// Room for a frame without data: a key is the longest.
const HEADERS: usize = FalconKey::MAX_LEN + 16;
