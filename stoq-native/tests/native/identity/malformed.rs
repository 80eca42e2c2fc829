//! Certificates that cannot be read, or do not hold what they must: each fault has its name, on both sides, and none ends in
//! a connection without FALCON.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::CertificateDer;
use stoq_native::{
    CertificateFault, ClientConfig, ClientPolicy, ClientTrust, ConnectError, Endpoint,
    FALCON_KEY_OID, FalconSigner as _, GRANT_OID, IdentityRejected, Pins, PqPolicy, ServerConfig,
    Target, Trust, falcon_key_extension,
};
use time::{Duration, OffsetDateTime};

use super::certificates::{Time, classical, hash};
use super::rogue::{Always, Key, Schemes, Signs, StockServer, client_tls, connect, server_tls};
use super::table::KNOWN;
use crate::harness::{until, within};

fn certificate(
    key: &KeyPair,
    starts: Duration,
    extensions: &[(&[u64], Vec<u8>)],
) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.not_before = OffsetDateTime::now_utc() + starts;
    params.not_after = params.not_before + Duration::days(2);
    let extension = |(oid, content): &(&[u64], Vec<u8>)| {
        CustomExtension::from_oid_content(oid, content.clone())
    };
    params.custom_extensions = extensions.iter().map(extension).collect();
    params.self_signed(key).unwrap().der().clone()
}

/// Certificates of somebody who has both keys, and what is said of each.
fn faulty() -> Vec<(CertificateDer<'static>, IdentityRejected)> {
    let fault = IdentityRejected::Certificate;
    let key = falcon_key_extension(KNOWN.falcon.verifying_key());
    let length = key.len();
    let with =
        |extensions: &[(&[u64], Vec<u8>)]| certificate(&KNOWN.ed25519, -Duration::DAY, extensions);
    let falcon = |content: Vec<u8>| with(&[(FALCON_KEY_OID, content)]);
    let mut other_form = key.clone();
    other_form[12] ^= 1;
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let good = [(FALCON_KEY_OID, key.clone())];
    let twice = [good[0].clone(), good[0].clone()];
    let grant = [good[0].clone(), (GRANT_OID, vec![4, 0x82, 0, 9, 1])];
    let oid = "2.5.29.72".into();
    let (got, more) = (length - 1, length + 1);
    let mut trailing = falcon(key.clone()).to_vec();
    trailing.push(0);
    vec![
        (
            falcon(key[..got].into()),
            fault(CertificateFault::FalconKeyLength { got }),
        ),
        (
            falcon([&key[..], &[0]].concat()),
            fault(CertificateFault::FalconKeyLength { got: more }),
        ),
        (
            falcon(vec![]),
            fault(CertificateFault::FalconKeyLength { got: 0 }),
        ),
        (falcon(other_form), fault(CertificateFault::FalconKeyForm)),
        (with(&twice), fault(CertificateFault::Duplicate { oid })),
        (with(&grant), fault(CertificateFault::GrantForm)),
        (
            trailing.into(),
            fault(CertificateFault::Malformed {
                reason: "1 bytes too many".into(),
            }),
        ),
        (with(&[]), IdentityRejected::NoFalconKey),
        (
            certificate(&KNOWN.ed25519, Duration::DAY, &good),
            IdentityRejected::NotYetValid,
        ),
        (
            certificate(&p256, -Duration::DAY, &good),
            IdentityRejected::NoEd25519Key,
        ),
    ]
}

async fn reject(policy: PqPolicy, address: SocketAddr) -> IdentityRejected {
    let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    match client.connect_to(&target).await.unwrap_err() {
        ConnectError::Identity(rejected) => rejected,
        other => panic!("not foreseen: {other:?}"),
    }
}

#[tokio::test]
async fn a_servers_faulty_certificate_is_named() {
    within(async {
        for (certificate, expected) in faulty() {
            let hash = hash(&certificate);
            let shows = Always::new(vec![certificate], Key::new(&KNOWN, Signs::Composite));
            let server = StockServer::new(server_tls(Arc::new(shows)));
            let address = server.address();
            let pins = Pins::new().pin(&address.to_string(), KNOWN.id()).unwrap();
            assert_eq!(reject(pins.into(), address).await, expected);
            // Nor does it help that the certificate itself is trusted.
            let prefer = PqPolicy::Prefer(Trust::CertificateHashes(vec![hash]));
            assert_eq!(reject(prefer, address).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_clients_faulty_certificate_is_named() {
    within(async {
        let mut config = ServerConfig::new(classical(Time::Now, None));
        config.clients = ClientPolicy::Prefer(ClientTrust::Ids([KNOWN.id()].into()));
        let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
        for (certificate, expected) in faulty() {
            let shows = Always::new(vec![certificate], Key::new(&KNOWN, Signs::Composite));
            let tls = client_tls(Some(shows), Schemes::Classical);
            let error = match connect(tls, server.local_addr().unwrap()).await {
                Ok(connection) => connection.accept_uni().await.unwrap_err(),
                Err(error) => error,
            };
            let quinn::ConnectionError::ConnectionClosed(close) = &error else {
                panic!("not foreseen: {error:?}");
            };
            let reason = String::from_utf8_lossy(&close.reason);
            assert_eq!(reason, expected.to_string());
        }
        until(|| server.open_connections() == 0).await;
    })
    .await;
}
