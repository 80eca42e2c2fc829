use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoq_core::hash::Sha256;

use super::{Identity, IdentityError};
use crate::clock;
use crate::falcon::{FalconKey, FalconSigner as _};
use crate::grant_file::grant_from_pem_file;

/// What an [`Identity`] is made of, so that it can be made again: names for certificates that are made here, and files.
///
/// ```no_run
/// use stoq_native::{Endpoint, IdentitySource, RotationConfig, ServerConfig};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let loaded = IdentitySource::pem_files("chain.pem", "key.pem").load()?;
/// let config = ServerConfig::new(loaded.identity().clone());
/// let server = Endpoint::server("[::]:4433".parse()?, config)?;
/// // From now on files that change are seen. Keep it as long as the server.
/// let rotation = server.rotate(loaded, RotationConfig::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IdentitySource {
    classical: Option<Classical>,
    falcon: Option<Falcon>,
}

#[derive(Clone, Debug)]
enum Classical {
    SelfSigned { names: Vec<String> },
    Files { chain: PathBuf, key: PathBuf },
}

#[derive(Clone, Debug)]
struct Falcon {
    key: PathBuf,
    names: Vec<String>,
    grant: Option<PathBuf>,
}

impl IdentitySource {
    /// A certificate for these names that is made here, as [`Identity::self_signed`] does: another each time.
    pub fn self_signed<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self {
            classical: Some(Classical::SelfSigned { names }),
            falcon: None,
        }
    }

    /// A certificate chain and its private key, as [`Identity::from_pem_files`] reads them.
    pub fn pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let (chain, key) = (chain.into(), key.into());
        Self {
            classical: Some(Classical::Files { chain, key }),
            falcon: None,
        }
    }

    /// A FALCON key ([`FalconKey::write_pem_file`](crate::FalconKey::write_pem_file)) and nothing beside. Its certificate is made here, for these names; with a
    /// [grant](Self::with_grant_file), for the grant's.
    pub fn falcon_file<N: Into<String>>(
        key: impl Into<PathBuf>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let nothing = Self {
            classical: None,
            falcon: None,
        };
        nothing.with_falcon_file(key, names)
    }

    /// This, and a FALCON key as [`falcon_file`](Self::falcon_file) takes it.
    #[must_use]
    pub fn with_falcon_file<N: Into<String>>(
        self,
        key: impl Into<PathBuf>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let falcon = Falcon {
            key: key.into(),
            names: names.into_iter().map(Into::into).collect(),
            grant: None,
        };
        Self {
            falcon: Some(falcon),
            ..self
        }
    }

    /// This, and an authority's grant for the FALCON key ([`grant_to_pem`](crate::grant_to_pem)). Without a FALCON key it is left aside.
    #[must_use]
    pub fn with_grant_file(mut self, grant: impl Into<PathBuf>) -> Self {
        if let Some(falcon) = &mut self.falcon {
            falcon.grant = Some(grant.into());
        }
        self
    }

    /// Reads the files, and makes what is made here. Blocks on files; takes milliseconds.
    ///
    /// # Errors
    /// [`IdentityError`] if a file cannot be read or is of no use, or a name cannot stand in a certificate.
    pub fn load(self) -> Result<LoadedIdentity, IdentityError> {
        // Before: what changes meanwhile will have changed since.
        let seen = self.fingerprint();
        let identity = self.make()?;
        Ok(LoadedIdentity {
            source: self,
            identity,
            seen,
        })
    }

    /// A hash of what the files hold now; `None` if one cannot be read. To see a change by content is sure where times are not:
    /// files that are copied with their times, links that are turned to another file. Blocks on files.
    #[doc(hidden)]
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        let mut hash = Sha256::new();
        for file in self.files() {
            let content = zeroize::Zeroizing::new(fs::read(file).ok()?);
            hash.update(&(content.len() as u64).to_be_bytes());
            hash.update(&content);
        }
        Some(hash.finish())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let classical = match &self.classical {
            Some(Classical::Files { chain, key }) => [Some(chain), Some(key)],
            _ => [None, None],
        };
        let falcon = self.falcon.iter();
        let falcon = falcon.flat_map(|falcon| [Some(&falcon.key), falcon.grant.as_ref()]);
        let all = classical.into_iter().chain(falcon);
        all.flatten().map(PathBuf::as_path)
    }

    /// Whether a certificate for trust by hash or by name is made here, which has an end.
    pub(super) fn is_self_signed(&self) -> bool {
        matches!(self.classical, Some(Classical::SelfSigned { .. }))
    }

    /// Whether each making makes another certificate.
    pub(super) fn makes_certificates(&self) -> bool {
        self.is_self_signed() || self.falcon.is_some()
    }

    pub(super) fn make(&self) -> Result<Identity, IdentityError> {
        let falcon = self.falcon.as_ref().map(Falcon::make).transpose()?;
        let classical = match &self.classical {
            Some(Classical::SelfSigned { names }) => Some(Identity::self_signed(names.clone())?),
            Some(Classical::Files { chain, key }) => Some(Identity::from_pem_files(chain, key)?),
            None => None,
        };
        Ok(match (classical, falcon) {
            (Some(classical), Some(falcon)) => classical.with_falcon(falcon),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => unreachable!("every constructor names one of them"),
        })
    }
}

impl Falcon {
    fn make(&self) -> Result<Identity, IdentityError> {
        let key = FalconKey::from_pem_file(&self.key).map_err(IdentityError::FalconKey)?;
        let key = Arc::new(key);
        let Some(path) = &self.grant else {
            return Identity::falcon(key, self.names.iter().cloned());
        };
        let grant = grant_from_pem_file(path).map_err(IdentityError::GrantFile)?;
        let id = key.verifying_key().id();
        let checked = grant.claim().check(clock::now(), &id, None);
        checked.map_err(|error| IdentityError::GrantUnusable {
            path: path.clone(),
            error,
        })?;
        Identity::granted(key, &grant)
    }
}

/// An identity, and what it was made of: for [`Endpoint::rotate`](crate::Endpoint::rotate).
#[derive(Clone, Debug)]
pub struct LoadedIdentity {
    pub(super) source: IdentitySource,
    pub(super) identity: Identity,
    /// What the files held just before they were read.
    pub(super) seen: Option<[u8; 32]>,
}

impl LoadedIdentity {
    /// The identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}
