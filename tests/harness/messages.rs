//! What one end of a simulated link receives in shards.

use std::collections::{BTreeMap, BTreeSet};

use stoq_core::datagram::Content;
use stoq_core::session_id::SessionId;
use stoq_core::shards::{Counters, Limits, Message, Reassembly, Received};
use stoq_core::time::Timestamp;
use stoq_core::varint::VarInt;

use bytes::Bytes;

/// The shards of a message that have arrived: the digest that each announced, and which it is.
type Shards = BTreeSet<([u8; 32], u16)>;

/// Puts together what arrives, each session on its own, and checks the bounds after every shard.
#[derive(Debug)]
pub struct Messages {
    limits: Limits,
    sessions: BTreeMap<SessionId, Reassembly>,
    /// The shards of each message that have arrived, by the digest and the index that they announce.
    arrived: BTreeMap<(SessionId, VarInt), Shards>,
    /// Messages in the order in which they became whole.
    whole: Vec<(SessionId, Message)>,
}

impl Messages {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: BTreeMap::new(),
            arrived: BTreeMap::new(),
            whole: Vec::new(),
        }
    }

    /// Takes the content of a datagram that holds a shard.
    pub fn receive(&mut self, now: Timestamp, session: SessionId, content: Bytes) {
        let Ok(Content::Shard(payload)) = Content::decode(content) else {
            panic!("the link altered a datagram");
        };
        let shard = Content::shard(&payload).expect("it was just decoded");
        let arrived = self.arrived.entry((session, shard.message)).or_default();
        arrived.insert((*shard.digest, shard.index));
        let limits = self.limits;
        let reassembly = self
            .sessions
            .entry(session)
            .or_insert_with(|| Reassembly::new(limits));
        // What is dropped is counted, and duplicates and late shards are what such a link brings.
        if let Ok(Received::Message(message)) = reassembly.receive(now, &shard) {
            self.whole.push((session, message));
        }
        assert!(reassembly.held_bytes() <= limits.max_bytes);
        assert!(reassembly.held_messages() <= limits.max_messages);
    }

    /// Drops what did not become whole in time.
    pub fn expire(&mut self, now: Timestamp) {
        self.sessions
            .values_mut()
            .for_each(|reassembly| reassembly.expire(now));
    }

    /// When something is next to be dropped.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.sessions
            .values()
            .filter_map(Reassembly::next_due)
            .min()
    }

    /// Messages in the order in which they became whole.
    pub fn whole(&self) -> &[(SessionId, Message)] {
        &self.whole
    }

    /// How many different shards of a message have arrived that announce `digest`.
    pub fn arrived(&self, session: SessionId, message: VarInt, digest: &[u8; 32]) -> usize {
        let shards = self.arrived.get(&(session, message));
        shards.map_or(0, |shards| {
            shards.range((*digest, 0)..=(*digest, u16::MAX)).count()
        })
    }

    /// What happened in a session.
    pub fn counters(&self, session: SessionId) -> Counters {
        self.sessions
            .get(&session)
            .map_or_else(Counters::default, Reassembly::counters)
    }

    /// Bytes and messages that are held, in all sessions.
    pub fn held(&self) -> (usize, usize) {
        self.sessions
            .values()
            .fold((0, 0), |(bytes, messages), reassembly| {
                (
                    bytes + reassembly.held_bytes(),
                    messages + reassembly.held_messages(),
                )
            })
    }
}
