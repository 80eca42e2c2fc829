//! A stream that the peer opened and that nobody holds yet.

use core::time::Duration;

use stoq_core::channel::ChannelId;
use stoq_core::close::Code;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use tokio::time::timeout;

use super::{Place, RecvStream, SendStream};
use crate::session::Session;

/// Both halves of a stream of the peer, as they are on their way to a session. Dropped on the way, the stream is rejected
/// with [`Code::SESSION_CLOSED`]: quinn would finish it, and so tell the peer that an empty answer is complete.
#[derive(Debug)]
pub(crate) struct Arrived {
    send: Option<quinn::SendStream>,
    receive: Option<quinn::RecvStream>,
    place: Option<Place>,
    payload: Payload,
    /// What has been read of the header, and how much that is.
    header: [u8; StreamHeader::MAX_LEN],
    header_len: usize,
}

/// What the first bytes of a stream say.
#[derive(Debug)]
pub(crate) enum Introduction {
    Header(StreamHeader),
    /// Nothing that can be understood, or nothing in time.
    Fault(Code),
    /// The peer has given the stream up.
    Gone,
}

impl Arrived {
    pub(crate) fn bidirectional((send, receive): (quinn::SendStream, quinn::RecvStream)) -> Self {
        Self {
            send: Some(send),
            receive: Some(receive),
            place: None,
            payload: Payload::Raw,
            header: [0; StreamHeader::MAX_LEN],
            header_len: 0,
        }
    }

    pub(crate) fn unidirectional(receive: quinn::RecvStream) -> Self {
        Self {
            send: None,
            receive: Some(receive),
            place: None,
            payload: Payload::Raw,
            header: [0; StreamHeader::MAX_LEN],
            header_len: 0,
        }
    }

    pub(crate) fn direction(&self) -> Direction {
        match self.send {
            Some(_) => Direction::Bidirectional,
            None => Direction::Unidirectional,
        }
    }

    /// Gives the stream its place among those of a multiplexed session.
    pub(crate) fn occupy(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Notes what the header says of the rest.
    pub(crate) fn carries(&mut self, payload: Payload) {
        self.payload = payload;
    }

    /// [Reads the header](Self::read_header). One that has not come when `too_late` resolves is a fault.
    pub(crate) async fn introduce(
        mut self,
        too_late: impl Future<Output = ()>,
    ) -> (Self, Introduction) {
        let introduction = tokio::select! {
            // What has come is never too late.
            biased;
            introduction = self.read_header() => introduction,
            () = too_late => Introduction::Fault(Code::TIMEOUT),
        };
        (self, introduction)
    }

    /// Reads the channel id that framed streams begin with, and not a byte more. `None` if it does not come in time.
    pub(crate) async fn channel(mut self) -> (Self, Option<ChannelId>) {
        let mut id = [0; ChannelId::LEN];
        let read = async {
            let receive = self.receive.as_mut()?;
            receive.read_exact(&mut id).await.ok()
        };
        let read = timeout(CHANNEL_TIMEOUT, read).await.ok().flatten();
        (self, read.map(|()| ChannelId::new(id)))
    }

    /// Tells the peer that the stream is not wanted.
    pub(crate) fn reject(mut self, code: Code) {
        self.end(code);
    }

    /// Reads the stream to its end, or to a bound, and throws the bytes away.
    pub(crate) async fn discard(mut self) {
        if let Some(mut send) = self.send.take() {
            let _ = send.finish();
        }
        let Some(receive) = &mut self.receive else {
            return;
        };
        let mut left = DISCARD_LIMIT;
        while let Ok(Some(chunk)) = receive.read_chunk(left, true).await {
            left -= chunk.bytes.len();
            if left == 0 {
                self.end(Code::UNSUPPORTED);
                return;
            }
        }
        self.receive = None;
    }

    /// The halves, for who accepts the stream in both directions.
    pub(crate) fn accept_bi(mut self, session: &Session) -> Option<(SendStream, RecvStream)> {
        let send = self.send.take()?;
        let send = SendStream::new(send, session.clone(), self.place.clone());
        Some((send, self.accept_uni(session)?))
    }

    /// The receiving half, for who accepts the stream in one direction.
    pub(crate) fn accept_uni(mut self, session: &Session) -> Option<RecvStream> {
        let receive = self.receive.take()?;
        let place = self.place.take();
        Some(RecvStream::new(
            receive,
            session.clone(),
            place,
            self.payload,
        ))
    }

    /// The bare halves, for a stream of early data.
    pub(crate) fn into_early(mut self) -> Option<(Option<quinn::SendStream>, quinn::RecvStream)> {
        let receive = self.receive.take()?;
        Some((self.send.take(), receive))
    }

    /// The bare receiving half: what remains is frames for this end itself. It takes no place any more.
    pub(crate) fn into_bare(mut self) -> Option<quinn::RecvStream> {
        self.receive.take()
    }

    /// Reads the header and not a byte more. If the future is dropped, what was read is kept.
    pub(crate) async fn read_header(&mut self) -> Introduction {
        let direction = self.direction();
        let Some(receive) = &mut self.receive else {
            return Introduction::Gone;
        };
        loop {
            match StreamHeader::decode(&self.header[..self.header_len], direction) {
                Ok(Some((header, _))) => return Introduction::Header(header),
                Ok(None) => {}
                Err(error) => return Introduction::Fault(error.code()),
            }
            // One byte at a time, because what follows belongs to the application.
            let next = &mut self.header[self.header_len..=self.header_len];
            match receive.read(next).await {
                Ok(Some(_)) => self.header_len += 1,
                Ok(None) => return Introduction::Fault(Code::FRAME),
                Err(_) => return Introduction::Gone,
            }
        }
    }

    fn end(&mut self, code: Code) {
        let code = code.value().into();
        // Errors say that there is nothing left to end.
        if let Some(mut send) = self.send.take() {
            let _ = send.reset(code);
        }
        if let Some(mut receive) = self.receive.take() {
            let _ = receive.stop(code);
        }
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        self.end(Code::SESSION_CLOSED);
    }
}

/// What the id of a channel may take: as long as a session's streams are held for their session.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a stream of unknown type that are read before the peer is told to stop: more than any grease, and no burden.
const DISCARD_LIMIT: usize = 64 * 1024;
