use core::time::Duration;

use stoq_core::shards;
pub use stoq_core::shards::Parity;

/// How messages are sent and what the peer's may make this end hold: see [`Session::send_message`].
///
/// [`Session::send_message`]: crate::Session::send_message
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageConfig {
    /// How many more shards than it needs each message gets. Default [`Parity::Auto`]: by what the connection loses, so
    /// that one message in ten thousand fails. That is the loss of the next hop; for a path that loses more behind a
    /// relay, or for a rate that must not change, choose a number.
    pub parity: Parity,
    /// Bytes of messages that are not whole yet, held in one session, bookkeeping included; the oldest give way. Default
    /// 1 MiB: four of the largest messages at usual sizes of datagrams. Larger messages are dropped. Memory ≤ (1 +
    /// sessions) × this, the message that is just put together, and the code's tables, 8.4 MiB for the process.
    pub buffer: usize,
    /// Messages that are not whole yet, in one session; the oldest give way. Default 64.
    pub max_waiting: usize,
    /// How long after its first shard a message may still become whole. Default 5 s. Longer: what was lost holds its
    /// memory for longer.
    pub timeout: Duration,
}

impl Default for MessageConfig {
    fn default() -> Self {
        let shards::Limits {
            max_bytes,
            max_messages,
            max_age,
        } = shards::Limits::default();
        Self {
            parity: Parity::Auto,
            buffer: max_bytes,
            max_waiting: max_messages,
            timeout: max_age,
        }
    }
}

impl From<MessageConfig> for shards::Limits {
    fn from(config: MessageConfig) -> Self {
        Self {
            max_bytes: config.buffer,
            max_messages: config.max_waiting,
            max_age: config.timeout,
        }
    }
}
