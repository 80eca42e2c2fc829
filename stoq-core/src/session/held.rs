//! What arrives before the session that it belongs to: kept for a short time, within bounds.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Output;
use crate::close::Code;
use crate::session_id::SessionId;
use crate::stream::Payload;
use crate::time::Timestamp;

/// Streams and datagrams that wait for SETTINGS or for their session's HEADERS.
///
/// A held stream is not read, so its bytes are bounded by the carrier's stream window; held datagrams are
/// bounded here.
#[derive(Debug, Default)]
pub(super) struct Held {
    streams: VecDeque<HeldStream>,
    datagrams: VecDeque<HeldDatagram>,
    datagram_bytes: usize,
}

#[derive(Debug)]
struct HeldStream {
    stream: u64,
    session: SessionId,
    payload: Payload,
    until: Timestamp,
}

#[derive(Debug)]
struct HeldDatagram {
    session: SessionId,
    content: Bytes,
    until: Timestamp,
}

impl Held {
    /// Keeps a stream, or says which code rejects it.
    pub(super) fn stream(
        &mut self,
        now: Timestamp,
        stream: u64,
        session: SessionId,
        payload: Payload,
    ) -> Result<(), Code> {
        if self.streams.len() >= MAX_STREAMS {
            return Err(Code::LIMIT);
        }
        self.streams.push_back(HeldStream {
            stream,
            session,
            payload,
            until: now + MAX_TIME,
        });
        Ok(())
    }

    /// Keeps a datagram; `false` if there is no room for it.
    pub(super) fn datagram(&mut self, now: Timestamp, session: SessionId, content: Bytes) -> bool {
        // The entry itself is counted, so that empty datagrams are bounded too.
        let cost = content.len() + size_of::<HeldDatagram>();
        if self.datagram_bytes + cost > MAX_DATAGRAM_BYTES {
            return false;
        }
        self.datagram_bytes += cost;
        self.datagrams.push_back(HeldDatagram {
            session,
            // Its packet came in a buffer with others, which it would keep: up to 64 KiB that nobody counts.
            content: Bytes::copy_from_slice(&content),
            until: now + MAX_TIME,
        });
        true
    }

    /// The stream went away while it was held.
    pub(super) fn gone(&mut self, stream: u64) {
        self.streams.retain(|held| held.stream != stream);
    }

    /// The session is open: everything held for it is delivered, in the order in which it came.
    pub(super) fn release(&mut self, session: SessionId, out: &mut Vec<Output>) {
        self.take_streams(
            |held| held.session == session,
            |held| Output::Stream {
                stream: held.stream,
                session,
                payload: held.payload,
            },
            out,
        );
        let mut kept = VecDeque::new();
        for held in self.datagrams.drain(..) {
            if held.session == session {
                self.datagram_bytes -= held.content.len() + size_of::<HeldDatagram>();
                out.push(Output::Datagram {
                    session,
                    content: held.content,
                });
            } else {
                kept.push_back(held);
            }
        }
        self.datagrams = kept;
    }

    /// The session will never open: its streams are rejected, its datagrams dropped (their number is returned).
    pub(super) fn reject(&mut self, session: SessionId, code: Code, out: &mut Vec<Output>) -> u64 {
        self.take_streams(
            |held| held.session == session,
            |held| Output::RejectStream {
                stream: held.stream,
                code,
            },
            out,
        );
        self.drop_datagrams(|held| held.session == session)
    }

    /// What has waited too long is rejected or dropped; the number of dropped datagrams is returned.
    pub(super) fn expire(&mut self, now: Timestamp, out: &mut Vec<Output>) -> u64 {
        self.take_streams(
            |held| held.until <= now,
            |held| Output::RejectStream {
                stream: held.stream,
                code: Code::HELD_TOO_LONG,
            },
            out,
        );
        self.drop_datagrams(|held| held.until <= now)
    }

    /// When [`expire`](Self::expire) is next due. Both queues are in order of time.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let stream = self.streams.front().map(|held| held.until);
        let datagram = self.datagrams.front().map(|held| held.until);
        stream.into_iter().chain(datagram).min()
    }

    fn take_streams(
        &mut self,
        wanted: impl Fn(&HeldStream) -> bool,
        output: impl Fn(&HeldStream) -> Output,
        out: &mut Vec<Output>,
    ) {
        self.streams.retain(|held| {
            if wanted(held) {
                out.push(output(held));
                return false;
            }
            true
        });
    }

    fn drop_datagrams(&mut self, unwanted: impl Fn(&HeldDatagram) -> bool) -> u64 {
        let before = self.datagrams.len();
        let bytes = &mut self.datagram_bytes;
        self.datagrams.retain(|held| {
            if unwanted(held) {
                *bytes -= held.content.len() + size_of::<HeldDatagram>();
                return false;
            }
            true
        });
        (before - self.datagrams.len()) as u64
    }
}

/// Streams held at once on a connection: enough for a burst behind one lost HEADERS.
const MAX_STREAMS: usize = 16;
/// Bytes of datagrams held at once on a connection, counted with their entries.
const MAX_DATAGRAM_BYTES: usize = 64 * 1024;
/// Longer than any retransmission of the HEADERS that they wait for.
const MAX_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_keeps_no_packet() {
        let packet = Bytes::from(alloc::vec![7; 65_536]);
        let mut held = Held::default();
        assert!(held.datagram(
            Timestamp::default(),
            SessionId::ZERO,
            packet.slice(100..103)
        ));
        assert!(packet.is_unique(), "nobody else keeps it");
        let mut out = Vec::new();
        held.release(SessionId::ZERO, &mut out);
        let session = SessionId::ZERO;
        let content = packet.slice(100..103);
        assert_eq!(out, [Output::Datagram { session, content }]);
    }
}
