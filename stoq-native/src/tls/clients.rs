//! Which clients a server believes, in the handshake and after it.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::composite::{COMPOSITE, verify_handshake};
use super::judgement::{judge_grant, judge_time};
use super::{provider, strict_provider};
use crate::certificate::Leaf;
use crate::policy::{ClientPolicy, ClientTrust};
use crate::rejection::IdentityRejected;

/// A server's policy, ready to judge.
#[derive(Debug)]
pub(crate) struct Clients {
    policy: ClientPolicy,
    provider: Arc<CryptoProvider>,
}

impl Clients {
    pub(crate) fn new(policy: ClientPolicy) -> Self {
        let provider = match &policy {
            ClientPolicy::Off | ClientPolicy::Prefer(_) => provider(),
            ClientPolicy::Require(_) => strict_provider(),
        };
        Self { policy, provider }
    }

    /// Whether clients must be able to do what is post-quantum.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(self.policy, ClientPolicy::Require(_))
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// Whether this client may be here now: asked again after each handshake, because one that resumes verifies nothing,
    /// and whenever the policy has changed. The chain is empty if it showed nothing.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<(), IdentityRejected> {
        match (&self.policy, chain) {
            (ClientPolicy::Off, _) | (ClientPolicy::Prefer(_), []) => Ok(()),
            (ClientPolicy::Require(_), []) => Err(IdentityRejected::NoClientIdentity),
            (
                ClientPolicy::Prefer(trust) | ClientPolicy::Require(trust),
                [certificate, others @ ..],
            ) => judge(trust, certificate, others.len(), UnixTime::now()),
        }
    }
}

fn judge(
    trust: &ClientTrust,
    certificate: &CertificateDer<'_>,
    others: usize,
    now: UnixTime,
) -> Result<(), IdentityRejected> {
    let leaf = Leaf::parse(certificate).map_err(IdentityRejected::Certificate)?;
    leaf.check_alone(others)
        .map_err(IdentityRejected::Certificate)?;
    let got = leaf
        .falcon
        .as_ref()
        .ok_or(IdentityRejected::NoFalconKey)?
        .id();
    match trust {
        ClientTrust::Ids(ids) if ids.contains(&got) => {}
        ClientTrust::Ids(_) => return Err(IdentityRejected::UnknownClient { got }),
        ClientTrust::Authority(authority) => judge_grant(authority, &leaf, None, now)?,
    }
    judge_time(&leaf, now)
}

/// What rustls asks in a handshake.
impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.policy != ClientPolicy::Off
    }

    fn client_auth_mandatory(&self) -> bool {
        matches!(self.policy, ClientPolicy::Require(_))
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let judged = match &self.policy {
            ClientPolicy::Off => Ok(()),
            ClientPolicy::Prefer(trust) | ClientPolicy::Require(trust) => {
                judge(trust, certificate, intermediates.len(), now)
            }
        };
        judged
            .map(|()| ClientCertVerified::assertion())
            .map_err(IdentityRejected::into_tls)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // A classical signature comes from somebody who was not asked for one; `verify_handshake` has the words for it.
        let classical = &self.provider.signature_verification_algorithms;
        verify_handshake(message, certificate, signed, classical)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![COMPOSITE]
    }
}
