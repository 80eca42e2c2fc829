//! Which servers a client believes, in the handshake and after it, and the TLS configuration that follows.

use core::fmt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::composite::{COMPOSITE, verify_handshake};
use super::identities::ClientResolver;
use super::judgement::{authority, judge_falcon, judge_time};
use super::{provider, strict_provider};
use crate::certificate::{self, Leaf};
use crate::identity::Identity;
use crate::policy::{FalconTrust, PqPolicy};
use crate::rejection::IdentityRejected;
use crate::target::canonical_host;
use crate::trust::{Trust, TrustError};

/// A client's policy, ready to judge, and the TLS configurations made from it.
///
/// There is one configuration for each host and port, with sessions of its own to resume: so a session of one policy, or of
/// one server, is never resumed under another.
#[derive(Debug)]
pub(crate) struct Servers {
    rules: Arc<Rules>,
    resolver: Option<Arc<ClientResolver>>,
    resume: bool,
    known: Mutex<HashMap<(String, u16), Known>>,
}

/// What a client keeps of a server, for as long as its policy stands.
#[derive(Debug)]
struct Known {
    config: Arc<rustls::ClientConfig>,
    /// What the server showed when it was last let in.
    chain: Vec<CertificateDer<'static>>,
}

struct Rules {
    policy: PqPolicy,
    /// Judges certificates where classical authorities count.
    roots: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Servers {
    pub(crate) fn new(
        policy: PqPolicy,
        identity: Option<&Identity>,
        resume: bool,
    ) -> Result<Self, TrustError> {
        let (provider, classical) = match &policy {
            PqPolicy::Off(trust) | PqPolicy::Prefer(trust) => (provider(), Some(trust)),
            PqPolicy::Require(_) => (strict_provider(), None),
        };
        let roots = match classical.map(Trust::roots).transpose()?.flatten() {
            Some(roots) => {
                let builder =
                    WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
                Some(builder.build().map_err(|error| TrustError::Roots {
                    reason: error.to_string(),
                })?)
            }
            None => None,
        };
        Ok(Self {
            rules: Arc::new(Rules {
                policy,
                roots,
                provider,
            }),
            resolver: identity.and_then(ClientResolver::new).map(Arc::new),
            resume,
            known: Mutex::default(),
        })
    }

    /// The configuration for a server. Of two calls for the same host and port, the second can resume what the first did.
    ///
    /// # Errors
    /// [`IdentityRejected::NothingPinned`] if no server there could ever be accepted.
    pub(crate) fn config(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Arc<rustls::ClientConfig>, IdentityRejected> {
        if let PqPolicy::Require(FalconTrust::Pins(pins)) = &self.rules.policy
            && pins.ids(host, port).next().is_none()
        {
            let authority = authority(host, port);
            return Err(IdentityRejected::NothingPinned { authority });
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_SERVERS {
            // Only sessions to resume are lost.
            known.clear();
        }
        let known = known
            .entry((canonical_host(host), port))
            .or_insert_with(|| Known {
                config: Arc::new(self.make(host, port)),
                chain: Vec::new(),
            });
        Ok(known.config.clone())
    }

    /// Keeps what a server showed that was let in.
    pub(crate) fn remember(&self, host: &str, port: u16, chain: &[CertificateDer<'static>]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(&(canonical_host(host), port)) {
            known.chain = chain.to_vec();
        }
    }

    /// Before early data is sent, which nothing verifies: forgets the sessions of a server that would not be let in now with
    /// what it showed last. Its time may be over.
    pub(crate) fn forget_unless_believed(&self, host: &str, port: u16) {
        let key = (canonical_host(host), port);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known
            .get(&key)
            .is_some_and(|known| self.judge(host, port, &known.chain).is_err())
        {
            known.remove(&key);
        }
    }

    /// Whether this server is believed now: asked again after each handshake, because one that resumes verifies nothing,
    /// and whenever the policy has changed.
    pub(crate) fn judge(
        &self,
        host: &str,
        port: u16,
        chain: &[CertificateDer<'_>],
    ) -> Result<(), IdentityRejected> {
        let (leaf, intermediates) = chain
            .split_first()
            .ok_or_else(IdentityRejected::no_certificate)?;
        let name = ServerName::try_from(host).map_err(|error| IdentityRejected::Classical {
            reason: error.to_string(),
        })?;
        self.rules
            .judge(host, port, leaf, intermediates, &name, UnixTime::now())
    }

    /// Whether servers must be able to do what is post-quantum.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(self.rules.policy, PqPolicy::Require(_))
    }

    fn make(&self, host: &str, port: u16) -> rustls::ClientConfig {
        let verifier = Verifier {
            rules: self.rules.clone(),
            host: host.to_owned(),
            port,
        };
        let builder = rustls::ClientConfig::builder_with_provider(self.rules.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3 suites")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut tls = match &self.resolver {
            Some(resolver) => builder.with_client_cert_resolver(resolver.clone()),
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![crate::ALPN.to_vec()];
        tls.resumption = if self.resume {
            Resumption::in_memory_sessions(SESSIONS_PER_SERVER)
        } else {
            Resumption::disabled()
        };
        // Sent only by who asks for it: `connect_early`.
        tls.enable_early_data = true;
        tls
    }
}

impl Rules {
    fn judge(
        &self,
        host: &str,
        port: u16,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), IdentityRejected> {
        let leaf = Leaf::parse(certificate).map_err(IdentityRejected::Certificate)?;
        leaf.check_alone(intermediates.len())
            .map_err(IdentityRejected::Certificate)?;
        match &self.policy {
            PqPolicy::Require(trust) => judge_falcon(trust, host, port, &leaf, now),
            PqPolicy::Off(Trust::CertificateHashes(hashes))
            | PqPolicy::Prefer(Trust::CertificateHashes(hashes)) => {
                let got = certificate::hash(certificate);
                if !hashes.contains(&got) {
                    let got = got.iter().map(|byte| format!("{byte:02x}")).collect();
                    return Err(IdentityRejected::Hash { got });
                }
                judge_time(&leaf, now)
            }
            PqPolicy::Off(_) | PqPolicy::Prefer(_) => {
                let roots = self
                    .roots
                    .as_ref()
                    .expect("made for each policy with roots");
                roots
                    .verify_server_cert(certificate, intermediates, name, &[], now)
                    .map(drop)
                    .map_err(|error| issuer_fault(&error))
            }
        }
    }
}

/// What webpki finds wrong in a chain.
fn issuer_fault(error: &rustls::Error) -> IdentityRejected {
    let classical = |reason| IdentityRejected::Classical { reason };
    match error {
        // rustls has one word for this signature and for the handshake's.
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            classical("an issuer's signature is not good".into())
        }
        error => IdentityRejected::from_tls(error).unwrap_or_else(|| classical(error.to_string())),
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rules").field(&self.policy).finish()
    }
}

/// What rustls asks in a handshake.
#[derive(Debug)]
struct Verifier {
    rules: Arc<Rules>,
    host: String,
    port: u16,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.rules
            .judge(&self.host, self.port, certificate, intermediates, name, now)
            .map(|()| ServerCertVerified::assertion())
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
        let is_offered = self.supported_verify_schemes().contains(&signed.scheme);
        // `Require` offers nothing classical. But whoever leaves the certificate's FALCON key out must learn that this is the
        // matter, so a classical signature is looked at all the same.
        if is_offered || signed.scheme != COMPOSITE {
            let classical = &self.rules.provider.signature_verification_algorithms;
            let valid = verify_handshake(message, certificate, signed, classical)?;
            if is_offered {
                return Ok(valid);
            }
        }
        Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let classical = || {
            let algorithms = &self.rules.provider.signature_verification_algorithms;
            algorithms.supported_schemes()
        };
        match &self.rules.policy {
            PqPolicy::Off(_) => classical(),
            PqPolicy::Prefer(_) => [vec![COMPOSITE], classical()].concat(),
            PqPolicy::Require(_) => vec![COMPOSITE],
        }
    }
}

/// Servers whose sessions to resume are kept. Each costs some 10 KB with what is kept of its certificates, so 10 MB; a server
/// that is trusted and pads its classical chain can make it 64 KB for each of its tickets.
const MAX_SERVERS: usize = 1024;
/// Tickets of one server: as many as servers send at once, twice.
const SESSIONS_PER_SERVER: usize = 4;
