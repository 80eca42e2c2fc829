//! Identities and authorities, as the flags name their files.

use crate::date::unix_micros;
use crate::error::CommandError;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use stoq_native::{
    Authority, FalconKey, FalconSigner, Identity, IdentityError, SignedGrant, grant_from_pem_file,
    verifying_key_from_pem_file,
};

/// A FALCON key, and perhaps an authority's word for who holds it.
#[derive(Clone, Debug)]
pub(crate) struct FalconFiles {
    key: Arc<FalconKey>,
    grant: Option<SignedGrant>,
}

impl FalconFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CommandError`] if one is of no use, or nobody would believe the grant: it is for another key, or its time is
    /// over.
    pub(crate) fn load(key: &Path, grant: Option<&Path>) -> Result<Self, CommandError> {
        let key = FalconKey::from_pem_file(key).map_err(CommandError::Key)?;
        let grant = match grant {
            Some(path) => {
                let grant = grant_from_pem_file(path).map_err(CommandError::GrantFile)?;
                let path = path.to_owned();
                let checked = grant
                    .claim()
                    .check(unix_micros(SystemTime::now()), &key.id(), None);
                checked.map_err(|error| CommandError::GrantUnusable { path, error })?;
                Some(grant)
            }
            None => None,
        };
        let key = Arc::new(key);
        Ok(Self { key, grant })
    }

    /// An identity with a new certificate: with the names of the grant, or else with these.
    ///
    /// # Errors
    /// [`IdentityError`] if a name cannot stand in a certificate.
    pub(crate) fn identity(&self, names: &[String]) -> Result<Identity, IdentityError> {
        let signer: Arc<dyn FalconSigner> = self.key.clone();
        match &self.grant {
            Some(grant) => Identity::granted(signer, grant),
            None => Identity::falcon(signer, names),
        }
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
