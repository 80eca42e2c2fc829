//! Which services want tokens, and how often they were refused.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

use stoq_core::access::{Access, AccessError, Revocations, Verifier};
use stoq_core::close::Code;
use stoq_core::service::ServiceName;

use crate::clock::now;

/// Which services want an access token, and whose tokens do.
///
/// A token is held against this machine's wall clock when a session is asked for, and never again: that it expires, or that the
/// clock is set, ends no session.
///
/// ```
/// use stoq_native::{AccessRules, FalconKey, FalconSigner, Verifier};
///
/// let (server, issuer) = (FalconKey::generate(), FalconKey::generate());
/// let verifier = Verifier::new(server.id(), [issuer.verifying_key().clone()]);
/// let rules = AccessRules::new(verifier)
///     .require("files".parse()?, Some("read"))
///     .require("echo".parse()?, None); // any token for it
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccessRules {
    verifier: Verifier,
    required: BTreeMap<ServiceName, Option<String>>,
}

impl AccessRules {
    /// No service wants a token yet.
    pub const fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            required: BTreeMap::new(),
        }
    }

    /// From now on `service` wants a token that permits `permission`, or any token for it if none is named.
    #[must_use]
    pub fn require(mut self, service: ServiceName, permission: Option<&str>) -> Self {
        self.required.insert(service, permission.map(Into::into));
        self
    }

    /// Who judges the tokens.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Replaces the list of revoked nonces.
    pub fn set_revocations(&mut self, revocations: Revocations) {
        self.verifier.set_revocations(revocations);
    }

    /// Whether the service wants a token.
    pub fn protects(&self, service: &ServiceName) -> bool {
        self.required.contains_key(service)
    }

    /// What the tokens permit in a service, by this machine's clock; `None` for a service that wants none, whose tokens are not
    /// looked at.
    ///
    /// Costs a FALCON verification (60 to 90 µs) for each token that is said to be for this end and service and by a trusted issuer,
    /// until one is good: four at most, because no more can be presented.
    ///
    /// # Errors
    /// [`AccessError`], as [`Verifier::admit`] has it.
    pub fn judge<T: AsRef<[u8]>>(
        &self,
        service: &ServiceName,
        tokens: &[T],
    ) -> Result<Option<Access>, AccessError> {
        self.judge_within(service, tokens, || true)
    }

    /// As [`judge`](Self::judge), but asks before each verification whether there may be one more.
    pub(crate) fn judge_within<T: AsRef<[u8]>>(
        &self,
        service: &ServiceName,
        tokens: &[T],
        may_verify: impl FnMut() -> bool,
    ) -> Result<Option<Access>, AccessError> {
        let Some(permission) = self.required.get(service) else {
            return Ok(None);
        };
        let permission = permission.as_deref();
        let access = self
            .verifier
            .admit_within(tokens, service, permission, now(), may_verify);
        access.map(Some)
    }
}

/// How often access was refused, for each reason.
#[derive(Debug, Default)]
pub struct AccessRefusals([AtomicU64; CODES.len()]);

impl AccessRefusals {
    /// Every reason, by its code, and how often it was the reason.
    pub fn get(&self) -> impl Iterator<Item = (Code, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        CODES.into_iter().zip(counts)
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.get().map(|(_, count)| count).sum()
    }

    /// Counts one. Another code is not counted.
    pub fn count(&self, code: Code) {
        if let Some(at) = CODES.iter().position(|known| *known == code) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What [`AccessError::code`] can be.
const CODES: [Code; 13] = [
    Code::TOKEN_REQUIRED,
    Code::TOKEN_MALFORMED,
    Code::TOKEN_AUDIENCE,
    Code::TOKEN_ISSUER,
    Code::TOKEN_FORGED,
    Code::TOKEN_SERVICE,
    Code::TOKEN_NOT_YET_VALID,
    Code::TOKEN_EXPIRED,
    Code::TOKEN_REVOKED,
    Code::PERMISSION,
    Code::HOLDER_MISSING,
    Code::HOLDER_WRONG,
    Code::LIMIT,
];
