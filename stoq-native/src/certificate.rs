//! The two facts about a certificate that trust by hash needs: its hash, and when it holds.

use core::ops::RangeInclusive;

use aws_lc_rs::digest;
use time::{Date, Month, OffsetDateTime, Time};

/// SHA-256 of a certificate in DER: what browsers call a certificate hash.
pub(crate) fn hash(certificate: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, certificate)
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

/// The first and last second, since the Unix epoch, at which a certificate holds; `None` if it is not one.
///
/// Reads the outer shape only ([RFC 5280, section 4.1]): rustls checks the key when it verifies the
/// handshake's signature with it, and nothing else of the certificate is used.
///
/// [RFC 5280, section 4.1]: https://www.rfc-editor.org/rfc/rfc5280#section-4.1
pub(crate) fn validity(certificate: &[u8]) -> Option<RangeInclusive<i64>> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut tbs, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(tbs, VERSION) {
        tbs = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, tbs) = expect(tbs, tag)?; // serial number, signature algorithm, issuer
    }
    let (validity, _) = expect(tbs, SEQUENCE)?;
    let (not_before, validity) = moment(validity)?;
    let (not_after, _) = moment(validity)?;
    Some(not_before..=not_after)
}

/// Splits an element with this tag off the front: its content, and what follows it.
fn expect(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(input)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and remainder. Lengths of up to four bytes; DER's rule of the shortest form is not checked,
/// because what counts is that the bytes have the hash that was asked for.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.is_empty() || bytes.len() > 4 {
            return None;
        }
        let length = bytes
            .iter()
            .fold(0u64, |length, byte| length << 8 | u64::from(*byte));
        (usize::try_from(length).ok()?, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` (years 1950 to 2049) or `YYYYMMDDHHMMSSZ`.
fn moment(input: &[u8]) -> Option<(i64, &[u8])> {
    let (tag, content, rest) = element(input)?;
    let digits = content.strip_suffix(b"Z")?;
    let (year, digits) = match tag {
        UTC_TIME => {
            let (year, digits) = number(digits, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits)
        }
        GENERALIZED_TIME => number(digits, 4)?,
        _ => return None,
    };
    let mut fields = [0u8; 5];
    let mut digits = digits;
    for field in &mut fields {
        let value;
        (value, digits) = number(digits, 2)?;
        *field = u8::try_from(value).ok()?;
    }
    let [month, day, hour, minute, second] = fields;
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    let time = Time::from_hms(hour, minute, second).ok()?;
    digits
        .is_empty()
        .then(|| (OffsetDateTime::new_utc(date, time).unix_timestamp(), rest))
}

fn number(input: &[u8], digits: usize) -> Option<(i32, &[u8])> {
    let (digits, rest) = input.split_at_checked(digits)?;
    let digits = core::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| plain)?, rest))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(from: OffsetDateTime, until: OffsetDateTime) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_before = from;
        params.not_after = until;
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn reads_both_forms_of_time() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        // 2050 is where certificates change from two-digit years to four.
        let (from, until) = (1_700_000_000, 2_600_000_000);
        let der = certificate(at(from), at(until));
        assert_eq!(validity(&der), Some(from..=until));
    }

    #[test]
    fn cut_or_altered_bytes_return() {
        let from = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let der = certificate(from, from + time::Duration::days(13));
        for end in 0..der.len() {
            assert_eq!(validity(&der[..end]), None, "cut at {end}");
        }
        for at in 0..der.len() {
            for bit in 0..8 {
                let mut altered = der.clone();
                altered[at] ^= 1 << bit;
                let _ = validity(&altered);
            }
        }
    }
}
