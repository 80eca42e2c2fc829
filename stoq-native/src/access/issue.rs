//! An issuer signs.

use stoq_core::access::{AccessToken, Nonce, SignedAccessToken};
use stoq_core::falcon::Domain;
use stoq_core::identity::FalconId;
use stoq_core::reader::Fault;

use crate::falcon::{FalconSigner, SignError};

/// Signs a token.
///
/// ```
/// use stoq_native::{AccessToken, FalconKey, FalconSigner, UnixMicros, fresh_nonce, issue_access_token};
/// # let server = FalconKey::generate().id();
///
/// let issuer = FalconKey::generate();
/// let now = UnixMicros(1_790_000_000_000_000);
/// let token = AccessToken {
///     issuer: issuer.id(),
///     audience: server, // who verifies it
///     nonce: fresh_nonce(),
///     not_before: now,
///     expiry: UnixMicros(now.0 + 60_000_000),
///     holder: None, // whoever has the token may use it: so it lives five minutes at most
///     subject: "alice".into(),
///     service: "files".parse()?,
///     permissions: vec!["read".into()],
/// };
/// let signed = issue_access_token(token, &issuer)?;
/// println!("{}", signed.to_text()); // stoqt1...
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`IssueError`] if nobody would take such a token, or it cannot be signed.
pub fn issue_access_token(
    token: AccessToken,
    issuer: &dyn FalconSigner,
) -> Result<SignedAccessToken, IssueError> {
    let signer = issuer.verifying_key().id();
    if token.issuer != signer {
        return Err(IssueError::Issuer {
            named: token.issuer,
            signer,
        });
    }
    if token.is_bearer_for_too_long() {
        return Err(IssueError::BearerTooLong);
    }
    if token.expiry < token.not_before {
        return Err(IssueError::NeverValid);
    }
    let signed = token.to_be_signed().map_err(IssueError::Form)?;
    let signature = issuer.sign(Domain::ACCESS_TOKEN, &[&signed])?;
    SignedAccessToken::new(token, signature).map_err(IssueError::Form)
}

/// A nonce from the randomness of the operating system.
pub fn fresh_nonce() -> Nonce {
    let mut nonce = [0; Nonce::LEN];
    aws_lc_rs::rand::fill(&mut nonce).expect("the system has random bytes");
    Nonce::new(nonce)
}

/// A token was not issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// It names another issuer than the one who signs.
    #[error("the token names {named} as its issuer, but {signer} signs it")]
    Issuer {
        /// Whom it names.
        named: FalconId,
        /// Who signs.
        signer: FalconId,
    },
    /// It would live for more than [`AccessToken::MAX_BEARER_LIFE`] without a holder key.
    #[error(
        "without a holder key a token may live {} s: name a holder, or let it live shorter",
        AccessToken::MAX_BEARER_LIFE.as_secs()
    )]
    BearerTooLong,
    /// Its last moment comes before its first.
    #[error("the token would expire before it holds")]
    NeverValid,
    /// A field cannot stand as it is.
    #[error("no token can be made of this: {0}")]
    Form(Fault),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}
