//! Verified streams, with nobody between the ends and with a relay that does what it can.

mod announced;
mod datagrams;
mod ending;
mod hostile;
mod plain;
mod relay;

use std::sync::{Arc, LazyLock};

use stoq_native::{
    ChannelConfig, Domain, FalconKey, FalconSigner, SignError, Signature, VerifyingKey,
};

static ORIGIN: LazyLock<Arc<FalconKey>> = LazyLock::new(|| Arc::new(FalconKey::generate()));
static OTHER: LazyLock<Arc<FalconKey>> = LazyLock::new(|| Arc::new(FalconKey::generate()));

/// What this key sends is signed.
fn signing(key: &Arc<FalconKey>) -> ChannelConfig {
    let signer: Arc<dyn FalconSigner> = key.clone();
    ChannelConfig::default().signed_by(signer)
}

/// What is received must be this key's.
fn trusting(key: &FalconKey) -> ChannelConfig {
    ChannelConfig::default().from_origins([key.id()])
}

/// What is sent is to be signed, but the key is lost.
fn signed_by_none() -> ChannelConfig {
    let key = ORIGIN.verifying_key().clone();
    ChannelConfig::default().signed_by(Arc::new(Broken(key)))
}

/// A device that has lost its key.
#[derive(Debug)]
struct Broken(VerifyingKey);

impl FalconSigner for Broken {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.0
    }

    fn sign(&self, _: Domain, _: &[&[u8]]) -> Result<Signature, SignError> {
        Err(SignError::Device("no key".into()))
    }
}
