//! Who the gateway is: its identity in development or from files, as QUIC and HTTP/3 want it.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{TransportConfig, VarInt};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use stoq_native::{Identity, IdentityError};

use crate::config::{Certificate, Config};

/// Makes or loads the identity.
pub(crate) fn identity(certificate: &Certificate) -> Result<Identity, IdentityError> {
    match certificate {
        Certificate::SelfSigned { names } => Identity::self_signed(names),
        Certificate::Pem { chain, key } => Identity::from_pem_files(chain, key),
    }
}

/// What quinn needs to accept browsers with this identity.
pub(crate) fn server_config(identity: &Identity, config: &Config) -> quinn::ServerConfig {
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto(identity)));
    server.transport_config(Arc::new(transport(config)));
    server
}

fn crypto(identity: &Identity) -> QuicServerConfig {
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
    QuicServerConfig::try_from(tls).expect("the provider has the suite of QUIC's first packets")
}

fn transport(config: &Config) -> TransportConfig {
    let (limits, timing) = (&config.limits, &config.timing);
    let mut transport = TransportConfig::default();
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
/// HTTP/3's control stream, QPACK's two, STOQ's control stream, and one that only exercises ignorance.
const HTTP3_UNI: u32 = 5;
/// A hundred datagrams: some milliseconds of a fast sender. More would only make late ones later.
pub(crate) const DATAGRAM_BUFFER: usize = 128 * 1024;
/// How long a development certificate serves before the next one takes over: two days before it ends, so that a page that
/// read the hash just before can still connect.
pub(crate) const RENEWAL: Duration = Duration::from_secs(11 * 24 * 3600);
