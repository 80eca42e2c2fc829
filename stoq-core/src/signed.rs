//! What grants and endpoint records have in common: bytes that begin with a version and an algorithm, and end with a signature.

use alloc::vec::Vec;

use bytes::BufMut;

use crate::falcon::{BadSignature, SIGNATURE_LEN, Signature};
use crate::identity::SignatureAlgorithm;
use crate::reader::{Fault, Reader};

/// Takes the signature from the end.
pub(crate) fn split(bytes: &[u8]) -> Result<(&[u8], Signature), Fault> {
    let body = bytes.len().saturating_sub(SIGNATURE_LEN);
    let (body, signature) = bytes.split_at(body);
    match Signature::try_from(signature) {
        Ok(signature) => Ok((body, signature)),
        Err(BadSignature) => Err(Fault::Truncated {
            wanted: SIGNATURE_LEN as u64,
            left: signature.len(),
        }),
    }
}

/// Puts it there.
pub(crate) fn join(body: &[u8], signature: &Signature) -> Vec<u8> {
    [body, signature.as_bytes()].concat()
}

/// Reads what stands in front of every body.
pub(crate) fn read_header(reader: &mut Reader<'_>) -> Result<(), Fault> {
    for (field, expected) in [
        ("version", VERSION),
        ("algorithm", SignatureAlgorithm::FALCON_PADDED_1024.0),
    ] {
        let got = reader.u8()?;
        if got != expected {
            let got = got.into();
            return Err(Fault::OutOfRange { field, got });
        }
    }
    Ok(())
}

/// Appends it.
pub(crate) fn write_header(out: &mut impl BufMut) {
    out.put_u8(VERSION);
    out.put_u8(SignatureAlgorithm::FALCON_PADDED_1024.0);
}

const VERSION: u8 = 1;
