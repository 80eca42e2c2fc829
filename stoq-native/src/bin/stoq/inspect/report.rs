//! An inspection in words, aligned.

use crate::date::{utc, utc_seconds};
use crate::digest::Digest;
use core::ops::RangeInclusive;
use std::time::SystemTime;
use stoq_native::{
    AsksClients, Capabilities, ClassicalCertificate, FalconCertificate, FalconId, IdentityRejected,
    Inspection, Offer, SignedGrant, TransportParameter,
};

/// Lines of a label and what stands behind it; a line without a label belongs to the one before it.
pub(super) struct Report(Vec<(String, String)>);

impl Report {
    /// `judged` is what an authority says, if one was asked.
    pub(super) fn new(
        inspection: &Inspection,
        judged: Option<&Result<(), IdentityRejected>>,
    ) -> Self {
        let mut report = Self(Vec::new());
        report.line("address", inspection.address);
        report.line("protocol", "STOQ version 1 over QUIC (ALPN stoq/1)");
        report.falcon(&inspection.falcon, judged);
        report.classical(&inspection.classical);
        report.line(
            "post-quantum",
            match inspection.hybrid {
                true => "the key exchange X25519MLKEM768 is supported",
                false => "the key exchange X25519MLKEM768 is not supported",
            },
        );
        report.line(
            "clients",
            match inspection.clients {
                Some(AsksClients::No) => "are not asked who they are",
                Some(AsksClients::Optional) => "are asked who they are, and need not say",
                Some(AsksClients::Required) => "must prove a FALCON identity",
                None => NOT_KNOWN,
            },
        );
        report.line(
            "early data",
            match inspection.early_data {
                Some(true) => "is taken from clients that come back",
                Some(false) => "is not taken",
                None => "not known: it gave no session to resume",
            },
        );
        let proved = inspection.falcon.handshake.is_ok();
        let proved = inspection.falcon.certificate.as_ref().filter(|_| proved);
        let proved = proved.map(|certificate| certificate.id);
        report.parameter(inspection.parameter.as_ref(), proved);
        report.line(
            "trust",
            "none: compare the identity with what its operator says",
        );
        report
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let width = self.0.iter().map(|(label, _)| label.chars().count()).max();
        let width = width.unwrap_or_default();
        self.0
            .iter()
            .map(move |(label, text)| format!("{label:width$}  {text}"))
    }

    fn line(&mut self, label: &str, text: impl ToString) {
        self.0.push((label.into(), text.to_string()));
    }

    fn falcon(
        &mut self,
        offer: &Offer<FalconCertificate>,
        judged: Option<&Result<(), IdentityRejected>>,
    ) {
        match &offer.certificate {
            None if offer.handshake.is_ok() => {}
            None => self.line("FALCON identity", "none"),
            Some(certificate) => {
                self.line("FALCON identity", certificate.id);
                let half = |is_good| if is_good { "good" } else { "NOT GOOD" };
                self.line(
                    "  signature",
                    format_args!(
                        "Ed25519 {}, FALCON-1024 {}",
                        half(certificate.ed25519_is_good),
                        half(certificate.falcon_is_good)
                    ),
                );
                self.certificate(certificate.hash, &certificate.valid);
            }
        }
        self.agreed(offer);
        if let Some(certificate) = &offer.certificate {
            self.grant(certificate.grant.as_ref(), judged);
        }
    }

    fn grant(
        &mut self,
        grant: Option<&SignedGrant>,
        judged: Option<&Result<(), IdentityRejected>>,
    ) {
        let Some(grant) = grant else {
            return self.line("  grant", "none");
        };
        let claim = grant.claim();
        self.line("  grant", format_args!("serial {}", claim.serial));
        self.line("    by", claim.authority);
        let names = match claim.names.is_empty() {
            true => "none: it only connects to others".to_owned(),
            false => claim.names.join(", "),
        };
        self.line("    names", names);
        let [from, until] = [claim.not_before, claim.not_after].map(|time| time.0);
        let seconds = |micros: u64| i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX);
        let standing = standing(&(seconds(from)..=seconds(until)));
        self.line(
            "    valid",
            format_args!("{} to {}{standing}", utc(from / 1000), utc(until / 1000)),
        );
        let verified = match judged {
            None => "not looked at (--authority FILE)".to_owned(),
            Some(Ok(())) => "yes, and it names this host".to_owned(),
            Some(Err(rejected)) => format!("NO: {rejected}"),
        };
        self.line("    verified", verified);
    }

    fn classical(&mut self, offer: &Offer<ClassicalCertificate>) {
        match &offer.certificate {
            None => self.line("certificate", "none that is classical"),
            Some(certificate) => {
                let issuer = match certificate.self_issued {
                    true => "classical, self-signed",
                    false => "classical, issued by an authority",
                };
                self.line("certificate", issuer);
                self.certificate(certificate.hash, &certificate.valid);
            }
        }
        self.agreed(offer);
    }

    fn certificate(&mut self, hash: [u8; 32], valid: &RangeInclusive<i64>) {
        self.line("  certificate hash", Digest(hash));
        let (from, until) = (utc_seconds(*valid.start()), utc_seconds(*valid.end()));
        let standing = standing(valid);
        self.line("  valid", format_args!("{from} to {until}{standing}"));
    }

    fn agreed<C>(&mut self, offer: &Offer<C>) {
        match &offer.handshake {
            Ok(agreed) => {
                self.line("  key exchange", agreed.key_exchange);
                self.line("  cipher suite", cipher_suite(agreed.cipher_suite));
            }
            Err(failed) => self.line("  handshake", format_args!("ended: {failed}")),
        }
    }

    fn parameter(&mut self, parameter: Option<&TransportParameter>, proved: Option<FalconId>) {
        let Some(parameter) = parameter else {
            return self.line("parameter 0xfe00", "none");
        };
        self.line(
            "parameter 0xfe00",
            format_args!("STOQ version {}", parameter.version.into_inner()),
        );
        self.line("  capabilities", capabilities(parameter.capabilities));
        let identity = match (parameter.identity, proved) {
            (None, _) => "claims none".to_owned(),
            (Some(claimed), Some(proved)) if claimed == proved => "claims the one above".to_owned(),
            (Some(claimed), Some(_)) => format!("claims {claimed}, and PROVED ANOTHER"),
            (Some(claimed), None) => format!("claims {claimed}, and proved none"),
        };
        self.line("  identity", identity);
        let algorithm = match parameter.token_algorithm {
            0 => "SHA-256".to_owned(),
            3 => "BLAKE3".to_owned(),
            other => format!("number {other}"),
        };
        self.line("  packet tokens", algorithm);
        let shards = match parameter.max_shard.into_inner() {
            0 => "none".to_owned(),
            bytes => format!("up to {bytes} bytes"),
        };
        self.line("  shards", shards);
    }
}

/// What is to be said of a time that is not now.
fn standing(valid: &RangeInclusive<i64>) -> &'static str {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    match now {
        now if now < *valid.start() => " (NOT VALID YET)",
        now if now > *valid.end() => " (EXPIRED)",
        _ => "",
    }
}

fn capabilities(capabilities: Capabilities) -> String {
    let named = [
        (Capabilities::EARLY_DATA, "early data"),
        (Capabilities::FRAMED, "framed streams"),
    ];
    let mut left = capabilities.0.into_inner();
    let mut found = Vec::new();
    for (capability, name) in named {
        if capabilities.contains(capability) {
            found.push(name.to_owned());
            left &= !capability.0.into_inner();
        }
    }
    if left != 0 {
        found.push(format!("others ({left:#x})"));
    }
    match found.is_empty() {
        true => "none".into(),
        false => found.join(", "),
    }
}

/// The names that IANA gives.
fn cipher_suite(number: u16) -> String {
    match number {
        0x1301 => "TLS_AES_128_GCM_SHA256".into(),
        0x1302 => "TLS_AES_256_GCM_SHA384".into(),
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256".into(),
        other => format!("{other:#06x}"),
    }
}

const NOT_KNOWN: &str = "not known: no handshake got as far";

#[cfg(test)]
mod tests {
    use super::*;
    use stoq_core::varint::VarInt;

    #[test]
    fn capabilities_have_names_and_unknown_ones_are_shown() {
        let of = |bits| capabilities(Capabilities(VarInt::from_u32(bits)));
        assert_eq!(of(0), "none");
        assert_eq!(of(1), "early data");
        assert_eq!(of(3), "early data, framed streams");
        assert_eq!(of(6), "framed streams, others (0x4)");
    }

    #[test]
    fn a_time_that_is_not_now_stands_out() {
        assert_eq!(standing(&(0..=1)), " (EXPIRED)");
        assert_eq!(standing(&(0..=i64::MAX)), "");
        assert_eq!(standing(&(i64::MAX - 1..=i64::MAX)), " (NOT VALID YET)");
    }
}
