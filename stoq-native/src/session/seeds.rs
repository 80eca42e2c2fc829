//! Announcements of one session.

use bytes::Bytes;
use stoq_core::announce::Announcements;
use stoq_core::frame::{Frame, Seed};
use stoq_core::seeds::SeedEvent;

use super::Session;
use crate::announce::{AnnouncementsError, SendSeedError, Unwritten};
use crate::stream::WriteError;

impl Session {
    /// Announces who holds a content, to the far end of the session: relays pass it on unread. It replaces what was
    /// announced of the same content before, and holds for as long as the receiver chooses, ten minutes as a rule, so it is
    /// to be said again before.
    ///
    /// All announcements of a session arrive in their order. Resolves when the seed is on its way; waits while the peer reads
    /// none, and when more than 256 are sent at once or 32 a second over time: half of what a peer takes by default
    /// ([`Limits::seeds`](crate::Limits::seeds)).
    ///
    /// # Errors
    /// [`SendSeedError`] if the seed breaks a rule, the peer takes no announcements, or the session is closed. That the peer
    /// takes none shows when it has said so, so perhaps at the second seed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the seed is sent whole or not at all.
    pub async fn send_seed(&self, seed: &Seed) -> Result<(), SendSeedError> {
        let frame = Frame::Seed(seed.clone());
        frame.check().map_err(SendSeedError::Invalid)?;
        let mut bytes = Vec::with_capacity(frame.encoded_len());
        frame.encode(&mut bytes);
        let shared = &self.0.shared;
        let turn = shared.announcing.sending.seed_turn(shared).await;
        let _turn = turn.map_err(|error| self.unwritten(error))?;
        Ok(self.announce_frames(&bytes).await?)
    }

    /// What is next to be known of the contents that the peer announces. Nobody has proved that its nodes hold them.
    ///
    /// The peer's announcements are read while this, or the receiving of verified datagrams, is awaited; before that they wait
    /// with the peer, but for a stream's window ([`Limits::stream_window`](crate::Limits::stream_window)). When the peer has
    /// said all, this waits for what expires.
    ///
    /// # Errors
    /// [`AnnouncementsError`] if this end takes no framed streams, the peer broke a rule, or the session has ended; first, all
    /// that came before is told.
    ///
    /// # Cancel safety
    /// If the future is dropped, no event is lost.
    pub async fn next_seed_event(&self) -> Result<SeedEvent, AnnouncementsError> {
        let shared = &self.0.shared;
        // What was announced can expire when the peer has said all.
        let next = |announced: &mut Announcements, _| announced.seeds().next_event();
        shared.announcing.receiving.until(shared, next).await
    }

    /// What the peer last said of a content, if it holds still; as far as its announcements have been read.
    pub fn seed(&self, content: &[u8; 32]) -> Option<Seed> {
        let mut announced = self.0.shared.announcing.receiving.announced();
        announced.seeds().get(content).cloned()
    }

    /// Writes whole frames, none between them, to the announcing stream, which is opened if it is not.
    ///
    /// # Cancel safety
    /// If the future is dropped, they are sent whole or not at all.
    pub(crate) async fn announce_frames(&self, frames: &[u8]) -> Result<(), WriteError> {
        let (shared, connection) = (&self.0.shared, &self.0.connection);
        let written = async {
            let turn = shared.announcing.sending.turn(shared).await?;
            turn.write(frames, connection).await?.finish().await
        };
        written.await.map_err(|error| self.unwritten(error))
    }

    fn unwritten(&self, error: Unwritten) -> WriteError {
        match error {
            Unwritten::Stopped(code) => WriteError::Stopped(code),
            Unwritten::Closed(closed) => WriteError::SessionClosed(closed),
            Unwritten::Lost(error) => WriteError::SessionClosed(self.end_by(&error)),
        }
    }

    /// The next FALCON_KEY, TOKEN_RUN or FALCON_SIGNATURE frame that the peer announces, whole and well-formed, in their
    /// order; `None` when the stream has ended behind the last. At most 256 KiB of them wait; the oldest give way.
    ///
    /// # Cancel safety
    /// If the future is dropped, no frame is lost.
    pub(crate) async fn next_signature_frame(&self) -> Result<Option<Bytes>, AnnouncementsError> {
        let shared = &self.0.shared;
        let next = |announced: &mut Announcements, is_all: bool| match announced.next_signature() {
            Some(frame) => Some(Some(frame)),
            None => is_all.then_some(None),
        };
        shared.announcing.receiving.until(shared, next).await
    }
}
