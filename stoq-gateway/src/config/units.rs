//! Durations and sizes as operators write them: `10 s`, `250 ms`, `12 d`, `4 MiB`.

use std::time::Duration;

/// A whole number and one of `ms`, `s`, `min`, `h`, `d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A whole number and one of `B`, `KiB`, `MiB`, `GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_number_and_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("2 min"), Some(Duration::from_secs(120)));
        assert_eq!(duration("2 d"), Some(Duration::from_secs(48 * 3600)));
        assert_eq!(size("4 MiB"), Some(4 << 20));
        assert_eq!(size("0B"), Some(0));
    }

    #[test]
    fn refuses_what_leaves_the_unit_open() {
        for text in [
            "",
            "10",
            "s",
            "10 sec",
            "-1 s",
            "1.5 s",
            "10 S",
            "99999999999999999999 s",
        ] {
            assert_eq!(duration(text), None, "{text}");
            assert_eq!(size(text), None, "{text}");
        }
        assert_eq!(size("18446744073709551615 GiB"), None);
    }
}
