//! Peers made of rustls and quinn, without STOQ's own TLS: as they should be, or with one wrong each.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{self, CryptoProvider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{DigitallySignedStruct, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use stoq_core::frame::{Frame, SettingId, Settings};
use stoq_core::varint::VarInt;
use stoq_native::{ALPN, Domain, FalconKey, FalconSigner as _};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::certificates::Holder;

/// STOQ's composite scheme.
pub(crate) const COMPOSITE: SignatureScheme = SignatureScheme::Unknown(0xfe7c);

/// How a peer signs its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signs {
    /// With both keys.
    Composite,
    /// With both keys, one bit of the Ed25519 half flipped.
    BadEd25519,
    /// With both keys, one bit of the FALCON half flipped.
    BadFalcon,
    /// With Ed25519 alone.
    Classically,
    /// With Ed25519 alone, one bit flipped.
    BadClassically,
}

/// The keys of a peer that signs so, whatever it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    ed25519: Arc<Ed25519KeyPair>,
    falcon: Arc<FalconKey>,
    signs: Signs,
}

impl Key {
    pub(crate) fn new(holder: &Holder, signs: Signs) -> Self {
        let ed25519 = holder.ed25519.serialize_der();
        Self {
            ed25519: Arc::new(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&ed25519).unwrap()),
            falcon: holder.falcon.clone(),
            signs,
        }
    }

    fn is_composite(&self) -> bool {
        !matches!(self.signs, Signs::Classically | Signs::BadClassically)
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let label = Domain::COMPOSITE.label().as_bytes();
        let mut signature = match self.is_composite() {
            true => {
                let falcon = self.falcon.sign(Domain::COMPOSITE, &[message]).unwrap();
                let ed25519 = self.ed25519.sign(&[label, message].concat());
                [ed25519.as_ref(), falcon.as_bytes()].concat()
            }
            false => self.ed25519.sign(message).as_ref().to_vec(),
        };
        match self.signs {
            Signs::Composite | Signs::Classically => {}
            Signs::BadEd25519 | Signs::BadClassically => signature[7] ^= 1,
            // Past the salt, in what stands for the polynomial.
            Signs::BadFalcon => signature[64 + 600] ^= 1,
        }
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        match self.is_composite() {
            true => COMPOSITE,
            false => SignatureScheme::ED25519,
        }
    }
}

/// A certificate, and how its holder signs: shown and done whatever the peer offers or asks for.
#[derive(Debug)]
pub(crate) struct Always(Arc<CertifiedKey>);

impl Always {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: Key) -> Self {
        Self(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }
}

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server of stock quinn that speaks as much of STOQ as lets a client connect.
pub(crate) struct StockServer {
    endpoint: quinn::Endpoint,
    _serving: AbortOnDropHandle<()>,
}

impl StockServer {
    pub(crate) fn new(tls: rustls::ServerConfig) -> Self {
        let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
        Self::with_crypto(Arc::new(tls))
    }

    pub(crate) fn with_crypto(crypto: Arc<dyn quinn::crypto::ServerConfig>) -> Self {
        let config = quinn::ServerConfig::with_crypto(crypto);
        let endpoint = quinn::Endpoint::server(config, "[::1]:0".parse().unwrap()).unwrap();
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(endpoint.clone())));
        Self {
            endpoint,
            _serving: serving,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }
}

async fn serve(endpoint: quinn::Endpoint) {
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        connections.spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            let Ok(mut control) = connection.open_uni().await else {
                return;
            };
            let _ = control.write_all(&settings(None)).await;
            connection.closed().await;
        });
    }
}

/// A control stream up to and with SETTINGS: a server's, or those of a client that asks for a service.
pub(crate) fn settings(service: Option<&str>) -> Vec<u8> {
    let [mut one, mut many] = [Vec::new(), Vec::new()];
    VarInt::from_u32(1).encode(&mut one);
    VarInt::from_u32(100).encode(&mut many);
    let mut entries = vec![(SettingId::VERSION, one.as_slice())];
    entries.push((SettingId::RANDOM, &[7; 32]));
    entries.extend(service.map(|service| (SettingId::SERVICE, service.as_bytes())));
    entries.push((SettingId::MAX_STREAMS, &many));
    entries.push((SettingId::MAX_DATAGRAM_SIZE, &many));
    let frame = Frame::Settings(Settings::from(entries));
    let mut bytes = vec![0];
    frame.encode(&mut bytes);
    bytes
}

/// TLS of a server that is built with rustls alone.
pub(crate) fn server_tls(shows: Arc<dyn ResolvesServerCert>) -> rustls::ServerConfig {
    server_tls_over(provider(), shows)
}

/// The same, with these algorithms.
pub(crate) fn server_tls_over(
    provider: Arc<CryptoProvider>,
    shows: Arc<dyn ResolvesServerCert>,
) -> rustls::ServerConfig {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(shows);
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls
}

/// TLS of a client that is built with rustls alone and believes every server.
pub(crate) fn client_tls(shows: Option<Always>, schemes: Schemes) -> rustls::ClientConfig {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer(schemes)));
    let mut tls = match shows {
        Some(shows) => builder.with_client_cert_resolver(Arc::new(shows)),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls
}

/// Connects with stock quinn.
pub(crate) async fn connect(
    tls: rustls::ClientConfig,
    address: SocketAddr,
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    connect_with(Arc::new(tls), address).await
}

pub(crate) async fn connect_with(
    crypto: Arc<dyn quinn::crypto::ClientConfig>,
    address: SocketAddr,
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let endpoint = quinn::Endpoint::client("[::1]:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(crypto);
    let connecting = endpoint.connect_with(config, address, "localhost");
    connecting.unwrap().await
}

/// With the key exchanges of browsers, in their order.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![
        crypto::aws_lc_rs::kx_group::X25519MLKEM768,
        crypto::aws_lc_rs::kx_group::X25519,
    ];
    Arc::new(provider)
}

/// Which signatures a client says that it verifies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schemes {
    Classical,
    WithComposite,
}

#[derive(Debug)]
struct Believer(Schemes);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("QUIC has no TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = provider().signature_verification_algorithms;
        let mut schemes = algorithms.supported_schemes();
        if let Schemes::WithComposite = self.0 {
            schemes.insert(0, COMPOSITE);
        }
        schemes
    }
}
