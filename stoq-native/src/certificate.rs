//! What STOQ reads in a certificate, and what it writes into one: its hash, when it holds, the FALCON key that stands beside
//! the classical one, and an authority's grant.
//!
//! | extension | object identifier | content |
//! |---|---|---|
//! | subjectAltPublicKeyInfo (X.509, 2019) | [`FALCON_KEY_OID`] | SubjectPublicKeyInfo: algorithm 1.3.9999.3.19, key of 1793 bytes |
//! | grant | [`GRANT_OID`] | OCTET STRING: [`SignedGrant`] |
//!
//! Neither is critical, so that who knows nothing of them can still use the certificate.

use core::ops::RangeInclusive;

use stoq_core::falcon::{BadKey, PUBLIC_KEY_LEN, VerifyingKey};
use stoq_core::grant::{GrantError, SignedGrant};
use stoq_core::hash::Sha256;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer as _, X509Extension};

/// Where a certificate has its FALCON key: subjectAltPublicKeyInfo of X.509 (2019).
pub const FALCON_KEY_OID: &[u64] = &[2, 5, 29, 72];
/// Where a certificate has its grant. 2.25 and a random number: nobody gave it, nobody else has it (X.667 would have 128
/// bits of it, which not every library can write).
pub const GRANT_OID: &[u64] = &[2, 25, 7_382_940_155_127_846_011];

/// The content of the extension [`FALCON_KEY_OID`] for this key: for who lets an authority of their own issue certificates.
pub fn falcon_key_extension(key: &VerifyingKey) -> Vec<u8> {
    [FALCON_SPKI, key.as_bytes()].concat()
}

/// The content of the extension [`GRANT_OID`].
pub(crate) fn grant_extension(grant: &SignedGrant) -> Vec<u8> {
    let grant = grant.encode();
    let length = u16::try_from(grant.len()).expect("a grant has at most 16 names of 253 bytes");
    [
        &[OCTET_STRING, LENGTH_IN_TWO],
        &length.to_be_bytes()[..],
        &grant,
    ]
    .concat()
}

/// SHA-256 of a certificate in DER: what browsers call a certificate hash.
pub(crate) fn hash(certificate: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(certificate);
    hash.finish()
}

/// What STOQ reads in a certificate that somebody shows. Whether to believe it is another matter.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// First and last second, since the Unix epoch, at which it says it holds.
    pub(crate) validity: RangeInclusive<i64>,
    /// Its Ed25519 key, if that is what it has.
    pub(crate) ed25519: Option<[u8; 32]>,
    pub(crate) falcon: Option<VerifyingKey>,
    pub(crate) grant: Option<SignedGrant>,
    /// Whether it names its own holder as its issuer.
    pub(crate) self_issued: bool,
}

impl Leaf {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateFault> {
        let malformed = |reason: String| CertificateFault::Malformed { reason };
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|error| malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed(format!("{} bytes too many", rest.len())));
        }
        let falcon = unique(&certificate, &FALCON_KEY)?
            .map(|extension| read_falcon_key(extension.value))
            .transpose()?;
        let grant = unique(&certificate, &GRANT)?
            .map(|extension| read_grant(extension.value))
            .transpose()?;
        let spki = certificate.public_key();
        let is_ed25519 = spki.algorithm.algorithm == ED25519 && spki.algorithm.parameters.is_none();
        let validity = certificate.validity();
        Ok(Self {
            validity: validity.not_before.timestamp()..=validity.not_after.timestamp(),
            ed25519: is_ed25519
                .then(|| spki.subject_public_key.data.as_ref().try_into().ok())
                .flatten(),
            falcon,
            grant,
            self_issued: certificate.issuer().as_raw() == certificate.subject().as_raw(),
        })
    }
}

/// A certificate that a peer shows cannot be read as STOQ must be able to. The peer's matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is no X.509 certificate.
    #[error("the certificate is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// One of STOQ's extensions stands in it twice.
    #[error("the certificate has the extension {oid} twice")]
    Duplicate {
        /// Which one.
        oid: String,
    },
    /// The FALCON key has another length: it was cut, or something was added.
    #[error("the extension with the FALCON key has {got} bytes, not {FALCON_EXTENSION_LEN}")]
    FalconKeyLength {
        /// Bytes found.
        got: usize,
    },
    /// The extension says that it holds another kind of key, or is encoded in another way than the one there is.
    #[error("the extension for the FALCON key holds something else")]
    FalconKeyForm,
    /// The FALCON key is none.
    #[error("the FALCON key of the certificate: {0}")]
    FalconKey(BadKey),
    /// The grant is not an OCTET STRING.
    #[error("the extension for the grant holds something else")]
    GrantForm,
    /// The grant cannot be read.
    #[error(transparent)]
    Grant(GrantError),
}

fn unique<'a, 'c>(
    certificate: &'c X509Certificate<'a>,
    oid: &Oid<'_>,
) -> Result<Option<&'c X509Extension<'a>>, CertificateFault> {
    let mut found = certificate
        .iter_extensions()
        .filter(|extension| extension.oid == *oid);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(CertificateFault::Duplicate {
            oid: oid.to_string(),
        }),
    }
}

fn read_falcon_key(value: &[u8]) -> Result<VerifyingKey, CertificateFault> {
    if value.len() != FALCON_EXTENSION_LEN {
        let got = value.len();
        return Err(CertificateFault::FalconKeyLength { got });
    }
    let key = value
        .strip_prefix(FALCON_SPKI)
        .ok_or(CertificateFault::FalconKeyForm)?;
    VerifyingKey::try_from(key).map_err(CertificateFault::FalconKey)
}

fn read_grant(value: &[u8]) -> Result<SignedGrant, CertificateFault> {
    let (header, grant) = value
        .split_first_chunk()
        .ok_or(CertificateFault::GrantForm)?;
    let &[OCTET_STRING, LENGTH_IN_TWO, high, low] = header else {
        return Err(CertificateFault::GrantForm);
    };
    if usize::from(u16::from_be_bytes([high, low])) != grant.len() {
        return Err(CertificateFault::GrantForm);
    }
    SignedGrant::decode(grant).map_err(CertificateFault::Grant)
}

const FALCON_KEY: Oid<'static> = oid!(2.5.29.72);
const GRANT: Oid<'static> = oid!(2.25.7382940155127846011);
const ED25519: Oid<'static> = oid!(1.3.101.112);
/// SubjectPublicKeyInfo of a FALCON key up to the key itself: SEQUENCE { SEQUENCE { OID 1.3.9999.3.19 }, BIT STRING }. The
/// number is the one that the Open Quantum Safe project uses for falcon-padded-1024.
const FALCON_SPKI: &[u8] = &[
    0x30, 0x82, 0x07, 0x0f, 0x30, 0x07, 0x06, 0x05, 0x2b, 0xce, 0x0f, 0x03, 0x13, 0x03, 0x82, 0x07,
    0x02, 0x00,
];
const FALCON_EXTENSION_LEN: usize = FALCON_SPKI.len() + PUBLIC_KEY_LEN;
const OCTET_STRING: u8 = 0x04;
/// The length follows, in two bytes: a grant has between 1380 and 5450.
const LENGTH_IN_TWO: u8 = 0x82;

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::{FalconKey, FalconSigner as _};

    fn certificate(extensions: &[(&[u64], Vec<u8>)]) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        // 2050 is where certificates change from two-digit years to four.
        (params.not_before, params.not_after) = (at(FROM), at(UNTIL));
        params.custom_extensions = extensions
            .iter()
            .map(|(oid, content)| rcgen::CustomExtension::from_oid_content(oid, content.clone()))
            .collect();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    const FROM: i64 = 1_700_000_000;
    const UNTIL: i64 = 2_600_000_000;

    #[test]
    fn reads_what_was_written() {
        let key = FalconKey::generate();
        let extension = falcon_key_extension(key.verifying_key());
        let leaf = Leaf::parse(&certificate(&[(FALCON_KEY_OID, extension)])).unwrap();
        assert_eq!(leaf.falcon.as_ref(), Some(key.verifying_key()));
        assert_eq!(leaf.validity, FROM..=UNTIL);
        assert!(leaf.ed25519.is_some() && leaf.grant.is_none() && leaf.self_issued);
    }

    #[test]
    fn each_fault_of_an_extension_has_its_name() {
        let good = falcon_key_extension(FalconKey::generate().verifying_key());
        let fault =
            |content: Vec<u8>| Leaf::parse(&certificate(&[(FALCON_KEY_OID, content)])).unwrap_err();
        let got = good.len() - 1;
        assert_eq!(
            fault(good[..got].to_vec()),
            CertificateFault::FalconKeyLength { got }
        );
        let got = good.len() + 1;
        assert_eq!(
            fault([&good[..], &[0]].concat()),
            CertificateFault::FalconKeyLength { got }
        );
        let mut other = good.clone();
        other[12] ^= 1;
        assert_eq!(fault(other), CertificateFault::FalconKeyForm);
        let mut broken = good.clone();
        broken[FALCON_SPKI.len()] ^= 1;
        assert_eq!(fault(broken), CertificateFault::FalconKey(BadKey));

        let grant =
            |content: Vec<u8>| Leaf::parse(&certificate(&[(GRANT_OID, content)])).unwrap_err();
        assert_eq!(grant(vec![4, 0x82]), CertificateFault::GrantForm);
        assert_eq!(grant(vec![4, 0x82, 0, 2, 1]), CertificateFault::GrantForm);
        assert!(matches!(
            grant(vec![4, 0x82, 0, 1, 1]),
            CertificateFault::Grant(_)
        ));
    }

    #[test]
    fn an_extension_stands_once() {
        let extension = falcon_key_extension(FalconKey::generate().verifying_key());
        let twice = [
            (FALCON_KEY_OID, extension.clone()),
            (FALCON_KEY_OID, extension),
        ];
        let fault = Leaf::parse(&certificate(&twice)).unwrap_err();
        assert!(
            matches!(fault, CertificateFault::Duplicate { .. }),
            "{fault}"
        );
    }

    #[test]
    fn cut_or_altered_bytes_return() {
        let extension = falcon_key_extension(FalconKey::generate().verifying_key());
        let der = certificate(&[(FALCON_KEY_OID, extension)]);
        for end in 0..der.len() {
            assert!(Leaf::parse(&der[..end]).is_err(), "cut at {end}");
        }
        for at in 0..der.len() {
            let mut altered = der.clone();
            altered[at] ^= 1 << (at % 8);
            let _ = Leaf::parse(&altered);
        }
    }
}
