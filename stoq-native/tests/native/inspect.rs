//! What is seen of peers of each kind, and of those that cannot prove what they show.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{NamedGroup, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use stoq_native::{
    ALPN, AsksClients, Capabilities, ClientPolicy, ClientTrust, ConnectError, Domain,
    FALCON_KEY_OID, FalconKey, FalconSigner, HandshakeFailed, Identity, IdentityRejected,
    InspectError, Inspection, KeyExchange, Target, falcon_key_extension, inspect,
};

use crate::harness::{Peers, within};

async fn look(address: SocketAddr) -> Result<Inspection, InspectError> {
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    within(inspect(&target, Duration::from_secs(50))).await
}

/// A server of stock quinn, which takes connections and lets them end.
fn stock(tls: rustls::ServerConfig) -> (quinn::Endpoint, SocketAddr) {
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let server = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let endpoint = quinn::Endpoint::server(server, "[::1]:0".parse().unwrap()).unwrap();
    let (address, accepting) = (endpoint.local_addr().unwrap(), endpoint.clone());
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    });
    (endpoint, address)
}

fn tls(provider: CryptoProvider, alpn: &[u8], key: CertifiedKey) -> rustls::ServerConfig {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Only(Arc::new(key))));
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls
}

/// Shows one certificate to everybody, whether it goes with its key or not.
#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// The certificate of one identity with the key of another, or the same.
fn certified(certificate: &Identity, key: &Identity) -> CertifiedKey {
    let chain = certificate.certificate_chain();
    let chain = chain.map(|der| CertificateDer::from(der.to_vec()));
    let key = PrivateKeyDer::try_from(key.private_key().unwrap().to_vec()).unwrap();
    let key = default_provider().key_provider.load_private_key(key);
    CertifiedKey::new(chain.collect(), key.unwrap())
}

fn self_signed() -> Identity {
    Identity::self_signed(["localhost"]).unwrap()
}

#[tokio::test]
async fn a_stock_server_says_nothing_of_itself() {
    let identity = self_signed();
    let key = certified(&identity, &identity);
    let (_server, address) = stock(tls(default_provider(), ALPN, key));
    let seen = look(address).await.unwrap();
    assert_eq!((seen.address, seen.parameter), (address, None));
    assert_eq!(seen.clients, Some(AsksClients::No));
    assert_eq!(seen.early_data, Some(false));
    assert!(seen.falcon.certificate.is_none());
    assert!(matches!(
        seen.falcon.handshake,
        Err(HandshakeFailed::Refused { .. })
    ));
    let certificate = seen.classical.certificate.unwrap();
    assert_eq!(certificate.hash, identity.certificate_hash());
    assert!(certificate.self_issued);
    assert!(seen.classical.handshake.is_ok());
}

#[tokio::test]
async fn the_hybrid_key_exchange_is_found_where_another_was_chosen() {
    let [classical, hybrid] = [NamedGroup::X25519, NamedGroup::X25519MLKEM768];
    for (groups, supported) in [
        (&[classical][..], false),
        (&[classical, hybrid], true),
        (&[hybrid], true),
    ] {
        let mut provider = default_provider();
        provider
            .kx_groups
            .retain(|group| groups.contains(&group.name()));
        provider
            .kx_groups
            .sort_by_key(|group| groups.iter().position(|name| *name == group.name()));
        let identity = self_signed();
        let mut tls = tls(provider, ALPN, certified(&identity, &identity));
        tls.ignore_client_order = true;
        let (_server, address) = stock(tls);
        let seen = look(address).await.unwrap();
        assert_eq!(seen.hybrid, supported, "{groups:?}");
        let agreed = seen.classical.handshake.unwrap();
        let expected = match groups {
            [NamedGroup::X25519MLKEM768] => KeyExchange::X25519MlKem768,
            [_] => KeyExchange::X25519,
            // Either is the server's choice.
            _ => agreed.key_exchange,
        };
        assert_eq!(agreed.key_exchange, expected, "{groups:?}");
    }
}

#[tokio::test]
async fn what_a_stoq_server_wants_and_can_do_is_seen() {
    let signer: Arc<dyn FalconSigner> = Arc::new(FalconKey::generate());
    let id = signer.verifying_key().id();
    let known = ClientTrust::Ids([id].into());
    for (clients, asks) in [
        (ClientPolicy::Off, AsksClients::No),
        (ClientPolicy::Prefer(known.clone()), AsksClients::Optional),
        (ClientPolicy::Require(known), AsksClients::Required),
    ] {
        let alone = Identity::falcon(signer.clone(), ["localhost"]).unwrap();
        let hash = alone.certificate_hash();
        let peers = Peers::with(|server, _| {
            server.identity = alone;
            server.clients = clients;
            server.early_data = true;
        });
        let seen = look(peers.address()).await.unwrap();
        assert_eq!(seen.clients, Some(asks));
        let early_data = (asks != AsksClients::Required).then_some(true);
        assert_eq!(seen.early_data, early_data, "{asks:?}");
        let parameter = seen.parameter.unwrap();
        assert_eq!(parameter.identity, Some(id));
        assert!(parameter.capabilities.contains(Capabilities::EARLY_DATA));
        let certificate = seen.falcon.certificate.unwrap();
        assert_eq!((certificate.id, certificate.hash), (id, hash));
        assert!(certificate.ed25519_is_good && certificate.falcon_is_good);
        assert!(certificate.grant.is_none() && seen.hybrid);
        assert!(seen.falcon.handshake.is_ok());
        // It has no other certificate, and says so to whoever takes none but classical ones.
        assert!(seen.classical.certificate.is_none());
        assert!(seen.classical.handshake.is_err());
    }
}

/// Signs with both keys, or spoils one half, or both.
#[derive(Clone, Debug)]
struct Forger {
    ed25519: Arc<Ed25519KeyPair>,
    falcon: Arc<FalconKey>,
    good: [bool; 2],
}

const COMPOSITE: SignatureScheme = SignatureScheme::Unknown(0xfe7c);

impl SigningKey for Forger {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let composite = offered.contains(&COMPOSITE);
        composite.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(0x7c)
    }
}

impl Signer for Forger {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let labelled = [Domain::COMPOSITE.label().as_bytes(), message].concat();
        let mut ed25519 = self.ed25519.sign(&labelled).as_ref().to_vec();
        let falcon = self.falcon.sign(Domain::COMPOSITE, &[message]).unwrap();
        let mut falcon = falcon.as_bytes().to_vec();
        ed25519[0] ^= u8::from(!self.good[0]);
        falcon[100] ^= u8::from(!self.good[1]);
        Ok([ed25519, falcon].concat())
    }

    fn scheme(&self) -> SignatureScheme {
        COMPOSITE
    }
}

#[tokio::test]
async fn each_half_of_a_signature_is_judged_by_itself() {
    let falcon = Arc::new(FalconKey::generate());
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.serialize_der()).unwrap();
    let ed25519 = Arc::new(ed25519);
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let extension = falcon_key_extension(falcon.verifying_key());
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
        FALCON_KEY_OID,
        extension,
    )];
    let certificate = params.self_signed(&key).unwrap().der().clone();
    for (good, fault) in [
        ([true, true], None),
        ([false, true], Some(IdentityRejected::Ed25519Signature)),
        ([true, false], Some(IdentityRejected::FalconSignature)),
        ([false, false], Some(IdentityRejected::Ed25519Signature)),
    ] {
        let forger = Forger {
            ed25519: ed25519.clone(),
            falcon: falcon.clone(),
            good,
        };
        let key = CertifiedKey::new(vec![certificate.clone()], Arc::new(forger));
        let (_server, address) = stock(tls(default_provider(), ALPN, key));
        let seen = look(address).await.unwrap().falcon;
        let shown = seen.certificate.unwrap();
        assert_eq!(shown.id, falcon.id());
        assert_eq!([shown.ed25519_is_good, shown.falcon_is_good], good);
        assert_eq!(seen.handshake.err(), fault.map(HandshakeFailed::Identity));
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_proves_nothing() {
    let shown = self_signed();
    let key = certified(&shown, &self_signed());
    let (_server, address) = stock(tls(default_provider(), ALPN, key));
    let seen = look(address).await.unwrap();
    assert_eq!(
        seen.classical.certificate.unwrap().hash,
        shown.certificate_hash()
    );
    assert!(matches!(
        seen.classical.handshake,
        Err(HandshakeFailed::Identity(
            IdentityRejected::Classical { .. }
        ))
    ));
    assert_eq!((seen.clients, seen.early_data), (None, None));
}

#[tokio::test]
async fn another_protocol_is_said_to_be_one() {
    for (alpn, expected) in [(&b"h3"[..], true), (b"other", false)] {
        let identity = self_signed();
        let key = certified(&identity, &identity);
        let (_server, address) = stock(tls(default_provider(), alpn, key));
        match look(address).await {
            Err(InspectError::NotStoq { address: at, http3 }) => {
                assert_eq!((at, http3), (address, expected));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_silent_port_is_given_up_in_time() {
    let silent = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let target = format!("stoq://{}/", silent.local_addr().unwrap());
    let after = Duration::from_millis(50);
    let error = inspect(&target.parse().unwrap(), after).await.unwrap_err();
    assert!(
        matches!(
            error,
            InspectError::Connect(ConnectError::Timeout { after: given }) if given == after
        ),
        "{error}"
    );
}
