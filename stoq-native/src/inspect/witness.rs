//! Sees what a handshake shows, and takes everything that is signed with the key it shows.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, NamedGroup, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::sync::watch;

use crate::certificate::Leaf;
use crate::tls::composite::{COMPOSITE, Halves, halves, verify_handshake};

/// What one handshake has shown. **Not a verifier of identities**: whoever holds the key of whatever certificate passes.
#[derive(Debug)]
pub(super) struct Witness {
    schemes: Vec<SignatureScheme>,
    classical: WebPkiSupportedAlgorithms,
    certificate: OnceLock<CertificateDer<'static>>,
    halves: OnceLock<Halves>,
    asked: OnceLock<()>,
    /// Whether the first session to resume that the server gave allows early data.
    ticket: watch::Sender<Option<bool>>,
}

impl Witness {
    /// Takes signatures of these schemes.
    pub(super) fn new(
        schemes: Vec<SignatureScheme>,
        classical: WebPkiSupportedAlgorithms,
    ) -> Arc<Self> {
        Arc::new(Self {
            schemes,
            classical,
            certificate: OnceLock::new(),
            halves: OnceLock::new(),
            asked: OnceLock::new(),
            ticket: watch::Sender::new(None),
        })
    }

    /// The peer's own certificate, if it got as far as to show one.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certificate.get()
    }

    /// Which halves of a composite signature were good.
    pub(super) fn halves(&self) -> Option<Halves> {
        self.halves.get().copied()
    }

    /// Whether the server has asked who we are.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Resolves when the server has given a session to resume; whether it allows early data.
    pub(super) async fn early_data(&self) -> Option<bool> {
        let mut ticket = self.ticket.subscribe();
        *ticket.wait_for(Option::is_some).await.ok()?
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.certificate
            .get_or_init(|| certificate.clone().into_owned());
        // Nothing is vouched for, and nothing follows from it: no data goes over such a connection.
        Ok(ServerCertVerified::assertion())
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
        if !self.schemes.contains(&signed.scheme) {
            return Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        if signed.scheme == COMPOSITE
            && let Ok(leaf) = Leaf::parse(certificate)
            && let Some(falcon) = &leaf.falcon
            && let Ok(found) = halves(message, leaf.ed25519.as_ref(), falcon, signed.signature())
        {
            self.halves.get_or_init(|| found);
        }
        verify_handshake(message, certificate, signed, &self.classical)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Is asked who we are, and has nothing to show.
#[derive(Debug)]
pub(super) struct Nobody(pub(super) Arc<Witness>);

impl ResolvesClientCert for Nobody {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.asked.get_or_init(|| ());
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Sees sessions that could be resumed, and keeps none.
#[derive(Debug)]
pub(super) struct Tickets(pub(super) Arc<Witness>);

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _server: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, _session: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let early_data = ticket.max_early_data_size() > 0;
        self.0.ticket.send_if_modified(|first| {
            let is_first = first.is_none();
            *first = first.or(Some(early_data));
            is_first
        });
    }

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}
