//! How connections work, whichever end begins them: one set of settings, in code or from a file.

mod acks;
pub(crate) mod as_text;
mod by_peer;
mod keep_alive;
mod limits;
mod messages;

use core::time::Duration;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use acks::AckFrequency;
pub use keep_alive::KeepAlive;
pub use limits::Limits;
pub use messages::{MessageConfig, Parity};

pub(crate) use limits::MULTIPLEXED_SLACK;

use crate::adapt::AdaptationConfig;
use crate::config::ConfigError;
use crate::congestion::{self, CongestionAlgorithm};
use crate::qlog::QlogConfig;
use crate::socket::SocketConfig;

/// How the connections of an endpoint work, a client's or a server's.
///
/// Each field has a default, and says what it costs. From a file, times are written as `"250ms"` or `"1m 30s"` and sizes as
/// `"1 MiB"` or a number of bytes; what is not named keeps its default, and what is not known is an error. All settings with
/// their defaults stand in `transport.example.toml`.
///
/// ```
/// use std::time::Duration;
/// use stoq_native::TransportConfig;
///
/// let config = TransportConfig::from_toml(r#"
///     idle_timeout = "20s"
///     [limits]
///     stream_window = "4 MiB"
/// "#)?;
/// assert_eq!(config.idle_timeout, Duration::from_secs(20));
///
/// // An endpoint would not work with it, and it says which setting is to blame.
/// let error = TransportConfig::from_toml("idle_timeout = '0s'").unwrap_err();
/// assert_eq!(error.to_string(), "idle_timeout is 0ns, but must be at least 1 ms");
/// # Ok::<(), stoq_native::TransportConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TransportConfig {
    /// IP versions of the socket. Default: both; for a server that means an IPv6 address (`[::]`).
    pub ip: IpVersions,
    /// Silence after which a connection counts as lost. Default 30 s ([RFC 9308, section 3.2]). The smaller one
    /// of both ends applies. Longer: a dead peer holds its memory for longer.
    ///
    /// [RFC 9308, section 3.2]: https://www.rfc-editor.org/rfc/rfc9308#section-3.2
    #[serde(with = "as_text::duration")]
    pub idle_timeout: Duration,
    /// How often a silent connection sends something, so that neither end nor a NAT forgets it. Default
    /// [`KeepAlive::Auto`]: clients do, servers do not. More often: a packet each way, and a radio that cannot sleep.
    pub keep_alive: KeepAlive,
    /// A server: whether a client's connections go on when its address changes ([RFC 9000, section 9]): it moves to another network,
    /// it [rebinds](crate::Endpoint::rebind), or a NAT forgets it. Default `true`, because otherwise each of these ends them. Refuse
    /// it where an address means something, as behind a balancer that steers by address or a firewall that admits by it; the cost:
    /// packets from a new address are dropped, and both ends wait for their idle time-out. A client does not look at it.
    ///
    /// [RFC 9000, section 9]: https://www.rfc-editor.org/rfc/rfc9000#section-9
    pub migration: bool,
    /// The UDP socket: its buffers, and the size of packets.
    pub socket: SocketConfig,
    /// How congestion is controlled when a connection begins. Default [`CongestionAlgorithm::Cubic`].
    /// [`Connection::update_live_config`](crate::Connection::update_live_config) changes it while one runs.
    pub congestion: CongestionAlgorithm,
    /// How often the peer is asked to acknowledge. Default `None`: it is not asked, and does as RFC 9000 says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack_frequency: Option<AckFrequency>,
    /// How often what connections have sent and received is added to the counters of the `metrics` facade. Default 5 s. More often: a lock
    /// of each connection each time, some 200 ns.
    #[serde(with = "as_text::duration")]
    pub metrics_interval: Duration,
    /// Record what happens on connections in files. Default `None`: nothing is recorded. For its cost, see there. In a file, the table's
    /// being there turns it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qlog: Option<QlogConfig>,
    /// Messages in shards: how they are sent, and what they can make this end hold.
    pub messages: MessageConfig,
    /// What a peer can make this end hold.
    pub limits: Limits,
    /// Have connections change with the tier of their path from the beginning, as by
    /// [`Connection::start_adaptation`](crate::Connection::start_adaptation). Default `None`: they stay as they begin, within
    /// these limits. It costs a timer and some microseconds a sample for each connection. In a file, the table's being there
    /// turns it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptation: Option<AdaptationConfig>,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            ip: IpVersions::default(),
            idle_timeout: Duration::from_secs(30),
            keep_alive: KeepAlive::default(),
            migration: true,
            socket: SocketConfig::default(),
            congestion: CongestionAlgorithm::default(),
            ack_frequency: None,
            metrics_interval: Duration::from_secs(5),
            qlog: None,
            messages: MessageConfig::default(),
            limits: Limits::default(),
            adaptation: None,
        }
    }
}

impl TransportConfig {
    /// Reads settings in TOML.
    ///
    /// # Errors
    /// [`TransportConfigError`] says what stands there that cannot be read, or that cannot work.
    pub fn from_toml(text: &str) -> Result<Self, TransportConfigError> {
        Self::default().with_toml(text)
    }

    /// These settings, but for those that `text` names.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn with_toml(&self, text: &str) -> Result<Self, TransportConfigError> {
        let syntax = |error: toml::de::Error| TransportConfigError::Syntax(error.to_string());
        // Only for its errors, which know the line.
        let _: Self = toml::from_str(text).map_err(syntax)?;
        // A number above 2^63, which no file can have, and nobody can have the memory for.
        let large = |error: toml::ser::Error| TransportConfigError::Syntax(error.to_string());
        let mut all = toml::Table::try_from(self).map_err(large)?;
        lay_over(&mut all, toml::from_str(text).map_err(syntax)?);
        let config: Self = all.try_into().map_err(syntax)?;
        config.check()?;
        Ok(config)
    }

    /// These settings, but for those that a file in TOML names.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), and if the file cannot be read.
    pub fn with_toml_file(&self, path: impl AsRef<Path>) -> Result<Self, TransportConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| TransportConfigError::Read {
            path: path.into(),
            error,
        })?;
        self.with_toml(&text)
    }

    /// Whether an endpoint can work like that. Endpoints ask by themselves.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting, value: Duration, rule| {
            Err(ConfigError {
                setting,
                value: format!("{value:?}"),
                rule,
            })
        };
        if self.idle_timeout < Duration::from_millis(1) {
            return bad("idle_timeout", self.idle_timeout, "must be at least 1 ms");
        }
        if quinn::IdleTimeout::try_from(self.idle_timeout).is_err() {
            return bad("idle_timeout", self.idle_timeout, "must be below 2^62 ms");
        }
        if let KeepAlive::Every(interval) = self.keep_alive
            && (interval.is_zero() || interval >= self.idle_timeout)
        {
            let rule = "must be above zero and below idle_timeout";
            return bad("keep_alive", interval, rule);
        }
        self.socket.check()?;
        self.ack_frequency
            .as_ref()
            .map_or(Ok(()), AckFrequency::check)?;
        if self.metrics_interval < Duration::from_millis(1) {
            let rule = "must be at least 1 ms";
            return bad("metrics_interval", self.metrics_interval, rule);
        }
        self.qlog.as_ref().map_or(Ok(()), QlogConfig::check)?;
        self.messages.check()?;
        self.limits.check()?;
        self.adaptation
            .as_ref()
            .map_or(Ok(()), AdaptationConfig::check)
    }

    /// What QUIC is told for one connection of one end, which has to be its own: a controller that two share, both would change.
    /// What was [checked](Self::check).
    pub(crate) fn quinn(&self, side: quinn::Side) -> quinn::TransportConfig {
        let mut transport = quinn::TransportConfig::default();
        transport
            .congestion_controller_factory(congestion::Factory::new(self.congestion))
            .max_idle_timeout(self.idle_timeout.try_into().ok())
            .keep_alive_interval(self.keep_alive.interval(self.idle_timeout, side));
        transport.ack_frequency_config(self.ack_frequency.as_ref().map(AckFrequency::quinn));
        self.limits.apply(&mut transport);
        transport
    }
}

/// Replaces what both have, table by table.
fn lay_over(base: &mut toml::Table, other: toml::Table) {
    for (name, value) in other {
        match (base.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => lay_over(inner, value),
            (_, value) => drop(base.insert(name, value)),
        }
    }
}

/// IP versions of an endpoint's socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpVersions {
    /// One socket for both: `"both"`.
    #[default]
    Both,
    /// IPv6 only, and enforced (`IPV6_V6ONLY`), so that IPv4 peers do not reach the socket: `"v6-only"`.
    #[serde(rename = "v6-only")]
    V6Only,
    /// IPv4 only: `"v4-only"`.
    #[serde(rename = "v4-only")]
    V4Only,
}

/// Settings cannot be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum TransportConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Its name.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not TOML, names what is not a setting, or gives a setting what it cannot mean; says where.
    #[error("{0}")]
    Syntax(String),
    /// A setting cannot work.
    #[error(transparent)]
    Setting(#[from] ConfigError),
}

#[cfg(test)]
mod tests;
