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
        let datagram = self.datagram(payload.len(), limit, Datagram::header, &payload)?;
        let sent = self.quinn().send_datagram(datagram);
        self.sent(sent, payload.len(), limit)
    }

    /// [`send_datagram`](Self::send_datagram) that drops none of those that wait: while 1 MiB of the connection's datagrams do,
    /// it waits too. So who sends faster than the path carries is held back to the rate of the path. The price is age: each
    /// leaves behind all that wait before it. What is soon of no use, like live sound, is better sent without waiting.
    ///
    /// # Errors
    /// As `send_datagram`; the session may also end, and the path come to carry less, while this waits.
    ///
    /// # Cancel safety
    /// If the future is dropped before it has resolved, the datagram was not sent.
    pub async fn send_datagram_wait(&self, payload: Bytes) -> Result<(), SendDatagramError> {
        let limit = self.max_datagram_size();
        let datagram = self.datagram(payload.len(), limit, Datagram::header, &payload)?;
        self.send_waiting(datagram, payload.len(), limit).await
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
        let datagram = self.datagram(content.len(), limit, Datagram::prefix, &content)?;
        let sent = self.quinn().send_datagram(datagram);
        self.sent(sent, content.len(), limit)
    }

    /// [`send_content`](Self::send_content) that waits as [`send_datagram_wait`](Self::send_datagram_wait).
    pub(crate) async fn send_content_wait(&self, content: &[u8]) -> Result<(), SendDatagramError> {
        let limit = self.max_content_size();
        let datagram = self.datagram(content.len(), limit, Datagram::prefix, content)?;
        self.send_waiting(datagram, content.len(), limit).await
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

    /// What goes to QUIC.
    fn datagram(
        &self,
        got: usize,
        limit: usize,
        begin: impl FnOnce(stoq_core::SessionId, &mut BytesMut),
        rest: &[u8],
    ) -> Result<Bytes, SendDatagramError> {
        let Shared { id, ending, .. } = &*self.0.shared;
        if let Some(closed) = ending.get() {
            return Err(SendDatagramError::SessionClosed(closed.clone()));
        }
        if got > limit {
            return Err(SendDatagramError::TooLarge { limit, got });
        }
        let mut datagram = BytesMut::with_capacity(Datagram::header_len(*id) + rest.len());
        begin(*id, &mut datagram);
        datagram.extend_from_slice(rest);
        Ok(datagram.freeze())
    }

    async fn send_waiting(
        &self,
        datagram: Bytes,
        got: usize,
        limit: usize,
    ) -> Result<(), SendDatagramError> {
        tokio::select! {
            // In this order, because as a rule there is room.
            biased;
            sent = self.quinn().send_datagram_wait(datagram) => self.sent(sent, got, limit),
            closed = self.closed() => Err(SendDatagramError::SessionClosed(closed)),
        }
    }

    /// What QUIC says to it.
    fn sent(
        &self,
        sent: Result<(), quinn::SendDatagramError>,
        got: usize,
        limit: usize,
    ) -> Result<(), SendDatagramError> {
        match sent {
            Ok(()) => {
                count(&self.0.shared.counters.sent_datagrams);
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
