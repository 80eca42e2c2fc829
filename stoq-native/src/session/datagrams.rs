//! Datagrams of one session.

use bytes::{Bytes, BytesMut};
use stoq_core::datagram::{Content, ContentKind, Datagram};

use super::{SendDatagramError, Session, Shared, count};
use crate::closed::Closed;

impl Session {
    /// Sends a datagram, which may be lost, doubled or overtaken. Never waits: when more are sent than the path carries,
    /// the oldest that wait are dropped.
    ///
    /// # Errors
    /// [`SendDatagramError`] if it is larger than [`max_datagram_size`](Self::max_datagram_size), or the session is
    /// closed.
    pub fn send_datagram(&self, payload: Bytes) -> Result<(), SendDatagramError> {
        let limit = self.max_datagram_size();
        self.send(payload.len(), limit, Datagram::header, &payload)
    }

    /// The next datagram from the peer that is data and nothing else. Those that came before the session ended can still be
    /// received.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended and nothing is left.
    ///
    /// # Cancel safety
    /// If the future is dropped, no datagram is lost.
    pub async fn recv_datagram(&self) -> Result<Bytes, Closed> {
        loop {
            let content = self.recv_kind(ContentKind::Data).await?;
            if let Ok(Content::Data(data)) = Content::decode(content) {
                return Ok(data);
            }
            self.count_dropped_datagram();
        }
    }

    /// [`send_datagram`](Self::send_datagram) with content as it stands in a datagram: for relays, which pass on what
    /// [`recv_content`](Self::recv_content) gave.
    ///
    /// # Errors
    /// As `send_datagram`; the content may have one byte more than [`max_datagram_size`](Self::max_datagram_size).
    pub fn send_content(&self, content: Bytes) -> Result<(), SendDatagramError> {
        let limit = self.max_content_size();
        self.send(content.len(), limit, Datagram::prefix, &content)
    }

    /// The content of the next datagram, of whatever kind, unread: for relays.
    ///
    /// # Errors
    /// As [`recv_datagram`](Self::recv_datagram).
    ///
    /// # Cancel safety
    /// As `recv_datagram`.
    pub async fn recv_content(&self) -> Result<Bytes, Closed> {
        match self.0.shared.datagrams.pop_any().await {
            Some(content) => Ok(content),
            None => Err(self.closed().await),
        }
    }

    /// Largest datagram, in bytes, that can be sent now: the least of what the path carries and what the far end takes.
    /// It changes with the path. 0 if the peer takes none.
    pub fn max_datagram_size(&self) -> usize {
        // Content is one byte of type, and data.
        self.max_content_size().saturating_sub(1)
    }

    /// Largest [content](Self::send_content) of a datagram that can be sent now, in bytes.
    pub(crate) fn max_content_size(&self) -> usize {
        let path = self.quinn().max_datagram_size().unwrap_or(0);
        let shared = &self.0.shared;
        let largest = usize::try_from(shared.max_datagram_size).unwrap_or(usize::MAX);
        path.saturating_sub(Datagram::prefix_len(shared.id))
            .min(largest.saturating_add(1))
    }

    /// Counts a datagram that arrived and is of no use.
    pub(crate) fn count_dropped_datagram(&self) {
        count(&self.0.shared.counters.dropped_datagrams);
        self.0.connection.count_dropped_datagram();
    }

    /// The content of the next datagram of a kind.
    pub(crate) async fn recv_kind(&self, kind: ContentKind) -> Result<Bytes, Closed> {
        match self.0.shared.datagrams.pop(kind as usize).await {
            Some(content) => Ok(content),
            None => Err(self.closed().await),
        }
    }

    fn send(
        &self,
        got: usize,
        limit: usize,
        begin: impl FnOnce(stoq_core::SessionId, &mut BytesMut),
        rest: &[u8],
    ) -> Result<(), SendDatagramError> {
        let Shared {
            id,
            ending,
            counters,
            ..
        } = &*self.0.shared;
        if let Some(closed) = ending.get() {
            return Err(SendDatagramError::SessionClosed(closed.clone()));
        }
        if got > limit {
            return Err(SendDatagramError::TooLarge { limit, got });
        }
        let mut datagram = BytesMut::with_capacity(Datagram::header_len(*id) + rest.len());
        begin(*id, &mut datagram);
        datagram.extend_from_slice(rest);
        match self.quinn().send_datagram(datagram.freeze()) {
            Ok(()) => {
                count(&counters.sent_datagrams);
                Ok(())
            }
            // The path's limit can have shrunk since it was looked at.
            Err(quinn::SendDatagramError::TooLarge) => {
                Err(SendDatagramError::TooLarge { limit, got })
            }
            Err(quinn::SendDatagramError::ConnectionLost(error)) => {
                Err(SendDatagramError::SessionClosed(self.end_by(&error)))
            }
            Err(
                quinn::SendDatagramError::UnsupportedByPeer | quinn::SendDatagramError::Disabled,
            ) => Err(SendDatagramError::Unsupported),
        }
    }
}
