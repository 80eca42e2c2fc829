//! The certificates of `stoq serve`: what they are made of, and how they are named.

use crate::digest::Digest;
use crate::identity::with_grant;
use core::fmt;
use std::path::PathBuf;
use stoq_native::{Identity, IdentitySource};

/// What the server's identity is made of. `files` are a certificate chain and its private key; without them, a certificate for
/// development is made.
pub(crate) fn source(
    files: Option<(PathBuf, PathBuf)>,
    names: Vec<String>,
    falcon_key: Option<PathBuf>,
    grant: Option<PathBuf>,
) -> IdentitySource {
    let classical = match files {
        Some((chain, key)) => IdentitySource::pem_files(chain, key),
        None => IdentitySource::self_signed(names.clone()),
    };
    match falcon_key {
        Some(key) => with_grant(classical.with_falcon_file(key, names), grant),
        None => classical,
    }
}

/// ` certificate-hash <hex>` for each certificate, the classical one first, and ` falcon-id <identity>` if there is one.
pub(crate) struct Summary<'a>(pub(crate) &'a Identity);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hash in self.0.certificate_hashes() {
            write!(f, " certificate-hash {}", Digest(hash))?;
        }
        match self.0.falcon_id() {
            Some(id) => write!(f, " falcon-id {id}"),
            None => Ok(()),
        }
    }
}
