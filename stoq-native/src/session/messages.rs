//! Messages of one session, in shards.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use stoq_core::datagram::{Content, ContentKind, Datagram};
use stoq_core::frame::{Frame, Shard};
use stoq_core::shards::{Counters, Cutter, Loss, LossMeter, Parity, Plan, PlanError};
use stoq_core::shards::{Reassembly, Received};
use stoq_core::time::Timestamp;
use stoq_core::varint::VarInt;

use super::{SendMessageError, Session};
use crate::closed::Closed;
use crate::transport::MessageConfig;

/// What a session keeps for its messages.
#[derive(Debug)]
pub(crate) struct Messages {
    parity: Parity,
    /// When the clock of `receiving` started.
    start: Instant,
    sending: Mutex<Sending>,
    receiving: Mutex<Reassembly>,
}

#[derive(Debug, Default)]
struct Sending {
    /// How many ids have been taken.
    ids: u64,
    sent: u64,
    loss: LossMeter,
}

impl Messages {
    pub(crate) fn new(config: MessageConfig) -> Self {
        Self {
            parity: config.parity,
            start: Instant::now(),
            sending: Mutex::default(),
            receiving: Mutex::new(Reassembly::new(config.into())),
        }
    }

    /// Messages that were sent, and what became of those that came.
    pub(super) fn stats(&self) -> (u64, Counters) {
        let received = self.receiving().counters();
        (self.sending().sent, received)
    }

    fn now(&self) -> Timestamp {
        Timestamp::default() + self.start.elapsed()
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        // Only plain data is under the locks, and no code of others runs there.
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receiving(&self) -> MutexGuard<'_, Reassembly> {
        self.receiving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Sends a message of up to [`max_message_size`](Self::max_message_size) bytes in datagrams: cut into equal shards,
    /// and some more that make up for lost ones. It arrives whole or not at all, once, and may be overtaken by others.
    /// [`MessageConfig::parity`] says how many more.
    ///
    /// Waits while the path carries no more, and 1 MiB of datagrams waits to be sent. As many shards more are made as the
    /// loss asks for that is known when the message is given. Cutting one of 200 KB takes some 0.3 ms, on this thread.
    ///
    /// # Errors
    /// [`SendMessageError`] if the message is empty or too large, the peer takes no datagrams, or the session is closed.
    ///
    /// # Cancel safety
    /// If the future is dropped, the rest of the shards are not sent; the message may arrive all the same.
    pub async fn send_message(&self, message: Bytes) -> Result<(), SendMessageError> {
        let messages = &self.0.shared.messages;
        loop {
            let room = self.max_shard_size();
            let loss = self.loss();
            let plan = Plan::new(message.len(), room, messages.parity, loss)
                .map_err(|error| self.refusal(error))?;
            let id = {
                let mut sending = messages.sending();
                sending.ids += 1;
                VarInt::saturating(u128::from(sending.ids - 1))
            };
            let cutter = Cutter::new(id, message.clone(), plan);
            if self.send_shards(&cutter).await? {
                messages.sending().sent += 1;
                return Ok(());
            }
            // The path has come to carry less than when the message was cut, and too few shards have left for it to
            // arrive. What is sent anew has an id of its own.
        }
    }

    /// The next message from the peer that is whole. Those whose shards came before the session ended can still be
    /// received.
    ///
    /// Shards wait until somebody calls this, up to [`Limits::datagram_buffer`](crate::Limits::datagram_buffer), and are
    /// put together here; [`MessageConfig`] has the bounds on what is held for it. Putting together a message of 200 KB
    /// takes up to a millisecond, on this thread.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended and nothing more becomes whole.
    ///
    /// # Cancel safety
    /// If the future is dropped, no message is lost.
    pub async fn recv_message(&self) -> Result<Bytes, Closed> {
        let messages = &self.0.shared.messages;
        loop {
            // Shards that make up nothing may come for long.
            tokio::task::consume_budget().await;
            let due = messages.receiving().next_due();
            let shard = self.recv_kind(ContentKind::Shard);
            let content = match due {
                None => shard.await?,
                Some(due) => {
                    let due = messages.start + Duration::from_micros(due.as_micros());
                    let Ok(content) = tokio::time::timeout_at(due.into(), shard).await else {
                        messages.receiving().expire(messages.now());
                        continue;
                    };
                    content?
                }
            };
            let Ok(Content::Shard(payload)) = Content::decode(content) else {
                self.count_dropped_datagram();
                continue;
            };
            let shard = Content::shard(&payload).expect("it has just been decoded");
            // What is dropped is counted there.
            let received = messages.receiving().receive(messages.now(), &shard);
            if let Ok(Received::Message(message)) = received {
                return Ok(message.bytes);
            }
        }
    }

    /// Largest message, in bytes, that can be sent now: 192 times what a datagram holds beside the fields of a shard, with
    /// [`Parity::Auto`], which is some 218 KB on paths with datagrams of 1200 bytes, and 780 KB at most; with [`Parity::Fixed`], 255 less the
    /// parity times. It changes with the path. 0 if the peer takes no datagrams.
    pub fn max_message_size(&self) -> usize {
        Plan::max_message_len(self.max_shard_size(), self.0.shared.messages.parity)
    }

    fn max_shard_size(&self) -> usize {
        self.max_content_size().min(LARGEST_SHARD)
    }

    /// Sends all shards; `false` if one did not fit the path before enough had left to make up the message.
    async fn send_shards(&self, cutter: &Cutter) -> Result<bool, SendMessageError> {
        for (sent, shard) in cutter.shards().enumerate() {
            match self.send_shard(shard).await {
                Ok(()) => {}
                Err(quinn::SendDatagramError::TooLarge) => {
                    return Ok(sent >= cutter.plan().data().into());
                }
                Err(quinn::SendDatagramError::ConnectionLost(error)) => {
                    return Err(SendMessageError::SessionClosed(self.end_by(&error)));
                }
                Err(
                    quinn::SendDatagramError::UnsupportedByPeer
                    | quinn::SendDatagramError::Disabled,
                ) => return Err(SendMessageError::Unsupported),
            }
            if let Some(closed) = self.ending().get() {
                return Err(SendMessageError::SessionClosed(closed.clone()));
            }
        }
        Ok(true)
    }

    async fn send_shard(&self, shard: Shard<'_>) -> Result<(), quinn::SendDatagramError> {
        let shared = &self.0.shared;
        let frame = Frame::Shard(shard);
        let len = Datagram::prefix_len(shared.id) + frame.encoded_len();
        let mut datagram = BytesMut::with_capacity(len);
        Datagram::prefix(shared.id, &mut datagram);
        frame.encode(&mut datagram);
        self.quinn().send_datagram_wait(datagram.freeze()).await?;
        super::count(&shared.counters.sent_datagrams);
        Ok(())
    }

    /// What the connection has lost lately.
    fn loss(&self) -> Loss {
        let path = self.quinn().stats().path;
        let mut sending = self.0.shared.messages.sending();
        sending.loss.update(path.sent_packets, path.lost_packets)
    }

    fn refusal(&self, error: PlanError) -> SendMessageError {
        if let Some(closed) = self.ending().get() {
            return SendMessageError::SessionClosed(closed.clone());
        }
        match error {
            PlanError::Empty => SendMessageError::Empty,
            PlanError::TooLarge { limit, got } => SendMessageError::TooLarge { limit, got },
            PlanError::NoRoom { .. } => SendMessageError::Unsupported,
        }
    }
}

/// Paths may carry larger datagrams. 192 of these are what a receiver holds by default of messages that are not whole
/// ([`MessageConfig::buffer`](crate::MessageConfig::buffer)), and leave room for another.
const LARGEST_SHARD: usize = 4096;
