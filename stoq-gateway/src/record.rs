//! The endpoint record: made, signed, and kept until it expires.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use stoq_core::endpoint_record::{EndpointRecord, EndpointRecordError, SignedEndpointRecord};
use stoq_core::falcon::Domain;
use stoq_core::reader::Fault;
use stoq_core::time::UnixMicros;
use stoq_native::SignError;

use crate::config::Signer;

/// A signed record, as it is served.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) bytes: Bytes,
    pub(crate) serial: u64,
    /// Last moment at which it holds.
    pub(crate) expiry: UnixMicros,
}

/// What a record says beside the times.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// `host:port`.
    pub(crate) authority: String,
    /// The newest first.
    pub(crate) certificate_hashes: Vec<[u8; 32]>,
}

impl Record {
    /// Signs what holds for `life` from `now`, and from an hour ago, because clocks differ. The serial is the time of signing,
    /// and higher than the last one even if the clock went back since.
    ///
    /// # Errors
    /// [`RecordError`]; a signature that does not verify is one.
    ///
    /// # Cancel safety
    /// If the future is dropped, the signer still finishes, and what it made is lost.
    pub(crate) async fn sign(
        signer: &Signer,
        content: Content,
        now: UnixMicros,
        life: Duration,
        last_serial: Option<u64>,
    ) -> Result<Self, RecordError> {
        let signer = signer.clone();
        let signing = move || Self::sign_here(&signer, content, now, life, last_serial);
        match tokio::task::spawn_blocking(signing).await {
            Ok(signed) => signed,
            Err(error) => Err(RecordError::Sign(SignError::Device(error.to_string()))),
        }
    }

    fn sign_here(
        signer: &Signer,
        content: Content,
        now: UnixMicros,
        life: Duration,
        last_serial: Option<u64>,
    ) -> Result<Self, RecordError> {
        let serial = last_serial.map_or(now.0, |last| now.0.max(last.saturating_add(1)));
        let record = EndpointRecord {
            authority: content.authority,
            serial,
            not_before: UnixMicros(now.0.saturating_sub(micros(CLOCKS_DIFFER))),
            expiry: later(now, life),
            certificate_hashes: content.certificate_hashes,
        };
        let (key, expiry) = (signer.falcon().verifying_key(), record.expiry);
        let body = record.to_be_signed(key).map_err(RecordError::Content)?;
        let signature =
            (signer.falcon().sign(Domain::ENDPOINT_RECORD, &[&body])).map_err(RecordError::Sign)?;
        let signed = SignedEndpointRecord::new(record, key.clone(), signature)
            .map_err(RecordError::Content)?;
        // A signer may leave it to the caller to look: a wrong signature can give the key away.
        signed.verify(&[key.id()]).map_err(RecordError::Signature)?;
        Ok(Self {
            bytes: signed.encode().into(),
            serial,
            expiry,
        })
    }

    /// The record, while it holds.
    pub(crate) fn at(&self, now: UnixMicros) -> Option<Bytes> {
        (now <= self.expiry).then(|| self.bytes.clone())
    }
}

/// There is no new endpoint record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The signer did not sign.
    #[error("the endpoint record could not be signed: {0}")]
    Sign(SignError),
    /// The signer signed with another key than it shows, or wrongly. What it made has been thrown away.
    #[error("the signer's work is of no use: {0}")]
    Signature(EndpointRecordError),
    /// What it would say cannot stand in a record.
    #[error("the endpoint record cannot be written: {0}")]
    Content(Fault),
}

/// The date.
pub(crate) fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // Before 1970 the clock says nothing, and the first moment is as good as any.
    UnixMicros(micros(since.unwrap_or_default()))
}

/// The moment `by` after this one.
pub(crate) fn later(moment: UnixMicros, by: Duration) -> UnixMicros {
    UnixMicros(moment.0.saturating_add(micros(by)))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As much as self-signed certificates allow.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stoq_native::{FalconKey, FalconSigner, Signature, VerifyingKey};

    use super::*;

    const LIFE: Duration = Duration::from_secs(24 * 3600);
    const NOW: UnixMicros = UnixMicros(1_800_000_000_000_000);

    fn content() -> Content {
        Content {
            authority: "gateway.example.org:443".into(),
            certificate_hashes: vec![[2; 32], [1; 32]],
        }
    }

    #[test]
    fn says_what_holds_and_from_when_until_when() {
        let key = Signer::new(Arc::new(FalconKey::generate()));
        let record = Record::sign_here(&key, content(), NOW, LIFE, None).unwrap();
        let signed = SignedEndpointRecord::decode(&record.bytes).unwrap();
        let expected = EndpointRecord {
            authority: "gateway.example.org:443".into(),
            serial: NOW.0,
            not_before: UnixMicros(NOW.0 - 3_600_000_000),
            expiry: UnixMicros(NOW.0 + 86_400_000_000),
            certificate_hashes: vec![[2; 32], [1; 32]],
        };
        assert_eq!(signed.verify(&[key.id()]), Ok(&expected));
        assert!(record.at(expected.expiry).is_some());
        assert!(record.at(UnixMicros(expected.expiry.0 + 1)).is_none());
    }

    #[test]
    fn serials_rise_when_the_clock_does_not() {
        let key = Signer::new(Arc::new(FalconKey::generate()));
        let serial = |last| Record::sign_here(&key, content(), NOW, LIFE, last).map(|r| r.serial);
        assert_eq!(serial(Some(NOW.0 - 1)), Ok(NOW.0));
        assert_eq!(serial(Some(NOW.0)), Ok(NOW.0 + 1));
        assert_eq!(serial(Some(NOW.0 + 5)), Ok(NOW.0 + 6));
    }

    /// Shows one key and signs with another.
    #[derive(Debug)]
    struct Impostor(FalconKey, FalconKey);

    impl FalconSigner for Impostor {
        fn verifying_key(&self) -> &VerifyingKey {
            self.0.verifying_key()
        }

        fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Result<Signature, SignError> {
            self.1.sign(domain, parts)
        }
    }

    #[test]
    fn a_signature_by_another_key_is_thrown_away() {
        let impostor = Impostor(FalconKey::generate(), FalconKey::generate());
        let impostor = Signer::new(Arc::new(impostor));
        let refused = Record::sign_here(&impostor, content(), NOW, LIFE, None);
        let expected = EndpointRecordError::Signature(stoq_core::falcon::BadSignature);
        assert_eq!(refused.err(), Some(RecordError::Signature(expected)));
    }

    #[test]
    fn what_cannot_stand_in_a_record_is_named() {
        let key = Signer::new(Arc::new(FalconKey::generate()));
        let mut content = content();
        content.certificate_hashes.clear();
        let refused = Record::sign_here(&key, content, NOW, LIFE, None);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("certificate hashes"), "{error}");
    }
}
