use core::num::NonZeroU32;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::transport::as_text;

/// How a [`Pool`](super::Pool) keeps its connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections at once, those being made included. The one without sessions that was used longest ago makes room for a new
    /// one; if all have sessions, opening fails with [`PoolError::Full`](super::PoolError::Full). Default 256: at some 20 KiB
    /// for an idle one, 5 MiB.
    pub max_connections: usize,
    /// Sessions on one connection; one more opens another. Default 64, as many as a server of default
    /// [`Limits`](crate::Limits) takes; where the server takes fewer, that many. More: one lost connection ends more of them.
    pub sessions_per_connection: NonZeroU32,
    /// How long a connection without sessions waits for the next one. Default 60 s: a handshake with FALCON costs the server
    /// some 2 ms, an idle connection some 20 KiB. It is closed up to a quarter of this later.
    #[serde(with = "as_text::duration")]
    pub idle_timeout: Duration,
    /// How long after its last use a connection is asked for a sign of life before it is used again. Default 5 s: a round trip,
    /// for who comes that late, against waiting for an answer that never comes. 0: always.
    #[serde(with = "as_text::duration")]
    pub check_after: Duration,
    /// How long the sign of life may take; then another connection is made. Default 1 s: a lost packet and its repetition on
    /// a path round the world.
    #[serde(with = "as_text::duration")]
    pub check_timeout: Duration,
    /// How long the peer may take to answer a request. Default 10 s, as long as a connection may take to come about.
    #[serde(with = "as_text::duration")]
    pub answer_timeout: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: 256,
            sessions_per_connection: const { NonZeroU32::new(64).expect("not zero") },
            idle_timeout: Duration::from_secs(60),
            check_after: Duration::from_secs(5),
            check_timeout: Duration::from_secs(1),
            answer_timeout: Duration::from_secs(10),
        }
    }
}

impl PoolConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting, value: String, rule| {
            Err(ConfigError {
                setting,
                value,
                rule,
            })
        };
        if self.max_connections == 0 {
            return bad(
                "max_connections",
                "0".into(),
                "a session needs a connection",
            );
        }
        if self.idle_timeout < Duration::from_millis(4) {
            let value = format!("{:?}", self.idle_timeout);
            return bad("idle_timeout", value, "must be at least 4 ms");
        }
        let waits = [
            ("check_timeout", self.check_timeout),
            ("answer_timeout", self.answer_timeout),
        ];
        if let Some((setting, _)) = waits.into_iter().find(|(_, wait)| wait.is_zero()) {
            return bad(setting, "0ns".into(), "no answer comes in no time");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_that_cannot_work() {
        let fault = |text: &str| {
            let config: PoolConfig = toml::from_str(text).unwrap();
            config.check().map_or_else(|error| error.setting, |()| "")
        };
        assert_eq!(fault(""), "");
        assert_eq!(fault("max_connections = 0"), "max_connections");
        assert_eq!(fault("idle_timeout = '3ms'"), "idle_timeout");
        assert_eq!(fault("check_timeout = '0s'"), "check_timeout");
        assert_eq!(fault("answer_timeout = '0s'"), "answer_timeout");
        assert_eq!(fault("check_after = '0s'"), "");
        assert!(toml::from_str::<PoolConfig>("sessions_per_connection = 0").is_err());
    }
}
