//! Amounts of bytes as people write them: `10GiB`, `500MB`, `4096`.

use core::{fmt, str::FromStr};

/// A number of bytes.
///
/// Text form: digits, then one of B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024) in any
/// case; no unit means bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

/// The text is no amount of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number and a unit, such as 500MB or 10GiB")]
pub(crate) struct InvalidByteSize;

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let unit = unit.trim_start();
        let factor = if unit.is_empty() {
            1
        } else {
            UNITS
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .ok_or(InvalidByteSize)?
                .1
        };
        let count: u64 = digits.parse().map_err(|_| InvalidByteSize)?;
        count.checked_mul(factor).map(Self).ok_or(InvalidByteSize)
    }
}

/// Rounded to a tenth of the largest binary unit that fits: `1.5 GiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().rev().filter(|(name, _)| name.len() == 3);
        for (name, factor) in binary {
            if self.0 >= *factor {
                return write!(f, "{:.1} {name}", self.0 as f64 / *factor as f64);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// Each unit and its size in bytes; within a family, from small to large.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("500MB", 500_000_000),
            ("10GiB", 10 << 30),
            ("10 gib", 10 << 30),
            ("3kb", 3000),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        for text in [
            "",
            "GiB",
            "-1",
            "1.5GiB",
            "10G",
            "99999999999999999999",
            "18446744073709551615KiB",
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidByteSize), "{text}");
        }
    }

    #[test]
    fn shows_the_largest_unit_that_fits() {
        assert_eq!(ByteSize(1023).to_string(), "1023 B");
        assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
        assert_eq!(ByteSize(10 << 30).to_string(), "10.0 GiB");
        assert_eq!(ByteSize(u64::MAX).to_string(), "16777216.0 TiB");
    }

    proptest! {
        #[test]
        fn any_text_returns(text in ".*") {
            let _ = text.parse::<ByteSize>();
        }

        #[test]
        fn plain_digits_are_bytes(bytes: u64) {
            prop_assert_eq!(bytes.to_string().parse(), Ok(ByteSize(bytes)));
        }
    }
}
