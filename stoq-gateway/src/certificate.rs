//! Who the gateway is to TLS: a certificate of its own making or from files, as QUIC and HTTP/3 want it.

use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{TransportConfig, VarInt};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use stoq_core::time::UnixMicros;
use stoq_native::{Identity, IdentityError, IdentitySource};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};

use crate::config::{Certificate, Config};

/// A certificate with its key, and what it says of itself.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) identity: Identity,
    /// SHA-256 of the certificate.
    pub(crate) hash: [u8; 32],
    /// First moment at which it holds.
    pub(crate) not_before: UnixMicros,
    /// Last moment at which it holds.
    pub(crate) expiry: UnixMicros,
    /// Whether a browser can take it by its hash.
    pub(crate) by_hash: bool,
}

impl Current {
    /// Makes a certificate, or loads it. Takes milliseconds, and reads files: not for the threads that serve sessions.
    pub(crate) fn load(certificate: &Certificate) -> Result<Self, IdentityError> {
        let identity = source(certificate).load()?.identity().clone();
        let own = identity.certificate_chain().next();
        let own = own.expect("an identity has a certificate");
        let (_, read) = x509_parser::parse_x509_certificate(own).map_err(|error| {
            let reason = format!("the certificate cannot be read: {error}");
            IdentityError::Mismatch { reason }
        })?;
        let micros = |seconds: i64| u64::try_from(seconds).unwrap_or_default() * 1_000_000;
        let validity = read.validity();
        Ok(Self {
            hash: identity.certificate_hash(),
            not_before: UnixMicros(micros(validity.not_before.timestamp())),
            // The last second counts as a whole.
            expiry: UnixMicros(micros(validity.not_after.timestamp() + 1).saturating_sub(1)),
            by_hash: browsers_take_by_hash(&read),
            identity,
        })
    }

    /// Whether another one would make no difference to anybody.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity.private_key() == other.identity.private_key()
            && (self.identity.certificate_chain()).eq(other.identity.certificate_chain())
    }
}

/// A hash of what the files hold now; `None` if they cannot be read.
pub(crate) fn fingerprint(certificate: &Certificate) -> Option<[u8; 32]> {
    source(certificate).fingerprint()
}

fn source(certificate: &Certificate) -> IdentitySource {
    match certificate {
        Certificate::SelfSigned { names } => IdentitySource::self_signed(names.iter().cloned()),
        Certificate::Pem { chain, key } => IdentitySource::pem_files(chain, key),
    }
}

/// The rule for `serverCertificateHashes` in the W3C's WebTransport, section "Verify a certificate hash", as browsers apply it.
fn browsers_take_by_hash(certificate: &X509Certificate<'_>) -> bool {
    let validity = certificate.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    let algorithm = &certificate.public_key().algorithm;
    let curve = algorithm.parameters.as_ref().map(|curve| curve.as_oid());
    seconds <= 14 * 24 * 3600
        && algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && matches!(curve, Some(Ok(curve)) if curve == OID_EC_P256)
}

/// What quinn needs to accept browsers with this identity.
pub(crate) fn server_config(identity: &Identity, config: &Config) -> quinn::ServerConfig {
    let mut server = quinn::ServerConfig::with_crypto(crypto(identity));
    server.transport_config(Arc::new(transport(config)));
    server
}

/// TLS with this identity.
pub(crate) fn crypto(identity: &Identity) -> Arc<QuicServerConfig> {
    let mut provider = aws_lc_rs::default_provider();
    // The post-quantum hybrid first: browsers offer a share of it, so it costs no round trip.
    provider.kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::kx_group::SECP256R1,
        aws_lc_rs::kx_group::SECP384R1,
    ];
    let chain = identity
        .certificate_chain()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let key = identity
        .private_key()
        .expect("a gateway's identity has a certificate for browsers");
    let key = PrivateKeyDer::try_from(key.to_vec())
        .expect("an identity holds a key that rustls has read before");
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3 suites")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("an identity holds a key that belongs to its certificate");
    tls.alpn_protocols = vec![wtransport::proto::WEBTRANSPORT_ALPN.to_vec()];
    let tls = QuicServerConfig::try_from(tls)
        .expect("the provider has the suite of QUIC's first packets");
    Arc::new(tls)
}

fn transport(config: &Config) -> TransportConfig {
    let (limits, timing) = (&config.limits, &config.timing);
    let mut transport = TransportConfig::default();
    stoq_native::meter::install(&mut transport);
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.max_streams.get() + HTTP3_BIDI))
        .max_concurrent_uni_streams(VarInt::from_u32(limits.max_streams.get() + HTTP3_UNI))
        .stream_receive_window(VarInt::from_u32(limits.stream_window.get()))
        .receive_window(VarInt::MAX)
        .send_window(limits.send_window.get().into())
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .keep_alive_interval(Some(timing.keep_alive))
        .max_idle_timeout(Some(
            timing
                .idle
                .try_into()
                .expect("a day of milliseconds is a varint"),
        ));
    transport
}

/// The stream of the session request, open as long as the session.
const HTTP3_BIDI: u32 = 1;
/// HTTP/3's control stream, QPACK's two, STOQ's control stream and announcements, and one that only exercises ignorance.
const HTTP3_UNI: u32 = 6;
/// A hundred datagrams: some milliseconds of a fast sender. More would only make late ones later.
pub(crate) const DATAGRAM_BUFFER: usize = 128 * 1024;
