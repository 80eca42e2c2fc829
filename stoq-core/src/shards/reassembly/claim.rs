use alloc::{boxed::Box, vec, vec::Vec};

use bytes::Bytes;

use crate::{frame::Shard, hash::Sha256, shards::code, time::Timestamp, varint::VarInt};

/// What some shards claim a message to be, and those shards.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) message: VarInt,
    /// When the first shard came.
    pub(super) begun: Timestamp,
    data: u16,
    parity: u16,
    message_len: u64,
    shard_len: usize,
    digest: [u8; 32],
    /// A bit for each shard that is here.
    present: [u64; 4],
    shards: Vec<(u16, Box<[u8]>)>,
}

impl Claim {
    /// What a message costs without its shards: itself, and room for the first shards in their list.
    pub(super) const COST: usize = 256;

    /// What a shard costs beside its bytes: its place in a list that grows by doubling, and what an allocator adds.
    const SHARD_COST: usize = 64;

    pub(super) fn new(now: Timestamp, shard: &Shard<'_>) -> Self {
        Self {
            message: shard.message,
            begun: now,
            data: shard.data,
            parity: shard.parity,
            message_len: shard.message_len.into_inner(),
            shard_len: shard.bytes.len(),
            digest: *shard.digest,
            present: [0; 4],
            shards: Vec::new(),
        }
    }

    /// What holding this shard costs.
    pub(super) const fn cost_of(shard: &Shard<'_>) -> usize {
        Self::SHARD_COST + shard.bytes.len()
    }

    /// What holding as many shards costs as make up the message of this one.
    pub(super) fn cost_of_all(shard: &Shard<'_>) -> usize {
        Self::COST + usize::from(shard.data) * Self::cost_of(shard)
    }

    pub(super) fn cost(&self) -> usize {
        Self::COST + self.shards.len() * (Self::SHARD_COST + self.shard_len)
    }

    /// Whether the shard says of its message what this claim says.
    pub(super) fn fits(&self, shard: &Shard<'_>) -> bool {
        self.message == shard.message
            && self.data == shard.data
            && self.parity == shard.parity
            && self.message_len == shard.message_len.into_inner()
            && self.shard_len == shard.bytes.len()
            && self.digest == *shard.digest
    }

    pub(super) const fn has(&self, index: u16) -> bool {
        self.present[(index / 64) as usize] & 1 << (index % 64) != 0
    }

    /// Whether one shard more is enough.
    pub(super) fn completes(&self) -> bool {
        self.shards.len() + 1 >= self.data.into()
    }

    /// Keeps a shard that fits and is not here.
    pub(super) fn hold(&mut self, shard: &Shard<'_>) {
        self.present[usize::from(shard.index / 64)] |= 1 << (shard.index % 64);
        self.shards.push((shard.index, shard.bytes.into()));
    }

    /// The message, from the shards that are here and the last one needed; `None` if its digest is another one.
    pub(super) fn finish(self, last: &Shard<'_>) -> Option<Bytes> {
        let mut rows = if self.data == 1 {
            last.bytes.to_vec()
        } else {
            self.rows(last)?
        };
        rows.truncate(usize::try_from(self.message_len).ok()?);
        let mut hash = Sha256::new();
        hash.update(&rows);
        (hash.finish() == self.digest).then(|| rows.into())
    }

    /// The data shards, one behind the other.
    fn rows(&self, last: &Shard<'_>) -> Option<Vec<u8>> {
        let held = self
            .shards
            .iter()
            .map(|(index, bytes)| (*index, &bytes[..]));
        let shards = held.chain([(last.index, last.bytes)]);
        let mut rows = vec![0; usize::from(self.data) * self.shard_len];
        let mut missing = self.data;
        for (index, bytes) in shards.clone().filter(|(index, _)| *index < self.data) {
            rows[usize::from(index) * self.shard_len..][..self.shard_len].copy_from_slice(bytes);
            missing -= 1;
        }
        if missing > 0 {
            code::restore((self.data, self.parity), shards, &mut rows).ok()?;
        }
        Some(rows)
    }
}
