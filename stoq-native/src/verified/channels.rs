//! The channels of a session: each has its id for itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stoq_core::channel::{ChannelId, MAX_CHANNELS};
use stoq_core::close::Code;
use stoq_core::stream::{Direction, Payload};
use tokio::task::JoinSet;

use super::OpenVerifiedError;
use super::datagrams::Datagrams;
use super::held::Held;
use crate::closed::Closed;
use crate::request::fresh_random;
use crate::session::{Session, count};
use crate::stream::Arrived;

/// Ids that have been used, streams that have not said theirs, and the channel of datagrams.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    used: Mutex<Used>,
    pub(super) datagrams: OnceLock<Datagrams>,
    pub(super) held: Arc<Held>,
    /// Of each kind of stream. As many tasks as streams may be open, each for 5 s at most.
    introducing: [tokio::sync::Mutex<Introducing>; 2],
}

/// Streams that have arrived, and their ids if they say them in time.
type Introducing = JoinSet<(Arrived, Option<ChannelId>)>;

/// Of both ends, because a relay could give back to an end what that end itself has opened.
#[derive(Debug, Default)]
struct Used {
    ids: HashSet<ChannelId>,
    opened: usize,
    accepted: usize,
}

impl Channels {
    /// Whether this end may open another stream.
    pub(super) fn room(&self) -> Result<(), OpenVerifiedError> {
        self.used().room()
    }

    /// An id for a stream that this end has opened.
    pub(super) fn create(&self) -> Result<ChannelId, OpenVerifiedError> {
        let mut used = self.used();
        used.room()?;
        used.opened += 1;
        loop {
            let random = fresh_random();
            let id = ChannelId::new(*random.first_chunk().expect("32 bytes hold 16"));
            if id != ChannelId::DATAGRAMS && used.ids.insert(id) {
                return Ok(id);
            }
        }
    }

    /// Takes down the id of a stream that the peer has opened.
    fn accept(&self, id: ChannelId) -> Result<(), Code> {
        let mut used = self.used();
        if used.accepted >= MAX_CHANNELS {
            return Err(Code::LIMIT);
        }
        if id == ChannelId::DATAGRAMS || !used.ids.insert(id) {
            return Err(Code::CHANNEL_REUSED);
        }
        used.accepted += 1;
        Ok(())
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // No code of others runs under the lock.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn room(&self) -> Result<(), OpenVerifiedError> {
        let limit = MAX_CHANNELS;
        match self.opened < limit {
            true => Ok(()),
            false => Err(OpenVerifiedError::TooManyChannels { limit }),
        }
    }
}

impl Session {
    /// The next framed stream that has said its id, in the order in which they do.
    pub(super) async fn introduced(
        &self,
        direction: Direction,
    ) -> Result<(Arrived, ChannelId), Closed> {
        let lanes = &self.shared().arrived[direction as usize];
        let mut introducing = self.channels().introducing[direction as usize].lock().await;
        loop {
            let (arrived, id) = tokio::select! {
                biased;
                Some(introduced) = introducing.join_next() => match introduced {
                    Ok(introduced) => introduced,
                    // It was aborted with its runtime, or has panicked and said so.
                    Err(_) => continue,
                },
                arrived = lanes.pop(Payload::Framed as usize) => match arrived {
                    Some(arrived) => {
                        introducing.spawn(arrived.channel());
                        continue;
                    }
                    None if introducing.is_empty() => return Err(self.closed().await),
                    None => match introducing.join_next().await {
                        Some(Ok(introduced)) => introduced,
                        _ => continue,
                    },
                },
            };
            let counters = &self.shared().counters;
            match id.ok_or(Code::TIMEOUT).and_then(|id| {
                self.channels().accept(id)?;
                Ok(id)
            }) {
                Ok(id) => {
                    count(&counters.accepted_streams);
                    return Ok((arrived, id));
                }
                Err(code) => {
                    counters.refused.count(code);
                    arrived.reject(code);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(number: u32) -> ChannelId {
        let mut bytes = [7; ChannelId::LEN];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ChannelId::new(bytes)
    }

    #[test]
    fn each_end_opens_65_536_and_no_more() {
        let channels = Channels::default();
        let limit = MAX_CHANNELS;
        assert_eq!(limit, 65_536, "as the docs say");
        let mut first = None;
        for _ in 0..limit {
            assert_eq!(channels.room(), Ok(()));
            first = Some(channels.create().expect("there is room"));
        }
        let too_many = OpenVerifiedError::TooManyChannels { limit };
        assert_eq!(channels.room(), Err(too_many.clone()));
        assert_eq!(channels.create(), Err(too_many.clone()));
        assert_eq!(too_many.code(), Code::LIMIT);

        // What this end has opened takes no place of the peer's, and is known all the same.
        let first = first.expect("some were made");
        assert_eq!(channels.accept(first), Err(Code::CHANNEL_REUSED));
        for number in 0..limit as u32 {
            assert_eq!(channels.accept(peers(number)), Ok(()));
        }
        assert_eq!(channels.accept(peers(limit as u32)), Err(Code::LIMIT));
        assert_eq!(channels.accept(peers(0)), Err(Code::LIMIT));

        // A set has a byte beside each place, and fills seven of eight.
        let ids = &channels.used().ids;
        assert_eq!(ids.len(), 2 * limit);
        let places = ids.capacity() / 7 * 8;
        assert!(places * (ChannelId::LEN + 1) < 5_000_000, "{places} places");
    }

    #[test]
    fn the_channel_of_datagrams_is_no_streams() {
        let refused = Channels::default().accept(ChannelId::DATAGRAMS);
        assert_eq!(refused, Err(Code::CHANNEL_REUSED));
    }
}
