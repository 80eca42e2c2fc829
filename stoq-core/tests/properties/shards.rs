//! What holds for cutting messages and putting them together, whatever a peer sends.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;
use stoq_core::{
    Frame, Sha256, VarInt,
    frame::Shard,
    reader::{Fault, Reader},
    shards::{Counters, Cutter, Limits, Loss, Parity, Plan, PlanError, Reassembly, Received},
    time::Timestamp,
};

/// Reads `script` as shards from a hostile peer, and times. Nothing panics or stays beyond its bounds; what is delivered
/// has the digest it announced and is delivered once; every shard that is dropped is counted.
pub(crate) fn shards_bytes(script: &[u8]) {
    let mut script = Reader::new(script);
    // The script just ends somewhere.
    let _: Result<(), Fault> = Run::new(&mut script).and_then(|mut run| run.play(&mut script));
}

/// A message of `len` bytes comes back from any of its shards that are enough, in any order; `order` says which come and
/// when. Its frames fit into `room`.
pub(crate) fn message(len: usize, room: usize, parity: Parity, loss: Loss, order: &[u8]) {
    let limit = Plan::max_message_len(room, parity);
    let plan = match Plan::new(len, room, parity, loss) {
        Ok(plan) => plan,
        Err(PlanError::Empty) => return assert_eq!(len, 0),
        Err(PlanError::TooLarge { limit: said, got }) => {
            assert_eq!((said, got), (limit, len));
            return assert!(len > limit);
        }
        Err(PlanError::NoRoom { .. }) => return assert!(room < Plan::OVERHEAD + 2),
    };
    assert!(len <= limit);
    let message: Bytes = (0..len).map(|at| (at % 251) as u8).collect();
    let cutter = Cutter::new(VarInt::from_u32(1), message.clone(), plan);
    let mut shards: Vec<_> = cutter.shards().collect();
    for shard in &shards {
        let frame = Frame::Shard(*shard);
        assert_eq!(frame.check(), Ok(()));
        assert!(frame.encoded_len() <= room);
    }
    // A shuffle, as far as `order` goes.
    for (at, byte) in order.iter().enumerate() {
        let (at, other) = (at % shards.len(), usize::from(*byte) % shards.len());
        shards.swap(at, other);
    }
    let mut reassembly = Reassembly::new(Limits::default());
    let last = usize::from(plan.data()) - 1;
    for (at, shard) in shards.iter().enumerate().take(last + 1) {
        match reassembly.receive(Timestamp::default(), shard) {
            Ok(Received::Held) => assert!(at < last),
            Ok(Received::Message(whole)) => {
                assert!(whole.bytes == message, "{plan:?}");
                assert_eq!(at, last);
            }
            Err(dropped) => panic!("{dropped}: {plan:?}"),
        }
    }
    assert_eq!(reassembly.counters().delivered, 1);
    assert_eq!(reassembly.held_bytes(), 0);
}

struct Run {
    limits: Limits,
    reassembly: Reassembly,
    now: Timestamp,
    /// Honest messages, whose shards may come altered.
    cutters: Vec<Cutter>,
    delivered: BTreeSet<VarInt>,
}

impl Run {
    fn new(script: &mut Reader<'_>) -> Result<Self, Fault> {
        let limits = Limits {
            max_bytes: 64 * usize::from(script.u8()?),
            max_messages: usize::from(script.u8()?) % 8,
            max_age: Duration::from_millis(script.u8()?.into()),
        };
        let mut cutters = Vec::new();
        for id in 0..6 {
            let (len, parity) = (1 + usize::from(script.u8()?) * 3, script.u8()? % 8);
            let room = Plan::OVERHEAD + 2 + usize::from(script.u8()?);
            if let Ok(plan) = Plan::new(len, room, Parity::Fixed(parity), Loss::UNKNOWN) {
                let message = (0..len).map(|at| at as u8 ^ id).collect();
                cutters.push(Cutter::new(id.into(), message, plan));
            }
        }
        Ok(Self {
            limits,
            reassembly: Reassembly::new(limits),
            now: Timestamp::default(),
            cutters,
            delivered: BTreeSet::new(),
        })
    }

    fn play(&mut self, script: &mut Reader<'_>) -> Result<(), Fault> {
        while script.left() > 0 {
            match script.u8()? {
                0..0x10 => {
                    let digest = [script.u8()?; 32];
                    let len = usize::from(script.u8()?);
                    let shard = Shard {
                        message: VarInt::from_u32(script.u32()?),
                        index: script.u16()?,
                        data: script.u16()?,
                        parity: script.u16()?,
                        message_len: VarInt::from_u32(script.u32()?),
                        digest: &digest,
                        bytes: script.bytes(len.min(script.left()))?,
                    };
                    self.feed(&shard);
                }
                0x10..0x20 => {
                    self.now = self.now + Duration::from_millis(script.u8()?.into());
                    self.reassembly.expire(self.now);
                }
                number => self.play_honest(number, script)?,
            }
            let bytes = self.reassembly.held_bytes();
            assert!(bytes <= self.limits.max_bytes);
            let messages = self.reassembly.held_messages();
            assert!(messages <= self.limits.max_messages.max(1));
            assert_eq!(bytes == 0, messages == 0);
            let due = self.reassembly.next_due();
            assert_eq!(due.is_some(), messages > 0);
            assert!(due.is_none_or(|due| due >= self.now));
        }
        Ok(())
    }

    /// A shard of a message that is there, perhaps with a slip.
    fn play_honest(&mut self, number: u8, script: &mut Reader<'_>) -> Result<(), Fault> {
        if self.cutters.is_empty() {
            return Ok(());
        }
        let cutter = self.cutters[usize::from(number) % self.cutters.len()].clone();
        let shards = usize::from(cutter.plan().data() + cutter.plan().parity());
        let index = usize::from(script.u8()?) % shards;
        let mut shard = cutter.shards().nth(index).expect("it has as many");
        let (mut digest, mut bytes) = (*shard.digest, shard.bytes.to_vec());
        match number >> 5 {
            1 => digest[0] ^= script.u8()?,
            2 => shard.data ^= u16::from(script.u8()?),
            3 => shard.parity ^= u16::from(script.u8()?),
            4 => bytes[0] ^= script.u8()?,
            5 => bytes.truncate(script.u8()?.into()),
            _ => {}
        }
        self.feed(&Shard {
            digest: &digest,
            bytes: &bytes,
            ..shard
        });
        Ok(())
    }

    fn feed(&mut self, shard: &Shard<'_>) {
        let before = self.reassembly.counters();
        match self.reassembly.receive(self.now, shard) {
            Ok(Received::Held) => {}
            Ok(Received::Message(message)) => {
                assert_eq!(message.id, shard.message);
                assert!(self.delivered.insert(message.id), "delivered twice");
                let mut hash = Sha256::new();
                hash.update(&message.bytes);
                assert_eq!(hash.finish(), *shard.digest);
                assert_eq!(message.bytes.len() as u64, shard.message_len.into_inner());
            }
            Err(dropped) => {
                assert!(!dropped.to_string().is_empty());
                assert_ne!(
                    self.reassembly.counters(),
                    before,
                    "{dropped} is not counted"
                );
            }
        }
        let after = self.reassembly.counters();
        assert!(
            all(after)
                .zip(all(before))
                .all(|(after, before)| after >= before)
        );
        assert_eq!(after.delivered, self.delivered.len() as u64);
    }
}

fn all(counters: Counters) -> impl Iterator<Item = u64> {
    let Counters {
        delivered,
        evicted,
        expired,
        mismatched,
        contradicting,
        duplicate,
        late,
        too_large,
        malformed,
    } = counters;
    let shards = [contradicting, duplicate, late, too_large, malformed];
    [delivered, evicted, expired, mismatched]
        .into_iter()
        .chain(shards)
}
