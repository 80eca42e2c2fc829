use alloc::vec::Vec;

use bytes::Bytes;

use super::{Plan, code};
use crate::{frame::Shard, hash::Sha256, varint::VarInt};

/// A message and its parity, ready to be sent shard by shard.
///
/// Beside the message, which is not copied, it holds the parity shards and one data shard.
#[derive(Clone, Debug)]
pub struct Cutter {
    id: VarInt,
    plan: Plan,
    digest: [u8; 32],
    message: Bytes,
    /// The last data shard, with zeros behind the message's end, if the message does not fill it.
    last: Vec<u8>,
    /// One behind the other; none if there is only one data shard, which is repeated.
    parity: Vec<u8>,
}

impl Cutter {
    /// Hashes `message` and makes its parity. Each message of a session has an `id` of its own, counting up.
    ///
    /// # Panics
    /// If `plan` is for a message of another length.
    pub fn new(id: VarInt, message: Bytes, plan: Plan) -> Self {
        assert_eq!(
            message.len(),
            plan.message_len,
            "the plan of another message"
        );
        let mut hash = Sha256::new();
        hash.update(&message);
        let whole = message.len() / plan.shard_len * plan.shard_len;
        let mut last = message[whole..].to_vec();
        if !last.is_empty() {
            last.resize(plan.shard_len, 0);
        }
        let mut cutter = Self {
            id,
            plan,
            digest: hash.finish(),
            message,
            last,
            parity: Vec::new(),
        };
        if plan.data > 1 && plan.parity > 0 {
            cutter.parity = code::parity(&plan, |index| cutter.data_shard(index));
        }
        cutter
    }

    /// All shards in the order of their index: the message first, then what makes up for losses.
    pub fn shards(&self) -> impl Iterator<Item = Shard<'_>> {
        (0..self.plan.data + self.plan.parity).map(|index| self.shard(index))
    }

    /// How the message is cut.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    fn shard(&self, index: u16) -> Shard<'_> {
        let len = self.plan.shard_len;
        Shard {
            message: self.id,
            index,
            data: self.plan.data,
            parity: self.plan.parity,
            message_len: VarInt::saturating(self.message.len() as u128),
            digest: &self.digest,
            bytes: match index.checked_sub(self.plan.data) {
                None => self.data_shard(index),
                // One data shard: the parity of a code over a single value is the value.
                Some(_) if self.plan.data == 1 => self.data_shard(0),
                Some(parity) => &self.parity[usize::from(parity) * len..][..len],
            },
        }
    }

    fn data_shard(&self, index: u16) -> &[u8] {
        let len = self.plan.shard_len;
        let start = usize::from(index) * len;
        self.message.get(start..start + len).unwrap_or(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{
        Frame,
        shards::{Loss, Parity},
    };

    #[test]
    fn every_frame_may_be_sent_and_fits() {
        for len in [1, 2, 1_137, 1_138, 1_139, 5_000, 250_000] {
            for parity in [0, 1, 30] {
                let plan = Plan::new(len, 1_200, Parity::Fixed(parity), Loss::UNKNOWN).unwrap();
                let cutter = Cutter::new(VarInt::MAX, vec![1; len].into(), plan);
                let mut count = 0;
                for shard in cutter.shards() {
                    let frame = Frame::Shard(shard);
                    assert_eq!(frame.check(), Ok(()));
                    assert!(frame.encoded_len() <= 1_200);
                    count += 1;
                }
                assert_eq!(count, plan.data() + plan.parity());
            }
        }
    }

    #[test]
    fn one_data_shard_is_repeated() {
        let plan = Plan::new(5, 1_200, Parity::Fixed(3), Loss::UNKNOWN).unwrap();
        let cutter = Cutter::new(VarInt::from_u32(1), Bytes::from_static(b"hello"), plan);
        assert!(cutter.parity.is_empty());
        assert!(cutter.shards().all(|shard| shard.bytes == b"hello\0"));
    }
}
