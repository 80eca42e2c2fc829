use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::as_text;
use crate::config::ConfigError;

/// How often the peer is asked to acknowledge what it receives ([draft-ietf-quic-ack-frequency], which peers that do not know it
/// leave aside).
///
/// [draft-ietf-quic-ack-frequency]: https://datatracker.ietf.org/doc/html/draft-ietf-quic-ack-frequency
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AckFrequency {
    /// Packets for each acknowledgement, from 1 on. Default 2, as without being asked (RFC 9000, section 13.2.2). More: less
    /// work for both ends, and losses that are found later; above ten the window grows in jumps.
    pub packets: u32,
    /// How long the peer may wait for so many. Default 25 ms, as without being asked. quinn keeps to at least 1 ms, and at most
    /// a round trip or 25 ms.
    #[serde(with = "as_text::duration")]
    pub delay: Duration,
}

impl Default for AckFrequency {
    fn default() -> Self {
        Self {
            packets: 2,
            delay: Duration::from_millis(25),
        }
    }
}

impl AckFrequency {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting, value, rule| {
            Err(ConfigError {
                setting,
                value,
                rule,
            })
        };
        if self.packets == 0 {
            let rule = "an acknowledgement needs a packet";
            return bad("ack_frequency.packets", "0".into(), rule);
        }
        // RFC 9000, section 18.2: what a peer may say of itself.
        if !(Duration::from_millis(1)..Duration::from_millis(1 << 14)).contains(&self.delay) {
            let rule = "must be from 1 ms to below 2^14 ms";
            return bad("ack_frequency.delay", format!("{:?}", self.delay), rule);
        }
        Ok(())
    }

    pub(super) fn quinn(&self) -> quinn::AckFrequencyConfig {
        let mut config = quinn::AckFrequencyConfig::default();
        config
            // Those that may come without one.
            .ack_eliciting_threshold((self.packets - 1).into())
            .max_ack_delay(Some(self.delay));
        config
    }
}
