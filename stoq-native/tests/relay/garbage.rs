//! Peers that speak bare QUIC and say nothing that makes sense.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use stoq_native::{Code, Identity};

use crate::chain::{Chain, identity, pattern, until, within};

#[tokio::test]
async fn garbage_ends_its_own_connection_and_nothing_else() {
    within(async {
        let chain = Chain::with(1, |config| {
            // A classical certificate beside, for who knows no FALCON.
            let classical = Identity::self_signed(["localhost"]).unwrap();
            config.identity = classical.with_falcon(identity(1));
        });
        let (client, target) = chain.session().await;
        for seed in 0..16 {
            let connection = bare(&chain).await;
            let mut control = connection.open_uni().await.unwrap();
            // The control stream's type, and noise; or noise on many streams and in datagrams.
            let noise = &pattern(70_000)[seed * 3000..][..5000];
            let mut said = vec![0];
            said.extend(noise);
            let _ = control
                .write_all(if seed % 2 == 0 { &said } else { noise })
                .await;
            for at in 0..40 {
                let piece = &noise[at * 50..][..50];
                if let Ok((mut send, _receive)) = connection.open_bi().await {
                    let _ = send.write_all(piece).await;
                }
                let _ = connection.send_datagram(piece.to_vec().into());
            }
            if seed % 2 == 0 {
                let ended = connection.closed().await;
                assert!(
                    matches!(&ended, quinn::ConnectionError::ApplicationClosed(_)),
                    "{ended}"
                );
            }
            drop(connection);
        }
        // The session beside is as it was.
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"still here").await.unwrap();
        send.finish().unwrap();
        let mut receive = target.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"still here");
        assert_eq!(
            (chain.stats(1).sessions_open, chain.stats(1).streams_total),
            (1, 1)
        );
        client.close(Code::NO_ERROR, "");
        until(|| chain.stats(1).sessions_open == 0 && chain.stats(1).connections == 0).await;
    })
    .await;
}

async fn bare(chain: &Chain) -> quinn::Connection {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = vec![stoq_native::ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let endpoint = quinn::Endpoint::client("[::]:0".parse().unwrap()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, chain.first(), "localhost");
    connecting.unwrap().await.unwrap()
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
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
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("QUIC has no TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
