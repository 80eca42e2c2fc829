//! The matrix of clients' policies: what comes of a connection to every kind of server, good and bad.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ED25519};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use stoq_native::{
    ALPN, ClientConfig, ClientPolicy, ClientTrust, ConnectError, Connection, Endpoint, FalconId,
    Pins, PqPolicy, ServerConfig, Target, Trust,
};

use super::certificates::{Ca, Time, classical, hash, plain};
use super::rogue::{Always, Key, Signs, StockServer, provider, server_tls};
use super::table::Case::*;
use super::table::Outcome::{self, *};
use super::table::Why::*;
use super::table::{self, Case, KNOWN, Level, Peer, Row, STRANGER};
use crate::harness::{until, waits, within};

/// Off and Prefer believe a server by its certificate's hash, Require by a pin. Trust by classical roots, and by a FALCON
/// authority, stands in `attacker`, where it matters.
///
/// Browsers are no servers. What a browser believes of a gateway, its certificate hash and the endpoint record, is tested in
/// a browser.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // peer, case                               Off                        Prefer                     Require
    (Peer::Composite, Good,             [Classical,        Falcon,                     Falcon]),
    // The scheme was not offered under Off, so what it is signed with is beside the point.
    (Peer::Composite, Ed25519Bad,       [Handshake,                 Rejected(Ed25519Signature), Rejected(Ed25519Signature)]),
    (Peer::Composite, FalconBad,        [Handshake,                 Rejected(FalconSignature),  Rejected(FalconSignature)]),
    (Peer::Composite, FalconUnused,     [Rejected(FalconKeyUnused), Rejected(FalconKeyUnused),  Rejected(FalconKeyUnused)]),
    (Peer::Composite, WrongPin,         [Rejected(Hash),            Rejected(Hash),             Rejected(NotPinned)]),
    (Peer::Composite, TimeOver,         [Rejected(Expired),    Rejected(Expired),     Rejected(Expired)]),
    (Peer::Composite, NoClientIdentity, [Refused(NO_IDENTITY),      Refused(NO_IDENTITY),       Refused(NO_IDENTITY)]),
    (Peer::Composite, PolicyChanged,    [Classical,        Falcon,                     Falcon]),
    (Peer::Composite, PinRevoked,       [Rejected(Hash),            Rejected(Hash),             Rejected(NotPinned)]),

    (Peer::Classical, Good,             [Classical,        Classical,         NotPostQuantum]),
    (Peer::Classical, Ed25519Bad,       [Never(HONEST),             Never(HONEST),              Never(HONEST)]),
    (Peer::Classical, FalconBad,        [Never(NO_FALCON_HALF),     Never(NO_FALCON_HALF),      Never(NO_FALCON_HALF)]),
    (Peer::Classical, FalconUnused,     [Never(NO_FALCON_KEY),      Never(NO_FALCON_KEY),       Never(NO_FALCON_KEY)]),
    (Peer::Classical, WrongPin,         [Rejected(Hash),            Rejected(Hash),             NotPostQuantum]),
    (Peer::Classical, TimeOver,         [Rejected(Expired),    Rejected(Expired),     NotPostQuantum]),
    (Peer::Classical, NoClientIdentity, [Refused(NO_IDENTITY),      Refused(NO_IDENTITY),       NotPostQuantum]),
    (Peer::Classical, PolicyChanged,    [Classical,        Classical,         NotPostQuantum]),
    (Peer::Classical, PinRevoked,       [Rejected(Hash),            Rejected(Hash),             Never(NOT_CONNECTED)]),

    (Peer::Plain, Good,                 [Classical,        Classical,         NotPostQuantum]),
    // The certificate is judged before the signature.
    (Peer::Plain, Ed25519Bad,           [Rejected(Untrusted),  Rejected(Untrusted),   Rejected(NoFalconKey)]),
    (Peer::Plain, FalconBad,            [Never(NO_FALCON_HALF),     Never(NO_FALCON_HALF),      Never(NO_FALCON_HALF)]),
    // Somebody shows a FALCON certificate with a server that knows only its Ed25519 key.
    (Peer::Plain, FalconUnused,         [Rejected(FalconKeyUnused), Rejected(FalconKeyUnused),  NotPostQuantum]),
    (Peer::Plain, WrongPin,             [Rejected(Hash),            Rejected(Hash),             NotPostQuantum]),
    (Peer::Plain, TimeOver,             [Rejected(Expired),    Rejected(Expired),     NotPostQuantum]),
    (Peer::Plain, NoClientIdentity,     [Refused("no certificates"), Refused("no certificates"), NotPostQuantum]),
    (Peer::Plain, PolicyChanged,        [Classical,        Classical,         NotPostQuantum]),
    (Peer::Plain, PinRevoked,           [Rejected(Hash),            Rejected(Hash),             Never(NOT_CONNECTED)]),

    (Peer::Browser, Good,               [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, Ed25519Bad,         [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, FalconBad,          [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, FalconUnused,       [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, WrongPin,           [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, TimeOver,           [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, NoClientIdentity,   [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, PolicyChanged,      [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
    (Peer::Browser, PinRevoked,         [Never(NO_SERVER), Never(NO_SERVER), Never(NO_SERVER)]),
];

const HONEST: &str =
    "its one signature is made by our own library; a bad one stands at the plain server";
const NO_FALCON_HALF: &str = "a classical peer has no FALCON half";
const NO_FALCON_KEY: &str = "a classical certificate of STOQ has no FALCON key";
const NOT_CONNECTED: &str =
    "there was never a connection under Require, so there is nothing to resume";
const NO_SERVER: &str = "a browser is no server";
const NO_IDENTITY: &str = "the client has no FALCON identity, which the policy requires";

#[tokio::test]
async fn every_server_under_every_policy() {
    within(table::check(TABLE, happens)).await;
}

async fn happens(level: Level, peer: Peer, case: Case) -> Outcome {
    let server = Server::new(peer, case);
    let first = match case {
        WrongPin => server.policy(level, false),
        // For Require, a lax one.
        PolicyChanged if level == Level::Prefer => server.policy(Level::Off, true),
        PolicyChanged => server.policy(Level::Prefer, true),
        _ => server.policy(level, true),
    };
    let client = Endpoint::client(ClientConfig::new(first)).unwrap();
    if matches!(case, PolicyChanged | PinRevoked) {
        assert!(!server.connect(&client).await.unwrap().security().resumed);
        // Otherwise a session would not be resumed for another reason than the one in question.
        assert!(server.connect(&client).await.unwrap().security().resumed);
        let then = server.policy(level, case == PolicyChanged);
        client.set_policy(then).unwrap();
    }
    let result = server.connect(&client).await;
    let outcome = Outcome::of(&result);
    match &result {
        Ok(connection) => assert!(
            !connection.security().resumed,
            "{level:?}, {peer:?}, {case:?}"
        ),
        // The server does not think that it has a client.
        Err(_) => server.has_no_connection().await,
    }
    outcome
}

struct Server {
    address: SocketAddr,
    hashes: Vec<[u8; 32]>,
    stoq: Option<Endpoint>,
    _stock: Option<StockServer>,
}

impl Server {
    fn new(peer: Peer, case: Case) -> Self {
        let time = match case {
            TimeOver => Time::Past,
            _ => Time::Now,
        };
        let signs = match case {
            Ed25519Bad => Signs::BadEd25519,
            FalconBad => Signs::BadFalcon,
            FalconUnused => Signs::Classically,
            _ => Signs::Composite,
        };
        match (peer, case) {
            (Peer::Composite, Ed25519Bad | FalconBad | FalconUnused) => {
                let certificate = KNOWN.certificate(time, None, None);
                let shows = Always::new(vec![certificate.clone()], Key::new(&KNOWN, signs));
                Self::stock(server_tls(Arc::new(shows)), &certificate)
            }
            (Peer::Composite, _) => {
                let identity = classical(time, None).with_falcon(KNOWN.identity(time, None));
                Self::stoq(identity, case)
            }
            (Peer::Classical, _) => Self::stoq(classical(time, None), case),
            (Peer::Plain, Ed25519Bad) => {
                let certificate = plain(time, &KNOWN.ed25519, None);
                let key = Key::new(&KNOWN, Signs::BadClassically);
                let shows = Always::new(vec![certificate.clone()], key);
                Self::stock(server_tls(Arc::new(shows)), &certificate)
            }
            (Peer::Plain, FalconUnused) => {
                let certificate = KNOWN.certificate(time, None, None);
                Self::plain(certificate, &KNOWN.ed25519, case)
            }
            (Peer::Plain, _) => {
                let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
                Self::plain(plain(time, &key, None), &key, case)
            }
            (Peer::Browser, _) => unreachable!("{NO_SERVER}"),
        }
    }

    fn stoq(identity: stoq_native::Identity, case: Case) -> Self {
        let mut config = ServerConfig::new(identity);
        if case == NoClientIdentity {
            config.clients = ClientPolicy::Require(ClientTrust::Ids([STRANGER.id()].into()));
        }
        let hashes = config.identity.certificate_hashes();
        let stoq = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
        Self {
            address: stoq.local_addr().unwrap(),
            hashes,
            stoq: Some(stoq),
            _stock: None,
        }
    }

    /// As anybody would set rustls up.
    fn plain(certificate: CertificateDer<'static>, key: &KeyPair, case: Case) -> Self {
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let builder = match case {
            NoClientIdentity => {
                let mut roots = RootCertStore::empty();
                roots.add(Ca::new().root().into()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            _ => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.clone()];
        let mut tls = builder.with_single_cert(chain, key).unwrap();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        Self::stock(tls, &certificate)
    }

    fn stock(tls: rustls::ServerConfig, certificate: &[u8]) -> Self {
        let stock = StockServer::new(tls);
        Self {
            address: stock.address(),
            hashes: vec![hash(certificate)],
            stoq: None,
            _stock: Some(stock),
        }
    }

    /// One that trusts this server, or somebody else in its place.
    fn policy(&self, level: Level, right: bool) -> PqPolicy {
        let (id, hashes): (FalconId, _) = match right {
            true => (KNOWN.id(), self.hashes.clone()),
            false => (STRANGER.id(), vec![[0; 32]]),
        };
        match level {
            Level::Off => PqPolicy::Off(Trust::CertificateHashes(hashes)),
            Level::Prefer => PqPolicy::Prefer(Trust::CertificateHashes(hashes)),
            Level::Require => {
                let pins = Pins::new().pin(&self.address.to_string(), id).unwrap();
                pins.into()
            }
        }
    }

    async fn connect(&self, client: &Endpoint) -> Result<Connection, ConnectError> {
        let target: Target = format!("stoq://{}/", self.address).parse().unwrap();
        client.connect_to(&target).await
    }

    async fn has_no_connection(&self) {
        if let Some(server) = &self.stoq {
            until(|| server.open_connections() == 0).await;
            assert!(waits(server.accept()).await);
        }
    }
}
