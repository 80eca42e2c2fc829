//! How long something holds, as users write it.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// A whole number and its unit: `90s`, `5m`, `12h`, `30d`. From a second to a century.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(pub(crate) Duration);

impl FromStr for Life {
    type Err = InvalidLife;

    fn from_str(text: &str) -> Result<Self, InvalidLife> {
        let at = text.len().saturating_sub(1);
        let (number, unit) = text.split_at_checked(at).ok_or(InvalidLife)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => DAY,
            _ => return Err(InvalidLife),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidLife);
        }
        let number: u64 = number.parse().map_err(|_| InvalidLife)?;
        match number.checked_mul(unit) {
            Some(seconds @ 1..=LONGEST) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(InvalidLife),
        }
    }
}

/// A text is not a [`Life`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidLife;

impl fmt::Display for InvalidLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("say a number and s, m, h or d, such as 90s or 12h; a century at most")
    }
}

impl core::error::Error for InvalidLife {}

const DAY: u64 = 24 * 60 * 60;
const LONGEST: u64 = 36_525 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit() {
        for (text, seconds) in [("1s", 1), ("5m", 300), ("12h", 43_200), ("36525d", LONGEST)] {
            assert_eq!(text.parse(), Ok(Life(Duration::from_secs(seconds))));
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "+5m",
            "-5m",
            "0s",
            "5w",
            "5M",
            "1.5h",
            "36526d",
            "99999999999999999999d",
            "5é",
        ] {
            assert_eq!(text.parse::<Life>(), Err(InvalidLife), "{text}");
        }
    }
}
