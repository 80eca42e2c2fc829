//! Certificates as they are shown.

use core::ops::RangeInclusive;

use rustls_pki_types::UnixTime;
use stoq_core::grant::SignedGrant;
use stoq_core::identity::FalconId;

use crate::certificate::Leaf;
use crate::policy::Authority;
use crate::rejection::IdentityRejected;
use crate::tls::composite::Halves;
use crate::tls::judgement::judge_grant;

/// A certificate with a FALCON key, as it is shown. The certificate itself is signed by nobody who counts: what counts is
/// whether its holder has signed the handshake, and who vouches for the key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FalconCertificate {
    /// Whose key it is.
    pub id: FalconId,
    /// SHA-256 of the certificate in DER.
    pub hash: [u8; 32],
    /// First and last second, since the Unix epoch, at which it says it holds.
    pub valid: RangeInclusive<i64>,
    /// Whether the classical half of the handshake's signature is good.
    pub ed25519_is_good: bool,
    /// Whether the post-quantum half is good.
    pub falcon_is_good: bool,
    /// What an authority is said to grant. Nothing of it is verified; [`judge`](Self::judge) does.
    pub grant: Option<SignedGrant>,
    leaf: Box<Leaf>,
}

impl FalconCertificate {
    /// `None` if there is no FALCON key in it.
    pub(super) fn new(hash: [u8; 32], leaf: &Leaf, halves: Option<Halves>) -> Option<Self> {
        Some(Self {
            id: leaf.falcon.as_ref()?.id(),
            hash,
            valid: leaf.validity.clone(),
            ed25519_is_good: halves.is_some_and(|halves| halves.ed25519),
            falcon_is_good: halves.is_some_and(|halves| halves.falcon),
            grant: leaf.grant.clone(),
            leaf: Box::new(leaf.clone()),
        })
    }

    /// Whether this authority grants the identity, now, the name of this host.
    ///
    /// # Errors
    /// [`IdentityRejected`] says what it does not.
    pub fn judge(&self, authority: &Authority, host: &str) -> Result<(), IdentityRejected> {
        let host = host.to_ascii_lowercase();
        judge_grant(authority, &self.leaf, Some(&host), UnixTime::now())
    }
}

/// A classical certificate, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassicalCertificate {
    /// SHA-256 of the certificate in DER.
    pub hash: [u8; 32],
    /// First and last second, since the Unix epoch, at which it says it holds.
    pub valid: RangeInclusive<i64>,
    /// Whether it names its own holder as its issuer, and not an authority. No signature of an issuer was checked.
    pub self_issued: bool,
}

impl ClassicalCertificate {
    pub(super) fn new(hash: [u8; 32], leaf: &Leaf) -> Self {
        Self {
            hash,
            valid: leaf.validity.clone(),
            self_issued: leaf.self_issued,
        }
    }
}
