//! Keys and certificates of peers: real ones, made here so that they can be expired, forged by somebody who has the keys of
//! an authority, or shown without the key that belongs to them.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
};
use rustls_pki_types::CertificateDer;
use stoq_core::time::UnixMicros;
use stoq_native::{
    Domain, FALCON_KEY_OID, FalconId, FalconKey, FalconSigner, GRANT_OID, Grant, Identity,
    SignedGrant, falcon_key_extension,
};
use time::{Duration, OffsetDateTime};

/// When a certificate or grant holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    Now,
    /// Until yesterday.
    Past,
    /// For [`SOON`] more.
    Soon,
}

/// Time for a few handshakes on a busy machine.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(5);

/// Somebody with a FALCON key and an Ed25519 key.
pub(crate) struct Holder {
    pub(crate) falcon: Arc<FalconKey>,
    pub(crate) ed25519: KeyPair,
}

impl Holder {
    pub(crate) fn new() -> Self {
        Self {
            falcon: Arc::new(FalconKey::generate()),
            ed25519: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        }
    }

    pub(crate) fn id(&self) -> FalconId {
        self.falcon.id()
    }

    /// A certificate for both keys, by this authority or by itself.
    pub(crate) fn certificate(
        &self,
        time: Time,
        issuer: Option<&Ca>,
        grant: Option<&SignedGrant>,
    ) -> CertificateDer<'static> {
        let key = falcon_key_extension(self.falcon.verifying_key());
        let mut params = params(time);
        params.custom_extensions = vec![CustomExtension::from_oid_content(FALCON_KEY_OID, key)];
        if let Some(grant) = grant {
            // An OCTET STRING whose length takes two bytes.
            let grant = grant.encode();
            let length = u16::try_from(grant.len()).unwrap().to_be_bytes();
            let content = [&[0x04, 0x82], &length[..], &grant].concat();
            let extension = CustomExtension::from_oid_content(GRANT_OID, content);
            params.custom_extensions.push(extension);
        }
        sign(&params, &self.ed25519, issuer)
    }

    /// With the certificate as above.
    pub(crate) fn identity(&self, time: Time, issuer: Option<&Ca>) -> Identity {
        self.identity_with(&self.certificate(time, issuer, None))
    }

    /// With this certificate.
    pub(crate) fn identity_with(&self, certificate: &[u8]) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&cert, pem("CERTIFICATE", certificate)).unwrap();
        std::fs::write(&key, self.ed25519.serialize_pem()).unwrap();
        Identity::falcon_from_pem_files(self.falcon.clone(), cert, key).unwrap()
    }
}

/// A certificate with a P-256 key, and no FALCON.
pub(crate) fn classical(time: Time, issuer: Option<&Ca>) -> Identity {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = sign(&params(time), &key, issuer);
    let folder = tempfile::tempdir().unwrap();
    let [cert, file] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&cert, pem("CERTIFICATE", &certificate)).unwrap();
    std::fs::write(&file, key.serialize_pem()).unwrap();
    Identity::from_pem_files(cert, file).unwrap()
}

/// A certificate with this Ed25519 key, and no FALCON.
pub(crate) fn plain(time: Time, key: &KeyPair, issuer: Option<&Ca>) -> CertificateDer<'static> {
    sign(&params(time), key, issuer)
}

/// A classical certificate authority, whose private key whoever holds this has.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }
}

/// An authority's word that `subject` may have `name`.
pub(crate) fn grant(
    authority: &FalconKey,
    subject: FalconId,
    name: &str,
    serial: u64,
    time: Time,
) -> SignedGrant {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let (now, day) = (now.as_micros() as u64, 86_400_000_000);
    let from = match time {
        Time::Now => now - day / 24,
        Time::Past => now - 2 * day,
        Time::Soon => now - day + SOON.as_micros() as u64,
    };
    let grant = Grant {
        authority: authority.id(),
        subject,
        serial,
        not_before: UnixMicros(from),
        not_after: UnixMicros(from + day),
        names: vec![name.into()],
    };
    let bytes = grant.to_be_signed().unwrap();
    let signature = authority.sign(Domain::GRANT, &[&bytes]).unwrap();
    SignedGrant::new(grant, signature).unwrap()
}

/// SHA-256 of a certificate.
pub(crate) fn hash(certificate: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().try_into().unwrap()
}

fn params(time: Time) -> CertificateParams {
    let names = vec!["localhost".into(), "::1".into()];
    let mut params = CertificateParams::new(names).unwrap();
    let from = match time {
        Time::Now => Duration::HOUR,
        Time::Past => Duration::days(2),
        Time::Soon => Duration::DAY - SOON,
    };
    params.not_before = OffsetDateTime::now_utc() - from;
    params.not_after = params.not_before + Duration::DAY;
    params
}

fn sign(params: &CertificateParams, key: &KeyPair, issuer: Option<&Ca>) -> CertificateDer<'static> {
    let certificate = match issuer {
        Some(issuer) => params.signed_by(key, &issuer.0),
        None => params.self_signed(key),
    };
    certificate.unwrap().der().clone()
}

fn pem(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der))
}
