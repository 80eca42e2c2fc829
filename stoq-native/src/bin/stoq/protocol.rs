//! The application protocol of the service `files`: lines of JSON around plain bytes.
//!
//! One request a bidirectional stream. The client sends one line, perhaps a body, and ends its side; the service answers
//! with one line, perhaps a body and one more line, and ends its side.
//!
//! ```text
//! {"op":"put","name":"a.bin","size":123}  123 bytes  ->  {"name":"a.bin","size":123,"sha256":"<hex>"}
//! {"op":"get","name":"a.bin"}                        ->  {"size":123}  123 bytes  {"sha256":"<hex>"}
//! {"op":"list"}                                      ->  {"files":[{"name":…,"size":…,"modified":…}],"used":…,"quota":…}
//! {"op":"delete","name":"a.bin"}                     ->  {}
//! ```
//! In place of any of these answers: `{"error":{"code":"no-such-file","message":"…"}}`. Fields that a reader does not
//! know are passed over, so that either side may learn new ones first.

use crate::digest::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Bytes of a request, and of any answer but a listing, with the line end: twice the longest name, escaped, and more.
pub(crate) const MAX_LINE: usize = 4096;

/// Bytes of a listing: 10 000 files (the store's limit) of the longest names are just below 6 MiB.
pub(crate) const MAX_LISTING: usize = 8 << 20;

/// What a client asks for. Names are as they came; only the store's own check makes them usable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Request {
    /// Store the `size` bytes that follow.
    Put { name: String, size: u64 },
    /// Send the file back.
    Get { name: String },
    /// Say what is stored.
    List,
    /// Remove the file.
    Delete { name: String },
}

/// Answers a put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
}

/// Answers a get, before the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) size: u64,
}

/// Follows the bytes of a get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trailer {
    pub(crate) sha256: Digest,
}

/// Answers a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) files: Vec<Listed>,
    pub(crate) used: u64,
    pub(crate) quota: u64,
}

/// One file of a listing; `modified` is in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: u64,
}

/// Answers a delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deleted {}

/// Answers any request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct Refusal {
    pub(crate) code: RefusalCode,
    pub(crate) message: String,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub(crate) enum RefusalCode {
    BadRequest,
    BadName,
    NoSuchFile,
    QuotaExceeded,
    TooShort,
    StorageError,
    NotPermitted,
    /// One that this version does not know.
    Other,
}

/// Why bytes are not the line that was expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("a line of more than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the stream ended too early")]
    Ended,
    #[error("an answer before the whole request")]
    Early,
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Stream(io::Error),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Line(#[from] LineError),
}

/// What tells a refusal from any other answer.
#[derive(Serialize, Deserialize)]
struct Envelope {
    error: Option<Refusal>,
}

/// One message as a line, with its end.
pub(crate) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("plain structs of text and numbers are JSON");
    line.push(b'\n');
    line
}

/// A refusal as a line, with its end.
pub(crate) fn encode_refusal(refusal: Refusal) -> Vec<u8> {
    let error = Some(refusal);
    encode(&Envelope { error })
}

/// The answer in a line: the one hoped for, or a refusal.
///
/// # Errors
/// [`AnswerError`].
pub(crate) fn decode_answer<T: DeserializeOwned>(line: &[u8]) -> Result<T, AnswerError> {
    let envelope: Envelope = serde_json::from_slice(line).map_err(LineError::from)?;
    if let Some(refusal) = envelope.error {
        return Err(refusal.into());
    }
    Ok(serde_json::from_slice(line).map_err(LineError::from)?)
}

/// Reads one line of at most `limit` bytes, and takes its end off. What follows stays in `input`.
///
/// # Errors
/// [`LineError`]; a line that the end of the stream cuts off has [`Ended`](LineError::Ended).
///
/// # Cancel safety
/// None: a call that did not resolve has lost what it read.
pub(crate) async fn read_line(
    input: &mut (impl AsyncBufRead + Unpin),
    limit: usize,
) -> Result<Vec<u8>, LineError> {
    let mut line = Vec::new();
    loop {
        let available = input.fill_buf().await.map_err(LineError::Stream)?;
        if available.is_empty() {
            return Err(LineError::Ended);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(available.len());
        if line.len() + taken >= limit {
            return Err(LineError::TooLong { limit });
        }
        line.extend_from_slice(&available[..taken]);
        input.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(line);
        }
    }
}

impl RefusalCode {
    const ALL: [(Self, &'static str); 7] = [
        (Self::BadRequest, "bad-request"),
        (Self::BadName, "bad-name"),
        (Self::NoSuchFile, "no-such-file"),
        (Self::QuotaExceeded, "quota-exceeded"),
        (Self::TooShort, "too-short"),
        (Self::StorageError, "storage-error"),
        (Self::NotPermitted, "not-permitted"),
    ];
}

impl From<String> for RefusalCode {
    fn from(name: String) -> Self {
        let known = Self::ALL.iter().find(|(_, known)| *known == name);
        known.map_or(Self::Other, |(code, _)| *code)
    }
}

impl From<RefusalCode> for &'static str {
    fn from(code: RefusalCode) -> Self {
        let known = RefusalCode::ALL.iter().find(|(known, _)| *known == code);
        known.map_or("other", |(_, name)| name)
    }
}

impl core::fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str((*self).into())
    }
}

#[cfg(test)]
mod tests;
