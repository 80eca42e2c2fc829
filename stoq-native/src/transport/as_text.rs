//! Values as people write them in a file, for `#[serde(with = …)]`.

/// A time: `"250ms"`, `"1m 30s"`.
pub(crate) mod duration {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(|_| {
            let found = de::Unexpected::Str(&text);
            de::Error::invalid_value(found, &"a time such as \"250ms\" or \"10s\"")
        })
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }
}

/// A number of bytes: `"1 MiB"`, `1048576`. Written as the number, which is exact.
pub(crate) mod size {
    use bytesize::ByteSize;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
        from: D,
    ) -> Result<T, D::Error> {
        let ByteSize(bytes) = ByteSize::deserialize(from)?;
        T::try_from(bytes).map_err(|_| {
            let found = de::Unexpected::Unsigned(bytes);
            de::Error::invalid_value(found, &"less, below 4 GiB here")
        })
    }

    pub(crate) fn serialize<S: Serializer, T: TryInto<u64> + Copy>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = (*value).try_into();
        let bytes = bytes.map_err(|_| ser::Error::custom("more than 2^64 bytes"))?;
        to.serialize_u64(bytes)
    }
}

/// A number of bytes, or none: then it is not written.
pub(crate) mod optional_size {
    use serde::{Deserializer, Serializer};

    use super::size;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        size::deserialize(from).map(Some)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => size::serialize(bytes, to),
            None => to.serialize_none(),
        }
    }
}

/// A tier by its name: core knows no formats.
pub(crate) mod tier {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use stoq_core::tier::Tier;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tier, D::Error> {
        let name = String::deserialize(from)?;
        let unknown = || de::Error::unknown_variant(&name, &NAMES);
        Tier::from_name(&name).ok_or_else(unknown)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Tier, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.name())
    }

    const NAMES: [&str; 6] = [
        Tier::Slow.name(),
        Tier::Home.name(),
        Tier::Standard.name(),
        Tier::Performance.name(),
        Tier::Enterprise.name(),
        Tier::DataCenter.name(),
    ];
}

/// `"auto"`, or a number of shards.
pub(crate) mod parity {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use stoq_core::shards::Parity;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<'a> {
        Word(&'a str),
        Owned(String),
        Number(u8),
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Parity, D::Error> {
        let word = match Written::deserialize(from) {
            Ok(Written::Number(shards)) => return Ok(Parity::Fixed(shards)),
            Ok(Written::Word(word)) => Ok(word == "auto"),
            Ok(Written::Owned(word)) => Ok(word == "auto"),
            Err(_) => Ok(false),
        }?;
        if word {
            return Ok(Parity::Auto);
        }
        Err(de::Error::custom(
            "expected \"auto\" or a number of shards from 0 to 255",
        ))
    }

    pub(crate) fn serialize<S: Serializer>(value: &Parity, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Parity::Auto => to.serialize_str("auto"),
            Parity::Fixed(shards) => to.serialize_u8(*shards),
        }
    }
}

/// The limits of core, which knows no formats.
pub(crate) mod seeds {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use stoq_core::seeds::Limits;

    #[derive(Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Written {
        contents: usize,
        #[serde(with = "super::size")]
        memory: usize,
        #[serde(with = "super::duration")]
        lifetime: Duration,
        burst: u32,
        per_second: u32,
    }

    impl Default for Written {
        fn default() -> Self {
            Limits::DEFAULT.into()
        }
    }

    impl From<Limits> for Written {
        fn from(limits: Limits) -> Self {
            let Limits {
                contents,
                memory,
                lifetime,
                burst,
                per_second,
            } = limits;
            Self {
                contents,
                memory,
                lifetime,
                burst,
                per_second,
            }
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Limits, D::Error> {
        let Written {
            contents,
            memory,
            lifetime,
            burst,
            per_second,
        } = Written::deserialize(from)?;
        Ok(Limits {
            contents,
            memory,
            lifetime,
            burst,
            per_second,
        })
    }

    pub(crate) fn serialize<S: Serializer>(value: &Limits, to: S) -> Result<S::Ok, S::Error> {
        Written::from(*value).serialize(to)
    }
}
