//! Values of settings: each checked, and named with what was found where it cannot be used.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use url::{Origin, Url};

use super::{ConfigError, MAX_RENEWAL, Origins, units};

pub(super) fn set<T>(field: &mut T, found: Option<T>) {
    if let Some(found) = found {
        *field = found;
    }
}

pub(super) fn count(
    field: &mut NonZeroU32,
    setting: &str,
    found: Option<i64>,
) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = (u32::try_from(found).ok().and_then(NonZeroU32::new))
        .filter(|count| count.get() <= MAX_COUNT)
        .ok_or_else(|| {
            bad(
                setting,
                found,
                format_args!("a number from 1 to {MAX_COUNT}"),
            )
        })?;
    Ok(())
}

pub(super) fn size(
    field: &mut NonZeroU32,
    setting: &str,
    found: &Option<String>,
) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = units::size(found)
        .and_then(|bytes| u32::try_from(bytes).ok())
        .and_then(NonZeroU32::new)
        .filter(|bytes| bytes.get() >= MIN_WINDOW)
        .ok_or_else(|| {
            bad(
                setting,
                found,
                "a size of 16 KiB or more and less than 4 GiB, such as \"1 MiB\"",
            )
        })?;
    Ok(())
}

pub(super) fn duration(
    field: &mut Duration,
    setting: &str,
    found: &Option<String>,
) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = units::duration(found)
        .filter(|duration| (Duration::from_millis(1)..=MAX_DURATION).contains(duration))
        .ok_or_else(|| {
            bad(
                setting,
                found,
                "a time from 1 ms to 24 h, such as \"250 ms\" or \"10 s\"",
            )
        })?;
    Ok(())
}

/// For what is renewed every so often, not waited for.
pub(super) fn life(
    field: &mut Duration,
    setting: &str,
    found: &Option<String>,
) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = units::duration(found)
        .filter(|life| (Duration::from_secs(1)..=MAX_RENEWAL).contains(life))
        .ok_or_else(|| {
            bad(
                setting,
                found,
                "a time from 1 s to 12 d, such as \"24 h\" or \"2 d\"",
            )
        })?;
    Ok(())
}

pub(super) fn address(setting: &str, found: &str) -> Result<SocketAddr, ConfigError> {
    found.parse().map_err(|_| {
        bad(
            setting,
            found,
            "an address and port, such as \"[::]:4433\" or \"127.0.0.1:0\"",
        )
    })
}

/// `*` anywhere means any page.
pub(super) fn allowed(origins: &[String]) -> Result<Origins, ConfigError> {
    if origins.iter().any(|origin| origin == "*") {
        return Ok(Origins::Any);
    }
    let origins = origins.iter().map(|found| {
        let url = Url::parse(found)
            .ok()
            .filter(|url| url.path() == "/" && url.query().is_none());
        match url.map(|url| url.origin()) {
            Some(origin @ Origin::Tuple(..)) => Ok(origin.ascii_serialization()),
            _ => Err(bad(
                "admission.origins",
                found,
                "an origin such as \"https://example.org\", or \"*\"",
            )),
        }
    });
    Ok(Origins::These(origins.collect::<Result<_, _>>()?))
}

pub(super) fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(hash)
}

pub(super) fn bad(
    setting: impl Into<String>,
    found: impl Display,
    expected: impl Display,
) -> ConfigError {
    ConfigError::Setting {
        setting: setting.into(),
        found: found.to_string(),
        expected: expected.to_string(),
    }
}

/// Far above what one machine serves, and low enough that sums of counts and windows fit their types.
const MAX_COUNT: u32 = 1 << 20;
/// Less than the first flight of a stream only costs round trips.
const MIN_WINDOW: u32 = 16 * 1024;
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
