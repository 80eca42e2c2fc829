//! Bounds in number, size and time.

use serde::Deserialize;

use super::super::values::{count, duration, life, size};
use super::super::{ConfigError, Limits, Timing};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    max_sessions: Option<i64>,
    max_handshakes: Option<i64>,
    max_streams: Option<i64>,
    stream_window: Option<String>,
    send_window: Option<String>,
    upstream_stream_window: Option<String>,
    max_http_connections: Option<i64>,
    max_http_connections_per_address: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTiming {
    handshake: Option<String>,
    idle: Option<String>,
    keep_alive: Option<String>,
    upstream_connect: Option<String>,
    upstream_idle: Option<String>,
    stats: Option<String>,
    grace: Option<String>,
    certificate_renewal: Option<String>,
    record_life: Option<String>,
}

impl RawLimits {
    pub(super) fn apply(&self, limits: &mut Limits) -> Result<(), ConfigError> {
        count(
            &mut limits.max_sessions,
            "limits.max_sessions",
            self.max_sessions,
        )?;
        count(
            &mut limits.max_handshakes,
            "limits.max_handshakes",
            self.max_handshakes,
        )?;
        count(
            &mut limits.max_streams,
            "limits.max_streams",
            self.max_streams,
        )?;
        count(
            &mut limits.max_http_connections,
            "limits.max_http_connections",
            self.max_http_connections,
        )?;
        count(
            &mut limits.max_http_connections_per_address,
            "limits.max_http_connections_per_address",
            self.max_http_connections_per_address,
        )?;
        size(
            &mut limits.stream_window,
            "limits.stream_window",
            &self.stream_window,
        )?;
        size(
            &mut limits.send_window,
            "limits.send_window",
            &self.send_window,
        )?;
        size(
            &mut limits.upstream_stream_window,
            "limits.upstream_stream_window",
            &self.upstream_stream_window,
        )
    }
}

impl RawTiming {
    pub(super) fn apply(&self, timing: &mut Timing) -> Result<(), ConfigError> {
        duration(&mut timing.handshake, "timing.handshake", &self.handshake)?;
        duration(&mut timing.idle, "timing.idle", &self.idle)?;
        duration(
            &mut timing.keep_alive,
            "timing.keep_alive",
            &self.keep_alive,
        )?;
        duration(
            &mut timing.upstream_connect,
            "timing.upstream_connect",
            &self.upstream_connect,
        )?;
        duration(
            &mut timing.upstream_idle,
            "timing.upstream_idle",
            &self.upstream_idle,
        )?;
        duration(&mut timing.stats, "timing.stats", &self.stats)?;
        duration(&mut timing.grace, "timing.grace", &self.grace)?;
        life(
            &mut timing.certificate_renewal,
            "timing.certificate_renewal",
            &self.certificate_renewal,
        )?;
        life(
            &mut timing.record_life,
            "timing.record_life",
            &self.record_life,
        )
    }
}
