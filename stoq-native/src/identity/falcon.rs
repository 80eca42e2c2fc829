//! Identities with a FALCON key: how their certificates are made, or taken from files.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use rcgen::{CustomExtension, KeyPair, PKCS_ED25519, date_time_ymd};
use rustls_pki_types::CertificateDer;
use stoq_core::grant::SignedGrant;

use super::{Classical, Composite, Identity, IdentityError, params, refused};
use crate::certificate::{FALCON_KEY_OID, GRANT_OID, Leaf, falcon_key_extension, grant_extension};
use crate::falcon::FalconSigner;
use crate::tls::composite::CompositeKey;

impl Identity {
    /// A FALCON identity alone: for clients, and for servers all of whose clients speak STOQ with FALCON. The names are
    /// as for [`self_signed`](Self::self_signed); who pins the identity does not look at them.
    ///
    /// The certificate has no end ([RFC 5280, section 4.1.2.5]): whoever holds the key could make a new one at any time, so
    /// an end would say nothing. How long the identity is believed is for those who pin it.
    ///
    /// [RFC 5280, section 4.1.2.5]: https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
    ///
    /// # Errors
    /// [`IdentityError::Name`] if a name cannot stand in a certificate.
    pub fn falcon<N: Into<String>>(
        signer: Arc<dyn FalconSigner>,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, IdentityError> {
        Ok(Self {
            classical: None,
            composite: Some(Composite::self_issued(signer, names, None)?),
        })
    }

    /// As [`falcon`](Self::falcon), with the word of an authority for it: for peers that trust
    /// [`FalconTrust::Authority`](crate::FalconTrust::Authority). The certificate has the grant's names.
    ///
    /// # Errors
    /// [`IdentityError`] if the grant is for another key, or a name cannot stand in a certificate.
    pub fn granted(
        signer: Arc<dyn FalconSigner>,
        grant: &SignedGrant,
    ) -> Result<Self, IdentityError> {
        let got = grant.claim().subject;
        if got != signer.verifying_key().id() {
            return Err(IdentityError::Grant { got });
        }
        let names = grant.claim().names.clone();
        Ok(Self {
            classical: None,
            composite: Some(Composite::self_issued(signer, names, Some(grant))?),
        })
    }

    /// A FALCON identity whose certificate a classical authority has issued, for peers that
    /// [prefer](crate::PqPolicy::Prefer) FALCON. The certificate has an Ed25519 key, whose private half is in the second
    /// file, and the FALCON key in the extension [`FALCON_KEY_OID`](crate::FALCON_KEY_OID).
    ///
    /// # Errors
    /// [`IdentityError`] if a file cannot be read, the chain has intermediates, or the certificate does not hold both
    /// keys.
    pub fn falcon_from_pem_files(
        signer: Arc<dyn FalconSigner>,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, IdentityError> {
        let files = Classical::from_pem_files(certificate.as_ref(), key.as_ref())?;
        let [certificate] = &files.chain[..] else {
            let got = files.chain.len();
            return Err(IdentityError::Intermediates { got });
        };
        let composite = Composite::new(certificate.clone(), files.key.secret_der(), signer)?;
        Ok(Self {
            classical: None,
            composite: Some(composite),
        })
    }

    /// This identity, with the FALCON certificate of `other` in place of its own.
    #[must_use]
    pub fn with_falcon(self, other: Self) -> Self {
        Self {
            classical: self.classical,
            composite: other.composite,
        }
    }
}

impl Composite {
    fn self_issued<N: Into<String>>(
        signer: Arc<dyn FalconSigner>,
        names: impl IntoIterator<Item = N>,
        grant: Option<&SignedGrant>,
    ) -> Result<Self, IdentityError> {
        let extension = |oid, content| CustomExtension::from_oid_content(oid, content);
        let mut params = params(names)?;
        params.not_after = date_time_ymd(9999, 12, 31);
        let key = falcon_key_extension(signer.verifying_key());
        params.custom_extensions = vec![extension(FALCON_KEY_OID, key)];
        let grant = grant.map(|grant| extension(GRANT_OID, grant_extension(grant)));
        params.custom_extensions.extend(grant);
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(refused)?;
        let certificate = params.self_signed(&key).map_err(refused)?;
        Self::new(certificate.der().clone(), &key.serialize_der(), signer)
    }

    /// Checks that the certificate holds the public halves of both keys.
    fn new(
        certificate: CertificateDer<'static>,
        ed25519: &[u8],
        falcon: Arc<dyn FalconSigner>,
    ) -> Result<Self, IdentityError> {
        let mismatch = |reason: &str| IdentityError::Mismatch {
            reason: reason.into(),
        };
        let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(ed25519)
            .map_err(|_| mismatch("the private key is not Ed25519 in PKCS #8"))?;
        let leaf = Leaf::parse(&certificate).map_err(IdentityError::Certificate)?;
        if leaf.ed25519.as_ref().map(|key| &key[..]) != Some(ed25519.public_key().as_ref()) {
            return Err(mismatch("the certificate does not hold this Ed25519 key"));
        }
        if leaf.falcon.as_ref() != Some(falcon.verifying_key()) {
            return Err(mismatch("the certificate does not hold this FALCON key"));
        }
        let ed25519 = Arc::new(ed25519);
        Ok(Self {
            certificate,
            key: CompositeKey { ed25519, falcon },
        })
    }
}
