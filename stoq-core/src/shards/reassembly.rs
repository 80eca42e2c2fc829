use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use self::{claim::Claim, delivered::Delivered};
use crate::{frame::Shard, time::Timestamp, varint::VarInt};

mod claim;
mod delivered;

/// Bounds on what a peer can make a [`Reassembly`] hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of shards held at once, their bookkeeping included. Default 1 MiB: four of the largest messages at usual
    /// sizes of datagrams, and a thousand sessions stay within 1 GiB. A message whose shards alone are larger is refused.
    pub max_bytes: usize,
    /// Messages in flight at once, at least one. Default 64. Each shard is looked up among them in turn, and the
    /// table that they stand in, 128 bytes each, stays as long as it ever was.
    pub max_messages: usize,
    /// How long after its first shard a message may still become whole. Default 5 s: what is sent together arrives within
    /// a second or two, even on bad paths, or not at all.
    pub max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024,
            max_messages: 64,
            max_age: Duration::from_secs(5),
        }
    }
}

/// A message that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's number for it. Messages overtake each other.
    pub id: VarInt,
    /// What was sent.
    pub bytes: Bytes,
}

/// What became of a shard that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Its message needs more.
    Held,
    /// Its message is whole.
    Message(Message),
}

/// Why a shard, and perhaps its message, was dropped. The peer's matter or the path's: the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// A field breaks a rule of SHARD frames: not what a decoder lets pass.
    #[error("the shard breaks a rule of its frame")]
    Malformed,
    /// The message was delivered, or is so old that nobody knows. Of each message that arrives without loss, the parity
    /// comes late.
    #[error("a shard of message {message}, which was delivered")]
    Late {
        /// Its message.
        message: VarInt,
    },
    /// It is here already.
    #[error("shard {index} of message {message} came again")]
    Duplicate {
        /// Its message.
        message: VarInt,
        /// Which shard.
        index: u16,
    },
    /// Its counts, lengths or digest are not those of the message's other shards, and shards of the message disagree in
    /// too many ways already.
    #[error("a shard of message {message} contradicts others")]
    Contradiction {
        /// Its message.
        message: VarInt,
    },
    /// Its message cannot be held.
    #[error("message {message} needs {got} bytes, more than {limit}")]
    TooLarge {
        /// Its message.
        message: VarInt,
        /// [`Limits::max_bytes`].
        limit: usize,
        /// What the message would take.
        got: usize,
    },
    /// Its message, the oldest, gave way to newer ones, for a bound on bytes.
    #[error("message {message} gave way to newer ones")]
    Evicted {
        /// Its message.
        message: VarInt,
    },
    /// The message was put together, and its digest is another one: a shard was altered.
    #[error("message {message} does not have the digest that its shards announced")]
    Mismatch {
        /// Its message.
        message: VarInt,
    },
}

/// How often what happened; none ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that arrived whole.
    pub delivered: u64,
    /// Messages that gave way to newer ones, for a bound on bytes or on messages.
    pub evicted: u64,
    /// Messages that did not become whole in time.
    pub expired: u64,
    /// Messages whose digest was wrong.
    pub mismatched: u64,
    /// Shards that contradicted others of their message; some were held all the same.
    pub contradicting: u64,
    /// Shards that came again.
    pub duplicate: u64,
    /// Shards of messages that were delivered.
    pub late: u64,
    /// Shards of messages that are too large.
    pub too_large: u64,
    /// Shards that break a rule of their frame.
    pub malformed: u64,
}

/// Puts messages together from shards: sans I/O, bounded in bytes, in messages and in time.
///
/// Memory is reserved only for shards that are here; announced counts and lengths reserve nothing. The oldest message
/// gives way first.
///
/// If shards of one id disagree about counts, lengths or the digest, neither is believed: each version of the message is
/// held on its own, up to four, and the first that has the digest it announced is delivered. So a wrong shard that comes
/// first does not keep the right message from arriving. (Who alters the bytes of a shard destroys its message, like who
/// drops it.) A message that was given up may begin again.
///
/// Ids that were delivered are remembered, 8192 of them back from the highest: a second of reordering at 8000 messages a
/// second. Older ones count as delivered, so nothing is delivered twice.
#[derive(Clone, Debug)]
pub struct Reassembly {
    limits: Limits,
    /// The oldest first. So few that a `Vec` will do, which is less code in a page than a ring.
    claims: Vec<Claim>,
    held: usize,
    delivered: Delivered,
    counters: Counters,
}

impl Reassembly {
    /// Versions of one message that are held at once: the right one and three others.
    pub const MAX_VERSIONS: usize = 4;

    /// An empty one. Reserves nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            claims: Vec::new(),
            held: 0,
            delivered: Delivered::default(),
            counters: Counters::default(),
        }
    }

    /// Takes a shard that arrived at `now`; what is held of it is copied.
    ///
    /// # Errors
    /// [`Dropped`], which is counted too, if the shard brings nothing.
    pub fn receive(&mut self, now: Timestamp, shard: &Shard<'_>) -> Result<Received, Dropped> {
        self.expire(now);
        let received = self.take(now, shard);
        match &received {
            Ok(Received::Held) => {}
            Ok(Received::Message(_)) => self.counters.delivered += 1,
            Err(dropped) => self.counters.count(dropped),
        }
        received
    }

    /// Drops what did not become whole in time.
    pub fn expire(&mut self, now: Timestamp) {
        while self.next_due().is_some_and(|due| due <= now) {
            self.remove(0);
            self.counters.expired += 1;
        }
    }

    /// When [`expire`](Self::expire) will next have something to drop.
    pub fn next_due(&self) -> Option<Timestamp> {
        let oldest = self.claims.first()?;
        Some(oldest.begun + self.limits.max_age)
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes held now, as [`Limits::max_bytes`] counts them.
    pub const fn held_bytes(&self) -> usize {
        self.held
    }

    /// Messages in flight now, as [`Limits::max_messages`] counts them.
    pub fn held_messages(&self) -> usize {
        self.claims.len()
    }

    fn take(&mut self, now: Timestamp, shard: &Shard<'_>) -> Result<Received, Dropped> {
        let message = shard.message;
        if shard.check().is_err() {
            return Err(Dropped::Malformed);
        }
        if self.delivered.contains(message) {
            return Err(Dropped::Late { message });
        }
        let place = self.claims.iter().position(|claim| claim.fits(shard));
        let whole = match place {
            Some(place) => {
                let claim = &self.claims[place];
                if claim.has(shard.index) {
                    let index = shard.index;
                    return Err(Dropped::Duplicate { message, index });
                }
                claim.completes()
            }
            None => {
                self.admit(shard)?;
                shard.data == 1
            }
        };
        if !whole {
            return self.hold(now, shard, place);
        }
        let claim = match place {
            Some(place) => self.remove(place),
            None => Claim::new(now, shard),
        };
        let bytes = claim.finish(shard).ok_or(Dropped::Mismatch { message })?;
        self.delivered.insert(message);
        self.drop_versions(message);
        Ok(Received::Message(Message { id: message, bytes }))
    }

    /// Whether a message may begin with this shard.
    fn admit(&mut self, shard: &Shard<'_>) -> Result<(), Dropped> {
        let message = shard.message;
        let (limit, got) = (self.limits.max_bytes, Claim::cost_of_all(shard));
        if got > limit {
            return Err(Dropped::TooLarge {
                message,
                limit,
                got,
            });
        }
        let versions = self.claims.iter().filter(|claim| claim.message == message);
        match versions.count() {
            0 => Ok(()),
            Self::MAX_VERSIONS.. => Err(Dropped::Contradiction { message }),
            _ => {
                self.counters.contradicting += 1;
                Ok(())
            }
        }
    }

    fn hold(
        &mut self,
        now: Timestamp,
        shard: &Shard<'_>,
        place: Option<usize>,
    ) -> Result<Received, Dropped> {
        let (cost, most) = match place {
            Some(_) => (Claim::cost_of(shard), self.limits.max_messages),
            // One place is for this message.
            None => {
                let most = self.limits.max_messages.saturating_sub(1);
                (Claim::COST + Claim::cost_of(shard), most)
            }
        };
        let mut gone = 0;
        while self.held + cost > self.limits.max_bytes || self.claims.len() > most {
            if self.claims.is_empty() {
                break;
            }
            self.remove(0);
            self.counters.evicted += 1;
            gone += 1;
        }
        let message = shard.message;
        let claim = match place {
            // It was the oldest itself.
            Some(place) if place < gone => return Err(Dropped::Evicted { message }),
            Some(place) => &mut self.claims[place - gone],
            None => {
                let last = self.claims.len();
                self.claims.push(Claim::new(now, shard));
                &mut self.claims[last]
            }
        };
        claim.hold(shard);
        self.held += cost;
        Ok(Received::Held)
    }

    fn remove(&mut self, place: usize) -> Claim {
        let claim = self.claims.remove(place);
        self.held -= claim.cost();
        claim
    }

    fn drop_versions(&mut self, message: VarInt) {
        let held = &mut self.held;
        self.claims.retain(|claim| {
            let stays = claim.message != message;
            if !stays {
                *held -= claim.cost();
            }
            stays
        });
    }
}

impl Counters {
    const fn count(&mut self, dropped: &Dropped) {
        let counter = match dropped {
            Dropped::Malformed => &mut self.malformed,
            Dropped::Late { .. } => &mut self.late,
            Dropped::Duplicate { .. } => &mut self.duplicate,
            Dropped::Contradiction { .. } => &mut self.contradicting,
            Dropped::TooLarge { .. } => &mut self.too_large,
            Dropped::Mismatch { .. } => &mut self.mismatched,
            // The message was counted when it went.
            Dropped::Evicted { .. } => return,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests;
