use std::sync::Arc;

use super::{Endpoint, Role};
use crate::config::ConfigError;
use crate::identity::{self, LoadedIdentity, Rotation, RotationConfig};

impl Endpoint {
    /// A server's: shows new connections a new identity whenever its files have changed, and in time where certificates are made here.
    /// Connections that run go on with the one that they began with; of sessions that were agreed under it none is resumed.
    ///
    /// `loaded` is what the server was made with. What is found and is of no use leaves the identity as it is: files that are being
    /// written, a key that is not the certificate's, a certificate whose time is over. The log says so, the counter
    /// `stoq_identity_rotations_total` and [`Rotation`] too. It holds no handle of the endpoint, and ends when it is dropped.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`RotateError`] if this is a client's endpoint, a setting cannot work, or there is no runtime.
    pub fn rotate(
        &self,
        loaded: LoadedIdentity,
        config: RotationConfig,
    ) -> Result<Rotation, RotateError> {
        let Role::Server(_) = &self.0.role else {
            return Err(RotateError::WrongRole);
        };
        tokio::runtime::Handle::try_current().map_err(|_| RotateError::NoRuntime)?;
        let endpoint = Arc::downgrade(&self.0);
        identity::rotate(loaded, config, move |identity| {
            let endpoint = endpoint.upgrade().map(Self);
            endpoint.is_some_and(|endpoint| endpoint.set_identity(identity).is_ok())
        })
        .map_err(RotateError::Config)
    }
}

/// An identity cannot be rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(ConfigError),
    /// Only servers show an identity to whoever comes.
    #[error("a client's endpoint has no identity to rotate")]
    WrongRole,
    /// The caller is not within a tokio runtime.
    #[error("not within a tokio runtime")]
    NoRuntime,
}
