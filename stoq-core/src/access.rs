//! Access tokens: what an issuer permits the one who presents it, at one verifier, for one service, for a time.
//!
//! ```text
//!   issuer, with its FALCON key ──▶ AccessToken ──▶ SignedAccessToken ──▶ "stoqt1…", or bytes in SETTINGS or HEADERS
//!
//!   bytes ──▶ Verifier::admit ──▶ Access: subject, permissions; with a holder key, it holds once a proof has come
//!                    ▲            (Access::check_proof)
//!          issuers, revoked nonces, the time
//! ```
//!
//! Nothing is asked of the issuer: who knows its key verifies offline. These tokens have nothing to do with the TOKEN frames
//! that vouch for packets.

mod budget;
mod error;
mod holder;
mod nonce;
mod verifier;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::str::FromStr;
use core::time::Duration;

use bytes::{BufMut, Bytes};

pub use budget::VerificationBudget;
pub use error::AccessError;
pub use holder::{HolderKey, HolderProof, InvalidHolderKey, TokenHash, proof_message};
pub use nonce::{InvalidNonce, InvalidRevocations, Nonce, Revocations};
pub use verifier::{Access, Verifier};

use crate::base64url;
use crate::falcon::{Domain, SIGNATURE_LEN, Signature};
use crate::hash::Sha256;
use crate::identity::FalconId;
use crate::reader::{Fault, Reader};
use crate::service::ServiceName;
use crate::signed;
use crate::time::UnixMicros;
use crate::varint::VarInt;

/// What an issuer permits.
///
/// ```text
/// version 01 · algorithm [1] · issuer FalconId [32] · audience FalconId [32] · nonce [16] · not before [8] · expiry [8]
///   · holder key: 00, or a compressed point of P-256, 02|03 and its x [33]
///   · subject: length varint · UTF-8 [1..128] · service: length varint · name [1..63]
///   · count [1] · count × (length varint · permission [1..32]) · signature [1280]
/// ```
///
/// The signature is the issuer's, over all that stands before it, with [`Domain::ACCESS_TOKEN`]. Permissions stand in ascending
/// order, each once, so that a token has one encoding.
///
/// A token is for one verifier and one service, and there is no word for all of them: who needs more presents more tokens.
/// So a verifier that is broken into holds nothing that is worth anything elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Who permits.
    pub issuer: FalconId,
    /// The verifier that it is for: a server, or a gateway.
    pub audience: FalconId,
    /// A number that the issuer gives once, at random, by which the token can be revoked.
    pub nonce: Nonce,
    /// First moment at which it holds.
    pub not_before: UnixMicros,
    /// Last moment at which it holds.
    pub expiry: UnixMicros,
    /// Whose proof must come with it. Without one it is a bearer token: whoever sees it can use it, a gateway on the path too,
    /// so it lives [`MAX_BEARER_LIFE`](Self::MAX_BEARER_LIFE) at most.
    pub holder: Option<HolderKey>,
    /// Who is permitted, as the issuer names them: 1 to [`MAX_SUBJECT_LEN`](Self::MAX_SUBJECT_LEN) bytes of text without
    /// control characters.
    pub subject: String,
    /// The service that it is for.
    pub service: ServiceName,
    /// What is permitted: words whose meaning is the service's, in ascending order; at least one.
    pub permissions: Vec<String>,
}

/// An [`AccessToken`] as it travels. [`Verifier`] judges it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAccessToken {
    token: AccessToken,
    bytes: Vec<u8>,
    signature: Signature,
}

impl AccessToken {
    /// How long a token without a holder key may live, from its first moment to its last: five minutes. That is time to
    /// connect in, and little time for who has stolen it.
    pub const MAX_BEARER_LIFE: Duration = Duration::from_secs(5 * 60);
    /// Bytes of a subject: a UUID, an e-mail address of usual length, the text of a FalconId.
    pub const MAX_SUBJECT_LEN: usize = 128;
    /// Permissions of a token: more verbs than a service has.
    pub const MAX_PERMISSIONS: usize = 16;
    /// Bytes of a permission: a word or two.
    pub const MAX_PERMISSION_LEN: usize = 32;
    /// Bytes of the longest token, every field at its longest. Three of them fit SETTINGS, and four of usual length.
    pub const MAX_LEN: usize = 2
        + 32
        + 32
        + 16
        + 8
        + 8
        + HolderKey::LEN
        + (2 + Self::MAX_SUBJECT_LEN)
        + (1 + ServiceName::MAX_LEN)
        + (1 + Self::MAX_PERMISSIONS * (1 + Self::MAX_PERMISSION_LEN))
        + SIGNATURE_LEN;

    /// Whether this can stand as a permission: 1 to [`MAX_PERMISSION_LEN`](Self::MAX_PERMISSION_LEN) of `a-z 0-9 . : _ -`, the
    /// first one a letter or a digit.
    pub fn is_permission(word: &str) -> bool {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".:_-".contains(&byte)
        };
        word.len() <= Self::MAX_PERMISSION_LEN
            && word.starts_with(|first: char| first.is_ascii_alphanumeric())
            && word.bytes().all(allowed)
    }

    /// Whether this can stand as a subject.
    pub fn is_subject(text: &str) -> bool {
        (1..=Self::MAX_SUBJECT_LEN).contains(&text.len()) && !text.contains(char::is_control)
    }

    /// From its first moment to its last; zero if the last comes first.
    pub const fn life(&self) -> Duration {
        Duration::from_micros(self.expiry.0.saturating_sub(self.not_before.0))
    }

    /// Whether it is a bearer token that lives longer than one may. It can be read and shown, and no [`Verifier`] takes it.
    pub fn is_bearer_for_too_long(&self) -> bool {
        self.holder.is_none() && self.life() > Self::MAX_BEARER_LIFE
    }

    /// What the issuer signs, with [`Domain::ACCESS_TOKEN`].
    ///
    /// # Errors
    /// [`Fault`] if the subject or a permission cannot stand as one, or the permissions are none, too many, or not in order.
    pub fn to_be_signed(&self) -> Result<Vec<u8>, Fault> {
        self.check()?;
        let mut out = Vec::new();
        signed::write_header(&mut out);
        out.put_slice(self.issuer.as_bytes());
        out.put_slice(self.audience.as_bytes());
        out.put_slice(self.nonce.as_bytes());
        out.put_u64(self.not_before.0);
        out.put_u64(self.expiry.0);
        match &self.holder {
            Some(key) => out.put_slice(key.as_bytes()),
            None => out.put_u8(NO_HOLDER),
        }
        put_text(&self.subject, &mut out);
        put_text(self.service.as_str(), &mut out);
        out.put_u8(self.permissions.len() as u8);
        for permission in &self.permissions {
            put_text(permission, &mut out);
        }
        Ok(out)
    }

    fn read(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        signed::read_header(&mut reader)?;
        let token = Self {
            issuer: FalconId::new(*reader.array()?),
            audience: FalconId::new(*reader.array()?),
            nonce: Nonce::new(*reader.array()?),
            not_before: UnixMicros(reader.u64()?),
            expiry: UnixMicros(reader.u64()?),
            holder: read_holder(&mut reader)?,
            subject: reader.text("subject", Self::MAX_SUBJECT_LEN)?.to_string(),
            service: read_service(&mut reader)?,
            permissions: read_permissions(&mut reader)?,
        };
        reader.end()?;
        token.check()?;
        Ok(token)
    }

    fn check(&self) -> Result<(), Fault> {
        if !Self::is_subject(&self.subject) {
            return Err(Fault::OutOfRange {
                field: "subject",
                got: self.subject.len() as u64,
            });
        }
        check_count(self.permissions.len())?;
        for (at, word) in self.permissions.iter().enumerate() {
            let in_order = at == 0 || self.permissions[at - 1] < *word;
            if !Self::is_permission(word) || !in_order {
                return Err(Fault::OutOfRange {
                    field: "permission",
                    got: at as u64,
                });
            }
        }
        Ok(())
    }
}

impl SignedAccessToken {
    /// Reads a token. Nothing is verified yet, nor whether the holder's key is a point of its curve: to know that takes 30 µs, which
    /// a stranger's bytes are not worth.
    ///
    /// # Errors
    /// [`Fault`] if these are not exactly the bytes of a token.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > AccessToken::MAX_LEN {
            return Err(Fault::TooLong {
                field: "access token",
                limit: AccessToken::MAX_LEN,
                got: bytes.len() as u64,
            });
        }
        let (body, signature) = signed::split(bytes)?;
        Ok(Self {
            token: AccessToken::read(body)?,
            bytes: body.into(),
            signature,
        })
    }

    /// The token with the issuer's signature over [`AccessToken::to_be_signed`].
    ///
    /// # Errors
    /// As [`AccessToken::to_be_signed`].
    pub fn new(token: AccessToken, signature: Signature) -> Result<Self, Fault> {
        Ok(Self {
            bytes: token.to_be_signed()?,
            token,
            signature,
        })
    }

    /// The only encoding of this token.
    pub fn encode(&self) -> Vec<u8> {
        signed::join(&self.bytes, &self.signature)
    }

    /// What it says, verified or not: to be shown, not to be acted on.
    pub const fn claim(&self) -> &AccessToken {
        &self.token
    }

    /// Those of `tokens` that somebody who passes them on hands to the next: it keeps the ones that say that they are for `own`
    /// to itself, and passes on what it cannot read.
    pub fn for_others(tokens: &[Bytes], own: FalconId) -> Vec<Bytes> {
        let ours =
            |token: &Bytes| Self::decode(token).is_ok_and(|signed| signed.token.audience == own);
        let others = tokens.iter().filter(|token| !ours(token));
        others.cloned().collect()
    }

    /// The hash of its bytes, by which AUTH frames name it.
    pub fn hash(&self) -> TokenHash {
        let mut hash = Sha256::new();
        hash.update(&self.bytes);
        hash.update(self.signature.as_bytes());
        TokenHash::new(hash.finish())
    }

    /// The text form, for files and people: `stoqt1` and the bytes in base64url without padding ([RFC 4648, section 5]).
    ///
    /// [RFC 4648, section 5]: https://www.rfc-editor.org/rfc/rfc4648#section-5
    pub fn to_text(&self) -> String {
        let mut text = String::from(PREFIX);
        base64url::encode(&self.encode(), &mut text);
        text
    }
}

/// Reads the text form, in which each token has one spelling: nothing may stand around it, and padding and spare bits are
/// refused.
impl FromStr for SignedAccessToken {
    type Err = InvalidTokenText;

    fn from_str(text: &str) -> Result<Self, InvalidTokenText> {
        let characters = text.strip_prefix(PREFIX).ok_or(InvalidTokenText::Text)?;
        if characters.len() > AccessToken::MAX_LEN.div_ceil(3) * 4 {
            return Err(InvalidTokenText::Text);
        }
        let bytes = base64url::decode(characters).ok_or(InvalidTokenText::Text)?;
        Self::decode(&bytes).map_err(InvalidTokenText::Token)
    }
}

/// A text is not an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokenText {
    /// It is not spelled as one.
    #[error("an access token is {PREFIX} and characters of A-Z, a-z, 0-9, - and _")]
    Text,
    /// The bytes that it spells are none.
    #[error("the access token is malformed: {0}")]
    Token(Fault),
}

fn read_holder(reader: &mut Reader<'_>) -> Result<Option<HolderKey>, Fault> {
    match reader.u8()? {
        NO_HOLDER => Ok(None),
        sign @ (2 | 3) => {
            let x: &[u8; 32] = reader.array()?;
            let mut point = [sign; HolderKey::LEN];
            point[1..].copy_from_slice(x);
            Ok(Some(HolderKey::unchecked(point)))
        }
        got => Err(no_holder_key(got)),
    }
}

fn no_holder_key(first: u8) -> Fault {
    Fault::OutOfRange {
        field: "holder key",
        got: first.into(),
    }
}

fn read_service(reader: &mut Reader<'_>) -> Result<ServiceName, Fault> {
    let name = reader.text("service", ServiceName::MAX_LEN)?;
    ServiceName::new(name).map_err(|_| Fault::OutOfRange {
        field: "service",
        got: name.len() as u64,
    })
}

fn read_permissions(reader: &mut Reader<'_>) -> Result<Vec<String>, Fault> {
    let count = reader.u8()?;
    check_count(count.into())?;
    (0..count)
        .map(|_| {
            let word = reader.text("permission", AccessToken::MAX_PERMISSION_LEN)?;
            Ok(word.to_string())
        })
        .collect()
}

fn check_count(got: usize) -> Result<(), Fault> {
    if (1..=AccessToken::MAX_PERMISSIONS).contains(&got) {
        return Ok(());
    }
    Err(Fault::OutOfRange {
        field: "number of permissions",
        got: got as u64,
    })
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    VarInt::from(text.len() as u8).encode(out);
    out.put_slice(text.as_bytes());
}

const PREFIX: &str = "stoqt1";
const NO_HOLDER: u8 = 0;
/// A relay passes tokens on that it cannot read, and bounds them without.
const _: () = assert!(AccessToken::MAX_LEN <= 4096);
const _: () = assert!(
    AccessToken::MAX_LEN - SIGNATURE_LEN + Domain::ACCESS_TOKEN.label().len()
        <= crate::falcon::MAX_SIGNED_LEN
);
