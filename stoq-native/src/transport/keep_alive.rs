use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How often a connection on which nothing happens sends something (a PING, [RFC 9000, section 10.1.2]).
///
/// [RFC 9000, section 10.1.2]: https://www.rfc-editor.org/rfc/rfc9000#section-10.1.2
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeepAlive {
    /// Clients, which sit behind the NATs, every third of their idle time-out, so that two may be lost; servers never.
    /// `"auto"`.
    #[default]
    Auto,
    /// Never: an idle connection ends. `"off"`.
    Off,
    /// This often, on either end; must be shorter than the idle time-out. `"10s"`.
    Every(Duration),
}

impl KeepAlive {
    pub(super) fn interval(self, idle_timeout: Duration, side: quinn::Side) -> Option<Duration> {
        match self {
            Self::Auto => side.is_client().then_some(idle_timeout / 3),
            Self::Off => None,
            Self::Every(interval) => Some(interval),
        }
    }
}

impl<'de> Deserialize<'de> for KeepAlive {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            text => humantime::parse_duration(text)
                .map(Self::Every)
                .map_err(|_| {
                    de::Error::invalid_value(
                        de::Unexpected::Str(text),
                        &"\"auto\", \"off\" or a time such as \"10s\"",
                    )
                }),
        }
    }
}

impl Serialize for KeepAlive {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => to.serialize_str("auto"),
            Self::Off => to.serialize_str("off"),
            Self::Every(interval) => to.collect_str(&humantime::format_duration(*interval)),
        }
    }
}
