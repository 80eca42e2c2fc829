//! A FALCON key that counts how often it signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stoq_native::{
    Domain, FalconId, FalconSigner, Identity, Pins, ServerConfig, SignError, Signature,
    VerifyingKey,
};

use super::certificates::{Time, classical};
use super::table::KNOWN;

#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicUsize);

impl Counting {
    /// Signatures made so far.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A server that signs with it, or classically.
    pub(crate) fn server() -> (Arc<Self>, ServerConfig) {
        let signer = Arc::<Self>::default();
        let falcon = Identity::falcon(signer.clone(), ["localhost"]).unwrap();
        let identity = classical(Time::Now, None).with_falcon(falcon);
        (signer, ServerConfig::new(identity))
    }

    pub(crate) fn id() -> FalconId {
        KNOWN.id()
    }

    /// Trust in it at this address.
    pub(crate) fn pins(address: std::net::SocketAddr) -> Pins {
        Pins::new().pin(&address.to_string(), Self::id()).unwrap()
    }
}

impl FalconSigner for Counting {
    fn verifying_key(&self) -> &VerifyingKey {
        KNOWN.falcon.verifying_key()
    }

    fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Result<Signature, SignError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        KNOWN.falcon.sign(domain, parts)
    }
}
