//! Connections that change how they work while they run, because of what their path is like or because the caller says so.
//!
//! ```text
//!   quinn ── counters ──▶ sampler ── Sample ──▶ policy ── Tier ──▶ profiles ── LiveConfig ──┐
//!   Connection::force_adaptation ──────────────── Tier ──────────▶                          ▼
//!   Connection::update_live_config ────────────────────────────────────── LiveConfig ──▶ live ──▶ quinn
//! ```

mod live;
mod policy;
mod profile;
mod sampler;
mod task;

use core::time::Duration;

use serde::{Deserialize, Serialize};
use stoq_core::tier::Tier;

pub(crate) use live::Live;
pub use profile::{NewConnectionProfile, Profiles};
pub use sampler::Sample;
pub(crate) use task::run;

use crate::closed::Closed;
use crate::config::ConfigError;
use crate::congestion::CongestionAlgorithm;
use crate::transport::as_text;

/// What can be changed on a connection that runs; `None` leaves as it is.
///
/// More takes effect at once: before the call returns QUIC reckons with it, and the peer is told with the next packet. Less
/// takes effect as far as what was promised runs out (RFC 9000, sections 4.1 and 4.6): nothing that the peer was allowed is taken
/// back, no stream is reset and nothing is dropped.
///
/// ```
/// use stoq_native::{CongestionAlgorithm, LiveConfig};
///
/// let mut change = LiveConfig::default(); // nothing
/// change.congestion = Some(CongestionAlgorithm::NewReno);
/// change.send_window = Some(32_000_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LiveConfig {
    /// How congestion is controlled, from the next packet on, sent or acknowledged. From NewReno to Cubic and back the window,
    /// its threshold and the round trip stay as they are; BBR begins with the window that there is, and leaves its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion: Option<CongestionAlgorithm>,
    /// Bytes of all streams that may wait for the peer's acknowledgement; from 1200 on. Memory ≤ this. If more than this waits,
    /// writers wait until it is less.
    #[serde(
        with = "as_text::optional_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub send_window: Option<u64>,
    /// Bytes of all streams that the peer may send before they are read; from 1200 on and below 2^62. Only on connections that
    /// began with such a bound ([`Limits::receive_window`](crate::Limits::receive_window)). Others have promised
    /// their peer 2^62 - 1 bytes, so that no session that nobody reads can stall the others, and QUIC has no way to take that back:
    /// the bounds on their streams are what holds there. To lower it, the difference is kept from what is granted as data is
    /// read.
    #[serde(
        with = "as_text::optional_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub receive_window: Option<u64>,
    /// Streams of each kind that the peer may have open at once in the connection's own session; at least 1. To lower it, no
    /// new ones are granted until so many have ended. Multiplexed sessions keep what they were told when they were opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_streams: Option<u32>,
}

impl LiveConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, value: u64, rule| {
            Err(ConfigError {
                setting,
                value: value.to_string(),
                rule,
            })
        };
        let packet = "must hold one packet (1200 bytes)";
        match *self {
            Self {
                send_window: Some(window @ ..1200),
                ..
            } => refuse("send_window", window, packet),
            Self {
                receive_window: Some(window @ ..1200),
                ..
            } => refuse("receive_window", window, packet),
            Self {
                receive_window: Some(window @ NO_VARINT..),
                ..
            } => refuse("receive_window", window, "must be below 2^62"),
            Self {
                max_streams: Some(0),
                ..
            } => refuse("max_streams", 0, "a session needs streams"),
            _ => Ok(()),
        }
    }
}

/// When a connection changes by itself, and to what.
///
/// A sample is what happened on the path in [`interval`](Self::interval). It counts if it says something of the path: if there was
/// always more to send, and the window did not still double with every round trip; or if it was faster than the tier all the
/// same, for what was carried can be carried. A connection that comes into another tier is changed to that tier's profile.
///
/// Samples are of what this end sends. An end that mostly receives learns nothing of the path and stays as it is: there the sender
/// adapts, and [`start`](Self::start) or [`force_adaptation`](crate::Connection::force_adaptation) say what the receiver allows it.
///
/// ```
/// use stoq_native::{AdaptationConfig, CongestionAlgorithm, Tier};
///
/// let mut config = AdaptationConfig::default();
/// config.highest = Tier::Performance; // no more than 32 MB for each connection
/// config.profiles[Tier::Slow].congestion = Some(CongestionAlgorithm::Bbr);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdaptationConfig {
    /// How long a sample is, if that is at least two round trips: otherwise those. Default 250 ms: some round trips of most
    /// paths. Shorter: samples differ by chance, and each costs some microseconds. When nothing arrives, samples are up to eight
    /// times as long.
    #[serde(with = "as_text::duration")]
    pub interval: Duration,
    /// Samples in a row that have to agree before a connection changes, from 1 to 16. Default 3: a burst, or somebody
    /// else's, is over by then. More: changes come later. Samples that do not count may lie between them, for up to 5 s.
    pub samples: u8,
    /// How long a connection stays with a change at least. Default 5 s: long enough for windows to fill and to be seen to be
    /// filled. Shorter: a path at the edge of two tiers goes to and fro.
    #[serde(with = "as_text::duration")]
    pub pause: Duration,
    /// The tier that the path is taken to be of at first. Default [`Tier::Home`], whose profile is the default of
    /// [`Limits`](crate::Limits).
    #[serde(with = "as_text::tier")]
    pub start: Tier,
    /// The lowest tier that is gone to. Default [`Tier::Slow`].
    #[serde(with = "as_text::tier")]
    pub lowest: Tier,
    /// The highest tier that is gone to. Default [`Tier::DataCenter`]. It bounds what the connection may hold: by
    /// [default](Profiles) up to 128 MB to be sent, and 2 × 256 streams' windows received in its own session. A peer that means
    /// harm can pretend to a fast path.
    #[serde(with = "as_text::tier")]
    pub highest: Tier,
    /// What each tier means.
    pub profiles: Profiles,
}

impl Default for AdaptationConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(250),
            samples: 3,
            pause: Duration::from_secs(5),
            start: Tier::Home,
            lowest: Tier::Slow,
            highest: Tier::DataCenter,
            profiles: Profiles::default(),
        }
    }
}

impl AdaptationConfig {
    /// Whether a connection can work like that. [`start_adaptation`](crate::Connection::start_adaptation) asks by itself.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, value: String, rule| {
            Err(ConfigError {
                setting,
                value,
                rule,
            })
        };
        if self.interval < SHORTEST_INTERVAL {
            let rule = "must be at least 10 ms";
            return refuse("adaptation.interval", format!("{:?}", self.interval), rule);
        }
        if !(1..=16).contains(&self.samples) {
            let rule = "must be from 1 to 16";
            return refuse("adaptation.samples", self.samples.to_string(), rule);
        }
        if self.lowest > self.highest {
            let rule = "must not be above highest";
            return refuse("adaptation.lowest", self.lowest.to_string(), rule);
        }
        if !(self.lowest..=self.highest).contains(&self.start) {
            let rule = "must be from lowest to highest";
            return refuse("adaptation.start", self.start.to_string(), rule);
        }
        for tier in Tier::ALL {
            if let Err(error) = self.profiles[tier].check() {
                let found = format!("{tier}: {} {}", error.setting, error.value);
                return refuse("adaptation.profiles", found, error.rule);
            }
        }
        Ok(())
    }
}

/// What adaptation has come to on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdaptationStats {
    /// Whether the connection changes by itself.
    pub running: bool,
    /// Whose profile was last gone to; `None` if none was.
    pub tier: Option<Tier>,
    /// What the path works with, as the controller itself says. After a swap it is the old one until the next packet.
    pub congestion: CongestionAlgorithm,
    /// How often something was changed, by itself or by the caller.
    pub changes: u64,
    /// How long it took from the wish for the last change until all of it was in force; `None` until it is, and before the
    /// first. A swap of the congestion control waits for a packet: on a connection that is silent as long as it is.
    pub time_to_apply: Option<Duration>,
    /// Samples taken.
    pub samples: u64,
    /// Those among them that said nothing of the path.
    pub ignored: u64,
    /// The last sample.
    pub last_sample: Option<Sample>,
}

/// A connection was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveConfigError {
    /// A setting cannot work, or not on this connection. Nothing was changed.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// The connection has ended.
    #[error("the connection has ended: {0}")]
    ConnectionClosed(Closed),
}

/// Below that a sample would be a handful of acknowledgements.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// Larger than QUIC can say.
const NO_VARINT: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_that_cannot_work() {
        let live = |change: fn(&mut LiveConfig)| {
            let mut config = LiveConfig::default();
            change(&mut config);
            config.check().map_or_else(|error| error.setting, |()| "")
        };
        assert_eq!(live(|_| ()), "");
        assert_eq!(
            live(|config| config.send_window = Some(1199)),
            "send_window"
        );
        assert_eq!(live(|config| config.send_window = Some(u64::MAX)), "");
        assert_eq!(
            live(|config| config.receive_window = Some(1199)),
            "receive_window"
        );
        assert_eq!(
            live(|config| config.receive_window = Some(1 << 62)),
            "receive_window"
        );
        assert_eq!(live(|config| config.max_streams = Some(0)), "max_streams");

        let adaptation = |change: fn(&mut AdaptationConfig)| {
            let mut config = AdaptationConfig::default();
            change(&mut config);
            config.check().map_or_else(|error| error.setting, |()| "")
        };
        assert_eq!(adaptation(|_| ()), "");
        assert_eq!(
            adaptation(|config| config.interval = Duration::ZERO),
            "adaptation.interval"
        );
        assert_eq!(
            adaptation(|config| config.samples = 0),
            "adaptation.samples"
        );
        assert_eq!(
            adaptation(|config| config.samples = 17),
            "adaptation.samples"
        );
        assert_eq!(
            adaptation(|config| {
                config.lowest = Tier::Enterprise;
                config.highest = Tier::Home;
            }),
            "adaptation.lowest"
        );
        assert_eq!(
            adaptation(|config| config.lowest = Tier::Standard),
            "adaptation.start"
        );
        assert_eq!(
            adaptation(|config| config.profiles[Tier::Enterprise].max_streams = Some(0)),
            "adaptation.profiles"
        );
    }
}
