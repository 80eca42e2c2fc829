use super::Loss;
use crate::frame::Shard;

/// How many parity shards go with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parity {
    /// As many as the path's loss asks for, at least one: see [`Parity::count`]. Measured loss is that of the first link;
    /// if relays further on lose more, choose a number.
    #[default]
    Auto,
    /// This many, but no more than [`Shard::max_parity`]: a message of few shards needs few others, and receivers refuse
    /// more. With none, every shard must arrive.
    Fixed(u8),
}

impl Parity {
    /// The chance at which [`Auto`](Self::Auto) lets a message fail, one in ten thousand.
    pub const TARGET: f64 = 1e-4;

    /// The most data shards of a message with [`Auto`](Self::Auto): leaves 63 of 255 shards for parity, which is enough
    /// for losses to about one packet in six.
    const MAX_AUTO_DATA: u16 = 192;

    /// Parity shards for a message of `data` shards on a path that loses `loss`.
    ///
    /// [`Auto`](Self::Auto) gives the least `m ≥ 1` at which fewer than `data` of `data + m` shards arrive with a chance
    /// of at most [`TARGET`](Self::TARGET), if each is lost on its own with chance `p`:
    ///
    /// ```text
    /// 1 − Σ C(data + j − 1, j) · p^j · (1 − p)^data  ≤  TARGET,   j = 0 … m
    /// ```
    ///
    /// (`j` counts the shards that are lost before the last needed one arrives). There are never more than 255 shards: the
    /// largest messages on a path that loses more than a sixth fail more often. Losses that come in bursts longer than
    /// `m` shards are not planned for.
    pub fn count(self, data: u16, loss: Loss) -> u16 {
        let most = Shard::max_parity(data);
        match self {
            Self::Fixed(parity) => most.min(parity.into()),
            Self::Auto => Self::for_loss(data, loss.share(), most),
        }
    }

    /// The most data shards of a message.
    pub const fn max_data(self) -> u16 {
        match self {
            Self::Auto => Self::MAX_AUTO_DATA,
            // At least one is left for data.
            Self::Fixed(u8::MAX) => 1,
            Self::Fixed(parity) => Shard::MAX_SHARDS - parity as u16,
        }
    }

    fn for_loss(data: u16, lost: f64, most: u16) -> u16 {
        // The chance that all data shards come and none was lost before the last: (1 − p)^data.
        let mut term = (0..data).fold(1.0, |term, _| term * (1.0 - lost));
        let mut succeeds = term;
        for parity in 1..most {
            let lost_before = f64::from(parity);
            term *= lost * (f64::from(data) + lost_before - 1.0) / lost_before;
            succeeds += term;
            if 1.0 - succeeds <= Self::TARGET {
                return parity;
            }
        }
        most
    }
}

/// How one message is cut: into equal shards that fit a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) message_len: usize,
    pub(super) data: u16,
    pub(super) parity: u16,
    pub(super) shard_len: usize,
}

impl Plan {
    /// What a SHARD frame has beside the shard, at most: type 8, length 4, message id 8, three counts 6, message
    /// length 4, digest 32.
    pub const OVERHEAD: usize = 62;

    /// A plan for a message of `message_len` bytes whose SHARD frames take at most `room` bytes each, on a path that
    /// loses `loss`. The shards are as few as can be, and then as short.
    ///
    /// # Errors
    /// [`PlanError`] if the message is empty or longer than [`max_message_len`](Self::max_message_len).
    pub fn new(
        message_len: usize,
        room: usize,
        parity: Parity,
        loss: Loss,
    ) -> Result<Self, PlanError> {
        let longest = longest_shard(room);
        if longest == 0 {
            return Err(PlanError::NoRoom { room });
        }
        let limit = Self::max_message_len(room, parity);
        match message_len {
            0 => return Err(PlanError::Empty),
            got if got > limit => return Err(PlanError::TooLarge { limit, got }),
            _ => {}
        }
        let shards = message_len.div_ceil(longest);
        let shard_len = message_len.div_ceil(shards).next_multiple_of(2);
        // Rounding up to an even length can make the last one needless.
        let data = message_len.div_ceil(shard_len) as u16;
        Ok(Self {
            message_len,
            data,
            parity: parity.count(data, loss),
            shard_len,
        })
    }

    /// The longest message that can be sent with SHARD frames of at most `room` bytes: 218 KB with datagrams of 1200
    /// bytes and [`Parity::Auto`]. Zero if no shard fits.
    pub fn max_message_len(room: usize, parity: Parity) -> usize {
        longest_shard(room) * usize::from(parity.max_data())
    }

    /// Shards that hold the message.
    pub const fn data(&self) -> u16 {
        self.data
    }

    /// Shards that make up for lost ones.
    pub const fn parity(&self) -> u16 {
        self.parity
    }

    /// Bytes in each shard.
    pub const fn shard_len(&self) -> usize {
        self.shard_len
    }

    /// Bytes in the message.
    pub const fn message_len(&self) -> usize {
        self.message_len
    }
}

/// Even, and with its frame no longer than `room`.
fn longest_shard(room: usize) -> usize {
    room.min(Shard::MAX_LEN).saturating_sub(Plan::OVERHEAD) & !1
}

/// A message cannot be cut. The caller's matter, or the path's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is nothing to send.
    #[error("a message needs at least one byte")]
    Empty,
    /// The message is too long for the path's datagrams.
    #[error("a message of {got} bytes, more than {limit}")]
    TooLarge {
        /// The most bytes.
        limit: usize,
        /// What it has.
        got: usize,
    },
    /// Not even the smallest shard fits.
    #[error("no shard fits into {room} bytes")]
    NoRoom {
        /// The bytes that a SHARD frame may take.
        room: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_few_equal_and_even() {
        let plan = |len| Plan::new(len, 1_200, Parity::Fixed(3), Loss::UNKNOWN).unwrap();
        let shape = |len| {
            let plan = plan(len);
            (plan.data, plan.shard_len)
        };
        assert_eq!(shape(1), (1, 2));
        assert_eq!(shape(1_138), (1, 1_138));
        assert_eq!(shape(1_139), (2, 570));
        assert_eq!(shape(11_380), (10, 1_138));
        assert_eq!(plan(11_380).parity, 3);
    }

    #[test]
    fn a_shard_that_would_be_padding_alone_is_left_out() {
        // Four shards of at most 4 bytes would hold 9 bytes in three.
        let plan = Plan::new(9, Plan::OVERHEAD + 4, Parity::Fixed(0), Loss::UNKNOWN).unwrap();
        assert_eq!((plan.data, plan.shard_len), (3, 4));
        let plan = Plan::new(13, Plan::OVERHEAD + 4, Parity::Fixed(0), Loss::UNKNOWN).unwrap();
        assert_eq!((plan.data, plan.shard_len), (4, 4));
    }

    #[test]
    fn parity_keeps_the_chance_of_failure_below_the_target() {
        let parity = |data: u16, percent: u32| {
            Parity::Auto.count(data, Loss::from_millionths(percent * 10_000))
        };
        let python = [
            (1, 2, 2),
            (2, 10, 4),
            (10, 1, 3),
            (10, 10, 8),
            (10, 30, 17),
            (50, 1, 5),
            (50, 10, 17),
            (100, 20, 49),
            (192, 10, 42),
            (192, 15, 60),
            (192, 30, 63),
        ];
        // The least m with sum(comb(k+m, i) * p**i * (1-p)**(k+m-i) for i in range(m+1, k+m+1)) <= 1e-4, by Python.
        for (data, percent, expected) in python {
            assert_eq!(parity(data, percent), expected, "{data} at {percent} %");
        }
        assert_eq!(parity(10, 0), 1);
    }

    #[test]
    fn the_most_parity_is_all_that_half_the_packets_lost_ask_for() {
        for data in 1..=Parity::MAX_AUTO_DATA {
            let wanted = Parity::for_loss(data, Loss::MAX.share(), Shard::MAX_SHARDS - data);
            assert!(wanted <= Shard::max_parity(data), "{wanted} beside {data}");
        }
        assert_eq!(Parity::Fixed(255).count(2, Loss::UNKNOWN), 20);
        assert_eq!(Parity::Fixed(255).count(80, Loss::UNKNOWN), 175);
    }

    #[test]
    fn there_are_never_more_than_255_shards() {
        for data in 1..=255 {
            for parity in [
                Parity::Auto,
                Parity::Fixed(0),
                Parity::Fixed(9),
                Parity::Fixed(255),
            ] {
                assert!(data + parity.count(data, Loss::MAX) <= 255);
            }
        }
        for parity in 0..=u8::MAX {
            assert!((1..=255).contains(&Parity::Fixed(parity).max_data()));
        }
    }

    #[test]
    fn the_longest_message_can_be_planned_and_no_longer_one() {
        for parity in [Parity::Auto, Parity::Fixed(0), Parity::Fixed(255)] {
            let limit = Plan::max_message_len(1_200, parity);
            let plan = Plan::new(limit, 1_200, parity, Loss::MAX).unwrap();
            assert!(plan.data + plan.parity <= 255);
            assert_eq!(
                Plan::new(limit + 1, 1_200, parity, Loss::MAX),
                Err(PlanError::TooLarge {
                    limit,
                    got: limit + 1
                })
            );
        }
        let none = Plan::new(1, Plan::OVERHEAD + 1, Parity::Auto, Loss::MAX);
        assert_eq!(none, Err(PlanError::NoRoom { room: 63 }));
        assert_eq!(
            Plan::new(0, 99, Parity::Auto, Loss::MAX),
            Err(PlanError::Empty)
        );
    }
}
