use alloc::string::String;
use core::time::Duration;

use super::{AccessToken, Nonce};
use crate::close::Code;
use crate::identity::FalconId;
use crate::reader::Fault;
use crate::service::ServiceName;

/// Why access is refused. The message names the matter, and holds nothing that the presenter could not read in its token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The service wants a token, and none was presented.
    #[error("an access token is required")]
    Required,
    /// The token cannot be read.
    #[error("the access token is malformed: {0}")]
    Malformed(Fault),
    /// It is for another verifier.
    #[error("the access token is for {got}, which is not this peer")]
    Audience {
        /// For whom it is.
        got: FalconId,
    },
    /// It names an issuer that is not trusted here.
    #[error("the access token is by {got}, which is not trusted to issue any here")]
    Issuer {
        /// Whom it names.
        got: FalconId,
    },
    /// The peer has had too many signatures verified, so this one is not.
    #[error("too many access tokens were presented: try again in a second")]
    Unverified,
    /// Its issuer did not sign this.
    #[error("the access token's signature is not good")]
    Forged,
    /// It has no holder key, and is made to live longer than a token without one may.
    #[error(
        "the access token lives {} s; without a holder key it may live {} s",
        life.as_secs(),
        AccessToken::MAX_BEARER_LIFE.as_secs()
    )]
    BearerTooLong {
        /// How long it lives.
        life: Duration,
    },
    /// It is for another service.
    #[error("the access token is for service {got}")]
    Service {
        /// For which.
        got: ServiceName,
    },
    /// Its time has not begun.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
    /// It was revoked.
    #[error("the access token {nonce} was revoked")]
    Revoked {
        /// Its number.
        nonce: Nonce,
    },
    /// It does not permit what was asked.
    #[error("the access token does not permit \"{wanted}\"")]
    Permission {
        /// What would have to be permitted.
        wanted: String,
    },
    /// The holder did not show in time that it is.
    #[error("no proof came that the access token is its holder's")]
    HolderMissing,
    /// Another key than the holder's has signed, or something else was signed.
    #[error("the proof is not by the holder of the access token, or not for this session")]
    HolderWrong,
}

impl AccessError {
    /// The code that the peer and the user see. A bearer token that lives too long breaks a rule of form.
    pub const fn code(&self) -> Code {
        match self {
            Self::Required => Code::TOKEN_REQUIRED,
            Self::Malformed(_) | Self::BearerTooLong { .. } => Code::TOKEN_MALFORMED,
            Self::Audience { .. } => Code::TOKEN_AUDIENCE,
            Self::Issuer { .. } => Code::TOKEN_ISSUER,
            Self::Unverified => Code::LIMIT,
            Self::Forged => Code::TOKEN_FORGED,
            Self::Service { .. } => Code::TOKEN_SERVICE,
            Self::NotYetValid => Code::TOKEN_NOT_YET_VALID,
            Self::Expired => Code::TOKEN_EXPIRED,
            Self::Revoked { .. } => Code::TOKEN_REVOKED,
            Self::Permission { .. } => Code::PERMISSION,
            Self::HolderMissing => Code::HOLDER_MISSING,
            Self::HolderWrong => Code::HOLDER_WRONG,
        }
    }

    /// How far the verifier had come: of several tokens that are refused, the one that came furthest is the one that was meant.
    pub(super) const fn stage(&self) -> u8 {
        match self {
            Self::Required => 0,
            Self::Malformed(_) => 1,
            Self::Audience { .. } => 2,
            Self::Issuer { .. } => 3,
            Self::Service { .. } => 4,
            Self::Unverified => 5,
            Self::Forged => 6,
            Self::BearerTooLong { .. } => 7,
            Self::NotYetValid => 8,
            Self::Expired => 9,
            Self::Revoked { .. } => 10,
            Self::Permission { .. } => 11,
            Self::HolderMissing => 12,
            Self::HolderWrong => 13,
        }
    }
}
