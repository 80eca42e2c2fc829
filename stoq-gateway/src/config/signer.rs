//! The holder of the gateway's FALCON key.

use std::sync::Arc;

use stoq_native::{FalconId, FalconSigner, Identity};

/// Signs for the gateway: with a [`FalconKey`](stoq_native::FalconKey), or through a device that never gives its key away.
///
/// Two of them are equal if they sign for the same identity.
#[derive(Clone, Debug)]
pub struct Signer(Arc<dyn FalconSigner>);

impl Signer {
    /// What signs. For endpoint records it is called a few times a day, and never on a thread that serves sessions, so it may
    /// take its time; as long as it takes, no certificate is replaced. It also signs each handshake with a service that asks
    /// who the gateway is, and with native peers of its [`relay`](super::Config::relay), on the threads that serve sessions.
    pub fn new(signer: Arc<dyn FalconSigner>) -> Self {
        Self(signer)
    }

    /// For whom it signs.
    pub fn id(&self) -> FalconId {
        self.0.verifying_key().id()
    }

    /// What the gateway shows to services and native peers that ask who it is.
    pub(crate) fn identity(&self) -> Identity {
        let identity = Identity::falcon(self.0.clone(), [""; 0]);
        identity.expect("there is no name that could be wrong")
    }

    /// What signs.
    pub fn falcon(&self) -> &Arc<dyn FalconSigner> {
        &self.0
    }
}

impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Signer {}
