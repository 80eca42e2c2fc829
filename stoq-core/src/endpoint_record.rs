//! What a gateway publishes of itself, signed, so that a browser that knows its [`FalconId`] knows its certificates.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use bytes::BufMut;

use crate::falcon::{
    BadKey, BadSignature, Domain, MAX_SIGNED_LEN, SIGNATURE_LEN, Signature, VerifyingKey,
};
use crate::grant::is_canonical;
use crate::identity::FalconId;
use crate::reader::{Fault, Reader};
use crate::signed;
use crate::time::UnixMicros;
use crate::varint::VarInt;

/// Which certificates a gateway has, in its own word.
///
/// ```text
/// version 01 · algorithm [1] · public key [1793] · serial [8] · not before [8] · expiry [8]
///   · length varint · authority · count [1] · count × SHA-256 of a certificate [32] · signature [1280]
/// ```
///
/// The signature is by the key that the record holds, over all that stands before it, with [`Domain::ENDPOINT_RECORD`]. So a
/// record proves nothing but that the holder of that key wrote it: who reads it must know the key's [`FalconId`] already.
///
/// It authenticates what was published, not the connection: whoever breaks the classical key of a listed certificate can
/// still pose as the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRecord {
    /// Of which gateway: `host:port`, lower case, the port always there.
    pub authority: String,
    /// A later record has a higher one: a reader that has seen a higher one refuses this.
    pub serial: u64,
    /// First moment at which it holds.
    pub not_before: UnixMicros,
    /// Last moment at which it holds.
    pub expiry: UnixMicros,
    /// SHA-256 of each certificate in DER, from one to [`MAX_HASHES`](Self::MAX_HASHES), the newest first.
    pub certificate_hashes: Vec<[u8; 32]>,
}

/// An [`EndpointRecord`] as it travels, whose signature [`verify`](Self::verify) judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEndpointRecord {
    record: EndpointRecord,
    key: VerifyingKey,
    bytes: Vec<u8>,
    signature: Signature,
}

impl EndpointRecord {
    /// Certificates of one record. 32: one a day for the 13 days that each lives, and room for several machines.
    pub const MAX_HASHES: usize = 32;
    /// Bytes of the authority: a DNS name, a colon and a port.
    pub const MAX_AUTHORITY_LEN: usize = 253 + 6;
    /// Bytes of the longest record.
    pub const MAX_LEN: usize =
        MAX_SIGNED_LEN - Domain::ENDPOINT_RECORD.label().len() + SIGNATURE_LEN;
    /// Where a gateway serves it (RFC 8615).
    pub const PATH: &str = "/.well-known/stoq/endpoint";

    /// Whether this can stand as a record's [`authority`](Self::authority): neither too long nor with bytes that have
    /// another spelling. That there is a host and a port in it is for who writes it.
    pub fn is_authority(text: &str) -> bool {
        text.len() <= Self::MAX_AUTHORITY_LEN && is_canonical(text)
    }

    /// What the gateway signs with its key, with [`Domain::ENDPOINT_RECORD`].
    ///
    /// # Errors
    /// [`Fault`] if the authority is not canonical, or there are no hashes or too many.
    pub fn to_be_signed(&self, key: &VerifyingKey) -> Result<Vec<u8>, Fault> {
        self.check_form()?;
        let mut out = Vec::new();
        signed::write_header(&mut out);
        out.put_slice(key.as_bytes());
        out.put_u64(self.serial);
        out.put_u64(self.not_before.0);
        out.put_u64(self.expiry.0);
        VarInt::from(self.authority.len() as u16).encode(&mut out);
        out.put_slice(self.authority.as_bytes());
        out.put_u8(self.certificate_hashes.len() as u8);
        for hash in &self.certificate_hashes {
            out.put_slice(hash);
        }
        Ok(out)
    }

    /// Whether it holds now, for this gateway, and is no older than the last one that was seen of it.
    ///
    /// # Errors
    /// [`EndpointRecordError`] says which of them it does not.
    pub fn check(
        &self,
        now: UnixMicros,
        authority: &str,
        last_serial: Option<u64>,
    ) -> Result<(), EndpointRecordError> {
        if self.authority != authority {
            return Err(EndpointRecordError::Authority {
                got: self.authority.clone(),
                wanted: authority.to_string(),
            });
        }
        if now < self.not_before {
            return Err(EndpointRecordError::NotYetValid);
        }
        if now > self.expiry {
            return Err(EndpointRecordError::Expired);
        }
        match last_serial {
            Some(last) if self.serial < last => Err(EndpointRecordError::Serial {
                got: self.serial,
                last,
            }),
            _ => Ok(()),
        }
    }

    fn check_form(&self) -> Result<(), Fault> {
        let authority = &self.authority;
        if !Self::is_authority(authority) {
            return Err(Fault::OutOfRange {
                field: "authority",
                got: authority.len() as u64,
            });
        }
        match self.certificate_hashes.len() {
            1..=Self::MAX_HASHES => Ok(()),
            got => Err(Fault::OutOfRange {
                field: "certificate hashes",
                got: got as u64,
            }),
        }
    }
}

impl SignedEndpointRecord {
    /// Reads a record. Nothing is verified yet.
    ///
    /// # Errors
    /// [`EndpointRecordError::Malformed`], [`EndpointRecordError::Key`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EndpointRecordError> {
        let fault = EndpointRecordError::Malformed;
        if bytes.len() > EndpointRecord::MAX_LEN {
            return Err(fault(Fault::TooLong {
                field: "record",
                limit: EndpointRecord::MAX_LEN,
                got: bytes.len() as u64,
            }));
        }
        let (body, signature) = signed::split(bytes).map_err(fault)?;
        let (record, key) = read(body).map_err(fault)?;
        record.check_form().map_err(fault)?;
        Ok(Self {
            record,
            key: VerifyingKey::from_bytes(key).map_err(EndpointRecordError::Key)?,
            bytes: body.into(),
            signature,
        })
    }

    /// The record with the gateway's signature over [`EndpointRecord::to_be_signed`].
    ///
    /// # Errors
    /// As [`EndpointRecord::to_be_signed`].
    pub fn new(
        record: EndpointRecord,
        key: VerifyingKey,
        signature: Signature,
    ) -> Result<Self, Fault> {
        Ok(Self {
            bytes: record.to_be_signed(&key)?,
            record,
            key,
            signature,
        })
    }

    /// The only encoding of this record.
    pub fn encode(&self) -> Vec<u8> {
        signed::join(&self.bytes, &self.signature)
    }

    /// What it says, verified or not: to be shown, not to be acted on.
    pub const fn claim(&self) -> &EndpointRecord {
        &self.record
    }

    /// Who says that it wrote this.
    pub const fn signer(&self) -> FalconId {
        self.key.id()
    }

    /// What it says, if one of the pinned identities has signed it.
    ///
    /// # Errors
    /// [`EndpointRecordError::NotPinned`], [`EndpointRecordError::Signature`].
    pub fn verify(&self, pins: &[FalconId]) -> Result<&EndpointRecord, EndpointRecordError> {
        let got = self.signer();
        if !pins.contains(&got) {
            return Err(EndpointRecordError::NotPinned { got });
        }
        self.key
            .verify(Domain::ENDPOINT_RECORD, &[&self.bytes], &self.signature)
            .map_err(EndpointRecordError::Signature)?;
        Ok(&self.record)
    }
}

/// Why an endpoint record is of no use. The message names the matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRecordError {
    /// It cannot be read.
    #[error("the endpoint record is malformed: {0}")]
    Malformed(Fault),
    /// Its key is none.
    #[error("the endpoint record: {0}")]
    Key(BadKey),
    /// It is by somebody else.
    #[error("the endpoint record is by {got}, which is not pinned")]
    NotPinned {
        /// Who says that it wrote it.
        got: FalconId,
    },
    /// The key that it holds did not sign it.
    #[error("the endpoint record: {0}")]
    Signature(BadSignature),
    /// It is for another gateway.
    #[error("the endpoint record is for \"{got}\", not for \"{wanted}\"")]
    Authority {
        /// For whom it is.
        got: String,
        /// Who was meant.
        wanted: String,
    },
    /// Its time has not begun.
    #[error("the endpoint record is not valid yet (is this machine's clock right?)")]
    NotYetValid,
    /// Its time is over.
    #[error("the endpoint record has expired")]
    Expired,
    /// A later one has been seen.
    #[error(
        "the endpoint record has serial {got}, one with {last} has been seen: it is an old one, served again"
    )]
    Serial {
        /// Its serial.
        got: u64,
        /// The highest seen.
        last: u64,
    },
}

fn read(body: &[u8]) -> Result<(EndpointRecord, &[u8; 1793]), Fault> {
    let mut reader = Reader::new(body);
    signed::read_header(&mut reader)?;
    let key = reader.array()?;
    let (serial, not_before, expiry) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let authority = reader.text("authority", EndpointRecord::MAX_AUTHORITY_LEN)?;
    let count = reader.u8()?;
    let mut certificate_hashes = Vec::new();
    for _ in 0..count {
        certificate_hashes.push(*reader.array()?);
    }
    reader.end()?;
    let record = EndpointRecord {
        authority: authority.to_string(),
        serial,
        not_before: UnixMicros(not_before),
        expiry: UnixMicros(expiry),
        certificate_hashes,
    };
    Ok((record, key))
}
