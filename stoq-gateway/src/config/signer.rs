//! The holder of the gateway's FALCON key.

use std::sync::Arc;

use stoq_native::{FalconId, FalconSigner};

/// Signs for the gateway: with a [`FalconKey`](stoq_native::FalconKey), or through a device that never gives its key away.
///
/// Two of them are equal if they sign for the same identity.
#[derive(Clone, Debug)]
pub struct Signer(Arc<dyn FalconSigner>);

impl Signer {
    /// What signs. It is called a few times a day, and never on a thread that serves sessions, so it may take its time; as
    /// long as it takes, no certificate is replaced.
    pub fn new(signer: Arc<dyn FalconSigner>) -> Self {
        Self(signer)
    }

    /// For whom it signs.
    pub fn id(&self) -> FalconId {
        self.0.verifying_key().id()
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
