//! What goes wrong with a request, sorted by what the peer is told.

use tracing::warn;

use super::RequestError;
use crate::file_name::InvalidFileName;
use crate::protocol::{LineError, Refusal, RefusalCode};
use crate::store::StoreError;

/// How a request fails: with an answer, or without.
pub(super) enum Failure {
    Refused(Refusal),
    Request(RequestError),
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<LineError> for Failure {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Stream(error) => RequestError::Stream(error).into(),
            error => {
                let message = format!("this is no request: {error}");
                // It can quote the request, and has to fit a line itself.
                let message = message.chars().take(200).collect();
                Refusal {
                    code: RefusalCode::BadRequest,
                    message,
                }
                .into()
            }
        }
    }
}

impl From<InvalidFileName> for Failure {
    fn from(error: InvalidFileName) -> Self {
        let message = error.to_string();
        Refusal {
            code: RefusalCode::BadName,
            message,
        }
        .into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::NoSuchFile => RefusalCode::NoSuchFile,
            StoreError::QuotaExceeded { .. } | StoreError::TooManyFiles { .. } => {
                RefusalCode::QuotaExceeded
            }
            StoreError::NotAFile => RefusalCode::BadName,
            StoreError::Incomplete { .. } => RefusalCode::TooShort,
            StoreError::Io(_) => RefusalCode::StorageError,
        };
        let message = match &error {
            // Its text can hold paths, which are none of the peer's business.
            StoreError::Io(cause) => {
                warn!(error = %cause, "the store failed");
                format!("the store failed: {}", cause.kind())
            }
            error => error.to_string(),
        };
        Refusal { code, message }.into()
    }
}
