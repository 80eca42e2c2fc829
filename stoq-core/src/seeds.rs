//! What a peer says about who holds which content: kept for a while, within bounds, and told as events.

use alloc::vec::Vec;
use core::time::Duration;

use crate::close::Code;
use crate::frame::{Seed, SeedNode};
use crate::rate::Rate;
use crate::time::Timestamp;

/// Bounds on what a peer's SEED frames can make this end hold and do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Contents that are remembered at once. Default 256: what one node announces of its own and one application can follow.
    /// The one announced longest ago is dropped first.
    pub contents: usize,
    /// Bytes of memory that they may take, events that nobody has fetched included. Default 1 MiB: 256 contents with 50 nodes
    /// each.
    pub memory: usize,
    /// How long an announcement holds. The frame does not say, so the receiver does. Default 10 minutes: a node that is gone
    /// is forgotten before many have tried it, and one that stays has to say so once in some minutes.
    pub lifetime: Duration,
    /// SEED frames at once. Default 512: all that is remembered, twice.
    pub burst: u32,
    /// SEED frames a second over time. Default 64: all that is remembered anew every four seconds. More are a flood.
    pub per_second: u32,
}

impl Limits {
    /// The defaults, which a sender goes by that does not know those of its peer.
    pub const DEFAULT: Self = Self {
        contents: 256,
        memory: 1024 * 1024,
        lifetime: Duration::from_secs(600),
        burst: 512,
        per_second: 64,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What an application is told.
///
/// A content is first announced, perhaps changed, and in the end expired or dropped; then it may be announced again. What
/// changes faster than it is asked for is told once, as it is by then; what comes and goes unasked is not told at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeedEvent {
    /// A content that was not known.
    Announced(Seed),
    /// One that was announced, with other nodes, priority or number of copies.
    Changed(Seed),
    /// Nothing was said of this content for its lifetime.
    Expired([u8; 32]),
    /// This content had to make room for others.
    Dropped([u8; 32]),
}

/// What was done with SEED frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeedCounters {
    /// Frames that were taken.
    pub received: u64,
    /// Contents that were not known.
    pub announced: u64,
    /// Known contents about which something else was said.
    pub changed: u64,
    /// Contents that have expired.
    pub expired: u64,
    /// Contents that had to make room, or found none.
    pub dropped: u64,
}

/// More SEED frames came than [`Limits::per_second`] and [`Limits::burst`] allow. The peer broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} SEED frames a second")]
pub struct SeedFlood {
    /// Frames a second that are allowed over time.
    pub limit: u32,
}

impl SeedFlood {
    /// What the peer is told.
    pub const fn code(&self) -> Code {
        Code::CONTROL_FLOOD
    }
}

/// The contents that a peer has announced.
///
/// It does not judge them: which to fetch, to copy or to pass on belongs to the layer above. Nor are they proved: a peer can
/// announce what others hold, or nobody.
#[derive(Debug)]
pub struct SeedBook {
    limits: Limits,
    rate: Rate,
    /// By content. There are few, so that what is oldest or newest among them is looked for each time: trees for that would be
    /// a tenth of a browser's module.
    entries: Vec<Entry>,
    /// Contents that an application knows of and that are gone; whether they have expired. They are told first, so with the
    /// entries that have been told they are never more than `limits.contents`.
    gone: Vec<([u8; 32], bool)>,
    turn: u64,
    memory: usize,
    counters: SeedCounters,
}

#[derive(Debug)]
struct Entry {
    seed: Seed,
    expires: Timestamp,
    /// When it was last announced: the order in which entries go, also by their time.
    age: u64,
    /// When there first was what has not been told.
    news: Option<u64>,
    /// Whether the application knows of the content.
    told: bool,
}

/// Why an entry goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Expired,
    Room,
}

impl SeedBook {
    /// An empty one.
    pub const fn new(limits: Limits) -> Self {
        Self {
            rate: Rate::new(limits.burst, limits.per_second),
            limits,
            entries: Vec::new(),
            gone: Vec::new(),
            turn: 0,
            memory: 0,
            counters: SeedCounters {
                received: 0,
                announced: 0,
                changed: 0,
                expired: 0,
                dropped: 0,
            },
        }
    }

    /// Takes what a frame says: all that holds of its content from now on. The fields of a frame that was read are in order.
    ///
    /// # Errors
    /// [`SeedFlood`] if they come too fast; nothing was taken.
    pub fn take(&mut self, now: Timestamp, seed: Seed) -> Result<(), SeedFlood> {
        if !self.rate.spend(now) {
            let limit = self.rate.per_second();
            return Err(SeedFlood { limit });
        }
        self.tick(now);
        self.counters.received += 1;
        let age = self.turn + 1;
        self.turn = age;
        let mut entry = Entry {
            expires: now + self.limits.lifetime,
            age,
            news: Some(age),
            told: false,
            seed,
        };
        match self.find(&entry.seed.content) {
            Ok(at) => {
                let before = self.remove(at);
                (entry.news, entry.told) = (before.news, before.told);
                if before.seed != entry.seed {
                    self.counters.changed += 1;
                    entry.news = before.news.or(Some(age));
                }
            }
            Err(_) => self.counters.announced += 1,
        }
        let weight = weight(&entry.seed);
        if weight > self.limits.memory || self.limits.contents == 0 {
            self.part(&entry, Reason::Room);
            return Ok(());
        }
        while self.entries.len() >= self.limits.contents
            || self.memory + weight > self.limits.memory
        {
            self.drop_oldest(Reason::Room);
        }
        self.memory += weight;
        if let Err(at) = self.find(&entry.seed.content) {
            self.entries.insert(at, entry);
        }
        Ok(())
    }

    /// Lets what has reached its age expire.
    pub fn tick(&mut self, now: Timestamp) {
        while self.next_due().is_some_and(|due| due <= now) {
            self.drop_oldest(Reason::Expired);
        }
    }

    /// When [`tick`](Self::tick) next has something to do.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.oldest().map(|at| self.entries[at].expires)
    }

    /// What the application is to be told next.
    pub fn next_event(&mut self) -> Option<SeedEvent> {
        if !self.gone.is_empty() {
            let (content, expired) = self.gone.remove(0);
            return Some(if expired {
                SeedEvent::Expired(content)
            } else {
                SeedEvent::Dropped(content)
            });
        }
        let news = self.entries.iter_mut().filter(|entry| entry.news.is_some());
        let entry = news.min_by_key(|entry| entry.news)?;
        entry.news = None;
        let seed = entry.seed.clone();
        Some(if core::mem::replace(&mut entry.told, true) {
            SeedEvent::Changed(seed)
        } else {
            SeedEvent::Announced(seed)
        })
    }

    /// What was last said of a content.
    pub fn get(&self, content: &[u8; 32]) -> Option<&Seed> {
        let at = self.find(content).ok()?;
        Some(&self.entries[at].seed)
    }

    /// How many contents are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no content is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that it reckons to take, at most [`Limits::memory`].
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// What was done so far.
    pub const fn counters(&self) -> SeedCounters {
        self.counters
    }

    /// Where a content is, or would be.
    fn find(&self, content: &[u8; 32]) -> Result<usize, usize> {
        let by = |entry: &Entry| entry.seed.content.cmp(content);
        self.entries.binary_search_by(by)
    }

    fn oldest(&self) -> Option<usize> {
        let aged = self.entries.iter().enumerate();
        let oldest = aged.min_by_key(|(_, entry)| entry.age);
        oldest.map(|(at, _)| at)
    }

    fn remove(&mut self, at: usize) -> Entry {
        let entry = self.entries.remove(at);
        self.memory -= weight(&entry.seed);
        entry
    }

    fn drop_oldest(&mut self, reason: Reason) {
        if let Some(oldest) = self.oldest() {
            let entry = self.remove(oldest);
            self.part(&entry, reason);
        }
    }

    /// An entry that is in the book no more is counted, and told if the application knows of its content.
    fn part(&mut self, entry: &Entry, reason: Reason) {
        if entry.told {
            let expired = reason == Reason::Expired;
            self.gone.push((entry.seed.content, expired));
        }
        match reason {
            Reason::Expired => self.counters.expired += 1,
            Reason::Room => self.counters.dropped += 1,
        }
    }
}

/// What a content costs, in bytes.
const fn weight(seed: &Seed) -> usize {
    CONTENT_WEIGHT + seed.nodes.capacity() * size_of::<SeedNode>()
}

/// What a content costs beside its nodes: its place in the list, which may have as much room again and is copied when it grows,
/// and one among what is gone. A test measures that it is enough.
const CONTENT_WEIGHT: usize = 512;

#[cfg(test)]
mod tests;
