use core::time::Duration;

use serde::{Deserialize, Serialize};
use stoq_core::shards;
pub use stoq_core::shards::Parity;

use super::as_text;
use crate::config::ConfigError;

/// How messages are sent and what the peer's may make this end hold: see [`Session::send_message`].
///
/// [`Session::send_message`]: crate::Session::send_message
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MessageConfig {
    /// How many more shards than it needs each message gets. Default [`Parity::Auto`]: by what the connection loses, so
    /// that one message in ten thousand fails. That is the loss of the next hop; for a path that loses more behind a
    /// relay, or for a rate that must not change, choose a number.
    #[serde(with = "as_text::parity")]
    pub parity: Parity,
    /// Bytes of messages that are not whole yet, held in one session, bookkeeping included; the oldest give way. Default
    /// 1 MiB: four of the largest messages at usual sizes of datagrams. Larger messages are dropped. Memory ≤ (1 +
    /// sessions) × this, the message that is just put together, and the code's tables, 8.4 MiB for the process.
    #[serde(with = "as_text::size")]
    pub buffer: usize,
    /// Messages that are not whole yet, in one session; the oldest give way. Default 64.
    pub max_waiting: usize,
    /// How long after its first shard a message may still become whole. Default 5 s. Longer: what was lost holds its
    /// memory for longer.
    #[serde(with = "as_text::duration")]
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

impl MessageConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting, rule| {
            Err(ConfigError {
                setting,
                value: "0".into(),
                rule,
            })
        };
        if self.max_waiting == 0 {
            return bad("messages.max_waiting", "a message waits for its last shard");
        }
        if self.timeout.is_zero() {
            return bad("messages.timeout", "shards do not arrive all at once");
        }
        Ok(())
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
