//! An authority's word for an identity: whose key it is, under which names, and for how long.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::BufMut;

use crate::falcon::{BadSignature, Domain, MAX_SIGNED_LEN, SIGNATURE_LEN, Signature, VerifyingKey};
use crate::identity::FalconId;
use crate::reader::{Fault, Reader};
use crate::signed;
use crate::time::UnixMicros;
use crate::varint::VarInt;

/// What an authority vouches for: the holder of a key may speak for these names in this time.
///
/// ```text
/// version 01 · algorithm [1] · authority FalconId [32] · subject FalconId [32] · serial [8] · not before [8] · not after [8]
///   · count [1] · count × (length varint · name) · signature [1280]
/// ```
///
/// The signature is the authority's, over all that stands before it, with [`Domain::GRANT`]. Names are host names or
/// IP addresses as text, in lower case and ascending order, so that a grant has one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who vouches.
    pub authority: FalconId,
    /// For whom.
    pub subject: FalconId,
    /// A number that the authority gives once, by which it can be revoked.
    pub serial: u64,
    /// First moment at which it holds.
    pub not_before: UnixMicros,
    /// Last moment at which it holds.
    pub not_after: UnixMicros,
    /// Hosts that the subject may be; none for one that only connects to others.
    pub names: Vec<String>,
}

/// A [`Grant`] as it travels, whose signature [`verify`](Self::verify) judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGrant {
    grant: Grant,
    bytes: Vec<u8>,
    signature: Signature,
}

impl Grant {
    /// Names that one grant may have. 16: more than a host has. Eight of 20 bytes fit the first flight of a server, which has
    /// them twice in its certificate; with many more its handshakes take a second round trip.
    pub const MAX_NAMES: usize = 16;
    /// Bytes of one name: as many as DNS allows.
    pub const MAX_NAME_LEN: usize = 253;
    /// Bytes of the longest grant, its signature included: as much as a signature covers. 15 names of full length fit.
    pub const MAX_LEN: usize = MAX_SIGNED_LEN - Domain::GRANT.label().len() + SIGNATURE_LEN;

    /// What the authority signs, with [`Domain::GRANT`].
    ///
    /// # Errors
    /// [`Fault`] if the names are too many, too long together, not canonical, or not in order.
    pub fn to_be_signed(&self) -> Result<Vec<u8>, Fault> {
        check_names(&self.names)?;
        let mut out = Vec::new();
        signed::write_header(&mut out);
        out.put_slice(self.authority.as_bytes());
        out.put_slice(self.subject.as_bytes());
        out.put_u64(self.serial);
        out.put_u64(self.not_before.0);
        out.put_u64(self.not_after.0);
        out.put_u8(self.names.len() as u8);
        for name in &self.names {
            VarInt::from(name.len() as u8).encode(&mut out);
            out.put_slice(name.as_bytes());
        }
        check_len(out.len() + SIGNATURE_LEN)?;
        Ok(out)
    }

    /// Whether it holds now, for this subject, and under this name if one is given.
    ///
    /// # Errors
    /// [`GrantError`] says which of them it does not.
    pub fn check(
        &self,
        now: UnixMicros,
        subject: &FalconId,
        name: Option<&str>,
    ) -> Result<(), GrantError> {
        if self.subject != *subject {
            return Err(GrantError::Subject { got: self.subject });
        }
        if now < self.not_before {
            return Err(GrantError::NotYetValid);
        }
        if now > self.not_after {
            return Err(GrantError::Expired);
        }
        match name {
            Some(name) if !self.names.iter().any(|known| known == name) => Err(GrantError::Name {
                wanted: name.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

impl SignedGrant {
    /// Reads a grant. Nothing is verified yet.
    ///
    /// # Errors
    /// [`GrantError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GrantError> {
        let fault = GrantError::Malformed;
        check_len(bytes.len()).map_err(fault)?;
        let (body, signature) = signed::split(bytes).map_err(fault)?;
        Ok(Self {
            grant: read(body).map_err(fault)?,
            bytes: body.into(),
            signature,
        })
    }

    /// The grant with the authority's signature over [`Grant::to_be_signed`].
    ///
    /// # Errors
    /// As [`Grant::to_be_signed`].
    pub fn new(grant: Grant, signature: Signature) -> Result<Self, Fault> {
        Ok(Self {
            bytes: grant.to_be_signed()?,
            grant,
            signature,
        })
    }

    /// The only encoding of this grant.
    pub fn encode(&self) -> Vec<u8> {
        signed::join(&self.bytes, &self.signature)
    }

    /// What it says it grants, verified or not: to be shown, not to be acted on.
    pub const fn claim(&self) -> &Grant {
        &self.grant
    }

    /// What it grants, if this authority has signed it.
    ///
    /// # Errors
    /// [`GrantError::Authority`] if another is named, [`GrantError::Signature`].
    pub fn verify(&self, authority: &VerifyingKey) -> Result<&Grant, GrantError> {
        if self.grant.authority != authority.id() {
            let got = self.grant.authority;
            return Err(GrantError::Authority { got });
        }
        authority
            .verify(Domain::GRANT, &[&self.bytes], &self.signature)
            .map_err(GrantError::Signature)?;
        Ok(&self.grant)
    }
}

/// Why a grant is of no use. The message names the matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It cannot be read.
    #[error("the grant is malformed: {0}")]
    Malformed(Fault),
    /// It names another authority than the one that is trusted.
    #[error("the grant is by {got}, which is not the authority that is trusted")]
    Authority {
        /// Whom it names.
        got: FalconId,
    },
    /// The authority did not sign this.
    #[error("the grant: {0}")]
    Signature(BadSignature),
    /// It is for another key.
    #[error("the grant is for {got}, not for the key shown")]
    Subject {
        /// Whom it names.
        got: FalconId,
    },
    /// Its time has not begun.
    #[error("the grant is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the grant has expired")]
    Expired,
    /// It does not cover the host.
    #[error("the grant does not name {wanted:?}")]
    Name {
        /// The host.
        wanted: String,
    },
}

/// Whether a host name, address or authority is written as canonical encodings want it: printable ASCII without upper case.
pub(crate) fn is_canonical(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]_".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

fn check_len(got: usize) -> Result<(), Fault> {
    at_most("grant", Grant::MAX_LEN, got)
}

fn at_most(field: &'static str, limit: usize, got: usize) -> Result<(), Fault> {
    if got > limit {
        let got = got as u64;
        return Err(Fault::TooLong { field, limit, got });
    }
    Ok(())
}

fn check_names(names: &[String]) -> Result<(), Fault> {
    at_most("names", Grant::MAX_NAMES, names.len())?;
    for (at, name) in names.iter().enumerate() {
        let in_order = at == 0 || names[at - 1] < *name;
        if name.len() > Grant::MAX_NAME_LEN || !is_canonical(name) || !in_order {
            return Err(Fault::OutOfRange {
                field: "name",
                got: at as u64,
            });
        }
    }
    Ok(())
}

fn read(body: &[u8]) -> Result<Grant, Fault> {
    let mut reader = Reader::new(body);
    signed::read_header(&mut reader)?;
    let authority = FalconId::new(*reader.array()?);
    let subject = FalconId::new(*reader.array()?);
    let (serial, not_before, not_after) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let count = reader.u8()?;
    at_most("names", Grant::MAX_NAMES, count.into())?;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(reader.text("name", Grant::MAX_NAME_LEN)?.to_string());
    }
    reader.end()?;
    check_names(&names)?;
    Ok(Grant {
        authority,
        subject,
        serial,
        not_before: UnixMicros(not_before),
        not_after: UnixMicros(not_after),
        names,
    })
}
