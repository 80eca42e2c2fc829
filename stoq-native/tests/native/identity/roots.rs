//! Trust in classical authorities: what is wrong with a server's certificate has the same names as elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;

use stoq_native::{
    ClientConfig, ConnectError, Connection, Endpoint, Identity, IdentityRejected, PqPolicy,
    ServerConfig, Target, Trust,
};

use super::certificates::{Ca, Time, classical, plain};
use super::rogue::{Always, Key, Signs, StockServer, server_tls};
use super::table::KNOWN;
use crate::harness::within;

async fn connect(ca: &Ca, address: SocketAddr) -> Result<Connection, ConnectError> {
    let trust = Trust::Roots(vec![ca.root()]);
    let client = Endpoint::client(ClientConfig::new(PqPolicy::Prefer(trust))).unwrap();
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    client.connect_to(&target).await
}

async fn rejection(ca: &Ca, address: SocketAddr) -> IdentityRejected {
    match connect(ca, address).await.unwrap_err() {
        ConnectError::Identity(rejected) => rejected,
        other => panic!("not foreseen: {other:?}"),
    }
}

async fn of(ca: &Ca, identity: Identity) -> IdentityRejected {
    let server = Endpoint::server("[::1]:0".parse().unwrap(), ServerConfig::new(identity)).unwrap();
    rejection(ca, server.local_addr().unwrap()).await
}

#[tokio::test]
async fn a_certificate_that_is_over_is_expired() {
    within(async {
        let ca = Ca::new();
        let identity = KNOWN.identity(Time::Past, Some(&ca));
        assert_eq!(of(&ca, identity).await, IdentityRejected::Expired);
        let identity = classical(Time::Past, Some(&ca));
        assert_eq!(of(&ca, identity).await, IdentityRejected::Expired);
    })
    .await;
}

#[tokio::test]
async fn an_authority_of_ones_own_is_not_trusted() {
    within(async {
        let (ca, own) = (Ca::new(), Ca::new());
        for identity in [
            KNOWN.identity(Time::Now, Some(&own)),
            classical(Time::Now, Some(&own)),
            KNOWN.identity(Time::Now, None),
        ] {
            let why = of(&ca, identity).await;
            assert!(matches!(why, IdentityRejected::Classical { .. }), "{why:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_signature_that_is_not_good_is_said_to_be_whose_it_is() {
    within(async {
        let ca = Ca::new();
        let good = plain(Time::Now, &KNOWN.ed25519, Some(&ca));
        let mut forged = good.to_vec();
        // The last byte of the issuer's signature.
        *forged.last_mut().unwrap() ^= 1;
        for (certificate, signs, whose) in [
            (good, Signs::BadClassically, "the handshake's"),
            (forged.into(), Signs::Classically, "an issuer's"),
        ] {
            let shows = Always::new(vec![certificate], Key::new(&KNOWN, signs));
            let server = StockServer::new(server_tls(Arc::new(shows)));
            let why = rejection(&ca, server.address()).await;
            let reason = format!("{whose} signature is not good");
            assert_eq!(why, IdentityRejected::Classical { reason });
        }
    })
    .await;
}

#[tokio::test]
async fn a_bad_half_is_named_under_prefer_too() {
    within(async {
        let ca = Ca::new();
        for (signs, expected) in [
            (Signs::BadEd25519, IdentityRejected::Ed25519Signature),
            (Signs::BadFalcon, IdentityRejected::FalconSignature),
            (Signs::Classically, IdentityRejected::FalconKeyUnused),
        ] {
            let chain = vec![KNOWN.certificate(Time::Now, Some(&ca), None)];
            let shows = Always::new(chain, Key::new(&KNOWN, signs));
            let server = StockServer::new(server_tls(Arc::new(shows)));
            assert_eq!(rejection(&ca, server.address()).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_shows_no_certificate_is_told_so() {
    within(async {
        let shows = Always::new(vec![], Key::new(&KNOWN, Signs::Composite));
        let server = StockServer::new(server_tls(Arc::new(shows)));
        let why = rejection(&Ca::new(), server.address()).await;
        let expected = "the certificate is not trusted: the server showed no certificate";
        assert_eq!(why.to_string(), expected);
    })
    .await;
}
