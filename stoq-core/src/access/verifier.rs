use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

use super::{
    AccessError, AccessToken, HolderProof, Revocations, SignedAccessToken, TokenHash, no_holder_key,
};
use crate::falcon::{Domain, VerifyingKey};
use crate::hash::SessionHash;
use crate::identity::FalconId;
use crate::service::ServiceName;
use crate::session::Holder;
use crate::time::UnixMicros;

/// Judges access tokens: who this end is, whose tokens it takes, and which of them no longer.
///
/// Takes 4 KB an issuer, and 16 bytes a revoked nonce.
#[derive(Clone, Debug)]
pub struct Verifier {
    audience: FalconId,
    issuers: BTreeMap<FalconId, Arc<VerifyingKey>>,
    revocations: Arc<Revocations>,
}

impl Verifier {
    /// The verifier of the one who holds `audience`, who takes tokens by these issuers and has revoked none.
    pub fn new(audience: FalconId, issuers: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let issuers = issuers.into_iter().map(|key| (key.id(), Arc::new(key)));
        Self {
            audience,
            issuers: issuers.collect(),
            revocations: Arc::default(),
        }
    }

    /// For whom tokens must be.
    pub const fn audience(&self) -> FalconId {
        self.audience
    }

    /// Replaces the list of revoked nonces.
    pub fn set_revocations(&mut self, revocations: Revocations) {
        self.revocations = Arc::new(revocations);
    }

    /// The list of revoked nonces.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// What this token permits in `service` now, provided that it permits `permission`, if one is given.
    ///
    /// If it names a holder, that is worth nothing until [`Access::check_proof`] has been answered.
    ///
    /// The order of the checks: first what is free and can only refuse (form, audience, issuer, service), so that a stranger's
    /// bytes, and tokens for others, cost no signature check; then the signature, before any field counts for anything; then the
    /// rest, the holder's key too, which tells the presenter only what it can read itself. Revocation comes after time, so a list need not
    /// keep what has expired. At most one FALCON verification, 60 to 90 µs.
    ///
    /// # Errors
    /// [`AccessError`] says which check refused it.
    pub fn verify(
        &self,
        token: &[u8],
        service: &ServiceName,
        permission: Option<&str>,
        now: UnixMicros,
    ) -> Result<Access, AccessError> {
        self.check(token, service, permission, now, &mut || true)
    }

    fn check(
        &self,
        token: &[u8],
        service: &ServiceName,
        permission: Option<&str>,
        now: UnixMicros,
        may_verify: &mut dyn FnMut() -> bool,
    ) -> Result<Access, AccessError> {
        let signed = SignedAccessToken::decode(token).map_err(AccessError::Malformed)?;
        let claim = signed.claim();
        if claim.audience != self.audience {
            let got = claim.audience;
            return Err(AccessError::Audience { got });
        }
        let got = claim.issuer;
        let issuer = self.issuers.get(&got).ok_or(AccessError::Issuer { got })?;
        if claim.service != *service {
            let got = claim.service.clone();
            return Err(AccessError::Service { got });
        }
        if !may_verify() {
            return Err(AccessError::Unverified);
        }
        issuer
            .verify(Domain::ACCESS_TOKEN, &[&signed.bytes], &signed.signature)
            .map_err(|_| AccessError::Forged)?;
        if claim.is_bearer_for_too_long() {
            let life = claim.life();
            return Err(AccessError::BearerTooLong { life });
        }
        if let Some(key) = claim.holder.filter(|key| !key.is_point()) {
            let [first, ..] = *key.as_bytes();
            return Err(AccessError::Malformed(no_holder_key(first)));
        }
        if now < claim.not_before {
            return Err(AccessError::NotYetValid);
        }
        if now > claim.expiry {
            return Err(AccessError::Expired);
        }
        let access = Access {
            hash: signed.hash(),
            token: signed.token,
        };
        self.recheck(&access)?;
        match permission {
            Some(wanted) if !access.permits(wanted) => Err(AccessError::Permission {
                wanted: wanted.to_owned(),
            }),
            _ => Ok(access),
        }
    }

    /// What the first of several tokens that is good for `service` permits, as [`verify`](Self::verify) says.
    ///
    /// Tokens that are not for this end and service are passed by. One token must permit it all: permissions of two are not added
    /// up. Every token that is left costs a FALCON verification until one is good, so the caller bounds their number, or calls
    /// [`admit_within`](Self::admit_within).
    ///
    /// # Errors
    /// [`AccessError::Required`] if there are none; else the error of the token that came furthest.
    pub fn admit<T: AsRef<[u8]>>(
        &self,
        tokens: &[T],
        service: &ServiceName,
        permission: Option<&str>,
        now: UnixMicros,
    ) -> Result<Access, AccessError> {
        self.admit_within(tokens, service, permission, now, || true)
    }

    /// As [`admit`](Self::admit), but asks before each verification whether there may be one more: see
    /// [`VerificationBudget`](super::VerificationBudget).
    ///
    /// # Errors
    /// As [`admit`](Self::admit), and [`AccessError::Unverified`] if there may not.
    pub fn admit_within<T: AsRef<[u8]>>(
        &self,
        tokens: &[T],
        service: &ServiceName,
        permission: Option<&str>,
        now: UnixMicros,
        mut may_verify: impl FnMut() -> bool,
    ) -> Result<Access, AccessError> {
        let mut furthest = AccessError::Required;
        for token in tokens {
            let token = token.as_ref();
            match self.check(token, service, permission, now, &mut may_verify) {
                Ok(access) => return Ok(access),
                Err(error) if error.stage() > furthest.stage() => furthest = error,
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    /// Whether a token that was good still is, when the list of revoked nonces or the issuers have changed. Its time is not asked
    /// for: a session that has begun may go on.
    ///
    /// # Errors
    /// [`AccessError::Issuer`], [`AccessError::Revoked`].
    pub fn recheck(&self, access: &Access) -> Result<(), AccessError> {
        let (got, nonce) = (access.token.issuer, access.token.nonce);
        if !self.issuers.contains_key(&got) {
            return Err(AccessError::Issuer { got });
        }
        if self.revocations.contains(&nonce) {
            return Err(AccessError::Revoked { nonce });
        }
        Ok(())
    }
}

/// What a [`Verifier`] has found a token to permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    token: AccessToken,
    hash: TokenHash,
}

impl Access {
    /// Who is permitted, as the issuer names them.
    pub fn subject(&self) -> &str {
        &self.token.subject
    }

    /// What is permitted, in ascending order.
    pub fn permissions(&self) -> &[String] {
        &self.token.permissions
    }

    /// Whether this is permitted.
    pub fn permits(&self, permission: &str) -> bool {
        let same = |word: &String| word.as_str() == permission;
        self.token.permissions.iter().any(same)
    }

    /// All that the token says.
    pub const fn token(&self) -> &AccessToken {
        &self.token
    }

    /// The token's hash.
    pub const fn hash(&self) -> TokenHash {
        self.hash
    }

    /// Whether the holder of a key must still show that it is.
    pub const fn needs_proof(&self) -> bool {
        self.token.holder.is_some()
    }

    /// Who that is, for the [answer](crate::session::Answer) to the session.
    pub fn holder(&self) -> Option<Holder> {
        let token = self.hash;
        self.token.holder.map(|key| Holder { token, key })
    }

    /// Whether the holder has shown in this session that it is. A bearer token needs no proof, and then none is looked at.
    ///
    /// # Errors
    /// [`AccessError::HolderWrong`].
    pub fn check_proof(
        &self,
        session: &SessionHash,
        proof: &HolderProof,
    ) -> Result<(), AccessError> {
        match &self.token.holder {
            Some(key) if !key.has_signed(&self.hash, session, proof) => {
                Err(AccessError::HolderWrong)
            }
            _ => Ok(()),
        }
    }
}
