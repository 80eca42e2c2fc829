//! Which of an identity's certificates a peer is shown.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::composite::COMPOSITE;
use crate::identity::Identity;

/// Shows a server's certificates.
#[derive(Debug)]
pub(crate) struct ServerResolver {
    classical: Option<Arc<CertifiedKey>>,
    composite: Option<Arc<CertifiedKey>>,
    /// Whether who would take either is better served with the composite certificate.
    prefers_composite: bool,
}

impl ServerResolver {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self {
            classical: identity.classical_key(),
            composite: identity.composite_key(),
            prefers_composite: identity.prefers_composite(),
        }
    }

    /// `offered` are the signature schemes that the client verifies.
    fn choose(&self, offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let composite = self
            .composite
            .as_ref()
            .filter(|_| offered.contains(&COMPOSITE));
        let classical = self
            .classical
            .as_ref()
            .filter(|key| key.key.choose_scheme(offered).is_some());
        match (composite, classical) {
            (Some(_), Some(classical)) if !self.prefers_composite => Some(classical.clone()),
            (Some(composite), _) => Some(composite.clone()),
            (None, classical) => classical.cloned(),
        }
    }
}

impl ResolvesServerCert for ServerResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.signature_schemes())
    }
}

/// Shows a client's certificate, the composite one: servers of STOQ ask for no other.
#[derive(Debug)]
pub(crate) struct ClientResolver(Arc<CertifiedKey>);

impl ClientResolver {
    pub(crate) fn new(identity: &Identity) -> Option<Self> {
        identity.composite_key().map(Self)
    }
}

impl ResolvesClientCert for ClientResolver {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        offered: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        offered.contains(&COMPOSITE).then(|| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
