//! Identities and authorities, as the flags name their files.

use crate::error::CommandError;
use std::path::{Path, PathBuf};
use stoq_native::{Authority, Identity, IdentitySource, verifying_key_from_pem_file};

/// The identity of a FALCON key, and perhaps an authority's word for who holds it.
///
/// # Errors
/// [`CommandError`] if a file is of no use, or nobody would believe the grant: it is for another key, or its time is over.
pub(crate) fn falcon(key: &Path, grant: Option<&Path>) -> Result<Identity, CommandError> {
    let nobody: [&str; 0] = [];
    let source = IdentitySource::falcon_file(key, nobody);
    let loaded = with_grant(source, grant.map(Path::to_owned)).load()?;
    Ok(loaded.identity().clone())
}

/// The same with the grant, if there is one.
pub(crate) fn with_grant(source: IdentitySource, grant: Option<PathBuf>) -> IdentitySource {
    match grant {
        Some(grant) => source.with_grant_file(grant),
        None => source,
    }
}

/// The authority whose public key is in the file.
///
/// # Errors
/// [`CommandError::PublicKey`].
pub(crate) fn authority(path: &Path) -> Result<Authority, CommandError> {
    let key = verifying_key_from_pem_file(path).map_err(CommandError::PublicKey)?;
    Ok(Authority::new(key))
}
