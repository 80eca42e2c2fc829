//! Verified streams, with nobody between the ends and with a relay that does what it can.

mod datagrams;
mod ending;
mod hostile;
mod plain;
mod relay;

use std::sync::{Arc, LazyLock};

use stoq_native::{ChannelConfig, FalconKey, FalconSigner};

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
